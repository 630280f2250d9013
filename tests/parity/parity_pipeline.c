/* Whole runs against the original: final latents within 1e-4 relative L2, pictures (plain decode)
 * within 1/255 mean and 3/255 at most. Besides Stable Diffusion 1: version 2, LoRAs, samplers of few
 * steps, TAESD (all by variants.py). */
#include "base/file.h"
#include "base/memory.h"
#include "inpaint/pipeline.h"
#include "reference.h"
#include "weights/weights.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *text_of(const json_t *row, const char *key) { return json_string_value(json_object_get(row, key)); }

static void load(const char *folder, const char *name, struct image *image) {
    char path[1024], *data;
    size_t length;
    struct error error;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!file_read(path, 100 << 20, &data, &length, &error) || !image_decode(data, length, &image_limits_default, image, NULL, &error))
        fail_msg("%s", error.message);
    memory_free(data);
}

static double relative_l2(const float *a, const float *b, size_t count) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)b[i] * (double)b[i];
    }
    return sqrt(difference / norm);
}

static void compare_picture(const inpaint_picture *got, const struct image *want, double *mean, int *most) {
    assert_int_equal(got->width, want->width);
    assert_int_equal(got->height, want->height);
    size_t bytes = want->width * want->height * 3;
    long sum = 0;
    *most = 0;
    for (size_t i = 0; i < bytes; i++) {
        int difference = abs((int)got->pixels[i] - (int)want->pixels[i]);
        sum += difference;
        if (difference > *most) *most = difference;
    }
    *mean = (double)sum / (double)bytes;
}

static inpaint_params params_of(const json_t *row) {
    inpaint_params params = INPAINT_PARAMS_DEFAULT;
    params.prompt = text_of(row, "prompt");
    params.negative_prompt = text_of(row, "negative_prompt");
    params.steps = (int)json_integer_value(json_object_get(row, "num_inference_steps"));
    params.guidance = json_number_value(json_object_get(row, "guidance_scale"));
    params.seed = json_integer_value(json_object_get(row, "seed"));
    params.count = (int)json_integer_value(json_object_get(row, "num_outputs"));
    params.invert_mask = json_is_true(json_object_get(row, "invert_mask"));
    params.raw = true;
    const char *noise = text_of(row, "noise");
    params.noise = noise && strcmp(noise, "mt19937") == 0 ? INPAINT_NOISE_MT19937 : INPAINT_NOISE_PHILOX;
    return params;
}

static void run_case(inpaint_model *model, const char *folder, const json_t *row, const struct tensor *latent) {
    struct image image = {0}, mask = {0};
    load(folder, text_of(row, "image"), &image);
    load(folder, text_of(row, "mask"), &mask);
    const inpaint_image photo = {(int)image.width, (int)image.height, 0, image.pixels},
                        white = {(int)mask.width, (int)mask.height, 0, mask.pixels};
    inpaint_params params = params_of(row);
    size_t count = tensor_count(latent);
    float *got = memory_array(count, sizeof *got), *want = memory_array(count, sizeof *want);
    tensor_read_f32(latent, 0, count, want);
    struct error error = {0};
    const struct pipeline_taps taps = {got};
    inpaint_result *result = pipeline_paint(model, &photo, &white, &params, &taps, &error);
    if (!result) fail_msg("%s", error.message);
    double latent_error = relative_l2(got, want, count);
    printf("  latent %.2e", latent_error);
    const json_t *outputs = json_object_get(row, "outputs");
    assert_int_equal(result->count, json_array_size(outputs));
    double worst_mean = 0;
    int worst = 0;
    for (int i = 0; i < result->count; i++) {
        struct image picture = {0};
        double mean;
        int most;
        load(folder, json_string_value(json_array_get(outputs, (size_t)i)), &picture);
        compare_picture(&result->images[i], &picture, &mean, &most);
        image_free(&picture);
        worst_mean = fmax(worst_mean, mean);
        worst = most > worst ? most : worst;
    }
    printf("  picture mean %.4f/255, most %d/255 (%s)\n", worst_mean, worst, params.prompt);
    assert_true(latent_error <= 1e-4);
    assert_true(worst_mean <= 1);
    assert_true(worst <= 3);
    memory_free(got);
    memory_free(want);
    inpaint_result_free(result);
    image_free(&image);
    image_free(&mask);
}

/* What a row needs besides the checkpoint. */
enum { LORAS_MAX = 4 };
struct wishes {
    char paths[LORAS_MAX][1200], decoder[1200];
    inpaint_lora loras[LORAS_MAX];
    inpaint_options options;
};

static void print_note(void *user, const char *line) {
    (void)user;
    printf("  %s\n", line);
}

static void read_wishes(const char *folder, const json_t *row, const char *decoder, struct wishes *wishes) {
    static const char *const samplers[] = {"auto", "ddim", "ddim-trailing", "pndm", "lcm", "tcd"};
    const char *sampler = text_of(row, "sampler");
    wishes->options = (inpaint_options){.dtype = INPAINT_DTYPE_F32, .no_safety = true, .loras = wishes->loras, .note = print_note};
    for (int i = 0; sampler && i <= INPAINT_SAMPLER_TCD; i++)
        if (strcmp(sampler, samplers[i]) == 0) wishes->options.sampler = (inpaint_sampler)i;
    size_t index;
    json_t *pair;
    json_array_foreach(json_object_get(row, "loras"), index, pair) {
        assert_true(index < LORAS_MAX);
        snprintf(wishes->paths[index], sizeof wishes->paths[index], "%s/%s", folder, json_string_value(json_array_get(pair, 0)));
        wishes->loras[index] = (inpaint_lora){wishes->paths[index], json_number_value(json_array_get(pair, 1))};
        wishes->options.lora_count = (int)index + 1;
    }
    if (!decoder) return;
    snprintf(wishes->decoder, sizeof wishes->decoder, "%s/%s", folder, decoder);
    wishes->options.decoder = wishes->options.previewer = wishes->decoder;
}

static bool same_wishes(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"sampler", "loras", "prediction_type"};
    for (size_t i = 0; a && i < sizeof keys / sizeof *keys; i++) {
        const json_t *left = json_object_get(a, keys[i]), *right = json_object_get(b, keys[i]);
        if (left != right && !json_equal(left, right)) return false;
    }
    return a != NULL;
}

static inpaint_model *open_model(const char *checkpoint, const char *folder, const json_t *row, const char *decoder) {
    struct wishes wishes;
    struct inpaint_error problem;
    read_wishes(folder, row, decoder, &wishes);
    inpaint_model *model = inpaint_open(checkpoint, &wishes.options, &problem);
    if (!model) fail_msg("%s", problem.message);
    const char *prediction = text_of(row, "prediction_type");
    if (prediction && strcmp(prediction, "epsilon") == 0) model->sampler.prediction_type = PREDICTION_EPSILON;
    return model;
}

/* decoder: in the folder; NULL: the checkpoint's own. */
static int run_folder(const char *name, const char *checkpoint, const char *decoder) {
    char folder[1024], path[1100];
    if (!checkpoint || !reference_path(name, folder, sizeof folder)) {
        if (!checkpoint) printf("skipped: no checkpoint given for %s\n", name);
        return 0;
    }
    printf("%s %s\n", name, decoder ? decoder : "");
    snprintf(path, sizeof path, "%s/pipeline.json", folder);
    json_t *rows = json_load_file(path, 0, NULL);
    snprintf(path, sizeof path, "%s/pipeline.safetensors", folder);
    struct weights *golden;
    struct error error;
    if (!rows || !weights_open_file(path, &golden, &error)) fail_msg("can't read the goldens of %s", name);
    inpaint_model *model = NULL;
    size_t index;
    json_t *row, *last = NULL;
    json_array_foreach(rows, index, row) {
        char key[64];
        snprintf(key, sizeof key, "%zu.final_latent", index);
        const struct tensor *latent = weights_find(golden, key);
        assert_non_null(latent);
        if (!same_wishes(last, row)) {
            inpaint_close(model);
            model = open_model(checkpoint, folder, row, decoder);
        }
        run_case(model, folder, row, latent);
        last = row;
    }
    inpaint_close(model);
    weights_close(golden);
    json_decref(rows);
    return 1;
}

static int folders_run;

static void pictures_equal_the_originals(void **state) {
    (void)state;
    char tiny[1024];
    const char *bundled = getenv("INPAINT_BUNDLED"), *full = getenv("INPAINT_FULL_CHECKPOINT");
    folders_run += run_folder("tiny", reference_path("tiny-checkpoint", tiny, sizeof tiny), NULL);
    folders_run += run_folder("bundled", bundled ? bundled : SOURCE_DIR "/models/bundled", NULL);
    folders_run += run_folder("full", full, NULL);
}

static void version_2_too(void **state) {
    (void)state;
    char checkpoint[1024];
    folders_run += run_folder("sd2", reference_path("sd2-checkpoint", checkpoint, sizeof checkpoint), NULL);
}

static void loras_and_their_samplers_too(void **state) {
    (void)state;
    char tiny[1024];
    folders_run += run_folder("lora", reference_path("tiny-checkpoint", tiny, sizeof tiny), NULL);
}

static void taesd_too(void **state) {
    (void)state;
    char tiny[1024];
    folders_run += run_folder("taesd", reference_path("tiny-checkpoint", tiny, sizeof tiny), "vae");
    folders_run += run_folder("taesd", reference_path("tiny-checkpoint", tiny, sizeof tiny), "taesd_decoder.safetensors");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_equal_the_originals),
        cmocka_unit_test(version_2_too),
        cmocka_unit_test(loras_and_their_samplers_too),
        cmocka_unit_test(taesd_too),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed || folders_run ? failed : TEST_SKIPPED;
}
