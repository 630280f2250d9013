/* bf16 keeps its word on finished pictures: within 40 dB of f32's, on the bundled model. */
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "inpaint.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void load(const char *path, struct image *image) {
    char *data;
    size_t length;
    struct error error;
    if (!file_read(path, 10 << 20, &data, &length, &error) || !image_decode(data, length, &image_limits_default, image, NULL, &error))
        fail_msg("%s", error.message);
    memory_free(data);
}

static inpaint_result *paint(inpaint_dtype dtype, const struct image *photo, const struct image *mask) {
    const inpaint_options options = {.dtype = dtype};
    struct inpaint_error error;
    inpaint_model *model = inpaint_open(SOURCE_DIR "/models/bundled", &options, &error);
    if (!model) fail_msg("%s", error.message);
    inpaint_params params = INPAINT_PARAMS_DEFAULT;
    params.prompt = "the planet jupiter";
    params.steps = 10;
    params.guidance = 4;
    params.seed = 1;
    params.raw = true;
    const inpaint_image image = {(int)photo->width, (int)photo->height, 0, photo->pixels},
                        white = {(int)mask->width, (int)mask->height, 0, mask->pixels};
    inpaint_result *result = inpaint_paint(model, &image, &white, &params, &error);
    if (!result) fail_msg("%s", error.message);
    inpaint_close(model);
    return result;
}

static void bf16_pictures_are_within_40_db(void **state) {
    (void)state;
    struct image photo = {0}, mask = {0};
    load(SOURCE_DIR "/samples/night-256.jpg", &photo);
    load(SOURCE_DIR "/samples/night-256-mask.png", &mask);
    inpaint_result *exact = paint(INPAINT_DTYPE_F32, &photo, &mask), *rounded = paint(INPAINT_DTYPE_BF16, &photo, &mask);
    double sum = 0;
    size_t bytes = photo.width * photo.height * 3;
    for (size_t i = 0; i < bytes; i++) {
        double difference = (double)exact->images[0].pixels[i] - (double)rounded->images[0].pixels[i];
        sum += difference * difference;
    }
    double decibels = 10 * log10(255 * 255 * (double)bytes / (sum > 0 ? sum : 1));
    printf("bf16 against f32: %.1f dB\n", decibels);
    assert_true(sum > 0); /* else it was not bf16 */
    assert_true(decibels >= 40);
    inpaint_result_free(exact);
    inpaint_result_free(rounded);
    image_free(&photo);
    image_free(&mask);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(bf16_pictures_are_within_40_db)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
