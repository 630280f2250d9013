/* Named weights in mapped files. Every length and offset in a file is checked when it is opened, so
 * that a tensor handed out can be read in full; nothing is copied, and nothing of a file is run.
 *
 * Formats, told by how a file begins: safetensors, and torch's since 1.6 (a zip archive with a
 * pickle). Each reader fills the same table of names (table.h). */
#ifndef WEIGHTS_WEIGHTS_H
#define WEIGHTS_WEIGHTS_H

#include "base/error.h"
#include "tensor/tensor.h"

struct weights;

/* Open one file. ERROR_FORMAT says what lies and where: header longer than the file, offsets
 * outside, overlapping or with holes, shape times dtype not equal to the bytes, a name twice.
 * ERROR_UNSUPPORTED: a pickle that asks for more than tensors, or another program's format. */
bool weights_open_file(const char *path, struct weights **weights, struct error *error);

/* Open what a component's folder of a diffusers checkpoint holds: the first that exists of
 * STEM.safetensors, STEM.fp16.safetensors, STEM.bin, STEM.fp16.bin, each also in pieces with an
 * index (STEM.safetensors.index.json). STEM as diffusers and transformers write it
 * ("diffusion_pytorch_model", "model"; for .bin also "pytorch_model"). ERROR_NOT_FOUND names what
 * was looked for. */
bool weights_open_folder(const char *folder, const char *stem, struct weights **weights, struct error *error);

/* One component of a checkpoint that is a single file (.safetensors or .ckpt) with the names that
 * Stable Diffusion's own program gave: its tensors under diffusers' names. Averages (EMA) are passed
 * over. ERROR_UNSUPPORTED says what the file is instead and what to get: 4-channel models, SDXL,
 * LoRAs, ... */
enum weights_part { WEIGHTS_UNET, WEIGHTS_VAE, WEIGHTS_TEXT_ENCODER };
bool weights_open_part(const char *path, enum weights_part part, struct weights **weights, struct error *error);
/* Of a part: whether the file has OpenCLIP's text encoder, as version 2 does, not OpenAI's; and whether
 * it says (by a tensor "v_pred") that its UNet predicts velocity. */
bool weights_has_open_clip(const struct weights *part);
bool weights_says_velocity(const struct weights *part);
/* A file that holds the decoder of an AutoencoderTiny (TAESD), under diffusers' names or, renamed to
 * them, its author's, which are bare numbers. */
bool weights_open_tiny_decoder(const char *path, struct weights **weights, struct error *error);
bool weights_is_file(const char *path); /* rather than a folder, or nothing */

void weights_close(struct weights *weights); /* unmaps; tensors handed out are dead then */

size_t weights_count(const struct weights *weights);
/* i-th tensor in the file's order; *name stays valid until weights_close(). */
const struct tensor *weights_at(const struct weights *weights, size_t index, const char **name);

/* NULL when there is no such name. */
const struct tensor *weights_find(const struct weights *weights, const char *name);

/* The tensor `name` (printf-like) of exactly this shape; on a missing name or another shape NULL
 * with ERROR_FORMAT that names the tensor, what was expected and what is there. Shape: rank sizes;
 * a float dtype is required. */
const struct tensor *weights_get(const struct weights *weights, const char *name, int rank, const size_t *shape, struct error *error);

/* Once a plan has packed what it needs: let the system take the file's pages back. They are read
 * again, from the file, should anybody look. */
void weights_rest(const struct weights *weights);
/* The same for the pages that only `data` lies in, if it lies in a file. From any thread. */
void weights_rest_at(const struct weights *weights, const void *data, size_t bytes);

/* The mapped file's bytes: tensors handed out lie in them. False when there are several, or none. */
bool weights_region(const struct weights *weights, const unsigned char **first, size_t *size);

size_t weights_bytes(const struct weights *weights);     /* of the mapped files; of a part, of its tensors */
const char *weights_path(const struct weights *weights); /* of the file, or of the index of pieces */

#endif
