/* inpaintd bench: how fast this machine paints, beside what its processor could do at best. */
#include "base/memory.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/named_model.h"
#include "cli/options.h"
#include "inpaint/pipeline.h"
#include "tensor/peak.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

struct bench_settings {
    const char *model, *size;
    long long steps, threads, count;
    double guidance;
    bool json, operations, no_safety, processor_time;
    int dtype;
};

struct bench_figures {
    inpaint_info info;
    int width, height;
    double load, text, encode, decode, safety, step, total;
    double step_multiply_adds;
    double peak_f32, peak_bf16, peak_bf16_vectors;
    double peak_rss;
};

static double seconds_since(int64_t began) { return (double)(time_monotonic() - began) / 1e6; }

static bool parse_size(const char *text, int *width, int *height, struct error *error) {
    char end;
    if (sscanf(text, "%dx%d%c", width, height, &end) == 2 && *width >= 8 && *height >= 8 && *width <= 16384 && *height <= 16384)
        return true;
    return error_set(error, ERROR_ARGUMENT, "--size must be like 512x512, each side from 8 to 16384");
}

/* A picture with some structure, and a mask over its middle. */
static bool make_pictures(int width, int height, uint8_t **image, uint8_t **mask, struct error *error) {
    size_t pixels = (size_t)width * (size_t)height;
    *image = memory_alloc(pixels * 3);
    *mask = memory_zero(pixels * 3);
    if (!*image || !*mask) return error_set(error, ERROR_MEMORY, "out of memory");
    for (size_t i = 0; i < pixels * 3; i++) (*image)[i] = (uint8_t)((i * 7 + i / (size_t)width) & 255);
    for (int y = height / 4; y < height * 3 / 4; y++)
        for (int x = width / 4; x < width * 3 / 4; x++) memset(*mask + 3 * ((size_t)y * (size_t)width + (size_t)x), 255, 3);
    return true;
}

static bool on_progress(void *user, const inpaint_progress *now) {
    const struct bench_settings *settings = user;
    if (now->stage == INPAINT_STAGE_DENOISE && !settings->json) fprintf(stderr, "\rstep %d/%d ", now->step, now->steps);
    return !interrupted;
}

static inpaint_result *paint_once(const struct bench_settings *settings, struct inpaint_model *model, int width, int height,
                                  const uint8_t *image, const uint8_t *mask, struct error *error) {
    inpaint_params params = INPAINT_PARAMS_DEFAULT;
    params.prompt = "a red apple";
    params.steps = (int)settings->steps;
    params.guidance = settings->guidance;
    params.count = (int)settings->count;
    params.seed = 1;
    params.callback = on_progress;
    params.user = (void *)settings;
    const inpaint_image photo = {width, height, 0, image}, white = {width, height, 0, mask};
    return pipeline_paint(model, &photo, &white, &params, NULL, error);
}

/* The operations of one section of a plan, and their times' shares of all. */
static void print_plan(const struct plan *plan, int section, const char *title) {
    size_t count;
    const struct plan_timing *rows = plan ? plan_timing(plan, section, &count) : NULL;
    double total = 0;
    if (!rows) return;
    for (size_t i = 0; i < count; i++) total += rows[i].seconds;
    if (total <= 0) return;
    total = 0;
    for (size_t i = 0; i < count; i++) total += rows[i].runs ? rows[i].seconds / (double)rows[i].runs : 0;
    printf("\n%9s %6s %9s  %s\n", "ms", "%", "GFLOP/s", title);
    for (size_t i = 0; i < count; i++) {
        double once = rows[i].runs ? rows[i].seconds / (double)rows[i].runs : 0;
        printf("%9.2f %6.2f %9.1f  %s\n", 1e3 * once, 100 * once / total, once > 0 ? 2e-9 * rows[i].multiply_adds / once : 0, rows[i].name);
    }
    printf("%9.2f\n", 1e3 * total);
}

/* The plans whose operations are looked at. */
static void time_operations(const struct bench_settings *settings, struct inpaint_model *model) {
    plan_clock *clock = settings->processor_time ? time_processor : time_monotonic;
    struct plan *plans[] = {unet_run_plan(model->run), vae_last_plan(model->vae, false), vae_last_plan(model->vae, true)};
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        if (plans[i]) plan_timing_start(plans[i], clock);
}

static void print_operations(struct inpaint_model *model) {
    print_plan(vae_last_plan(model->vae, false), 0, "operations of encoding");
    print_plan(unet_run_plan(model->run), unet_run_step_section(model->run), "operations of one step");
    print_plan(vae_last_plan(model->vae, true), 0, "operations of decoding");
}

static bool measure(const struct bench_settings *settings, struct inpaint_model *model, const uint8_t *image, const uint8_t *mask,
                    struct bench_figures *figures, struct error *error) {
    /* The first picture packs weights and touches pages; the second one is measured. */
    struct bench_settings warm = *settings;
    warm.steps = 1;
    inpaint_result *result = paint_once(&warm, model, figures->width, figures->height, image, mask, error);
    if (!result) return false;
    inpaint_result_free(result);
    struct unet_size grown = model->run_size;
    grown.steps = (size_t)settings->steps + 1;
    if (!model_unet_run(model, &grown, 0, error)) return false;
    if (settings->operations) time_operations(settings, model);
    /* By processor time: as if all threads had been busy all the time. */
    double share = settings->processor_time ? (double)pool_threads(model->pool) : 1;
    if (settings->processor_time) model->clock = time_processor;
    int64_t began = model->clock();
    result = paint_once(settings, model, figures->width, figures->height, image, mask, error);
    if (!result) return false;
    figures->total = (double)(model->clock() - began) / 1e6 / share;
    figures->text = result->seconds[INPAINT_STAGE_TEXT] / share;
    figures->encode = result->seconds[INPAINT_STAGE_ENCODE] / share;
    figures->step = result->seconds[INPAINT_STAGE_DENOISE] / (double)settings->steps / share;
    figures->decode = result->seconds[INPAINT_STAGE_DECODE] / (double)settings->count / share;
    figures->safety = result->seconds[INPAINT_STAGE_CHECK] / (double)settings->count / share;
    figures->step_multiply_adds = plan_multiply_adds(unet_run_plan(model->run), unet_run_step_section(model->run));
    inpaint_result_free(result);
    return true;
}

static void print_text(const struct bench_settings *settings, const struct bench_figures *figures) {
    double rate = 2e-9 * figures->step_multiply_adds / figures->step,
           peak = strcmp(figures->info.dtype, "bf16") == 0 ? figures->peak_bf16 : figures->peak_f32;
    fprintf(stderr, "\r\033[K");
    printf("%s  %s  %d x %d, %lld steps, guidance %g, %lld output(s), %d threads, %s\n", settings->model, figures->info.name,
           figures->width, figures->height, settings->steps, settings->guidance, settings->count, figures->info.threads,
           figures->info.dtype);
    printf("  processor's peak  f32 %.0f GFLOP/s, bf16 %.0f GFLOP/s (%.0f by vectors)\n", figures->peak_f32, figures->peak_bf16,
           figures->peak_bf16_vectors);
    if (settings->processor_time) printf("  times are the processor's own, shared out over all threads\n");
    printf("  load              %9.3f s\n", figures->load);
    printf("  text              %9.3f s\n", figures->text);
    printf("  encode            %9.3f s\n", figures->encode);
    printf("  step              %9.3f s   %.0f GMAC, %.0f GFLOP/s = %.0f %% of the %s peak\n", figures->step,
           1e-9 * figures->step_multiply_adds, rate, peak > 0 ? 100 * rate / peak : 0, figures->info.dtype);
    printf("  decode            %9.3f s   each\n", figures->decode);
    printf("  check, composite  %9.3f s   each\n", figures->safety);
    printf("  whole picture     %9.3f s\n", figures->total);
    printf("  memory, at most   %9.0f MB\n", figures->peak_rss / 1e6);
}

static void print_json(const struct bench_settings *settings, const struct bench_figures *figures) {
    json_t *out = json_pack("{s:s, s:s, s:i, s:i, s:I, s:f, s:I, s:i, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I}",
                            "model", settings->model, "pipeline", figures->info.name, "width", figures->width, "height", figures->height,
                            "steps", (json_int_t)settings->steps, "guidance", settings->guidance, "count", (json_int_t)settings->count,
                            "threads", figures->info.threads, "dtype", figures->info.dtype, "guided_step_s", figures->step, "encode_s",
                            figures->encode, "decode_s", figures->decode, "text_s", figures->text, "safety_s", figures->safety, "load_s",
                            figures->load, "total_s", figures->total, "step_gmac", 1e-9 * figures->step_multiply_adds, "peak_f32_gflops",
                            figures->peak_f32, "peak_bf16_gflops", figures->peak_bf16, "peak_bf16_vectors_gflops",
                            figures->peak_bf16_vectors, "peak_rss_bytes", (json_int_t)figures->peak_rss);
    if (out) json_dumpf(out, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(out);
}

static bool run(const struct bench_settings *settings, struct error *error) {
    struct bench_figures figures = {0};
    if (!parse_size(settings->size, &figures.width, &figures.height, error)) return false;
    uint8_t *image = NULL, *mask = NULL;
    const inpaint_options options = {
        .dtype = (inpaint_dtype)settings->dtype, .threads = (int)settings->threads, .no_safety = settings->no_safety};
    int64_t began = time_monotonic();
    struct inpaint_model *model = named_model_open(settings->model, &options, error);
    figures.load = seconds_since(began);
    bool fine = model && make_pictures(figures.width, figures.height, &image, &mask, error);
    if (fine) {
        figures.peak_f32 = peak_gflops(model->pool, DTYPE_F32, 0.5);
        figures.peak_bf16 = peak_gflops(model->pool, DTYPE_BF16, 0.5);
        figures.peak_bf16_vectors = peak_bf16_vectors_gflops(model->pool, 0.5);
        fine = measure(settings, model, image, mask, &figures, error);
    }
    if (fine) {
        inpaint_describe(model, &figures.info);
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        figures.peak_rss = (double)usage.ru_maxrss * 1024;
        if (settings->json)
            print_json(settings, &figures);
        else
            print_text(settings, &figures);
        if (settings->operations) print_operations(model);
    }
    memory_free(image);
    memory_free(mask);
    inpaint_close(model);
    return fine;
}

int command_bench(int argc, char **argv) {
    struct bench_settings settings = {.model = default_model(), .size = "512x512", .steps = 3, .count = 1, .guidance = 7.5};
    const struct option_row rows[] = {
        {"model", 0, OPTION_TEXT, "MODEL", "a pulled model's name, a folder or a single file (default: the bundled model)", &settings.model,
         0, 0, NULL},
        {"size", 0, OPTION_TEXT, "WxH", "pixels of the picture (default 512x512)", &settings.size, 0, 0, NULL},
        {"steps", 's', OPTION_INTEGER, "N", "denoising steps to time (default 3)", &settings.steps, 1, 1000, NULL},
        {"count", 'c', OPTION_INTEGER, "N", "outputs (default 1)", &settings.count, 1, 64, NULL},
        {"guidance", 'g', OPTION_NUMBER, "X", "up to 1 switches guidance off (default 7.5)", &settings.guidance, 0, 100, NULL},
        {"dtype", 0, OPTION_CHOICE, "auto|f32|bf16", "arithmetic (default auto)", &settings.dtype, 0, 0, NULL},
        {"threads", 't', OPTION_INTEGER, "N", "processors to use (default: all)", &settings.threads, 0, 256, NULL},
        {"no-safety", 0, OPTION_FLAG, NULL, "do not load the safety checker", &settings.no_safety, 0, 0, NULL},
        {"operations", 0, OPTION_FLAG, NULL, "also each operation of a step, of encoding and of decoding", &settings.operations, 0, 0,
         NULL},
        {"cpu", 0, OPTION_FLAG, NULL, "times are those of processors, shared out over the threads: for busy machines",
         &settings.processor_time, 0, 0, NULL},
        {"json", 0, OPTION_FLAG, NULL, "figures as JSON", &settings.json, 0, 0, NULL},
        {0}};
    const struct command command = {
        "bench",
        "Measure how fast this machine paints, beside the processor's own peak.",
        "[options]",
        NULL,
        "  inpaintd bench\n  inpaintd bench --model ~/models/stable-diffusion-inpainting --size 512x512 --steps 5 --operations",
        rows,
        0,
        0};
    size_t count;
    int code = options_begin(&command, argc, argv, NULL, &count);
    if (code >= 0) return code;
    struct error error = {.code = ERROR_NONE};
    interrupts_catch();
    return run(&settings, &error) ? 0 : complain(command.name, &error);
}
