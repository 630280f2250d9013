#include "inpaint/convert.h"

#include "base/archive.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "inpaint/model.h"
#include "inpaint/pipeline.h"
#include "model/derive.h"
#include "weights/folder_texts.h"
#include "weights/weights.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SMALL_FILE_MAX = 16 << 20, WRITE_BYTES = 8 << 20 };

struct conversion {
    const struct convert_options *options;
    const char *from;
    struct archive_writer *writer;
    uint64_t done, total;
    const char *what;
};

static bool tell(struct conversion *conversion, uint64_t more, struct error *error) {
    const struct convert_options *options = conversion->options;
    conversion->done += more;
    if (!options->progress || options->progress(options->user, conversion->what, conversion->done, conversion->total)) return true;
    return error_set(error, ERROR_CANCELED, "stopped; nothing was written");
}

static bool write_bytes(void *user, const void *data, size_t length, struct error *error) {
    struct conversion *conversion = user;
    const unsigned char *from = data;
    while (length > 0) {
        size_t piece = length < WRITE_BYTES ? length : WRITE_BYTES;
        if (!archive_write(conversion->writer, from, piece, error) || !tell(conversion, piece, error)) return false;
        from += piece;
        length -= piece;
    }
    return true;
}

/* ==== What a checkpoint's folder holds besides weights ==== */

static bool copy_text(struct conversion *conversion, const char *name, struct error *error) {
    char *path = file_join(conversion->from, name), *text = NULL;
    size_t length;
    if (!path) return error_set(error, ERROR_MEMORY, "out of memory");
    bool fine = !file_exists(path) ||
                (file_read(path, SMALL_FILE_MAX, &text, &length, error) && archive_add(conversion->writer, name, text, length, error));
    memory_free(text);
    memory_free(path);
    return fine;
}

static bool add_json(struct conversion *conversion, const char *name, json_t *object, struct error *error) {
    char *text = object ? json_text(object, JSON_INDENT(2)) : NULL;
    bool fine = text ? archive_add(conversion->writer, name, text, strlen(text), error)
                     : error_set(error, ERROR_MEMORY, "out of memory"); /* or what the caller's maker of the object said */
    memory_free(text);
    json_decref(object);
    return fine;
}

/* A single file has no configs: what was derived from its tensors is written down. */
static bool add_derived(struct conversion *conversion, const struct inpaint_model *model, struct error *error) {
    json_t *index = json_pack("{s:s,s:[s,s],s:[s,s],s:[s,s],s:[s,s],s:[n,n]}", "_class_name", "StableDiffusionInpaintPipeline", "unet",
                              "diffusers", "UNet2DConditionModel", "vae", "diffusers", "AutoencoderKL", "text_encoder", "transformers",
                              "CLIPTextModel", "scheduler", "diffusers", "DDIMScheduler", "safety_checker");
    const char *predicts = model->sampler.prediction_type == PREDICTION_V ? "v_prediction" : "epsilon";
    json_t *scheduler = json_pack("{s:s,s:s,s:f,s:f,s:s,s:b,s:i,s:b,s:i}", "prediction_type", predicts, "_class_name", "DDIMScheduler",
                                  "beta_start", 0.00085, "beta_end", 0.012, "beta_schedule", "scaled_linear", "clip_sample", 0,
                                  "num_train_timesteps", 1000, "set_alpha_to_one", 0, "steps_offset", 1);
    /* Version 2 pads with "!"; the vocabulary is the program's own. */
    json_t *tokenizer = text_encoder_is_open_clip(model->text_encoder) ? json_pack("{s:s}", "pad_token", "!") : json_object();
    return add_json(conversion, "model_index.json", index, error) &&
           add_json(conversion, "tokenizer/tokenizer_config.json", tokenizer, error) &&
           add_json(conversion, "scheduler/scheduler_config.json", scheduler, error) &&
           add_json(conversion, "unet/config.json", derive_unet_config(unet_weights(model->unet), error), error) &&
           add_json(conversion, "vae/config.json", derive_vae_config(vae_weights(model->vae), error), error) &&
           add_json(conversion, "text_encoder/config.json", derive_text_encoder_config(text_encoder_weights(model->text_encoder), error),
                    error);
}

static bool add_texts(struct conversion *conversion, const struct inpaint_model *model, struct error *error) {
    if (weights_is_file(conversion->from) && !archive_is(conversion->from)) return add_derived(conversion, model, error);
    if (!copy_text(conversion, "hints.json", error)) return false; /* our own: no checkpoint of the Hub has it */
    for (size_t i = 0; i < sizeof folder_texts / sizeof *folder_texts; i++)
        if (!copy_text(conversion, folder_texts[i], error)) return false;
    return true;
}

/* ==== Plain weights, as safetensors ==== */

static json_t *safetensors_header(const struct weights *weights) {
    json_t *header = json_object();
    uint64_t offset = 0;
    for (size_t i = 0; header && i < weights_count(weights); i++) {
        const char *name;
        const struct tensor *tensor = weights_at(weights, i, &name);
        uint64_t bytes = tensor_count(tensor) * dtype_size(tensor->dtype);
        char dtype[16];
        snprintf(dtype, sizeof dtype, "%s", dtype_name(tensor->dtype));
        for (char *c = dtype; *c; c++) *c = (char)toupper((unsigned char)*c);
        json_t *shape = json_array();
        for (int j = 0; j < tensor->rank; j++) json_array_append_new(shape, json_integer((json_int_t)tensor->shape[j]));
        json_object_set_new(header, name,
                            json_pack("{s:s,s:o,s:[I,I]}", "dtype", dtype, "shape", shape, "data_offsets", (json_int_t)offset,
                                      (json_int_t)(offset + bytes)));
        offset += bytes;
    }
    return header;
}

/* Its length is padded so that the data begin at a multiple of 64. */
static bool write_header(struct conversion *conversion, const struct weights *weights, struct error *error) {
    json_t *header = safetensors_header(weights);
    char *text = header ? json_text(header, JSON_COMPACT) : NULL, *padded = NULL;
    if (text) {
        size_t length = strlen(text), whole = (8 + length + 63) / 64 * 64 - 8;
        padded = memory_alloc(whole + 8);
        if (padded) {
            for (int i = 0; i < 8; i++) padded[i] = (char)(whole >> 8 * i);
            memset(padded + 8, ' ', whole);
            memcpy(padded + 8, text, length);
        }
        length = whole + 8;
        memory_free(text);
        json_decref(header);
        bool fine = padded ? archive_write(conversion->writer, padded, length, error) : error_set(error, ERROR_MEMORY, "out of memory");
        memory_free(padded);
        return fine;
    }
    json_decref(header);
    return error_set(error, ERROR_MEMORY, "out of memory");
}

static bool add_weights(struct conversion *conversion, const char *name, const struct weights *weights, struct error *error) {
    if (!archive_begin(conversion->writer, name, error) || !write_header(conversion, weights, error)) return false;
    for (size_t i = 0; i < weights_count(weights); i++) {
        const struct tensor *tensor = weights_at(weights, i, NULL);
        if (!write_bytes(conversion, tensor->data, tensor_count(tensor) * dtype_size(tensor->dtype), error)) return false;
    }
    return true;
}

static bool add_plain(struct conversion *conversion, const struct inpaint_model *model, struct error *error) {
    inpaint_info info;
    inpaint_describe(model, &info);
    conversion->what = "copying weights";
    conversion->total = info.weight_bytes;
    return add_texts(conversion, model, error) &&
           add_weights(conversion, "unet/diffusion_pytorch_model.safetensors", unet_weights(model->unet), error) &&
           add_weights(conversion, "vae/diffusion_pytorch_model.safetensors", vae_weights(model->vae), error) &&
           add_weights(conversion, "text_encoder/model.safetensors", text_encoder_weights(model->text_encoder), error) &&
           (!model->safety_checker ||
            add_weights(conversion, "safety_checker/model.safetensors", safety_checker_weights(model->safety_checker), error)) &&
           archive_commit(conversion->writer, error);
}

/* ==== Packed weights ==== */

static bool on_progress(void *user, const inpaint_progress *progress) {
    struct conversion *conversion = user;
    (void)progress;
    return tell(conversion, 0, NULL);
}

/* One step of a grey picture: every kernel has asked for its weights afterwards. What it paints does not matter. */
static bool pack(struct conversion *conversion, struct inpaint_model *model, struct error *error) {
    inpaint_info info;
    inpaint_describe(model, &info);
    int width = conversion->options->width ? conversion->options->width : info.sample_size;
    int height = conversion->options->height ? conversion->options->height : info.sample_size;
    size_t bytes = (size_t)width * (size_t)height * 3;
    uint8_t *pixels = memory_alloc(bytes);
    if (!pixels) return error_set(error, ERROR_MEMORY, "out of memory");
    memset(pixels, 255, bytes);
    const inpaint_image picture = {.width = width, .height = height, .pixels = pixels};
    inpaint_params params = INPAINT_PARAMS_DEFAULT;
    params.steps = 1;
    params.prompt = "a photo";
    params.callback = on_progress;
    params.user = conversion;
    inpaint_result *result = pipeline_paint(model, &picture, &picture, &params, NULL, error);
    bool painted = result || error->code == ERROR_NSFW; /* then it has been checked, too */
    inpaint_result_free(result);
    memory_free(pixels);
    return painted;
}

static bool add_packed(struct conversion *conversion, struct inpaint_model *model, struct error *error) {
    json_t *index = NULL;
    conversion->what = "packing";
    conversion->done = conversion->total = 0;
    if (!tell(conversion, 0, error) || !pack(conversion, model, error)) return false;
    conversion->what = "writing packed weights";
    conversion->total = packed_weights_bytes(model->packed);
    bool fine = archive_begin(conversion->writer, CONVERTED_WEIGHTS, error) &&
                packed_weights_save(model->packed, write_bytes, conversion, &index, error);
    json_object_set_new(index, "dtype", json_string(model->options.compute == DTYPE_BF16 ? "bf16" : "f32"));
    fine = fine && add_json(conversion, CONVERTED_INDEX, json_incref(index), error) && archive_commit(conversion->writer, error);
    json_decref(index);
    return fine;
}

/* ==== The whole ==== */

static struct inpaint_model *open_model(const char *path, const inpaint_options *options, struct error *error) {
    struct inpaint_error problem;
    struct inpaint_model *model = inpaint_open(path, options, &problem);
    if (!model) error_set(error, (enum error_code)problem.code, "%s", problem.message);
    return model;
}

/* First what is there; then what that packs to, opened from where it will lie. */
static bool write_all(struct conversion *conversion, const char *path, struct error *error) {
    struct inpaint_model *model = open_model(conversion->from, &conversion->options->engine, error);
    bool fine = model && archive_create(path, &conversion->writer, error) && add_plain(conversion, model, error);
    inpaint_close(model);
    model = fine ? open_model(path, &conversion->options->engine, error) : NULL;
    fine = model && add_packed(conversion, model, error);
    inpaint_close(model);
    archive_close(conversion->writer);
    return fine;
}

bool convert_model(const char *from, const char *to, const struct convert_options *options, struct error *error) {
    struct conversion conversion = {.options = options, .from = from};
    char *beside = memory_format("%s.%ld.part", to, (long)getpid());
    if (!beside) return error_set(error, ERROR_MEMORY, "out of memory");
    bool fine = write_all(&conversion, beside, error);
    if (fine && rename(beside, to) != 0) fine = error_from_errno(error, "can't write %s", to);
    if (!fine) unlink(beside);
    memory_free(beside);
    return fine;
}
