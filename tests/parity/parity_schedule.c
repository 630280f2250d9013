/* Schedules and samplers against diffusers' on the made-up model eps = 0.8 tanh(x) + 0.1 sin(t / 100). */
#include "golden.h"
#include "sample/sampler.h"

#include <jansson.h>

static bool same_timesteps(const struct sampler *sampler, const json_t *expected) {
    if (json_array_size(expected) != (size_t)sampler_evaluations(sampler)) return false;
    for (size_t i = 0; i < json_array_size(expected); i++)
        if (json_integer_value(json_array_get(expected, i)) != sampler_timesteps(sampler)[i]) return false;
    return true;
}

static void run_made_up_model(struct sampler *sampler, float *x, size_t count) {
    float *prediction = memory_array(count, sizeof *prediction);
    if (!prediction) abort();
    for (size_t i = 0; i < count; i++) x[i] *= sampler_initial_sigma(sampler);
    for (int k = 0; k < sampler_evaluations(sampler); k++) {
        float shift = (float)(0.1 * sin((double)sampler_timesteps(sampler)[k] / 100));
        for (size_t i = 0; i < count; i++) prediction[i] = tanhf(x[i]) * 0.8f + shift;
        sampler_step(sampler, k, prediction, x, NULL);
    }
    memory_free(prediction);
}

/* name: ddim.STEPS or pndm.STEPS */
static void check(struct tally *tally, struct sampler_config config, const char *name, const json_t *timesteps,
                  const struct weights *golden) {
    char kind[16], start_name[64];
    int steps;
    if (sscanf(name, "%15[^.].%d", kind, &steps) != 2 || (strcmp(kind, "ddim") != 0 && strcmp(kind, "pndm") != 0)) {
        tally_check(tally, name, false, "what this name asks for is not known");
        return;
    }
    config.kind = strcmp(kind, "pndm") == 0 ? SAMPLER_PNDM : SAMPLER_DDIM;
    snprintf(start_name, sizeof start_name, "%s.start", name);
    const struct tensor *start = weights_find(golden, start_name);
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
        run_made_up_model(sampler, x, count);
        char final_name[64];
        snprintf(final_name, sizeof final_name, "%s.final", name);
        tally_error(tally, final_name, relative_l2(x, final, count), 1e-5);
        memory_free(x);
        memory_free(final);
    }
    sampler_free(sampler);
}

int main(void) {
    struct tally tally = {0};
    struct sampler_config config;
    struct error error;
    char json_path[1024], config_path[1024];
    struct weights *golden = golden_open("tiny", "schedulers");
    if (!golden || !reference_path("tiny/schedulers.json", json_path, sizeof json_path) ||
        !golden_checkpoint("tiny", "scheduler/scheduler_config.json", config_path, sizeof config_path)) {
        weights_close(golden);
        return TEST_SKIPPED;
    }
    json_t *schedules = json_load_file(json_path, 0, NULL);
    if (!schedules || !sampler_config_read(config_path, &config, &error)) {
        printf("FAILED  %s\n", schedules ? error.message : json_path);
        return 1;
    }
    const char *name;
    json_t *timesteps;
    json_object_foreach(schedules, name, timesteps) check(&tally, config, name, timesteps, golden);
    json_decref(schedules);
    weights_close(golden);
    return tally_end(&tally);
}
