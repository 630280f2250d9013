#include "inpaint/pipeline.h"

#include "base/memory.h"
#include "base/time.h"
#include "inpaint/preview.h"
#include "sample/noise.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* KEPT_POSITIONS: latent positions of the largest picture whose autoencoder plans are kept (256 x 256 pixels). */
enum { SIDE_MAX = 16384, COUNT_MAX = 64, STEPS_MAX = 1000, FEATHER_MAX = 8, KEPT_POSITIONS = 32 * 32 };

/* Everything of one picture in the making. Arrays are channels last unless said otherwise. */
struct painting {
    struct inpaint_model *model;
    const inpaint_params *params;
    const struct pipeline_taps *taps;
    struct error *error;
    int64_t began, stage_began;

    struct image image, mask;  /* cut to multiples of 8; the mask is binary grey */
    size_t h, w;               /* of the latent */
    size_t count, latent_size; /* outputs; elements of one latent */
    bool guided;

    struct noise noise;
    float *context;       /* [1 or 2][77][width] */
    float *pixels;        /* masked image [8h][8w][3], later each decoded picture */
    float *latent_mask;   /* [h][w] */
    float *masked_latent; /* [h][w][4], scaled */
    float *latents;       /* [count][h][w][4] */
    float *clean;         /* the same, as predicted at the last step: what previews show */
    float *prediction;    /* [results][h][w][4] */
    struct preview_map preview;
    bool has_clean;

    inpaint_result *result;
};

/* With a previewer: the forming picture decoded, at full size. */
static bool decode_preview(const struct painting *painting, const float *clean, uint8_t *rgb) {
    const struct inpaint_model *model = painting->model;
    size_t positions = painting->h * painting->w;
    struct image image = {8 * painting->w, 8 * painting->h, IMAGE_RGB, rgb};
    float *latent = memory_aligned(painting->latent_size * sizeof *latent), *pixels = memory_aligned(positions * 64 * 3 * sizeof *pixels);
    bool fine = latent && pixels;
    for (size_t i = 0; fine && i < painting->latent_size; i++) latent[i] = clean[i] / vae_scaling_factor(model->previewer);
    fine = fine &&
           vae_decode(model->previewer, &model->options, latent, painting->h, painting->w, painting->params->memory_limit, pixels, NULL);
    if (fine) image_from_floats(pixels, &image);
    memory_aligned_free(latent);
    memory_aligned_free(pixels);
    return fine;
}

static bool render_preview(const void *state, int output, uint8_t *rgb) {
    const struct painting *painting = state;
    if (!painting->has_clean || output < 0 || (size_t)output >= painting->count) return false;
    const float *clean = painting->clean + (size_t)output * painting->latent_size;
    if (painting->model->previewer) return decode_preview(painting, clean, rgb);
    preview_render(&painting->preview, clean, painting->h, painting->w, rgb);
    return true;
}

/* Tell the caller; false (with ERROR_CANCELED) when it wants to stop. */
static bool report(struct painting *painting, inpaint_stage stage, int step, const char *message) {
    if (!painting->params->callback) return true;
    int pixels = painting->model->previewer ? 8 : 1; /* of a preview, for each position of the latent */
    const inpaint_progress progress = {
        .stage = stage,
        .step = step,
        .steps = painting->params->steps,
        .seconds = (double)(time_monotonic() - painting->began) / 1e6,
        .message = message,
        .preview = render_preview,
        .preview_state = painting,
        .preview_width = pixels * (int)painting->w,
        .preview_height = pixels * (int)painting->h,
    };
    return painting->params->callback(painting->params->user, &progress) || error_set(painting->error, ERROR_CANCELED, "canceled");
}

static bool stage_done(struct painting *painting, inpaint_stage stage) {
    int64_t now = painting->model->clock();
    painting->result->seconds[stage] += (double)(now - painting->stage_began) / 1e6;
    painting->stage_began = now;
    return stage == INPAINT_STAGE_DENOISE || report(painting, stage, 0, NULL);
}

static float *floats(struct painting *painting, size_t count) {
    float *array = count > SIZE_MAX / sizeof *array ? NULL : memory_aligned(count * sizeof *array);
    if (!array)
        error_set(painting->error, ERROR_MEMORY, "out of memory for a picture of %zu x %zu pixels", painting->image.width,
                  painting->image.height);
    return array;
}

/* ---- prepare ---- */

static bool check_params(const inpaint_image *image, const inpaint_image *mask, const inpaint_params *params, struct error *error) {
    const inpaint_image *both[] = {image, mask};
    for (int i = 0; i < 2; i++) {
        const inpaint_image *one = both[i];
        const char *name = i ? "mask" : "image";
        if (!one || !one->pixels || one->width < 1 || one->height < 1) return error_set(error, ERROR_ARGUMENT, "the %s is empty", name);
        if (one->width > SIDE_MAX || one->height > SIDE_MAX)
            return error_set(error, ERROR_LIMIT, "the %s has %d x %d pixels; at most %d on a side are accepted", name, one->width,
                             one->height, SIDE_MAX);
        if (one->stride && one->stride < 3 * one->width)
            return error_set(error, ERROR_ARGUMENT, "the %s's stride is shorter than its rows", name);
    }
    if (params->steps < 1 || params->steps > STEPS_MAX)
        return error_set(error, ERROR_ARGUMENT, "steps must be from 1 to %d, not %d", STEPS_MAX, params->steps);
    if (params->count < 1 || params->count > COUNT_MAX)
        return error_set(error, ERROR_ARGUMENT, "count must be from 1 to %d, not %d", COUNT_MAX, params->count);
    if (!(fabs(params->guidance) <= 1000)) return error_set(error, ERROR_ARGUMENT, "guidance must be a number from 0 to 1000");
    return true;
}

static bool copy_in(const inpaint_image *from, struct image *to, struct error *error) {
    if (!image_create(to, (size_t)from->width, (size_t)from->height, IMAGE_RGB, error)) return false;
    size_t row = 3 * to->width, stride = from->stride ? (size_t)from->stride : row;
    for (size_t y = 0; y < to->height; y++) memcpy(to->pixels + y * row, from->pixels + y * stride, row);
    return true;
}

static bool prepare_images(struct painting *painting, const struct image *image, const struct image *mask) {
    bool resized = false;
    size_t mask_size[2];
    struct image scaled = {0};
    struct error *error = painting->error;
    bool fine = image_prepare(image, mask, painting->params->invert_mask, &painting->image, &scaled, &resized, mask_size, error) &&
                image_threshold_mask(&scaled, &painting->mask, error);
    image_free(&scaled);
    if (!fine || !resized) return fine;
    char message[200];
    snprintf(message, sizeof message,
             "WARNING: Mask size (%zu, %zu) is different to image size (%zu, %zu). Mask will be resized to image size.", mask_size[0],
             mask_size[1], painting->image.width, painting->image.height);
    return report(painting, INPAINT_STAGE_PREPARE, 0, message);
}

static bool prepare(struct painting *painting, const inpaint_image *image, const inpaint_image *mask) {
    struct image image_copy = {0}, mask_copy = {0};
    bool fine = copy_in(image, &image_copy, painting->error) && copy_in(mask, &mask_copy, painting->error) &&
                prepare_images(painting, &image_copy, &mask_copy);
    image_free(&image_copy);
    image_free(&mask_copy);
    if (!fine) return false;
    painting->w = painting->image.width / 8;
    painting->h = painting->image.height / 8;
    painting->latent_size = painting->h * painting->w * LATENT_CHANNELS;
    painting->result->width = (int)painting->image.width;
    painting->result->height = (int)painting->image.height;
    return stage_done(painting, INPAINT_STAGE_PREPARE);
}

/* ---- text ---- */

static bool tokenize(struct painting *painting, const char *text, bool keep_end, int32_t *ids) {
    size_t count;
    char *cut = NULL;
    if (!text) text = "";
    if (!tokenizer_encode(painting->model->tokenizer, text, strlen(text), keep_end, ids, &count, &cut, painting->error)) return false;
    bool fine = true;
    if (cut) {
        char *message =
            memory_format("The following part of your input was truncated because CLIP can only handle sequences up to %d tokens: ['%s']",
                          TOKENIZER_LENGTH, cut);
        fine = message ? report(painting, INPAINT_STAGE_TEXT, 0, message) : error_set(painting->error, ERROR_MEMORY, "out of memory");
        memory_free(message);
    }
    memory_free(cut);
    return fine;
}

static bool encode_text(struct painting *painting) {
    struct inpaint_model *model = painting->model;
    int32_t ids[2][TOKENIZER_LENGTH];
    size_t prompts = painting->guided ? 2 : 1;
    /* The unguided half comes first. The positive prompt is cut without an end token, as the
     * original did it; the negative one keeps its end. */
    if (painting->guided && !tokenize(painting, painting->params->negative_prompt, true, ids[0])) return false;
    if (!tokenize(painting, painting->params->prompt, false, ids[prompts - 1])) return false;
    painting->context = floats(painting, prompts * TOKENIZER_LENGTH * text_encoder_width(model->text_encoder));
    return painting->context &&
           text_encoder_run(model->text_encoder, &model->options, ids[0], prompts, painting->context, painting->error) &&
           stage_done(painting, INPAINT_STAGE_TEXT);
}

/* ---- encode ---- */

/* torch.randn([n, 4, h, w]) as [n, h, w, 4]. */
static bool draw_noise(struct painting *painting, size_t n, float *out) {
    size_t positions = painting->h * painting->w, size = n * painting->latent_size;
    float *drawn = floats(painting, size);
    if (!drawn) return false;
    noise_normal(&painting->noise, drawn, size);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < LATENT_CHANNELS; c++)
            for (size_t p = 0; p < positions; p++)
                out[(i * positions + p) * LATENT_CHANNELS + c] = drawn[(i * LATENT_CHANNELS + c) * positions + p];
    memory_aligned_free(drawn);
    return true;
}

/* mean + exp(logvar / 2) * noise, into mean. The log-variance is clamped as the autoencoder's author did. */
static bool sample_posterior(struct painting *painting, float *mean, const float *logvar) {
    float *noise = floats(painting, painting->latent_size);
    bool fine = noise && draw_noise(painting, 1, noise);
    for (size_t i = 0; fine && i < painting->latent_size; i++) mean[i] += expf(0.5f * fminf(fmaxf(logvar[i], -30.0f), 20.0f)) * noise[i];
    memory_aligned_free(noise);
    return fine;
}

static bool encode_masked_image(struct painting *painting) {
    struct inpaint_model *model = painting->model;
    size_t limit = painting->params->memory_limit;
    float *logvar = vae_has_posterior(model->vae) ? floats(painting, painting->latent_size) : NULL;
    bool fine =
        (logvar || !vae_has_posterior(model->vae)) && vae_encode(model->vae, &model->options, painting->pixels, 8 * painting->h,
                                                                 8 * painting->w, limit, painting->masked_latent, logvar, painting->error);
    if (fine) preview_fit(&painting->preview, painting->masked_latent, painting->pixels, painting->h, painting->w);
    fine = fine && (!logvar || sample_posterior(painting, painting->masked_latent, logvar));
    memory_aligned_free(logvar);
    /* A large picture's plan is worth more as free memory than as seconds saved next time. */
    if (painting->h * painting->w > KEPT_POSITIONS) vae_forget(model->vae);
    float scale = vae_scaling_factor(model->vae);
    for (size_t i = 0; fine && i < painting->latent_size; i++) painting->masked_latent[i] *= scale;
    /* The map was fitted on unscaled latents, and will be shown scaled ones. */
    for (size_t k = 0; fine && k < LATENT_CHANNELS; k++)
        for (size_t c = 0; c < 3; c++) painting->preview.weight[k][c] /= scale;
    return fine;
}

static bool encode(struct painting *painting) {
    size_t positions = painting->h * painting->w;
    painting->pixels = floats(painting, positions * 64 * 3);
    painting->latent_mask = painting->pixels ? floats(painting, positions) : NULL;
    painting->masked_latent = painting->latent_mask ? floats(painting, painting->latent_size) : NULL;
    painting->latents = painting->masked_latent ? floats(painting, painting->count * painting->latent_size) : NULL;
    painting->clean = painting->latents ? floats(painting, painting->count * painting->latent_size) : NULL;
    painting->prediction = painting->clean ? floats(painting, 2 * painting->count * painting->latent_size) : NULL;
    if (!painting->prediction) return false;
    image_masked_floats(&painting->image, &painting->mask, painting->pixels);
    image_latent_mask(&painting->mask, painting->latent_mask);
    /* The order of the draws decides the picture: first the latents, then the posterior. */
    noise_init(&painting->noise, painting->params->noise == INPAINT_NOISE_MT19937 ? NOISE_MT19937 : NOISE_PHILOX,
               (uint64_t)painting->params->seed);
    return draw_noise(painting, painting->count, painting->latents) && encode_masked_image(painting) &&
           stage_done(painting, INPAINT_STAGE_ENCODE);
}

/* ---- denoise ---- */

/* unguided + guidance * (guided - unguided), into the first half. */
static void guide(struct painting *painting) {
    size_t half = painting->count * painting->latent_size;
    float *unguided = painting->prediction, scale = (float)painting->params->guidance;
    const float *guided = painting->prediction + half;
    for (size_t i = 0; i < half; i++) unguided[i] += scale * (guided[i] - unguided[i]);
}

/* Samplers of few steps want fresh noise after each: the next draw of the seed. */
static bool renew_noise(struct painting *painting, float deviation) {
    size_t all = painting->count * painting->latent_size;
    float *noise = floats(painting, all);
    bool fine = noise && draw_noise(painting, painting->count, noise);
    for (size_t i = 0; fine && i < all; i++) painting->latents[i] += deviation * noise[i];
    memory_aligned_free(noise);
    return fine;
}

static bool run_steps(struct painting *painting, struct unet_run *run, struct sampler *sampler) {
    int evaluations = sampler_evaluations(sampler);
    for (int i = 0; i < evaluations; i++) {
        unet_run_step(run, (size_t)i, painting->latents, painting->prediction);
        if (painting->guided) guide(painting);
        sampler_step(sampler, i, painting->prediction, painting->latents, painting->clean);
        painting->has_clean = true;
        float deviation = sampler_noise(sampler, i);
        if (deviation > 0 && !renew_noise(painting, deviation)) return false;
        /* PNDM evaluates once more than it steps: the bar ends with the last evaluation. */
        int step = i + 1 - (evaluations - painting->params->steps);
        if (step > 0 && !report(painting, INPAINT_STAGE_DENOISE, step, NULL)) return false;
    }
    return true;
}

static bool denoise(struct painting *painting) {
    struct inpaint_model *model = painting->model;
    struct sampler *sampler = NULL;
    size_t all = painting->count * painting->latent_size;
    if (!sampler_create(&model->sampler, painting->params->steps, all, &sampler, painting->error)) return false;
    size_t evaluations = (size_t)sampler_evaluations(sampler);
    const struct unet_size size = {.samples = painting->count,
                                   .results = painting->guided ? 2 * painting->count : painting->count,
                                   .contexts = painting->guided ? 2 : 1,
                                   .conditions = 1,
                                   .h = painting->h,
                                   .w = painting->w,
                                   .steps = evaluations};
    struct unet_run *run = model_unet_run(model, &size, painting->params->memory_limit, painting->error);
    bool fine = run != NULL;
    if (fine) {
        for (size_t i = 0; i < all; i++) painting->latents[i] *= sampler_initial_sigma(sampler);
        unet_run_context(run, painting->context);
        unet_run_timesteps(run, sampler_timesteps(sampler), evaluations);
        unet_run_condition(run, painting->latent_mask, painting->masked_latent);
        fine = report(painting, INPAINT_STAGE_DENOISE, 0, NULL) && run_steps(painting, run, sampler);
    }
    sampler_free(sampler);
    return fine && stage_done(painting, INPAINT_STAGE_DENOISE);
}

static void tap_latents(const struct painting *painting) {
    if (!painting->taps || !painting->taps->final_latent) return;
    size_t positions = painting->h * painting->w;
    for (size_t i = 0; i < painting->count; i++)
        for (size_t p = 0; p < positions; p++)
            for (size_t c = 0; c < LATENT_CHANNELS; c++)
                painting->taps->final_latent[(i * LATENT_CHANNELS + c) * positions + p] =
                    painting->latents[(i * positions + p) * LATENT_CHANNELS + c];
}

/* ---- decode, check, composite ---- */

/* Width of the blend at the mask's edge: a few pixels, more on larger pictures. */
static int feather(const struct painting *painting) {
    size_t side = painting->w < painting->h ? painting->w : painting->h;
    int pixels = (int)(side / 8);
    return pixels < 2 ? 2 : pixels > FEATHER_MAX ? FEATHER_MAX : pixels;
}

static bool decode_one(struct painting *painting, size_t output, struct image *image) {
    struct inpaint_model *model = painting->model;
    struct vae *decoder = model->decoder ? model->decoder : model->vae;
    float *latent = painting->latents + output * painting->latent_size, scale = vae_scaling_factor(decoder);
    for (size_t i = 0; i < painting->latent_size; i++) latent[i] /= scale;
    if (!vae_decode(decoder, &model->options, latent, painting->h, painting->w, painting->params->memory_limit, painting->pixels,
                    painting->error))
        return false;
    if (!image_create(image, painting->image.width, painting->image.height, IMAGE_RGB, painting->error)) return false;
    image_from_floats(painting->pixels, image);
    return stage_done(painting, INPAINT_STAGE_DECODE);
}

/* Check what the network painted, then put the original back where it may not have painted. */
static bool finish_one(struct painting *painting, struct image *image, bool *flagged) {
    struct inpaint_model *model = painting->model;
    struct safety_result safety = {0};
    if (model->safety_checker && !safety_checker_run(model->safety_checker, &model->options, image, &safety, NULL, painting->error))
        return false;
    *flagged = safety.flagged;
    if (!safety.flagged && !painting->params->raw &&
        !image_composite(image, &painting->image, &painting->mask, feather(painting), painting->error))
        return false;
    return stage_done(painting, INPAINT_STAGE_CHECK);
}

static bool finish_outputs(struct painting *painting) {
    inpaint_result *result = painting->result;
    result->images = memory_array(painting->count, sizeof *result->images);
    if (!result->images) return error_set(painting->error, ERROR_MEMORY, "out of memory");
    for (size_t i = 0; i < painting->count; i++) {
        struct image image = {0};
        bool flagged = false;
        if (!decode_one(painting, i, &image) || !finish_one(painting, &image, &flagged)) {
            image_free(&image);
            return false;
        }
        if (flagged) {
            result->flagged++;
            image_free(&image);
        } else {
            result->images[result->count++] = (inpaint_picture){(int)image.width, (int)image.height, image.pixels};
        }
    }
    return true;
}

static bool report_flagged(struct painting *painting) {
    const inpaint_result *result = painting->result;
    if (result->flagged == 0) return true;
    char message[200] = "Potential NSFW content was detected in one or more images. A black image will be returned instead. Try again with "
                        "a different prompt and/or seed.";
    if (!report(painting, INPAINT_STAGE_CHECK, 0, message)) return false;
    if (result->count == 0)
        return error_set(painting->error, ERROR_NSFW, "NSFW content detected. Try running it again, or try a different prompt.");
    snprintf(message, sizeof message, "NSFW content detected in %d outputs, returning the remaining %d images.", result->flagged,
             result->count);
    return report(painting, INPAINT_STAGE_CHECK, 0, message);
}

/* ---- whole ---- */

static bool paint(struct painting *painting, const inpaint_image *image, const inpaint_image *mask) {
    if (!prepare(painting, image, mask) || !encode_text(painting) || !encode(painting) || !denoise(painting)) return false;
    tap_latents(painting);
    return finish_outputs(painting) && report_flagged(painting);
}

static void free_painting(struct painting *painting) {
    image_free(&painting->image);
    image_free(&painting->mask);
    float *const arrays[] = {painting->context, painting->pixels, painting->latent_mask, painting->masked_latent,
                             painting->latents, painting->clean,  painting->prediction};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) memory_aligned_free(arrays[i]);
}

inpaint_result *pipeline_paint(struct inpaint_model *model, const inpaint_image *image, const inpaint_image *mask,
                               const inpaint_params *params, const struct pipeline_taps *taps, struct error *error) {
    if (!check_params(image, mask, params, error)) return NULL;
    struct painting painting = {
        .model = model, .params = params, .taps = taps, .error = error, .count = (size_t)params->count, .guided = params->guidance > 1};
    painting.began = time_monotonic();
    painting.stage_began = model->clock();
    painting.result = memory_zero(sizeof *painting.result);
    if (!painting.result) {
        error_set(error, ERROR_MEMORY, "out of memory");
        return NULL;
    }
    bool fine = paint(&painting, image, mask);
    free_painting(&painting);
    if (fine) return painting.result;
    inpaint_result_free(painting.result);
    return NULL;
}

inpaint_result *inpaint_paint(inpaint_model *model, const inpaint_image *image, const inpaint_image *mask, const inpaint_params *params,
                              struct inpaint_error *out) {
    struct error error = {.code = ERROR_NONE};
    pthread_mutex_lock(&model->mutex);
    inpaint_result *result = pipeline_paint(model, image, mask, params, NULL, &error);
    pthread_mutex_unlock(&model->mutex);
    if (!result) inpaint_error_from(out, &error);
    return result;
}

void inpaint_result_free(inpaint_result *result) {
    if (!result) return;
    for (int i = 0; i < result->count; i++) memory_free(result->images[i].pixels);
    memory_free(result->images);
    memory_free(result);
}
