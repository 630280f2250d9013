/* The names that Stable Diffusion's own program (Latent Diffusion, "LDM") gave its tensors, and
 * diffusers' names for them. Only for this folder. */
#ifndef WEIGHTS_ORIGINAL_H
#define WEIGHTS_ORIGINAL_H

#include "weights/weights.h"

enum { ORIGINAL_NAME_SIZE = 256 };

/* What the numbers in the names depend on. */
struct original_layout {
    size_t per_block;  /* residual blocks of the UNet at each resolution */
    size_t vae_blocks; /* resolutions of the autoencoder */
};
void original_layout(const struct weights *file, struct original_layout *layout);

/* The tensor's name in its component; false when it is of no component, or of another one. */
bool original_name(const struct original_layout *layout, enum weights_part part, const char *name, char out[ORIGINAL_NAME_SIZE]);

/* A number of up to three digits and the dot behind it: what follows; NULL when there is none. */
const char *original_number(const char *text, size_t *number);

/* OpenCLIP's text encoder, of version 2: how many of its layers are used, and a tensor's names in
 * transformers' text encoder: one, or three for what is stacked (first dimension: query, key, value). */
enum { OPEN_CLIP_STACKED = 3 };
struct open_clip_name {
    char name[OPEN_CLIP_STACKED][ORIGINAL_NAME_SIZE];
    size_t count;
};
bool open_clip_is_there(const struct weights *file);
size_t open_clip_layers(const struct weights *file);
bool open_clip_name(const char *name, size_t layers, struct open_clip_name *out);

/* ERROR_UNSUPPORTED, with a sentence that says what this file is and what to get instead, unless it
 * can inpaint. */
bool original_check(const struct weights *file, struct error *error);

#endif
