/* LoRA (Hu et al. 2021): a file of small changes to a checkpoint's layers. For a layer's weight W
 * [out, in] it holds down [rank, in] and up [out, rank]; W becomes W + weight * alpha / rank * up down.
 * For convolutions (LoCon) `in` stands for [in, kernel, kernel].
 *
 * Names: kohya's (lora_unet_..., lora_te_...), diffusers' and peft's of all times. */
#ifndef WEIGHTS_LORA_H
#define WEIGHTS_LORA_H

#include "base/pool.h"
#include "weights/weights.h"

struct lora;

/* path: a .safetensors or torch file, or a folder that has pytorch_lora_weights or adapter_model.
 * ERROR_UNSUPPORTED, with a sentence: a LoRA for another family (SDXL, SD 3, Flux), or of a kind that
 * is not merged so (DoRA, LoHa, LoKr). */
bool lora_open(const char *path, struct lora **lora, struct error *error);
void lora_close(struct lora *lora);

/* Merge what the file has for this component into its weights (diffusers' names), which hold the sums
 * as f32 in memory of their own from then on. pool may be NULL. ERROR_UNSUPPORTED: a layer has another
 * shape there, so the LoRA was made for another model; some layers may then be merged already. */
bool lora_merge(struct lora *lora, enum weights_part part, struct weights *weights, double weight, struct pool *pool, struct error *error);

/* After all merges: layers that were changed, and tensors of the file that were of no use, with the
 * name of the first. */
struct lora_report {
    size_t merged, left;
    const char *first_left; /* NULL: none; the lora's */
};
void lora_report(const struct lora *lora, struct lora_report *report);

#endif
