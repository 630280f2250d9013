#include "model/unet.h"

#include "base/memory.h"
#include "model/config.h"
#include "model/derive.h"
#include "model/unet_internal.h"

#include <string.h>

enum { SIDE_MAX = 4096, SAMPLES_MAX = 256, STEPS_MAX = 100000 };

struct unet_run {
    const struct unet *unet;
    struct unet_size size;
    struct plan *plan;
    int context_section, times_section, condition_section, step_section;
    struct value context;    /* [contexts, 1, 77, width] */
    struct value timesteps;  /* [steps, 1, 1, 1] */
    struct value masked;     /* [conditions, h, w, 5] */
    struct value latent;     /* [samples, h, w, 4] */
    struct value prediction; /* [results, h, w, 4] */
    struct unet_layer_values layers[UNET_LAYERS_MAX];
};

/* ==== Recording the four sections ==== */

static void record(struct network *network, struct unet_run *run) {
    const struct unet *unet = run->unet;
    const struct unet_size *size = &run->size;
    struct plan *plan = network->plan;
    run->context_section = 0; /* has begun with the plan */
    run->context = plan_input(plan, size->contexts, 1, UNET_TOKENS, unet->config.context_width);
    unet_record_context(network, unet, run->context, run->layers);

    run->times_section = plan_section(plan);
    run->timesteps = plan_input(plan, size->steps, 1, 1, 1);
    unet_record_times(network, unet, run->timesteps, run->layers);

    run->condition_section = plan_section(plan);
    run->masked = plan_input(plan, size->conditions, size->h, size->w, UNET_MASKED);
    struct value condition = unet_record_condition(network, unet, run->masked);

    run->step_section = plan_section(plan);
    run->latent = plan_input(plan, size->samples, size->h, size->w, UNET_LATENT);
    run->prediction = unet_record_step(network, unet, run->latent, condition, size->results, run->layers);
    plan_keep(plan, run->prediction);
}

/* Record for this size and, to `finish`, make it ready to run. */
static bool make_run(const struct unet *unet, const struct plan_options *options, const struct unet_size *size, size_t memory_limit,
                     bool finish, struct unet_run **out, struct error *error) {
    struct unet_run *run = memory_zero(sizeof *run);
    if (!run) return error_set(error, ERROR_MEMORY, "out of memory for the UNet");
    run->unet = unet;
    run->size = *size;
    struct network network = {.weights = unet->weights, .prefix = ""};
    bool made = plan_create(options, &run->plan, error);
    if (made) {
        network.plan = run->plan;
        record(&network, run);
        made = finish ? network_finish(&network, run->prediction, memory_limit, error) : network_check(&network, run->prediction, error);
    }
    if (made && finish) {
        *out = run;
        return true;
    }
    unet_run_free(run);
    return made;
}

/* ==== Opening ==== */

/* Its config and its weights: from its folder, or from a single file that has all components. */
static bool open_source(const char *path, struct unet *unet, struct error *error) {
    json_t *root = NULL;
    bool single = weights_is_file(path);
    bool found =
        single ? weights_open_part(path, WEIGHTS_UNET, &unet->weights, error) && (root = derive_unet_config(unet->weights, error)) != NULL
               : config_open(path, "config.json", &root, error);
    bool read = found && unet_config_read(root, &unet->config, error);
    json_decref(root);
    return read && (single || weights_open_folder(path, "diffusion_pytorch_model", &unet->weights, error));
}

static bool open_all(const char *path, struct unet *unet, struct error *error) {
    if (!open_source(path, unet, error)) return false;
    unet_list_layers(unet);
    /* Large enough to be halved at every resolution but the last; nothing is computed. */
    size_t side = (size_t)1 << unet->config.blocks;
    const struct unet_size size = {.samples = 1, .results = 2, .contexts = 2, .conditions = 1, .h = side, .w = side, .steps = 1};
    return make_run(unet, &(struct plan_options){.compute = DTYPE_F32}, &size, 0, false, NULL, error);
}

bool unet_open(const char *path, struct unet **out, struct error *error) {
    struct unet *unet = memory_zero(sizeof *unet);
    if (!unet) return error_set(error, ERROR_MEMORY, "out of memory for the UNet");
    if (!open_all(path, unet, error)) {
        unet_close(unet);
        return error_context(error, "UNet");
    }
    *out = unet;
    return true;
}

void unet_close(struct unet *unet) {
    if (!unet) return;
    weights_close(unet->weights);
    memory_free(unet);
}

bool unet_merge(struct unet *unet, struct lora *lora, double weight, struct pool *pool, struct error *error) {
    return lora_merge(lora, WEIGHTS_UNET, unet->weights, weight, pool, error);
}

bool unet_says_velocity(const struct unet *unet) { return weights_says_velocity(unet->weights); }
size_t unet_context_width(const struct unet *unet) { return unet->config.context_width; }
size_t unet_sample_size(const struct unet *unet) { return unet->config.sample_size; }
const struct weights *unet_weights(const struct unet *unet) { return unet->weights; }
size_t unet_bytes(const struct unet *unet) { return weights_bytes(unet->weights); }

/* ==== Running ==== */

static bool check_size(const struct unet_size *size, struct error *error) {
    if (size->h < 1 || size->w < 1 || size->h > SIDE_MAX || size->w > SIDE_MAX)
        return error_set(error, ERROR_ARGUMENT, "a latent of %zux%zu can't be painted: sides from 1 to %d are possible", size->w, size->h,
                         SIDE_MAX);
    if (size->samples < 1 || size->samples > SAMPLES_MAX || (size->results != size->samples && size->results != 2 * size->samples))
        return error_set(error, ERROR_ARGUMENT, "%zu samples can't give %zu results", size->samples, size->results);
    if (size->contexts < 1 || size->results % size->contexts != 0)
        return error_set(error, ERROR_ARGUMENT, "%zu prompts can't serve %zu results", size->contexts, size->results);
    if (size->conditions < 1 || size->samples % size->conditions != 0)
        return error_set(error, ERROR_ARGUMENT, "%zu masks can't serve %zu samples", size->conditions, size->samples);
    if (size->steps < 1 || size->steps > STEPS_MAX)
        return error_set(error, ERROR_ARGUMENT, "%zu steps are not from 1 to %d", size->steps, STEPS_MAX);
    return true;
}

bool unet_run_create(const struct unet *unet, const struct plan_options *options, const struct unet_size *size, size_t memory_limit,
                     struct unet_run **run, struct error *error) {
    return (check_size(size, error) && make_run(unet, options, size, memory_limit, true, run, error)) || error_context(error, "UNet");
}

void unet_run_free(struct unet_run *run) {
    if (!run) return;
    plan_free(run->plan);
    memory_free(run);
}

void unet_run_context(struct unet_run *run, const float *context) {
    size_t count = run->size.contexts * UNET_TOKENS * run->unet->config.context_width;
    memcpy(plan_data(run->plan, run->context), context, count * sizeof *context);
    plan_run(run->plan, run->context_section);
}

void unet_run_timesteps(struct unet_run *run, const int *timesteps, size_t count) {
    float *input = plan_data(run->plan, run->timesteps);
    for (size_t i = 0; i < run->size.steps; i++) input[i] = i < count ? (float)timesteps[i] : 0;
    plan_run(run->plan, run->times_section);
}

void unet_run_condition(struct unet_run *run, const float *mask, const float *masked_latent) {
    size_t positions = run->size.conditions * run->size.h * run->size.w;
    float *input = plan_data(run->plan, run->masked);
    for (size_t i = 0; i < positions; i++) {
        input[i * UNET_MASKED] = mask[i];
        memcpy(input + i * UNET_MASKED + 1, masked_latent + i * UNET_LATENT, UNET_LATENT * sizeof *input);
    }
    plan_run(run->plan, run->condition_section);
}

/* The step's row of every residual block's time embeddings, to where the convolution adds it. */
static void select_times(struct unet_run *run, size_t index) {
    for (size_t i = 0; i < run->unet->layer_count; i++) {
        const struct unet_layer *layer = &run->unet->layers[i];
        if (layer->part != UNET_RESNET) continue;
        const float *times = plan_data(run->plan, run->layers[i].times);
        memcpy(plan_data(run->plan, run->layers[i].time), times + index * layer->out, layer->out * sizeof *times);
    }
}

void unet_run_step(struct unet_run *run, size_t index, const float *latent, float *prediction) {
    size_t one = run->size.h * run->size.w * UNET_LATENT;
    select_times(run, index);
    memcpy(plan_data(run->plan, run->latent), latent, run->size.samples * one * sizeof *latent);
    plan_run(run->plan, run->step_section);
    memcpy(prediction, plan_data(run->plan, run->prediction), run->size.results * one * sizeof *prediction);
}

struct plan *unet_run_plan(struct unet_run *run) {
    return run->plan;
}
int unet_run_step_section(const struct unet_run *run) { return run->step_section; }
