#include "sample/sampler.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

enum { HISTORY = 4 };

struct sampler {
    struct sampler_config config;
    size_t count; /* elements of a latent batch */
    int stride;   /* training timesteps between two steps */
    int evaluations;
    int *timesteps;    /* [evaluations], falling */
    float *alphas;     /* [train_timesteps]: product of (1 - beta) up to each timestep */
    float final_alpha; /* what lies before the first timestep */
    void (*step)(struct sampler *sampler, int index, const float *prediction, float *x, float *x0);
    /* PNDM only */
    float *history[HISTORY]; /* [count] each: predictions, newest first */
    int remembered;
    float *start; /* [count]: x before the first step, which is taken twice */
};

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
static void fill_timesteps(struct sampler *sampler, int steps) {
    int *out = sampler->timesteps, last = sampler->config.train_timesteps - 1;
    for (int i = steps - 1; i >= 0; i--) {
        int t = i * sampler->stride + sampler->config.steps_offset;
        *out++ = t < last ? t : last;
        /* PNDM's warm-up evaluates the second timestep twice. */
        if (sampler->config.kind == SAMPLER_PNDM && i == steps - 2) {
            *out = out[-1];
            out++;
        }
    }
}

static float alpha_at(const struct sampler *sampler, int timestep) {
    if (timestep < 0) return sampler->final_alpha;
    int last = sampler->config.train_timesteps - 1;
    return sampler->alphas[timestep < last ? timestep : last];
}

/* ==== DDIM (Song et al. 2020, equation 12, sigma = 0) ==== */

static void ddim_step(struct sampler *sampler, int index, const float *prediction, float *x, float *x0_out) {
    int t = sampler->timesteps[index];
    float alpha = alpha_at(sampler, t), alpha_before = alpha_at(sampler, t - sampler->stride);
    float signal = sqrtf(alpha), noise = sqrtf(1.0f - alpha);
    float signal_before = sqrtf(alpha_before), noise_before = sqrtf(1.0f - alpha_before);
    bool v_prediction = sampler->config.prediction_type == PREDICTION_V;
    for (size_t i = 0; i < sampler->count; i++) {
        float epsilon = prediction[i], x0;
        if (v_prediction) {
            x0 = signal * x[i] - noise * prediction[i];
            epsilon = signal * prediction[i] + noise * x[i];
        } else {
            x0 = (x[i] - noise * epsilon) / signal;
        }
        if (sampler->config.clip_sample) x0 = fminf(fmaxf(x0, -1.0f), 1.0f);
        if (x0_out) x0_out[i] = x0;
        x[i] = signal_before * x0 + noise_before * epsilon;
    }
}

/* ==== PNDM without its Runge-Kutta steps: linear multistep (Liu et al. 2022, equations 9 and 12) ==== */

static void remember(struct sampler *sampler, const float *prediction) {
    float *oldest = sampler->history[HISTORY - 1];
    for (int k = HISTORY - 1; k > 0; k--) sampler->history[k] = sampler->history[k - 1];
    sampler->history[0] = oldest;
    memcpy(oldest, prediction, sampler->count * sizeof *oldest);
    if (sampler->remembered < HISTORY) sampler->remembered++;
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

static void preview(const struct sampler *sampler, int t, const float *prediction, const float *x, float *x0) {
    float alpha = alpha_at(sampler, t), signal = sqrtf(alpha), noise = sqrtf(1.0f - alpha);
    bool v_prediction = sampler->config.prediction_type == PREDICTION_V;
    for (size_t i = 0; i < sampler->count; i++)
        x0[i] = v_prediction ? signal * x[i] - noise * prediction[i] : (x[i] - noise * prediction[i]) / signal;
}

static void pndm_step(struct sampler *sampler, int index, const float *prediction, float *x, float *x0) {
    int t = sampler->timesteps[index], before = t - sampler->stride;
    bool warm_up = index == 1;
    if (x0) preview(sampler, t, prediction, x, x0);
    if (warm_up) { /* again from the start, now with both predictions */
        before = t;
        t += sampler->stride;
        memcpy(x, sampler->start, sampler->count * sizeof *x);
    } else {
        remember(sampler, prediction);
    }
    if (index == 0) memcpy(sampler->start, x, sampler->count * sizeof *x);

    float alpha = alpha_at(sampler, t), alpha_before = alpha_at(sampler, before);
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
    for (int k = 0; k < HISTORY; k++)
        if (!(sampler->history[k] = memory_array(sampler->count, sizeof(float)))) return false;
    return (sampler->start = memory_array(sampler->count, sizeof(float))) != NULL;
}

bool sampler_create(const struct sampler_config *config, int steps, size_t count, struct sampler **out, struct error *error) {
    if (steps < 1 || steps > config->train_timesteps)
        return error_set(error, ERROR_ARGUMENT, "steps must be from 1 to %d, not %d", config->train_timesteps, steps);
    struct sampler *sampler = memory_zero(sizeof *sampler);
    if (!sampler) return error_set(error, ERROR_MEMORY, "out of memory for the sampler");
    sampler->config = *config;
    sampler->count = count;
    sampler->stride = config->train_timesteps / steps;
    sampler->evaluations = steps + (config->kind == SAMPLER_PNDM && steps > 1);
    sampler->step = config->kind == SAMPLER_PNDM ? pndm_step : ddim_step;
    if (!allocate(sampler)) {
        sampler_free(sampler);
        return error_set(error, ERROR_MEMORY, "out of memory for the sampler");
    }
    fill_alphas(config, sampler->alphas);
    sampler->final_alpha = config->set_alpha_to_one ? 1.0f : sampler->alphas[0];
    fill_timesteps(sampler, steps);
    *out = sampler;
    return true;
}

void sampler_free(struct sampler *sampler) {
    if (!sampler) return;
    for (int k = 0; k < HISTORY; k++) memory_free(sampler->history[k]);
    memory_free(sampler->start);
    memory_free(sampler->timesteps);
    memory_free(sampler->alphas);
    memory_free(sampler);
}

int sampler_evaluations(const struct sampler *sampler) { return sampler->evaluations; }
const int *sampler_timesteps(const struct sampler *sampler) { return sampler->timesteps; }

float sampler_initial_sigma(const struct sampler *sampler) {
    (void)sampler; /* both keep the variance of training */
    return 1.0f;
}

void sampler_step(struct sampler *sampler, int index, const float *prediction, float *x, float *x0) {
    sampler->step(sampler, index, prediction, x, x0);
}
