#include "sample/sampler.h"

#include "base/memory.h"
#include "sample/sampler_internal.h"

#include <math.h>
#include <string.h>

/* ==== The schedule ==== */

/* alphas as torch computes them: linspace from both ends in f32, the product in double. */
static void fill_alphas(const struct sampler_config *config, float *alphas) {
    bool scaled = config->beta_schedule == BETA_SCALED_LINEAR;
    float first = (float)(scaled ? sqrt(config->beta_start) : config->beta_start);
    float last = (float)(scaled ? sqrt(config->beta_end) : config->beta_end);
    int count = config->train_timesteps;
    float step = count > 1 ? (last - first) / (float)(count - 1) : 0;
    double product = 1;
    for (int i = 0; i < count; i++) {
        float beta = i < count / 2 || count == 1 ? first + step * (float)i : last - step * (float)(count - i - 1);
        if (scaled) beta *= beta;
        product *= (double)(1.0f - beta);
        alphas[i] = (float)product;
    }
}

/* "Leading" spacing: multiples of the stride, plus the offset, from the noisiest. With more steps
 * than half the training timesteps the first could lie one beyond the last that was trained. */
static void leading_timesteps(struct sampler *sampler) {
    int *out = sampler->timesteps, last = sampler->config.train_timesteps - 1;
    for (int i = sampler->steps - 1; i >= 0; i--) {
        int t = i * sampler->stride + sampler->config.steps_offset;
        *out++ = t < last ? t : last;
        /* PNDM's warm-up evaluates the second timestep twice. */
        if (sampler->config.kind == SAMPLER_PNDM && i == sampler->steps - 2) {
            *out = out[-1];
            out++;
        }
    }
}

/* "Trailing" spacing: evenly from the very last timestep down. */
static void trailing_timesteps(struct sampler *sampler) {
    double all = sampler->config.train_timesteps, distance = all / sampler->steps;
    for (int i = 0; i < sampler->steps; i++) sampler->timesteps[i] = (int)rint(all - i * distance) - 1; /* half to even */
}

static void fill_timesteps(struct sampler *sampler) {
    bool consistency = sampler->config.kind == SAMPLER_LCM || sampler->config.kind == SAMPLER_TCD;
    (consistency ? consistency_timesteps : sampler->config.trailing ? trailing_timesteps : leading_timesteps)(sampler);
}

float sampler_alpha(const struct sampler *sampler, int timestep) {
    if (timestep < 0) return sampler->final_alpha;
    int last = sampler->config.train_timesteps - 1;
    return sampler->alphas[timestep < last ? timestep : last];
}

struct sampler_view sampler_view(const struct sampler *sampler, int timestep) {
    float alpha = sampler_alpha(sampler, timestep);
    return (struct sampler_view){.signal = sqrtf(alpha),
                                 .noise = sqrtf(1.0f - alpha),
                                 .v_prediction = sampler->config.prediction_type == PREDICTION_V,
                                 .clip = sampler->config.clip_sample};
}

/* ==== DDIM (Song et al. 2020, equation 12, sigma = 0) ==== */

static void ddim_step(struct sampler *sampler, int index, const float *prediction, float *x, float *x0_out) {
    int t = sampler->timesteps[index];
    struct sampler_view view = sampler_view(sampler, t);
    float alpha_before = sampler_alpha(sampler, t - sampler->stride);
    float signal_before = sqrtf(alpha_before), noise_before = sqrtf(1.0f - alpha_before);
    for (size_t i = 0; i < sampler->count; i++) {
        float x0 = sampler_clean(&view, x[i], prediction[i]), epsilon = sampler_epsilon(&view, x[i], prediction[i]);
        if (x0_out) x0_out[i] = x0;
        x[i] = signal_before * x0 + noise_before * epsilon;
    }
}

/* ==== PNDM without its Runge-Kutta steps: linear multistep (Liu et al. 2022, equations 9 and 12) ==== */

static void remember(struct sampler *sampler, const float *prediction) {
    float *oldest = sampler->history[SAMPLER_HISTORY - 1];
    for (int k = SAMPLER_HISTORY - 1; k > 0; k--) sampler->history[k] = sampler->history[k - 1];
    sampler->history[0] = oldest;
    memcpy(oldest, prediction, sampler->count * sizeof *oldest);
    if (sampler->remembered < SAMPLER_HISTORY) sampler->remembered++;
}

/* What the predictions so far make of element i; `warm_up` is the second, repeated evaluation. */
static float multistep(const struct sampler *sampler, const float *prediction, bool warm_up, size_t i) {
    float *const *e = sampler->history;
    if (warm_up) return (prediction[i] + e[0][i]) / 2.0f;
    switch (sampler->remembered) {
    case 1:
        return e[0][i];
    case 2:
        return (3.0f * e[0][i] - e[1][i]) / 2.0f;
    case 3:
        return (23.0f * e[0][i] - 16.0f * e[1][i] + 5.0f * e[2][i]) / 12.0f;
    default:
        return (float)(1.0 / 24.0) * (55.0f * e[0][i] - 59.0f * e[1][i] + 37.0f * e[2][i] - 9.0f * e[3][i]);
    }
}

static void pndm_step(struct sampler *sampler, int index, const float *prediction, float *x, float *x0) {
    int t = sampler->timesteps[index], before = t - sampler->stride;
    bool warm_up = index == 1;
    struct sampler_view view = sampler_view(sampler, t);
    for (size_t i = 0; x0 && i < sampler->count; i++) x0[i] = sampler_clean(&view, x[i], prediction[i]);
    if (warm_up) { /* again from the start, now with both predictions */
        before = t;
        t += sampler->stride;
        memcpy(x, sampler->start, sampler->count * sizeof *x);
    } else {
        remember(sampler, prediction);
    }
    if (index == 0) memcpy(sampler->start, x, sampler->count * sizeof *x);

    float alpha = sampler_alpha(sampler, t), alpha_before = sampler_alpha(sampler, before);
    float beta = 1.0f - alpha, beta_before = 1.0f - alpha_before;
    float scale = sqrtf(alpha_before / alpha);
    float divisor = alpha * sqrtf(beta_before) + sqrtf(alpha * beta * alpha_before);
    bool v_prediction = sampler->config.prediction_type == PREDICTION_V;
    for (size_t i = 0; i < sampler->count; i++) {
        float e = multistep(sampler, prediction, warm_up, i);
        if (v_prediction) e = sqrtf(alpha) * e + sqrtf(beta) * x[i];
        x[i] = scale * x[i] - (alpha_before - alpha) * e / divisor;
    }
}

/* ==== One sampler ==== */

static bool allocate(struct sampler *sampler) {
    sampler->timesteps = memory_array((size_t)sampler->evaluations, sizeof *sampler->timesteps);
    sampler->alphas = memory_array((size_t)sampler->config.train_timesteps, sizeof *sampler->alphas);
    if (!sampler->timesteps || !sampler->alphas) return false;
    if (sampler->config.kind != SAMPLER_PNDM) return true;
    for (int k = 0; k < SAMPLER_HISTORY; k++)
        if (!(sampler->history[k] = memory_array(sampler->count, sizeof(float)))) return false;
    return (sampler->start = memory_array(sampler->count, sizeof(float))) != NULL;
}

static const struct {
    void (*step)(struct sampler *sampler, int index, const float *prediction, float *x, float *x0);
    float (*noise)(const struct sampler *sampler, int index); /* NULL: none */
} kinds[] = {
    [SAMPLER_DDIM] = {ddim_step, NULL},
    [SAMPLER_PNDM] = {pndm_step, NULL},
    [SAMPLER_LCM] = {lcm_step, lcm_noise},
    [SAMPLER_TCD] = {tcd_step, tcd_noise},
};

int sampler_steps_most(const struct sampler_config *config) {
    bool consistency = config->kind == SAMPLER_LCM || config->kind == SAMPLER_TCD;
    return consistency && config->distilled_steps < config->train_timesteps ? config->distilled_steps : config->train_timesteps;
}

bool sampler_create(const struct sampler_config *config, int steps, size_t count, struct sampler **out, struct error *error) {
    int most = sampler_steps_most(config);
    if (steps < 1 || steps > most) return error_set(error, ERROR_ARGUMENT, "steps must be from 1 to %d, not %d", most, steps);
    struct sampler *sampler = memory_zero(sizeof *sampler);
    if (!sampler) return error_set(error, ERROR_MEMORY, "out of memory for the sampler");
    sampler->config = *config;
    sampler->count = count;
    sampler->steps = steps;
    sampler->stride = config->train_timesteps / steps;
    sampler->evaluations = steps + (config->kind == SAMPLER_PNDM && steps > 1);
    if (!allocate(sampler)) {
        sampler_free(sampler);
        return error_set(error, ERROR_MEMORY, "out of memory for the sampler");
    }
    fill_alphas(config, sampler->alphas);
    sampler->final_alpha = config->set_alpha_to_one ? 1.0f : sampler->alphas[0];
    fill_timesteps(sampler);
    *out = sampler;
    return true;
}

void sampler_free(struct sampler *sampler) {
    if (!sampler) return;
    for (int k = 0; k < SAMPLER_HISTORY; k++) memory_free(sampler->history[k]);
    memory_free(sampler->start);
    memory_free(sampler->timesteps);
    memory_free(sampler->alphas);
    memory_free(sampler);
}

int sampler_evaluations(const struct sampler *sampler) { return sampler->evaluations; }
const int *sampler_timesteps(const struct sampler *sampler) { return sampler->timesteps; }

float sampler_initial_sigma(const struct sampler *sampler) {
    (void)sampler; /* all keep the variance of training */
    return 1.0f;
}

void sampler_step(struct sampler *sampler, int index, const float *prediction, float *x, float *x0) {
    kinds[sampler->config.kind].step(sampler, index, prediction, x, x0);
}

float sampler_noise(const struct sampler *sampler, int index) {
    return kinds[sampler->config.kind].noise ? kinds[sampler->config.kind].noise(sampler, index) : 0.0f;
}
