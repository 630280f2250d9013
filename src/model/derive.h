/* Configs for checkpoints that have none (single files): what the shapes of their tensors say, and
 * Stable Diffusion 1's values where shapes say nothing.
 *
 * NULL when out of memory (and said so). What is missing or misshapen shows when the config is read
 * and the network recorded. */
#ifndef MODEL_DERIVE_H
#define MODEL_DERIVE_H

#include "weights/weights.h"

#include <jansson.h>

json_t *derive_unet_config(const struct weights *weights, struct error *error);
json_t *derive_vae_config(const struct weights *weights, struct error *error);
json_t *derive_tiny_vae_config(const struct weights *weights, struct error *error); /* of its decoder */
json_t *derive_text_encoder_config(const struct weights *weights, struct error *error);

#endif
