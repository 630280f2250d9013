#include "inpaint/model.h"

#include "base/archive.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/time.h"
#include "inpaint/adapt.h"
#include "inpaint/convert.h"
#include "tensor/kernel.h"
#include "weights/weights.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

_Static_assert((int)INPAINT_MEMORY == (int)ERROR_MEMORY && (int)INPAINT_FORMAT == (int)ERROR_FORMAT &&
                   (int)INPAINT_NSFW == (int)ERROR_NSFW && (int)INPAINT_CANCELED == (int)ERROR_CANCELED &&
                   (int)INPAINT_NOT_FOUND == (int)ERROR_NOT_FOUND && (int)INPAINT_ARGUMENT == (int)ERROR_ARGUMENT,
               "the public codes are the internal ones");

enum { INDEX_BYTES_MAX = 1 << 20, PACKED_INDEX_MAX = 16 << 20 };

void inpaint_error_from(struct inpaint_error *out, const struct error *error) {
    if (!out) return;
    out->code = (int)error->code;
    memcpy(out->message, error->message, sizeof out->message);
}

/* model_index.json: the pipeline's class, and whether it names a safety checker. */
static bool read_index(const char *folder, char name[64], bool *has_safety, struct error *error) {
    char *path = file_join(folder, "model_index.json"), *text = NULL;
    size_t length = 0;
    bool fine = path && file_read(path, INDEX_BYTES_MAX, &text, &length, error);
    if (!path)
        error_set(error, ERROR_MEMORY, "out of memory");
    else if (!fine && error->code == ERROR_NOT_FOUND)
        error_set(error, ERROR_NOT_FOUND, "%s has no model_index.json: give the folder of an inpainting checkpoint in diffusers' layout",
                  folder);
    json_error_t problem;
    json_t *index = fine ? json_loadb(text, length, 0, &problem) : NULL;
    if (fine && !json_is_object(index)) fine = error_set(error, ERROR_FORMAT, "%s is not a JSON object", path);
    if (fine) {
        const char *class_name = json_string_value(json_object_get(index, "_class_name"));
        snprintf(name, 64, "%s", class_name ? class_name : "unnamed");
        if (strstr(name, "XL"))
            fine = error_set(error, ERROR_UNSUPPORTED,
                             "%s holds a %s; SDXL can't be used here: get stable-diffusion-v1-5/stable-diffusion-inpainting", folder, name);
        const json_t *unet = json_array_get(json_object_get(index, "unet"), 1),
                     *other = json_array_get(json_object_get(index, "transformer"), 1);
        if (fine && !json_is_string(unet) && json_is_string(other))
            fine = error_set(
                error, ERROR_UNSUPPORTED,
                "%s holds a %s, whose network is a diffusion transformer (Stable Diffusion 3, Flux or the like), not a UNet: it can't "
                "be used here; get stable-diffusion-v1-5/stable-diffusion-inpainting",
                folder, name);
        *has_safety = json_is_string(json_array_get(json_object_get(index, "safety_checker"), 1));
    }
    json_decref(index);
    memory_free(text);
    memory_free(path);
    return fine;
}

static enum dtype choose_dtype(inpaint_dtype wanted) {
    if (wanted == INPAINT_DTYPE_AUTO) return isa_available() >= ISA_AVX512BF16 ? DTYPE_BF16 : DTYPE_F32;
    return wanted == INPAINT_DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F32;
}

typedef bool component_open(struct inpaint_model *model, const char *folder, struct error *error);
static bool open_tokenizer(struct inpaint_model *model, const char *folder, struct error *error) {
    return tokenizer_open(folder, &model->tokenizer, error);
}
static bool open_text_encoder(struct inpaint_model *model, const char *folder, struct error *error) {
    return text_encoder_open(folder, &model->text_encoder, error);
}
static bool open_unet(struct inpaint_model *model, const char *folder, struct error *error) {
    return unet_open(folder, &model->unet, error);
}
static bool open_vae(struct inpaint_model *model, const char *folder, struct error *error) { return vae_open(folder, &model->vae, error); }

static bool open_scheduler(struct inpaint_model *model, const char *folder, struct error *error) {
    char *path = file_join(folder, "scheduler_config.json");
    bool fine = path ? sampler_config_read(path, &model->sampler, error) : error_set(error, ERROR_MEMORY, "out of memory");
    memory_free(path);
    return fine;
}

static bool open_component(struct inpaint_model *model, const char *root, const char *name, component_open *open, struct error *error) {
    char *folder = file_join(root, name);
    if (!folder) return error_set(error, ERROR_MEMORY, "out of memory");
    bool fine = open(model, folder, error);
    memory_free(folder);
    return fine;
}

static bool open_safety_checker(struct inpaint_model *model, const char *root, struct error *error) {
    char *folder = file_join(root, "safety_checker"), *preprocessor = file_join(root, "feature_extractor/preprocessor_config.json");
    bool fine = folder && preprocessor;
    if (!fine)
        error_set(error, ERROR_MEMORY, "out of memory");
    else
        fine = safety_checker_open(folder, file_exists(preprocessor) ? preprocessor : NULL, &model->safety_checker, error);
    if (!fine) error_context(error, "the model names a safety checker that can't be used (the operator may go without: --no-safety)");
    memory_free(folder);
    memory_free(preprocessor);
    return fine;
}

static bool open_folder(struct inpaint_model *model, const char *folder, const inpaint_options *options, struct error *error) {
    bool has_safety = false;
    /* The UNet first: "this can't inpaint" is the sentence that a wrong folder deserves. */
    bool fine = read_index(folder, model->name, &has_safety, error) && open_component(model, folder, "unet", open_unet, error) &&
                open_component(model, folder, "scheduler", open_scheduler, error) &&
                open_component(model, folder, "tokenizer", open_tokenizer, error) &&
                open_component(model, folder, "text_encoder", open_text_encoder, error) &&
                open_component(model, folder, "vae", open_vae, error);
    if (fine && has_safety && !options->no_safety) fine = open_safety_checker(model, folder, error);
    return fine;
}

/* A checkpoint that is one file: no configs, no tokenizer, no safety checker. */
static bool open_file(struct inpaint_model *model, const char *path, const inpaint_options *options, struct error *error) {
    snprintf(model->name, sizeof model->name, "Stable Diffusion inpainting, single file");
    sampler_config_default(&model->sampler);
    if (!open_unet(model, path, error) || !open_text_encoder(model, path, error) || !open_vae(model, path, error) ||
        !open_tokenizer(model, NULL, error))
        return false;
    if (text_encoder_is_open_clip(model->text_encoder)) {
        snprintf(model->name, sizeof model->name, "Stable Diffusion 2 inpainting, single file");
        tokenizer_pad_as_open_clip(model->tokenizer);
    }
    if (unet_says_velocity(model->unet)) model->sampler.prediction_type = PREDICTION_V;
    if (options->no_safety) return true;
    return error_set(
        error, ERROR_UNSUPPORTED,
        "%s has no safety checker, as no single file has: nothing would look at what it paints. Say --no-safety to accept that, "
        "or use a checkpoint's folder that has one",
        path);
}

/* Where each component's weights lie, by which a packed file knows them. */
static void name_regions(struct inpaint_model *model) {
    const struct {
        const char *name;
        const struct weights *weights;
    } components[] = {{"unet", unet_weights(model->unet)},
                      {"vae", vae_weights(model->vae)},
                      {"text_encoder", text_encoder_weights(model->text_encoder)},
                      {"safety_checker", model->safety_checker ? safety_checker_weights(model->safety_checker) : NULL}};
    for (size_t i = 0; i < sizeof components / sizeof *components; i++) {
        const unsigned char *first;
        size_t size;
        if (components[i].weights && weights_region(components[i].weights, &first, &size))
            packed_weights_region(model->packed, components[i].name, first, size);
    }
}

static bool load_packed(struct inpaint_model *model, const char *path, struct error *error) {
    char *weights = file_join(path, CONVERTED_WEIGHTS), *index = file_join(path, CONVERTED_INDEX), *text = NULL;
    size_t length;
    name_regions(model);
    bool fine = weights && index;
    if (!fine) error_set(error, ERROR_MEMORY, "out of memory");
    if (fine && file_exists(index)) {
        fine = file_read(index, PACKED_INDEX_MAX, &text, &length, error) && file_map(weights, &model->ready, &model->ready_size, error);
        json_t *object = fine ? json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
        if (fine && !object) fine = error_set(error, ERROR_FORMAT, "%s is no JSON", index);
        fine = fine &&
               (packed_weights_load(model->packed, object, model->ready, model->ready_size, error) || error_context(error, "%s", path));
        json_decref(object);
    }
    memory_free(text);
    memory_free(weights);
    memory_free(index);
    return fine;
}

static bool open_all(struct inpaint_model *model, const char *path, const inpaint_options *options, struct error *error) {
    if (!(weights_is_file(path) && !archive_is(path) ? open_file : open_folder)(model, path, options, error)) return false;
    if (text_encoder_width(model->text_encoder) != unet_context_width(model->unet))
        return error_set(error, ERROR_FORMAT,
                         "the text encoder's width is %zu, but the UNet expects %zu: these components do not belong together",
                         text_encoder_width(model->text_encoder), unet_context_width(model->unet));
    model->pool = pool_create(options->threads > 0 ? (size_t)options->threads : 0, error);
    if (!model->pool || !adapt_model(model, options, error)) return false;
    model->packed = packed_weights_create(error);
    if (model->packed && archive_is(path) && !load_packed(model, path, error)) return false;
    model->options = (struct plan_options){.compute = choose_dtype(options->dtype), .pool = model->pool, .packed = model->packed};
    return model->packed != NULL;
}

inpaint_model *inpaint_open(const char *path, const inpaint_options *options, struct inpaint_error *out) {
    static const inpaint_options defaults = {0};
    struct error error = {.code = ERROR_NONE};
    struct inpaint_model *model = memory_zero(sizeof *model);
    if (!model) {
        error_set(&error, ERROR_MEMORY, "out of memory");
        inpaint_error_from(out, &error);
        return NULL;
    }
    pthread_mutex_init(&model->mutex, NULL);
    model->clock = time_monotonic;
    if (open_all(model, path, options ? options : &defaults, &error)) return model;
    inpaint_error_from(out, &error);
    inpaint_close(model);
    return NULL;
}

void inpaint_close(inpaint_model *model) {
    if (!model) return;
    unet_run_free(model->run);
    if (model->vae) vae_forget(model->vae);
    tokenizer_close(model->tokenizer);
    text_encoder_close(model->text_encoder);
    unet_close(model->unet);
    vae_close(model->vae);
    vae_close(model->decoder);
    vae_close(model->previewer);
    safety_checker_close(model->safety_checker);
    packed_weights_free(model->packed);
    file_unmap(model->ready, model->ready_size);
    pool_free(model->pool);
    pthread_mutex_destroy(&model->mutex);
    memory_free(model);
}

void inpaint_describe(const inpaint_model *model, inpaint_info *info) {
    *info = (inpaint_info){
        .dtype = model->options.compute == DTYPE_BF16 ? "bf16" : "f32",
        .safety = model->safety_checker != NULL,
        .sample_size = (int)(8 * unet_sample_size(model->unet)),
        .weight_bytes = unet_bytes(model->unet) + vae_bytes(model->vae) + text_encoder_bytes(model->text_encoder) +
                        (model->safety_checker ? safety_checker_bytes(model->safety_checker) : 0),
        .packed_bytes = packed_weights_bytes(model->packed),
        .ready_bytes = packed_weights_ready_bytes(model->packed),
        .working_bytes = (model->run ? plan_memory(unet_run_plan(model->run)) : 0) + vae_working_bytes(model->vae) +
                         text_encoder_working_bytes(model->text_encoder) +
                         (model->safety_checker ? safety_checker_working_bytes(model->safety_checker) : 0),
        .threads = (int)pool_threads(model->pool),
        .sampler = adapt_sampler_name(&model->sampler),
        .steps = model->few_steps,
        .guidance = model->few_guidance,
    };
    memcpy(info->name, model->name, sizeof info->name);
}

struct unet_run *model_unet_run(struct inpaint_model *model, const struct unet_size *size, size_t memory_limit, struct error *error) {
    const struct unet_size *kept = &model->run_size;
    bool fits = model->run && kept->samples == size->samples && kept->results == size->results && kept->contexts == size->contexts &&
                kept->conditions == size->conditions && kept->h == size->h && kept->w == size->w && kept->steps >= size->steps;
    if (fits) return model->run;
    unet_run_free(model->run);
    model->run = NULL;
    if (!unet_run_create(model->unet, &model->options, size, memory_limit, &model->run, error)) return NULL;
    model->run_size = *size;
    return model->run;
}
