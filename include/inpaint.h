/* libinpaint: Stable Diffusion inpainting for C programs.
 *
 *     struct inpaint_error error;
 *     inpaint_model *model = inpaint_open("models/bundled", NULL, &error);
 *     if (!model) return puts(error.message), 1;
 *
 *     inpaint_params params = INPAINT_PARAMS_DEFAULT;
 *     params.prompt = "a red apple";
 *     params.steps = 20;
 *
 *     inpaint_result *result = inpaint_paint(model, &photo, &mask, &params, &error);
 *     if (!result) puts(error.message);
 *     // result->images[0].pixels: RGB, 8 bits a sample
 *     inpaint_result_free(result);
 *     inpaint_close(model);
 *
 * No global state, no exit(), no files but the weights. A model may paint one picture at a time; a
 * second call from another thread waits. Different models are independent.
 */
#ifndef INPAINT_H
#define INPAINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INPAINT_VERSION "0.1.0"

/* ==== Errors ==== */

/* Functions that fail return NULL or false and, when `error` is not NULL, say why in one sentence. */
typedef enum {
    INPAINT_OK = 0,
    INPAINT_INTERNAL = 1,
    INPAINT_MEMORY = 2, /* out of memory, or above params.memory_limit */
    INPAINT_IO = 3,
    INPAINT_ARGUMENT = 10, /* a parameter is out of its range */
    INPAINT_FORMAT = 11,   /* a weight file is damaged or lies */
    INPAINT_LIMIT = 12,
    INPAINT_UNSUPPORTED = 13, /* well-formed, but can't inpaint: the sentence says what to get instead */
    INPAINT_NOT_FOUND = 14,
    INPAINT_CANCELED = 20, /* the callback asked to stop */
    INPAINT_NSFW = 21      /* the safety checker flagged every output */
} inpaint_code;

struct inpaint_error {
    int code; /* inpaint_code */
    char message[512];
};

/* ==== Paint in one call ==== */

typedef struct inpaint_model inpaint_model;

typedef enum { INPAINT_DTYPE_AUTO, INPAINT_DTYPE_F32, INPAINT_DTYPE_BF16 } inpaint_dtype;
typedef enum { INPAINT_NOISE_PHILOX, INPAINT_NOISE_MT19937 } inpaint_noise;

/* How a latent is denoised. AUTO: as the LoRAs want it that were made for few steps, else as the
 * checkpoint says. DDIM_TRAILING, LCM and TCD are for few steps. */
typedef enum {
    INPAINT_SAMPLER_AUTO,
    INPAINT_SAMPLER_DDIM,
    INPAINT_SAMPLER_DDIM_TRAILING,
    INPAINT_SAMPLER_PNDM,
    INPAINT_SAMPLER_LCM,
    INPAINT_SAMPLER_TCD
} inpaint_sampler;

/* A LoRA to be merged into the weights: a file with kohya's, diffusers' or peft's names. */
typedef struct {
    const char *path;
    double weight; /* 1: as it was trained; 0.8: a little less of it */
} inpaint_lora;

/* How to open a model; NULL in inpaint_open() means all zero. */
typedef struct {
    inpaint_dtype dtype; /* AUTO: bf16 where the processor multiplies it, else f32 */
    int threads;         /* 0: as many as this process may use */
    bool no_safety;      /* do not load the safety checker */
    const inpaint_lora *loras;
    int lora_count;
    inpaint_sampler sampler;
    const char *decoder;   /* decode pictures with this autoencoder (TAESD: much faster, a little softer); NULL: the checkpoint's */
    const char *previewer; /* decode previews with this one, at full size; NULL: a linear map, at an eighth */
    /* Told in a sentence what was chosen or passed over while opening; may be NULL. */
    void (*note)(void *user, const char *line);
    void *note_user;
} inpaint_options;

/* Open a checkpoint: a folder in diffusers' layout, or a single file (.safetensors, .ckpt) with the
 * original names, which needs no_safety because it can't hold a safety checker. Weights are mapped,
 * not read; NULL on failure. */
inpaint_model *inpaint_open(const char *path, const inpaint_options *options, struct inpaint_error *error);
void inpaint_close(inpaint_model *model); /* NULL is fine */

/* A picture of the caller's: rows of RGB, 8 bits a sample, `stride` bytes apart (0 = 3 * width). */
typedef struct {
    int width, height; /* pixels; 1 .. 16384 */
    int stride;
    const uint8_t *pixels;
} inpaint_image;

typedef struct {
    int width, height;
    uint8_t *pixels; /* rows of RGB without gaps */
} inpaint_picture;

typedef enum {
    INPAINT_STAGE_PREPARE, /* pictures cropped, mask made */
    INPAINT_STAGE_TEXT,    /* prompt encoded */
    INPAINT_STAGE_ENCODE,  /* masked image encoded */
    INPAINT_STAGE_DENOISE, /* step `step` of `steps` done (0 = about to begin) */
    INPAINT_STAGE_DECODE,
    INPAINT_STAGE_CHECK /* safety */
} inpaint_stage;

typedef struct {
    inpaint_stage stage;
    int step, steps;
    double seconds;      /* since the call began */
    const char *message; /* a line for the log, or NULL: mask resized, prompt cut, outputs flagged */
    /* Render what the picture looks like now: preview_width x preview_height pixels of RGB (an eighth of
     * the picture, or all of it with options.previewer), output by output. Call it from inside the
     * callback only; false when there is nothing to see yet.
     * pixels: room for 3 * preview_width * preview_height bytes. */
    bool (*preview)(const void *state, int output, uint8_t *pixels);
    const void *preview_state;
    int preview_width, preview_height;
} inpaint_progress;

/* Return false to cancel: inpaint_paint() then returns NULL with INPAINT_CANCELED, within one step. */
typedef bool inpaint_callback(void *user, const inpaint_progress *progress);

typedef struct {
    const char *prompt;          /* UTF-8; NULL = "" */
    const char *negative_prompt; /* UTF-8; NULL = ""; without effect when guidance <= 1 */
    int steps;                   /* 1 .. 1000; default 50 */
    double guidance;             /* default 7.5; <= 1 switches guidance off */
    int64_t seed;
    int count;        /* outputs, 1 .. 64; default 1 */
    bool invert_mask; /* black is repainted instead of white */
    bool raw;         /* the plain decode: outside the mask too, what the network made */
    inpaint_noise noise;
    size_t memory_limit;        /* bytes of working memory allowed, 0 = no limit */
    inpaint_callback *callback; /* may be NULL */
    void *user;
} inpaint_params;

#define INPAINT_PARAMS_DEFAULT                                                                                                             \
    { .steps = 50, .guidance = 7.5, .count = 1 }

typedef struct {
    int count;               /* pictures that passed the safety checker */
    int flagged;             /* pictures withheld by it */
    int width, height;       /* the image's, cut to multiples of 8 around its centre */
    inpaint_picture *images; /* [count] */
    double seconds[6];       /* spent in each inpaint_stage */
} inpaint_result;

/* Paint over the white part of `mask` (any size: it is scaled to the image). Unmasked pixels of a
 * result equal the image's bit for bit unless params->raw.
 * NULL on failure; INPAINT_NSFW when every output was flagged. Free with inpaint_result_free(). */
inpaint_result *inpaint_paint(inpaint_model *model, const inpaint_image *image, const inpaint_image *mask, const inpaint_params *params,
                              struct inpaint_error *error);
void inpaint_result_free(inpaint_result *result); /* NULL is fine */

/* ==== Facts about a model ==== */

typedef struct {
    char name[64];        /* pipeline class */
    const char *dtype;    /* "f32" or "bf16": what products are computed in */
    bool safety;          /* has a safety checker */
    int sample_size;      /* pixels of a side that it was trained at */
    size_t weight_bytes;  /* mapped */
    size_t packed_bytes;  /* converted for the kernels so far */
    size_t ready_bytes;   /* converted already, in the packed file that it was opened from (mapped) */
    size_t working_bytes; /* held for pictures of the sizes last painted */
    int threads;
    const char *sampler; /* "ddim", "ddim-trailing", "pndm", "lcm", "tcd" */
    int steps;           /* what a LoRA for few steps wants; 0: nothing said */
    double guidance;     /* the same; without meaning when steps is 0 */
} inpaint_info;

void inpaint_describe(const inpaint_model *model, inpaint_info *info);

#ifdef __cplusplus
}
#endif
#endif
