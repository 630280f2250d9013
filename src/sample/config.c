/* scheduler_config.json -> struct sampler_config. */
#include "base/file.h"
#include "base/memory.h"
#include "sample/sampler.h"

#include <jansson.h>
#include <string.h>

enum { CONFIG_BYTES_MAX = 1 << 20, DISTILLED_STEPS = 50 };

/* A field that is absent or null keeps its default. */
static bool read_number(const json_t *root, const char *key, double minimum, double maximum, double *value, struct error *error) {
    const json_t *field = json_object_get(root, key);
    if (!field || json_is_null(field)) return true;
    double number = json_number_value(field);
    if (!json_is_number(field) || !(number >= minimum && number <= maximum))
        return error_set(error, ERROR_FORMAT, "%s must be a number from %g to %g", key, minimum, maximum);
    *value = number;
    return true;
}

static bool read_integer(const json_t *root, const char *key, int minimum, int maximum, int *value, struct error *error) {
    double number = *value;
    if (!read_number(root, key, minimum, maximum, &number, error)) return false;
    if (number != (int)number) return error_set(error, ERROR_FORMAT, "%s must be a whole number", key);
    *value = (int)number;
    return true;
}

static bool read_bool(const json_t *root, const char *key, bool *value, struct error *error) {
    const json_t *field = json_object_get(root, key);
    if (!field || json_is_null(field)) return true;
    if (!json_is_boolean(field)) return error_set(error, ERROR_FORMAT, "%s must be true or false", key);
    *value = json_is_true(field);
    return true;
}

/* The text of a field, or `otherwise` when it is absent or no text. */
static const char *text_of(const json_t *root, const char *key, const char *otherwise) {
    const char *text = json_string_value(json_object_get(root, key));
    return text ? text : otherwise;
}

static bool read_names(const json_t *root, struct sampler_config *config, struct error *error) {
    const char *prediction = text_of(root, "prediction_type", "epsilon");
    if (strcmp(prediction, "epsilon") == 0)
        config->prediction_type = PREDICTION_EPSILON;
    else if (strcmp(prediction, "v_prediction") == 0)
        config->prediction_type = PREDICTION_V;
    else
        return error_set(error, ERROR_UNSUPPORTED, "prediction_type must be epsilon or v_prediction: nothing else can be sampled");

    const char *schedule = text_of(root, "beta_schedule", "linear");
    if (strcmp(schedule, "linear") == 0)
        config->beta_schedule = BETA_LINEAR;
    else if (strcmp(schedule, "scaled_linear") == 0)
        config->beta_schedule = BETA_SCALED_LINEAR;
    else
        return error_set(error, ERROR_UNSUPPORTED, "beta_schedule must be linear or scaled_linear: no other is known");
    return true;
}

/* Settings that would change the picture and that we lack: better refused than ignored. */
static bool refuse_others(const json_t *root, const struct sampler_config *config, struct error *error) {
    static const char *const switches[] = {"thresholding", "rescale_betas_zero_snr"};
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        if (json_is_true(json_object_get(root, switches[i])))
            return error_set(error, ERROR_UNSUPPORTED, "%s is switched on, which is not supported", switches[i]);
    const json_t *betas = json_object_get(root, "trained_betas");
    if (betas && !json_is_null(betas)) return error_set(error, ERROR_UNSUPPORTED, "trained_betas are not supported");
    const char *spacing = text_of(root, "timestep_spacing", "leading");
    bool steps_count = config->kind == SAMPLER_DDIM || config->kind == SAMPLER_PNDM;
    if (steps_count && strcmp(spacing, "leading") != 0 && !config->trailing)
        return error_set(error, ERROR_UNSUPPORTED, "timestep_spacing must be leading, or trailing for DDIM: no other is supported");
    double range = 1;
    if (!read_number(root, "clip_sample_range", 0, 1e6, &range, error)) return false;
    if (config->clip_sample && range != 1) return error_set(error, ERROR_UNSUPPORTED, "clip_sample_range %g: only 1 is supported", range);
    return true;
}

static const struct {
    const char *name;
    enum sampler_kind kind;
    bool clips; /* heeds clip_sample */
} classes[] = {
    {"DDIMScheduler", SAMPLER_DDIM, true},
    {"PNDMScheduler", SAMPLER_PNDM, false},
    {"LCMScheduler", SAMPLER_LCM, true},
    {"TCDScheduler", SAMPLER_TCD, false},
};
enum { CLASSES = sizeof classes / sizeof *classes };

static bool config_from_json(const json_t *root, struct sampler_config *config, struct error *error) {
    const char *class = text_of(root, "_class_name", "");
    size_t known = 0;
    while (known < CLASSES && strcmp(class, classes[known].name) != 0) known++;
    bool ddim = known < CLASSES && classes[known].kind == SAMPLER_DDIM;
    /* diffusers' defaults for its classes; for a class that we replace, those of the hosted model */
    *config = (struct sampler_config){.kind = known < CLASSES ? classes[known].kind : SAMPLER_DDIM,
                                      .beta_start = 0.0001,
                                      .beta_end = 0.02,
                                      .train_timesteps = 1000,
                                      .distilled_steps = DISTILLED_STEPS,
                                      .set_alpha_to_one = ddim,
                                      .clip_sample = ddim};
    config->trailing = ddim && strcmp(text_of(root, "timestep_spacing", "leading"), "trailing") == 0;
    if (!read_names(root, config, error) || !read_number(root, "beta_start", 1e-9, 0.999, &config->beta_start, error) ||
        !read_number(root, "beta_end", 1e-9, 0.999, &config->beta_end, error) ||
        !read_integer(root, "num_train_timesteps", 1, 100000, &config->train_timesteps, error) ||
        !read_integer(root, "steps_offset", 0, 100000, &config->steps_offset, error) ||
        !read_integer(root, "original_inference_steps", 1, config->train_timesteps, &config->distilled_steps, error) ||
        !read_bool(root, "set_alpha_to_one", &config->set_alpha_to_one, error))
        return false;
    if (known < CLASSES && classes[known].clips && !read_bool(root, "clip_sample", &config->clip_sample, error)) return false;
    /* The inpainting pipeline overrides any other offset with 1. */
    config->steps_offset = 1;
    return known == CLASSES || refuse_others(root, config, error);
}

bool sampler_config_read(const char *path, struct sampler_config *config, struct error *error) {
    char *text;
    size_t length;
    if (!file_read(path, CONFIG_BYTES_MAX, &text, &length, error)) return false;
    json_error_t where;
    json_t *root = json_loadb(text, length, 0, &where);
    memory_free(text);
    bool read = false;
    if (!root)
        error_set(error, ERROR_FORMAT, "line %d: %s", where.line, where.text);
    else if (!json_is_object(root))
        error_set(error, ERROR_FORMAT, "not a JSON object");
    else
        read = config_from_json(root, config, error);
    json_decref(root);
    return read || error_context(error, "%s", path);
}

void sampler_config_default(struct sampler_config *config) {
    *config = (struct sampler_config){.kind = SAMPLER_DDIM,
                                      .prediction_type = PREDICTION_EPSILON,
                                      .beta_schedule = BETA_SCALED_LINEAR,
                                      .beta_start = 0.00085,
                                      .beta_end = 0.012,
                                      .train_timesteps = 1000,
                                      .distilled_steps = DISTILLED_STEPS,
                                      .steps_offset = 1};
}
