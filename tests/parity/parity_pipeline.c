/* Whole runs against the original: final latents within 1e-3 relative L2, pictures (plain decode)
 * within 1/255 mean and 3/255 at most. */
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
    assert_true(latent_error <= 1e-3);
    assert_true(worst_mean <= 1);
    assert_true(worst <= 3);
    memory_free(got);
    memory_free(want);
    inpaint_result_free(result);
    image_free(&image);
    image_free(&mask);
}

static int run_folder(const char *name, const char *checkpoint) {
    char folder[1024], path[1100];
    if (!checkpoint || !reference_path(name, folder, sizeof folder)) {
        if (!checkpoint) printf("skipped: no checkpoint given for %s\n", name);
        return 0;
    }
    printf("%s\n", name);
    snprintf(path, sizeof path, "%s/pipeline.json", folder);
    json_t *rows = json_load_file(path, 0, NULL);
    snprintf(path, sizeof path, "%s/pipeline.safetensors", folder);
    struct weights *golden;
    struct error error;
    struct inpaint_error problem;
    if (!rows || !weights_open_file(path, &golden, &error)) fail_msg("can't read the goldens of %s", name);
    const inpaint_options options = {.dtype = INPAINT_DTYPE_F32, .no_safety = true};
    inpaint_model *model = inpaint_open(checkpoint, &options, &problem);
    if (!model) fail_msg("%s", problem.message);
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) {
        char key[64];
        snprintf(key, sizeof key, "%zu.final_latent", index);
        const struct tensor *latent = weights_find(golden, key);
        assert_non_null(latent);
        run_case(model, folder, row, latent);
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
    folders_run += run_folder("tiny", reference_path("tiny-checkpoint", tiny, sizeof tiny));
    folders_run += run_folder("bundled", bundled ? bundled : SOURCE_DIR "/models/bundled");
    folders_run += run_folder("full", full);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pictures_equal_the_originals)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed || folders_run ? failed : TEST_SKIPPED;
}
