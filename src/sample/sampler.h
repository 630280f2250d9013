/* Timestep schedules and samplers: one step function each behind one struct. Knows nothing of the
 * network whose predictions it is fed. Latents are plain arrays; any layout. */
#ifndef SAMPLE_SAMPLER_H
#define SAMPLE_SAMPLER_H

#include "base/error.h"

enum sampler_kind {
    SAMPLER_DDIM,
    SAMPLER_PNDM,
    SAMPLER_LCM, /* latent consistency: for networks distilled to it, 2 to 8 steps */
    SAMPLER_TCD  /* trajectory consistency: the same */
};
enum prediction_type { PREDICTION_EPSILON, PREDICTION_V };

/* What scheduler_config.json says; see sampler_config_read(). */
struct sampler_config {
    enum sampler_kind kind;
    enum prediction_type prediction_type;
    double beta_start, beta_end;
    enum { BETA_SCALED_LINEAR, BETA_LINEAR } beta_schedule;
    int train_timesteps; /* 1000 */
    int steps_offset;    /* 1 */
    bool set_alpha_to_one;
    bool clip_sample;
    bool trailing;       /* DDIM: steps are counted from the last training timestep, not from the first */
    int distilled_steps; /* LCM, TCD: those of the distillation, of which steps are picked; 50 */
};

/* Read scheduler_config.json of a checkpoint. Unknown class names fall back to DDIM (the hosted
 * model's); an unknown prediction_type or beta_schedule is ERROR_UNSUPPORTED. */
bool sampler_config_read(const char *path, struct sampler_config *config, struct error *error);

/* What Stable Diffusion 1's checkpoints say, for those that come without the file. */
void sampler_config_default(struct sampler_config *config);

struct sampler;

int sampler_steps_most(const struct sampler_config *config);

/* steps: 1 .. sampler_steps_most() inference steps. count: elements of one latent batch. */
bool sampler_create(const struct sampler_config *config, int steps, size_t count, struct sampler **sampler, struct error *error);
void sampler_free(struct sampler *sampler);

int sampler_evaluations(const struct sampler *sampler);      /* network calls; PNDM has one more than steps */
const int *sampler_timesteps(const struct sampler *sampler); /* [evaluations] */
float sampler_initial_sigma(const struct sampler *sampler);  /* multiply the first noise by this */

/* One step, in place: x[count] and the network's prediction[count] for timesteps[index], f32
 * arithmetic as diffusers 0.6.0. Calls come in order, index = 0, 1, ... `x0`, when not NULL, gets
 * the predicted clean latent (for previews). */
void sampler_step(struct sampler *sampler, int index, const float *prediction, float *x, float *x0);

/* Standard deviation of fresh noise to be added to x after that step; 0: none (no draw either). */
float sampler_noise(const struct sampler *sampler, int index);

#endif
