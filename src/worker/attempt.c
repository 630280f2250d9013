#include "worker/attempt.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "image/image.h"
#include "predict/input.h"
#include "worker/attendant.h"
#include "worker/fetch.h"
#include "worker/meter.h"
#include "worker/models.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FINISH_AGAIN_MICROSECONDS = 500000, TROUBLE_MICROSECONDS = 1000000, ROOM_AGAIN_MICROSECONDS = 500000 };

struct attempt {
    const struct worker *worker;
    const struct lease *lease;
    const char *model; /* its name */
    struct attendant *attendant;
    struct input_values values;
    struct meter meter;
    json_t *output; /* names of blobs */
    int64_t began;
};

static bool is_going(void *user) {
    const struct attempt *attempt = user;
    return !*attempt->worker->stop && attendant_verdict(attempt->attendant) == VERDICT_GOING;
}

/* ---- before: seed and pictures ---- */

/* As the original: two random bytes when none is given. */
static bool choose_seed(struct attempt *attempt, struct error *error) {
    char line[64];
    if (!attempt->values.has_seed) {
        unsigned char bytes[2];
        if (!random_bytes(bytes, sizeof bytes, error)) return false;
        attempt->values.seed = bytes[0] << 8 | bytes[1];
    }
    snprintf(line, sizeof line, "Using seed: %" PRId64, attempt->values.seed);
    attendant_log(attempt->attendant, line);
    return true;
}

/* what: "image" or "mask", for the sentence. */
static bool load_picture(struct attempt *attempt, const char *what, const char *uri, struct image *image, struct error *error) {
    const struct worker_options *options = attempt->worker->options;
    struct download_limits limits = {.bytes = options->download_bytes,
                                     .seconds = options->download_seconds,
                                     .private_networks = options->private_networks,
                                     .going = is_going,
                                     .user = attempt};
    struct image_limits decode_limits = image_limits_default;
    char *data;
    size_t length;
    decode_limits.bytes = options->download_bytes;
    bool ok = fetch(attempt->worker->blobs, uri, &limits, &data, &length, error);
    if (ok) {
        ok = image_decode(data, length, &decode_limits, image, NULL, error);
        memory_free(data);
    }
    return ok || error_context(error, "The %s can't be used", what);
}

/* ---- during ---- */

static void show_preview(struct attempt *attempt, const inpaint_progress *progress) {
    if (!progress->preview || progress->preview_width < 1 || progress->preview_height < 1) return;
    if (!attendant_wants_preview(attempt->attendant)) return;
    uint8_t *pixels = memory_array((size_t)progress->preview_width * (size_t)progress->preview_height, 3);
    if (pixels && progress->preview(progress->preview_state, 0, pixels))
        attendant_preview(attempt->attendant, progress->preview_width, progress->preview_height, pixels);
    else
        memory_free(pixels);
}

static bool on_progress(void *user, const inpaint_progress *progress) {
    struct attempt *attempt = user;
    if (progress->message) attendant_log(attempt->attendant, progress->message);
    if (progress->stage == INPAINT_STAGE_DENOISE && !progress->message) {
        char line[METER_LINE_SIZE];
        if (progress->step == 0) meter_begin(&attempt->meter, progress->steps, progress->seconds);
        if (meter_line(&attempt->meter, progress->step, progress->seconds, line)) attendant_log(attempt->attendant, line);
        if (progress->step > 0) show_preview(attempt, progress);
    }
    return is_going(attempt);
}

static inpaint_image picture_of(const struct image *image) {
    return (inpaint_image){.width = (int)image->width, .height = (int)image->height, .pixels = image->pixels};
}

/* A picture too large for what other models leave: they make room, one by one. */
static inpaint_result *paint_within(struct attempt *attempt, const inpaint_image *image, const inpaint_image *mask, inpaint_params *params,
                                    struct error *error) {
    struct models *models = attempt->worker->models;
    inpaint_model *model = models_get(models, attempt->model, error);
    if (!model) return NULL;
    for (;;) {
        struct inpaint_error reason = {.code = INPAINT_OK};
        params->memory_limit = models_working_limit(models);
        inpaint_result *result = inpaint_paint(model, image, mask, params, &reason);
        if (!result && reason.code == INPAINT_MEMORY && models_close_another(models)) continue;
        if (!result) error_set(error, (enum error_code)reason.code, "%s", reason.message);
        models_settle(models);
        return result;
    }
}

static inpaint_result *paint(struct attempt *attempt, const struct image *image, const struct image *mask, struct error *error) {
    const struct input_values *values = &attempt->values;
    inpaint_params params = INPAINT_PARAMS_DEFAULT;
    params.prompt = values->prompt;
    params.negative_prompt = values->negative_prompt;
    params.steps = values->num_inference_steps;
    params.guidance = values->guidance_scale;
    params.seed = values->seed;
    params.count = values->num_outputs;
    params.invert_mask = values->invert_mask;
    params.callback = on_progress;
    params.user = attempt;
    const inpaint_image from = picture_of(image), over = picture_of(mask);
    return paint_within(attempt, &from, &over, &params, error);
}

/* ---- after: pictures become blobs ---- */

/* A full disk may have room in a moment: what was painted is worth waiting for, until it is canceled or lost. */
static bool put_picture(struct attempt *attempt, const struct buffer *png, char name[101], struct error *error) {
    bool told = false;
    for (;;) {
        if (blob_put(attempt->worker->blobs, ".png", png->data, png->length, name, error)) return true;
        if (error->code != ERROR_FULL || !is_going(attempt)) return false;
        if (!told) log_warning("prediction %s waits for room on the disk: %s", attempt->lease->id, error->message);
        told = true;
        time_sleep(ROOM_AGAIN_MICROSECONDS);
    }
}

static bool keep_picture(struct attempt *attempt, const inpaint_picture *picture, struct error *error) {
    struct image image = {.width = (size_t)picture->width, .height = (size_t)picture->height, .mode = IMAGE_RGB, .pixels = picture->pixels};
    struct buffer png;
    char name[101];
    buffer_init(&png, image.width * image.height * 4 + ((size_t)1 << 20)); /* more than any PNG of these pixels */
    bool ok = image_encode_png(&image, NULL, &png, error) && put_picture(attempt, &png, name, error);
    buffer_free(&png);
    if (!ok) return error_context(error, "The picture was painted but can't be stored");
    if (json_array_append_new(attempt->output, json_string(name)) == 0) return true;
    blob_delete(attempt->worker->blobs, name, NULL);
    return error_set(error, ERROR_MEMORY, "out of memory");
}

static bool keep_pictures(struct attempt *attempt, const inpaint_result *result, struct error *error) {
    attempt->output = json_array();
    if (!attempt->output) return error_set(error, ERROR_MEMORY, "out of memory");
    for (int i = 0; i < result->count; i++)
        if (!keep_picture(attempt, &result->images[i], error)) return false;
    return true;
}

/* Only what the store surely does not refer to: an end whose commit was answered with an error may have
 * been made all the same. What is left behind for nothing is swept later. */
static void drop_picture(const struct worker *worker, const char *name) {
    bool used;
    if (store_blob_used(worker->store, name, &used, NULL) && !used) blob_delete(worker->blobs, name, NULL);
}

static void drop_pictures(struct attempt *attempt) {
    size_t index;
    const json_t *name;
    json_array_foreach(attempt->output, index, name) drop_picture(attempt->worker, json_string_value(name));
    json_decref(attempt->output);
    attempt->output = NULL;
}

/* ---- the whole ---- */

static bool make_pictures(struct attempt *attempt, struct error *error) {
    struct image image = {0}, mask = {0};
    inpaint_result *result = NULL;
    bool ok = choose_seed(attempt, error) && load_picture(attempt, "image", attempt->values.image, &image, error) &&
              load_picture(attempt, "mask", attempt->values.mask, &mask, error) &&
              (result = paint(attempt, &image, &mask, error)) != NULL && keep_pictures(attempt, result, error);
    image_free(&image);
    image_free(&mask);
    inpaint_result_free(result);
    return ok;
}

static bool is_final(enum error_code code) {
    return code == ERROR_CANCELED || code == ERROR_CONFLICT || code == ERROR_NOT_FOUND || code == ERROR_INTERNAL;
}

/* A store that can't be written now (a full disk) may be in a moment; if it takes so long that
 * the lease runs out, another attempt will be told. Pictures that are not told of are removed. */
static void finish(struct attempt *attempt, bool ok, const char *sentence) {
    const struct worker *worker = attempt->worker;
    double seconds = (double)(time_monotonic() - attempt->began) / 1e6;
    for (;;) {
        struct error error = {.code = ERROR_NONE};
        if (store_finish(worker->store, attempt->lease, ok ? PREDICTION_SUCCEEDED : PREDICTION_FAILED, ok ? attempt->output : NULL,
                         ok ? NULL : sentence, seconds, &error)) {
            log_info("prediction %s %s after %.1f s", attempt->lease->id, ok ? "succeeded" : "failed", seconds);
            break;
        }
        log_warning("prediction %s can't be ended: %s", attempt->lease->id, error.message);
        if (is_final(error.code) || *worker->stop) {
            ok = false;
            break;
        }
        time_sleep(FINISH_AGAIN_MICROSECONDS);
    }
    if (!ok) drop_pictures(attempt);
}

static void give_back(const struct worker *worker, const struct lease *lease) {
    struct error error = {.code = ERROR_NONE};
    if (store_release(worker->store, lease, &error))
        log_info("prediction %s goes back to the queue", lease->id);
    else
        log_warning("prediction %s can't be given back: %s", lease->id, error.message);
}

void attempt_run(const struct worker *worker, const struct lease *lease, const struct prediction *prediction) {
    struct attempt attempt = {.worker = worker, .lease = lease, .model = prediction->model, .began = time_monotonic()};
    struct error error = {.code = ERROR_NONE};
    attempt.attendant = attendant_start(worker->store, worker->blobs, lease, worker->options->lease_seconds, &error);
    if (!attempt.attendant) {
        log_error("prediction %s: %s", lease->id, error.message);
        give_back(worker, lease);
        time_sleep(TROUBLE_MICROSECONDS);
        return;
    }
    input_read(prediction->input, &attempt.values);
    bool ok = make_pictures(&attempt, &error);
    enum verdict verdict = attendant_end(attempt.attendant);
    if (verdict != VERDICT_GOING) {
        log_info("prediction %s was %s", lease->id, verdict == VERDICT_CANCELED ? "canceled" : "lost to another worker");
        drop_pictures(&attempt);
    } else if (!ok && *worker->stop) {
        drop_pictures(&attempt);
        give_back(worker, lease);
    } else {
        finish(&attempt, ok, utf8_valid(error.message, strlen(error.message)) ? error.message : "The prediction failed.");
    }
    json_decref(attempt.output);
}
