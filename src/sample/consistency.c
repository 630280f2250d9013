/* Samplers of networks that were distilled to paint in a few steps: latent consistency (Luo et al.
 * 2023) and trajectory consistency (Zheng et al. 2024). Each step jumps to an estimate and adds
 * fresh noise, which the caller draws: the seed decides it. */
#include "sample/sampler_internal.h"

#include <math.h>

/* Of the boundary condition: at t = 0 the network's answer counts for nothing. */
static const float SIGMA_DATA = 0.5f, TIMESTEP_SCALING = 10.0f;

/* How much of each of TCD's steps is fresh noise: its authors' gamma. */
static const double TCD_GAMMA = 0.3;

void consistency_timesteps(struct sampler *sampler) {
    int distilled = sampler->config.distilled_steps, k = sampler->config.train_timesteps / distilled;
    for (int i = 0; i < sampler->steps; i++) {
        int place = (int)floor((double)i * ((double)distilled / (double)sampler->steps)); /* as numpy's linspace */
        sampler->timesteps[i] = (distilled - place) * k - 1;
    }
}

static bool is_last(const struct sampler *sampler, int index) { return index + 1 == sampler->evaluations; }

/* ==== Latent consistency ==== */

void lcm_step(struct sampler *sampler, int index, const float *prediction, float *x, float *x0_out) {
    int t = sampler->timesteps[index];
    struct sampler_view view = sampler_view(sampler, t);
    float scaled = (float)t * TIMESTEP_SCALING, square = scaled * scaled + SIGMA_DATA * SIGMA_DATA;
    float skip = SIGMA_DATA * SIGMA_DATA / square, out = scaled / sqrtf(square);
    float signal_before = is_last(sampler, index) ? 1.0f : sqrtf(sampler_alpha(sampler, sampler->timesteps[index + 1]));
    for (size_t i = 0; i < sampler->count; i++) {
        float clean = out * sampler_clean(&view, x[i], prediction[i]) + skip * x[i];
        if (x0_out) x0_out[i] = clean;
        x[i] = signal_before * clean;
    }
}

float lcm_noise(const struct sampler *sampler, int index) {
    return is_last(sampler, index) ? 0.0f : sqrtf(1.0f - sampler_alpha(sampler, sampler->timesteps[index + 1]));
}

/* ==== Trajectory consistency ==== */

/* Each step goes down to s, below the next timestep, and noise brings it up again. */
struct jump {
    float alpha_s, alpha_before;
};
static struct jump find_jump(const struct sampler *sampler, int index) {
    int before = is_last(sampler, index) ? 0 : sampler->timesteps[index + 1];
    return (struct jump){sampler_alpha(sampler, (int)floor((1 - TCD_GAMMA) * before)), sampler_alpha(sampler, before)};
}

void tcd_step(struct sampler *sampler, int index, const float *prediction, float *x, float *x0_out) {
    struct sampler_view view = sampler_view(sampler, sampler->timesteps[index]);
    struct jump jump = find_jump(sampler, index);
    float signal = sqrtf(jump.alpha_s), noise = sqrtf(1.0f - jump.alpha_s);
    float scale = is_last(sampler, index) ? 1.0f : sqrtf(jump.alpha_before / jump.alpha_s);
    for (size_t i = 0; i < sampler->count; i++) {
        float clean = sampler_clean(&view, x[i], prediction[i]);
        if (x0_out) x0_out[i] = clean;
        x[i] = scale * (signal * clean + noise * sampler_epsilon(&view, x[i], prediction[i]));
    }
}

float tcd_noise(const struct sampler *sampler, int index) {
    struct jump jump = find_jump(sampler, index);
    return is_last(sampler, index) ? 0.0f : sqrtf(1.0f - jump.alpha_before / jump.alpha_s);
}
