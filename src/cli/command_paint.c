/* inpaintd paint: a picture from the shell. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/hints.h"
#include "cli/named_model.h"
#include "cli/options.h"
#include "cli/preview.h"
#include "cli/progress.h"
#include "image/image.h"
#include "inpaint.h"
#include "library/library.h"
#include "predict/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct paint_settings {
    const char *image, *mask, *prompt, *negative_prompt, *model, *out;
    long long steps, seed, count, threads;
    double guidance;
    bool seed_given, steps_given, guidance_given, invert_mask, raw, no_safety, quiet, preview_given;
    int dtype, preview;
    struct engine_settings engine;
};

static bool load_picture(const char *path, struct image *image, int *orientation, struct error *error) {
    char *data = NULL;
    size_t length = 0;
    if (!file_read(path, image_limits_default.bytes, &data, &length, error)) return false;
    bool fine = image_decode(data, length, &image_limits_default, image, orientation, error);
    memory_free(data);
    return fine || error_context(error, "%s", path);
}

/* A photo is seen turned as its EXIF says, so it is painted that way too; a mask of the photo's
 * stored size turns with it. */
static bool load_both(const struct paint_settings *settings, struct image *image, struct image *mask, struct error *error) {
    int orientation = 1, mask_orientation = 1;
    if (!load_picture(settings->image, image, &orientation, error) || !load_picture(settings->mask, mask, &mask_orientation, error))
        return false;
    bool turned_together = orientation >= 5 && mask_orientation == 1 && mask->width == image->width && mask->height == image->height &&
                           mask->width != mask->height;
    return image_orient(image, orientation, error) && image_orient(mask, turned_together ? orientation : mask_orientation, error);
}

/* OUT.png, or OUT-0.png, OUT-1.png, ... when several were asked for. */
static char *output_path(const struct paint_settings *settings, int index) {
    if (settings->count == 1) return memory_string(settings->out);
    const char *slash = strrchr(settings->out, '/'), *dot = strrchr(slash ? slash : settings->out, '.');
    int stem = dot ? (int)(dot - settings->out) : (int)strlen(settings->out);
    return memory_format("%.*s-%d%s", stem, settings->out, index, dot ? dot : "");
}

static bool encode(const char *path, const struct image *image, const char *const *texts, struct buffer *buffer, struct error *error) {
    const char *dot = strrchr(path, '.');
    if (dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0)) return image_encode_jpeg(image, 95, buffer, error);
    if (dot && strcasecmp(dot, ".webp") == 0) return image_encode_webp(image, 95, buffer, error);
    return image_encode_png(image, texts, buffer, error);
}

static bool save(const struct paint_settings *settings, const inpaint_picture *picture, int index, struct error *error) {
    char seed[32], steps[32], guidance[32];
    snprintf(seed, sizeof seed, "%lld", settings->seed);
    snprintf(steps, sizeof steps, "%lld", settings->steps);
    snprintf(guidance, sizeof guidance, "%g", settings->guidance);
    const char *const texts[] = {"Software",
                                 "inpaintd " INPAINT_VERSION,
                                 "prompt",
                                 settings->prompt,
                                 "negative_prompt",
                                 settings->negative_prompt,
                                 "seed",
                                 seed,
                                 "steps",
                                 steps,
                                 "guidance",
                                 guidance,
                                 NULL};
    const struct image image = {(size_t)picture->width, (size_t)picture->height, IMAGE_RGB, picture->pixels};
    struct buffer buffer;
    buffer_init(&buffer, (size_t)1 << 30);
    char *path = output_path(settings, index);
    bool fine = path ? encode(path, &image, texts, &buffer, error) && file_write(path, buffer.data, buffer.length, error)
                     : error_set(error, ERROR_MEMORY, "out of memory");
    if (fine) printf("%s\n", path);
    memory_free(path);
    buffer_free(&buffer);
    return fine;
}

struct watcher {
    struct progress progress;
    struct preview preview;
};

static bool on_progress(void *user, const inpaint_progress *now) {
    struct watcher *watcher = user;
    if (interrupted) return false;
    preview_show(&watcher->preview, now);
    progress_show(&watcher->progress, now);
    return true;
}

/* What --preview means here; a terminal that shows no pictures gets none, and a sentence. */
static enum terminal_pictures choose_preview(const struct paint_settings *settings) {
    if (!settings->preview_given) return TERMINAL_NONE;
    enum terminal_pictures kind = (enum terminal_pictures)settings->preview;
    if (kind == TERMINAL_AUTO) {
        kind = isatty(STDERR_FILENO) ? terminal_pictures_by_environment(getenv) : TERMINAL_NONE;
        if (kind == TERMINAL_NONE)
            fprintf(stderr, "no preview: this is not known to show pictures; --preview=kitty, =iterm or =sixel says that it does\n");
    }
    return kind;
}

static bool from_inpaint(struct error *error, const struct inpaint_error *problem) {
    return error_set(error, (enum error_code)problem->code, "%s", problem->message);
}

static bool paint(const struct paint_settings *settings, inpaint_model *model, const struct image *image, const struct image *mask,
                  struct error *error) {
    struct watcher watcher = {.preview = {.kind = choose_preview(settings), .count = (int)settings->count, .last = -1}};
    progress_begin(&watcher.progress, settings->quiet);
    inpaint_params params = INPAINT_PARAMS_DEFAULT;
    params.prompt = settings->prompt;
    params.negative_prompt = settings->negative_prompt;
    params.steps = (int)settings->steps;
    params.guidance = settings->guidance;
    params.seed = settings->seed;
    params.count = (int)settings->count;
    params.invert_mask = settings->invert_mask;
    params.raw = settings->raw;
    params.callback = on_progress;
    params.user = &watcher;
    const inpaint_image photo = {(int)image->width, (int)image->height, 0, image->pixels},
                        white = {(int)mask->width, (int)mask->height, 0, mask->pixels};
    struct inpaint_error problem;
    inpaint_result *result = inpaint_paint(model, &photo, &white, &params, &problem);
    progress_end(&watcher.progress);
    if (!result) return from_inpaint(error, &problem);
    bool fine = true;
    for (int i = 0; fine && i < result->count; i++) fine = save(settings, &result->images[i], i, error);
    inpaint_result_free(result);
    return fine;
}

/* Painting takes long: a folder that is not there must be said before, not after. */
static bool check_output(const struct paint_settings *settings, struct error *error) {
    const char *slash = strrchr(settings->out, '/');
    char *folder = slash ? memory_string_n(settings->out, (size_t)(slash - settings->out) + 1) : memory_string(".");
    if (!folder) return error_set(error, ERROR_MEMORY, "out of memory");
    bool fine = access(folder, W_OK) == 0 || error_from_errno(error, "can't write %s", settings->out);
    memory_free(folder);
    return fine;
}

static void print_note(void *user, const char *line) {
    (void)user;
    fprintf(stderr, "%s\n", line);
}

/* Unless the user said otherwise: what a LoRA for few steps wants, else what the model's hints advise. */
static void heed_model(struct paint_settings *settings, const inpaint_model *model) {
    inpaint_info info;
    inpaint_describe(model, &info);
    char *path = library_resolve(settings->model), *hints = path && info.steps == 0 ? hints_read(path) : NULL;
    double steps = info.steps ? info.steps : hints_number(hints, "num_inference_steps", 1, 1000, (double)settings->steps);
    double guidance = info.steps ? info.guidance : hints_number(hints, "guidance_scale", 0, 1000, settings->guidance);
    if (!settings->steps_given) settings->steps = (long long)steps;
    if (!settings->guidance_given) settings->guidance = guidance;
    memory_free(hints);
    memory_free(path);
}

static bool run(struct paint_settings *settings, struct error *error) {
    uint16_t random;
    if (!check_output(settings, error)) return false;
    if (!settings->seed_given) {
        if (!random_bytes(&random, sizeof random, error)) return false;
        settings->seed = random; /* 16 bits, as the hosted model draws it */
    }
    fprintf(stderr, "Using seed: %lld\n", settings->seed);
    struct image image = {0}, mask = {0};
    inpaint_options options = {.dtype = (inpaint_dtype)settings->dtype,
                               .threads = (int)settings->threads,
                               .no_safety = settings->no_safety,
                               .note = settings->quiet ? NULL : print_note};
    inpaint_model *model = NULL;
    bool fine = engine_options_use(&settings->engine, &options, error) && load_both(settings, &image, &mask, error);
    if (fine) fine = (model = named_model_open(settings->model, &options, error)) != NULL;
    if (fine) heed_model(settings, model);
    fine = fine && paint(settings, model, &image, &mask, error);
    inpaint_close(model);
    engine_options_free(&settings->engine);
    image_free(&image);
    image_free(&mask);
    return fine;
}

/* Where an input's option goes. */
static void *target_of(struct paint_settings *settings, const char *input) {
    const struct {
        const char *input;
        void *target;
    } targets[] = {{"prompt", &settings->prompt},
                   {"negative_prompt", &settings->negative_prompt},
                   {"mask", &settings->mask},
                   {"invert_mask", &settings->invert_mask},
                   {"num_outputs", &settings->count},
                   {"num_inference_steps", &settings->steps},
                   {"guidance_scale", &settings->guidance},
                   {"seed", &settings->seed}};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (strcmp(targets[i].input, input) == 0) return targets[i].target;
    return NULL;
}

enum { OPTIONS_MAX = 28, HELP_SIZE = 160 };

/* Where it is noted that the option was given. */
static bool *given_of(struct paint_settings *settings, const char *input) {
    if (strcmp(input, "seed") == 0) return &settings->seed_given;
    if (strcmp(input, "num_inference_steps") == 0) return &settings->steps_given;
    return strcmp(input, "guidance_scale") == 0 ? &settings->guidance_given : NULL;
}

static void write_help(const struct input_field *field, char help[HELP_SIZE]) {
    int used = snprintf(help, HELP_SIZE, "%s", field->flag_help);
    if (field->has_range)
        used += snprintf(help + used, HELP_SIZE - (size_t)used, " (%g to %g, default %g)", field->flag_minimum, field->flag_maximum,
                         field->number_default);
}

/* The options that are inputs of a prediction, from the table that the API is made from. */
static size_t input_options(struct paint_settings *settings, struct option_row *rows, char help[][HELP_SIZE]) {
    static const enum option_kind kinds[] = {[INPUT_STRING] = OPTION_TEXT,
                                             [INPUT_FILE] = OPTION_TEXT,
                                             [INPUT_BOOLEAN] = OPTION_FLAG,
                                             [INPUT_INTEGER] = OPTION_INTEGER,
                                             [INPUT_NUMBER] = OPTION_NUMBER};
    static const char *const arguments[] = {
        [INPUT_STRING] = "TEXT", [INPUT_FILE] = "FILE", [INPUT_BOOLEAN] = NULL, [INPUT_INTEGER] = "N", [INPUT_NUMBER] = "X"};
    size_t count = 0;
    for (size_t i = 0; i < input_fields_count && count < OPTIONS_MAX / 2; i++) {
        const struct input_field *field = &input_fields[i];
        if (!field->flag) continue;
        write_help(field, help[count]);
        rows[count] = (struct option_row){field->flag,
                                          field->flag_letter,
                                          kinds[field->type],
                                          arguments[field->type],
                                          help[count],
                                          target_of(settings, field->name),
                                          field->flag_minimum,
                                          field->flag_maximum,
                                          given_of(settings, field->name)};
        count++;
    }
    return count;
}

/* Defaults of the inputs, from the same table. */
static void input_defaults(struct paint_settings *settings) {
    struct input_values values;
    json_t *none = json_object();
    input_read(none, &values);
    settings->steps = values.num_inference_steps;
    settings->guidance = values.guidance_scale;
    settings->count = values.num_outputs;
    json_decref(none);
}

int command_paint(int argc, char **argv) {
    struct paint_settings settings = {.prompt = "", .negative_prompt = "", .model = default_model(), .out = "out.png"};
    input_defaults(&settings);
    const struct option_row own[] = {
        {"raw", 0, OPTION_FLAG, NULL, "the network's plain picture, also outside the mask", &settings.raw, 0, 0, NULL},
        {"dtype", 0, OPTION_CHOICE, "auto|f32|bf16", "arithmetic (default auto: bf16 where the processor has it)", &settings.dtype, 0, 0,
         NULL},
        {"threads", 't', OPTION_INTEGER, "N", "processors to use (default: all)", &settings.threads, 0, 256, NULL},
        {"model", 0, OPTION_TEXT, "MODEL", "a pulled model's name, a folder or a single file (default: the bundled model)", &settings.model,
         0, 0, NULL},
        ENGINE_OPTIONS(&settings.engine),
        {"no-safety", 0, OPTION_FLAG, NULL, "do not load the safety checker", &settings.no_safety, 0, 0, NULL},
        {"preview", 0, OPTION_MAYBE_CHOICE, "auto|kitty|iterm|sixel", "show the forming picture, in a terminal that can", &settings.preview,
         0, 0, &settings.preview_given},
        {"quiet", 'q', OPTION_FLAG, NULL, "no progress", &settings.quiet, 0, 0, NULL},
        {"output", 'o', OPTION_TEXT, "OUT.png", "where to write: .png, .jpg or .webp (default out.png)", &settings.out, 0, 0, NULL},
        {0}};
    struct option_row rows[OPTIONS_MAX] = {0};
    char help[OPTIONS_MAX][HELP_SIZE];
    memcpy(rows + input_options(&settings, rows, help), own, sizeof own);
    const struct command command = {
        "paint",
        "Paint something new into the masked part of a picture.",
        "IMAGE --mask MASK --prompt TEXT [options]",
        "Reads PNG, JPEG and WebP. Sides are cut to multiples of 8. What the mask leaves black stays as it was, bit for bit.\n"
        "A model's own advice (hints.json beside its weights) replaces the defaults of --steps and --guidance.\n"
        "Exit codes: 0 painted, 1 trouble inside, 2 wrong options, 3 a file can't be used, 4 withheld by the safety checker, 130 "
        "interrupted.",
        "  inpaintd paint photo.jpg --mask mask.png -p \"a red apple\" -o apple.png\n"
        "  inpaintd paint photo.jpg -m mask.png -p \"a penguin\" --count 3 --seed 7 --steps 20 --guidance 4\n"
        "  inpaintd paint photo.jpg -m mask.png -p \"a fox\" --model sd15 --lora lcm-lora-sdv1-5/ --lora style.safetensors:0.7",
        rows,
        1,
        1};
    size_t count;
    int code = options_begin(&command, argc, argv, &settings.image, &count);
    if (code >= 0) return code;
    struct error error = {.code = ERROR_NONE};
    if (!settings.mask) {
        error_set(&error, ERROR_ARGUMENT, "which part should be repainted? Give a picture with --mask (white is repainted)");
        return complain(command.name, &error);
    }
    interrupts_catch();
    return run(&settings, &error) ? 0 : complain(command.name, &error);
}
