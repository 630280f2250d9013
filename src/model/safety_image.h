/* What the feature extractor does to a picture before the safety checker sees it. Only for this folder. */
#ifndef MODEL_SAFETY_IMAGE_H
#define MODEL_SAFETY_IMAGE_H

#include "image/image.h"

struct safety_image {
    size_t shorter;            /* pixels: the picture's shorter side is brought to this */
    size_t side;               /* then this square is cut from the middle */
    double mean[3], spread[3]; /* of red, green and blue, in units of 1/255 of the bytes' range */
};

/* preprocessor_config.json at `path`, or CLIP's values when it is NULL. */
bool safety_image_config(const char *path, struct safety_image *config, struct error *error);

/* picture (RGB) -> pixels [side][side][3]. */
bool safety_image_pixels(const struct safety_image *config, const struct image *picture, float *pixels, struct error *error);

#endif
