/* CLIP's text encoder (Radford et al. 2021): token ids to hidden states, after the final LayerNorm. */
#ifndef MODEL_TEXT_ENCODER_H
#define MODEL_TEXT_ENCODER_H

#include "tensor/plan.h"
#include "weights/lora.h"

struct weights;
struct text_encoder;

/* path: text_encoder/ of a checkpoint (config.json, model.safetensors), or a checkpoint that is a
 * single file; names with and without the leading "text_model.". */
bool text_encoder_open(const char *path, struct text_encoder **encoder, struct error *error);
void text_encoder_close(struct text_encoder *encoder);
/* Merge a LoRA into the weights: before the first run. */
bool text_encoder_merge(struct text_encoder *encoder, struct lora *lora, double weight, struct pool *pool, struct error *error);
bool text_encoder_is_open_clip(const struct text_encoder *encoder); /* of a single file of version 2 */
size_t text_encoder_width(const struct text_encoder *encoder);
const struct weights *text_encoder_weights(const struct text_encoder *encoder); /* as they are in the file */
size_t text_encoder_bytes(const struct text_encoder *encoder);                  /* mapped */
size_t text_encoder_working_bytes(const struct text_encoder *encoder);          /* of the plans kept */

/* ids [n][77] -> hidden [n][77][width], f32. Always computed in f32. */
bool text_encoder_run(struct text_encoder *encoder, const struct plan_options *options, const int32_t *ids, size_t n, float *hidden,
                      struct error *error);

#endif
