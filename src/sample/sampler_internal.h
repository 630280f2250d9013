/* What the samplers' files share. */
#ifndef SAMPLE_SAMPLER_INTERNAL_H
#define SAMPLE_SAMPLER_INTERNAL_H

#include "sample/sampler.h"

#include <stddef.h>

enum { SAMPLER_HISTORY = 4 };

struct sampler {
    struct sampler_config config;
    size_t count; /* elements of a latent batch */
    int steps;
    int stride; /* training timesteps between two steps */
    int evaluations;
    int *timesteps;    /* [evaluations], falling */
    float *alphas;     /* [train_timesteps]: product of (1 - beta) up to each timestep */
    float final_alpha; /* what lies before the first timestep */
    /* PNDM only */
    float *history[SAMPLER_HISTORY]; /* [count] each: predictions, newest first */
    int remembered;
    float *start; /* [count]: x before the first step, which is taken twice */
};

/* The product of (1 - beta) up to the timestep; before the first, final_alpha. */
float sampler_alpha(const struct sampler *sampler, int timestep);

/* What a prediction says of element i at a timestep: the clean latent, and the noise in it. */
struct sampler_view {
    float signal, noise; /* sqrt(alpha), sqrt(1 - alpha) */
    bool v_prediction, clip;
};
struct sampler_view sampler_view(const struct sampler *sampler, int timestep);
static inline float sampler_clean(const struct sampler_view *view, float x, float prediction) {
    float x0 = view->v_prediction ? view->signal * x - view->noise * prediction : (x - view->noise * prediction) / view->signal;
    return !view->clip ? x0 : x0 < -1 ? -1 : x0 > 1 ? 1 : x0;
}
static inline float sampler_epsilon(const struct sampler_view *view, float x, float prediction) {
    return view->v_prediction ? view->signal * prediction + view->noise * x : prediction;
}

/* ==== Few steps (consistency.c) ==== */

void lcm_step(struct sampler *sampler, int index, const float *prediction, float *x, float *x0);
void tcd_step(struct sampler *sampler, int index, const float *prediction, float *x, float *x0);
/* The deviation of the noise to be added after a step. */
float lcm_noise(const struct sampler *sampler, int index);
float tcd_noise(const struct sampler *sampler, int index);
/* Steps picked from those of the distillation. */
void consistency_timesteps(struct sampler *sampler);

#endif
