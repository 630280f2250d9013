/* UNet2DConditionModel: predicts the noise (or velocity) in a latent. Everything is driven by its
 * config.json. All arrays here are f32, channels last. */
#ifndef MODEL_UNET_H
#define MODEL_UNET_H

#include "tensor/plan.h"
#include "weights/lora.h"

struct weights;
struct unet;

/* path: unet/ of a checkpoint, or a checkpoint that is a single file. ERROR_UNSUPPORTED, with a sentence that says what to get instead,
 * when its first convolution does not take 9 channels or its blocks are of a kind we lack. */
bool unet_open(const char *path, struct unet **unet, struct error *error);
void unet_close(struct unet *unet);
/* Merge a LoRA into the weights: before the first run is created. */
bool unet_merge(struct unet *unet, struct lora *lora, double weight, struct pool *pool, struct error *error);
bool unet_says_velocity(const struct unet *unet); /* a single file may; of a folder, the scheduler does */
size_t unet_context_width(const struct unet *unet);
size_t unet_sample_size(const struct unet *unet);            /* latent side that it was trained at */
const struct weights *unet_weights(const struct unet *unet); /* as they are in the file */
size_t unet_bytes(const struct unet *unet);

/* One UNet at one size, ready to step. */
struct unet_run;
struct unet_size {
    size_t samples;    /* latents: outputs of a prediction */
    size_t results;    /* samples, or 2 * samples with guidance: [unguided..., guided...] */
    size_t contexts;   /* prompts: divides results; 2 with guidance, else 1 (or one a sample) */
    size_t conditions; /* masks and masked latents: 1, or one a sample */
    size_t h, w;       /* of the latent */
    size_t steps;      /* most timesteps that unet_run_timesteps() will get */
};
bool unet_run_create(const struct unet *unet, const struct plan_options *options, const struct unet_size *size, size_t memory_limit,
                     struct unet_run **run, struct error *error);
void unet_run_free(struct unet_run *run);

/* Once per prompt: text keys and values of every layer. context [contexts][77][context_width]. */
void unet_run_context(struct unet_run *run, const float *context);
/* Once per schedule: time embeddings of every layer for all steps. */
void unet_run_timesteps(struct unet_run *run, const int *timesteps, size_t count);
/* Once per picture: the constant part of the first convolution. mask [conditions][h][w],
 * masked_latent [conditions][h][w][4]. */
void unet_run_condition(struct unet_run *run, const float *mask, const float *masked_latent);
/* One evaluation for timesteps[index]: latent [samples][h][w][4] -> prediction [results][h][w][4]. */
void unet_run_step(struct unet_run *run, size_t index, const float *latent, float *prediction);

/* For `bench` and limits: the plan inside, and its per-step section. */
struct plan *unet_run_plan(struct unet_run *run);
int unet_run_step_section(const struct unet_run *run);

#endif
