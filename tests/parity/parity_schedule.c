/* Schedules and samplers against diffusers' on the made-up model eps = 0.8 tanh(x) + 0.1 sin(t / 100). */
#include "golden.h"
#include "sample/noise.h"
#include "sample/sampler.h"

#include <jansson.h>

static bool same_timesteps(const struct sampler *sampler, const json_t *expected) {
    if (json_array_size(expected) != (size_t)sampler_evaluations(sampler)) return false;
    for (size_t i = 0; i < json_array_size(expected); i++)
        if (json_integer_value(json_array_get(expected, i)) != sampler_timesteps(sampler)[i]) return false;
    return true;
}

/* Fresh noise between steps, where the sampler wants some, is torch's of this seed. */
static void run_made_up_model(struct sampler *sampler, uint64_t seed, float *x, size_t count) {
    float *prediction = memory_array(count, sizeof *prediction), *fresh = memory_array(count, sizeof *fresh);
    if (!prediction || !fresh) abort();
    struct noise noise;
    noise_init(&noise, NOISE_MT19937, seed);
    for (size_t i = 0; i < count; i++) x[i] *= sampler_initial_sigma(sampler);
    for (int k = 0; k < sampler_evaluations(sampler); k++) {
        float shift = (float)(0.1 * sin((double)sampler_timesteps(sampler)[k] / 100));
        for (size_t i = 0; i < count; i++) prediction[i] = tanhf(x[i]) * 0.8f + shift;
        sampler_step(sampler, k, prediction, x, NULL);
        float deviation = sampler_noise(sampler, k);
        if (deviation > 0) noise_normal(&noise, fresh, count);
        for (size_t i = 0; deviation > 0 && i < count; i++) x[i] += deviation * fresh[i];
    }
    memory_free(prediction);
    memory_free(fresh);
}

/* KIND.STEPS, KIND-v.STEPS */
static bool read_name(const char *name, struct sampler_config *config, int *steps) {
    static const struct {
        const char *name;
        enum sampler_kind kind;
        bool trailing;
    } kinds[] = {{"ddim", SAMPLER_DDIM, false},
                 {"pndm", SAMPLER_PNDM, false},
                 {"ddim-trailing", SAMPLER_DDIM, true},
                 {"lcm", SAMPLER_LCM, false},
                 {"tcd", SAMPLER_TCD, false}};
    char kind[32];
    if (sscanf(name, "%31[^.].%d", kind, steps) != 2) return false;
    size_t length = strlen(kind);
    if (length > 2 && strcmp(kind + length - 2, "-v") == 0) {
        config->prediction_type = PREDICTION_V;
        kind[length - 2] = 0;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kind, kinds[i].name) != 0) continue;
        config->kind = kinds[i].kind;
        config->trailing = kinds[i].trailing;
        return true;
    }
    return false;
}

static void check(struct tally *tally, struct sampler_config config, const char *name, const json_t *timesteps,
                  const struct weights *golden) {
    int steps;
    if (!read_name(name, &config, &steps)) {
        tally_check(tally, name, false, "what this name asks for is not known");
        return;
    }
    const struct tensor *start = golden_find(golden, name, "start");
    size_t count = start ? tensor_count(start) : 1;
    struct sampler *sampler;
    struct error error;
    if (!sampler_create(&config, steps, count, &sampler, &error)) {
        tally_check(tally, name, false, error.message);
        return;
    }
    tally_check(tally, name, same_timesteps(sampler, timesteps), "timesteps differ");
    if (start) {
        float *x = golden_floats(golden, name, "start", NULL), *final = golden_floats(golden, name, "final", NULL);
        run_made_up_model(sampler, (uint64_t)steps, x, count);
        char final_name[64];
        snprintf(final_name, sizeof final_name, "%s.final", name);
        tally_error(tally, final_name, relative_l2(x, final, count), 1e-5);
        memory_free(x);
        memory_free(final);
    }
    sampler_free(sampler);
}

static bool check_folder(struct tally *tally, const struct sampler_config *config, const char *folder) {
    char part[64], path[1024];
    snprintf(part, sizeof part, "%s/schedulers.json", folder);
    struct weights *golden = golden_open(folder, "schedulers");
    json_t *schedules = golden && reference_path(part, path, sizeof path) ? json_load_file(path, 0, NULL) : NULL;
    const char *name;
    json_t *timesteps;
    json_object_foreach(schedules, name, timesteps) check(tally, *config, name, timesteps, golden);
    bool there = schedules != NULL;
    json_decref(schedules);
    weights_close(golden);
    return there;
}

int main(void) {
    struct tally tally = {0};
    struct sampler_config config;
    struct error error;
    char config_path[1024];
    if (!golden_checkpoint("tiny", "scheduler/scheduler_config.json", config_path, sizeof config_path)) return TEST_SKIPPED;
    if (!sampler_config_read(config_path, &config, &error)) {
        printf("FAILED  %s\n", error.message);
        return 1;
    }
    if (!check_folder(&tally, &config, "tiny") || !check_folder(&tally, &config, "few")) return TEST_SKIPPED;
    return tally_end(&tally);
}
