/* What a forming latent looks like, without decoding it: a linear map from latent channels to
 * colours, fitted for each picture on the image's own latent, whose colours are known. So it suits
 * any autoencoder and needs no table. */
#ifndef INPAINT_PREVIEW_H
#define INPAINT_PREVIEW_H

#include "image/image.h"

enum { LATENT_CHANNELS = 4 };

struct preview_map {
    float weight[LATENT_CHANNELS + 1][3]; /* last row: the constant */
};

/* latent [h][w][4] of the picture whose 8x8 means are fitted (width w * 8, height h * 8; pixels are
 * the f32 that the autoencoder saw). */
void preview_fit(struct preview_map *map, const float *latent, const float *pixels, size_t h, size_t w);

/* latent [h][w][4] -> rgb [h][w][3]. */
void preview_render(const struct preview_map *map, const float *latent, size_t h, size_t w, uint8_t *rgb);

#endif
