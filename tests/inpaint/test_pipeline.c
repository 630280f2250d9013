/* The library's promises, on the small random checkpoint and through the public header alone. */
#include "inpaint.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char tiny[] = SOURCE_DIR "/tests/reference/tiny-checkpoint";

enum { W = 67, H = 72, CUT_W = 64, LEFT = 1 };
static uint8_t photo[H * W * 3], white[H * W * 3];

static inpaint_model *open_tiny(bool no_safety) {
    struct inpaint_error error;
    const inpaint_options options = {.dtype = INPAINT_DTYPE_F32, .threads = 2, .no_safety = no_safety};
    inpaint_model *model = inpaint_open(tiny, &options, &error);
    if (!model) fail_msg("%s", error.message);
    return model;
}

static int make_pictures(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof photo; i++) photo[i] = (uint8_t)(i * 31 + i / 50);
    for (int y = 16; y < 56; y++)
        for (int x = 20; x < 50; x++) memset(white + 3 * (y * W + x), 255, 3);
    return 0;
}

static const inpaint_image image = {W, H, 0, photo}, mask = {W, H, 0, white};

static inpaint_params quick(void) {
    inpaint_params params = INPAINT_PARAMS_DEFAULT;
    params.prompt = "a cat";
    params.steps = 3;
    params.seed = 5;
    return params;
}

static inpaint_result *paint(inpaint_model *model, const inpaint_params *params) {
    struct inpaint_error error;
    inpaint_result *result = inpaint_paint(model, &image, &mask, params, &error);
    if (!result) fail_msg("%s", error.message);
    return result;
}

static void unmasked_pixels_stay_bit_for_bit(void **state) {
    (void)state;
    inpaint_model *model = open_tiny(true);
    inpaint_params params = quick();
    params.count = 2;
    inpaint_result *result = paint(model, &params);
    assert_int_equal(result->count, 2);
    assert_int_equal(result->width, CUT_W);
    assert_int_equal(result->height, H);
    for (int k = 0; k < 2; k++) {
        int changed = 0;
        for (int y = 0; y < H; y++)
            for (int x = 0; x < CUT_W; x++) {
                const uint8_t *got = result->images[k].pixels + 3 * (y * CUT_W + x), *want = photo + 3 * (y * W + x + LEFT);
                bool masked = white[3 * (y * W + x + LEFT)] != 0;
                if (!masked)
                    assert_memory_equal(got, want, 3);
                else
                    changed += memcmp(got, want, 3) != 0;
            }
        assert_true(changed > 30 * 40 / 2);
    }
    assert_memory_not_equal(result->images[0].pixels, result->images[1].pixels, CUT_W * H * 3);
    inpaint_result_free(result);
    inpaint_close(model);
}

static void a_seed_repeats_and_raw_differs(void **state) {
    (void)state;
    inpaint_model *model = open_tiny(true), *other = open_tiny(true);
    inpaint_params params = quick();
    inpaint_result *first = paint(model, &params), *again = paint(model, &params), *elsewhere = paint(other, &params);
    size_t bytes = CUT_W * H * 3;
    assert_memory_equal(first->images[0].pixels, again->images[0].pixels, bytes);
    assert_memory_equal(first->images[0].pixels, elsewhere->images[0].pixels, bytes);
    params.seed = 6;
    inpaint_result *another = paint(model, &params);
    assert_memory_not_equal(first->images[0].pixels, another->images[0].pixels, bytes);
    params.raw = true;
    inpaint_result *raw = paint(model, &params);
    assert_memory_not_equal(raw->images[0].pixels, another->images[0].pixels, 3 * CUT_W * 8);
    inpaint_result *const all[] = {first, again, elsewhere, another, raw};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) inpaint_result_free(all[i]);
    inpaint_close(model);
    inpaint_close(other);
}

struct watch {
    int cancel_at, last, calls, previews, stages[6];
    char message[600];
};

static bool on_progress(void *user, const inpaint_progress *now) {
    struct watch *watch = user;
    uint8_t rgb[3 * 8 * 9];
    watch->calls++;
    watch->stages[now->stage]++;
    if (now->message) snprintf(watch->message, sizeof watch->message, "%s", now->message);
    assert_true(now->preview_width * now->preview_height <= 8 * 9);
    if (now->preview(now->preview_state, 0, rgb)) watch->previews++;
    assert_false(now->preview(now->preview_state, 9, rgb));
    if (now->stage != INPAINT_STAGE_DENOISE) return true;
    watch->last = now->step;
    return watch->cancel_at < 0 || now->step < watch->cancel_at;
}

static void progress_comes_step_by_step_and_cancels(void **state) {
    (void)state;
    inpaint_model *model = open_tiny(true);
    struct watch watch = {.cancel_at = -1};
    inpaint_params params = quick();
    params.callback = on_progress;
    params.user = &watch;
    inpaint_result_free(paint(model, &params));
    assert_int_equal(watch.stages[INPAINT_STAGE_DENOISE], 4);
    assert_int_equal(watch.last, 3);
    for (int i = 0; i < 6; i++) assert_true(watch.stages[i] > 0);
    assert_true(watch.previews >= 3);
    struct inpaint_error error;
    watch = (struct watch){.cancel_at = 2};
    params.steps = 100;
    assert_null(inpaint_paint(model, &image, &mask, &params, &error));
    assert_int_equal(error.code, INPAINT_CANCELED);
    assert_int_equal(watch.last, 2);
    params.steps = 3; /* and the handle still works */
    watch = (struct watch){.cancel_at = -1};
    inpaint_result_free(paint(model, &params));
    inpaint_close(model);
}

static void messages_tell_of_resizing_and_cutting(void **state) {
    (void)state;
    inpaint_model *model = open_tiny(true);
    struct watch watch = {.cancel_at = -1};
    inpaint_params params = quick();
    params.callback = on_progress;
    params.user = &watch;
    const inpaint_image small = {20, 10, W * 3, white};
    inpaint_result *result = inpaint_paint(model, &image, &small, &params, NULL);
    assert_non_null(result);
    assert_string_equal(watch.message,
                        "WARNING: Mask size (20, 10) is different to image size (64, 72). Mask will be resized to image size.");
    inpaint_result_free(result);
    char prompt[10001];
    for (int i = 0; i < 10000; i += 5) memcpy(prompt + i, "word ", 5);
    prompt[10000] = 0;
    params.prompt = prompt;
    inpaint_result_free(paint(model, &params));
    assert_non_null(strstr(watch.message, "can only handle sequences up to 77 tokens"));
    inpaint_close(model);
}

static void guidance_of_one_ignores_the_negative_prompt(void **state) {
    (void)state;
    inpaint_model *model = open_tiny(true);
    inpaint_params params = quick();
    params.guidance = 1;
    inpaint_result *plain = paint(model, &params);
    params.negative_prompt = "blurry";
    inpaint_result *negative = paint(model, &params);
    assert_memory_equal(plain->images[0].pixels, negative->images[0].pixels, CUT_W * H * 3);
    inpaint_result_free(plain);
    inpaint_result_free(negative);
    inpaint_close(model);
}

static void wrong_parameters_are_refused(void **state) {
    (void)state;
    inpaint_model *model = open_tiny(true);
    struct inpaint_error error;
    static uint8_t one[3];
    const inpaint_image pixel = {1, 1, 0, one}, huge = {30000, 1, 0, one}, empty = {0, 0, 0, NULL}, narrow = {W, H, 5, photo};
    inpaint_params params = quick();
    assert_null(inpaint_paint(model, &pixel, &mask, &params, &error));
    assert_int_equal(error.code, INPAINT_ARGUMENT);
    assert_null(inpaint_paint(model, &huge, &mask, &params, &error));
    assert_int_equal(error.code, INPAINT_LIMIT);
    assert_null(inpaint_paint(model, &empty, &mask, &params, &error));
    assert_null(inpaint_paint(model, &image, &empty, &params, &error));
    assert_null(inpaint_paint(model, &narrow, &mask, &params, &error));
    inpaint_result *fine = inpaint_paint(model, &image, &pixel, &params, &error); /* a mask of any size will do */
    assert_non_null(fine);
    inpaint_result_free(fine);
    const int steps[] = {0, -1, 1001}, counts[] = {0, -5, 65};
    for (int i = 0; i < 3; i++) {
        params = quick();
        params.steps = steps[i];
        assert_null(inpaint_paint(model, &image, &mask, &params, &error));
        params = quick();
        params.count = counts[i];
        assert_null(inpaint_paint(model, &image, &mask, &params, &error));
    }
    params = quick();
    params.memory_limit = 1000;
    assert_null(inpaint_paint(model, &image, &mask, &params, &error));
    assert_int_equal(error.code, INPAINT_MEMORY);
    inpaint_close(model);
    assert_null(inpaint_open("/nonexistent", NULL, &error));
    assert_int_equal(error.code, INPAINT_NOT_FOUND);
}

static void *paint_in_thread(void *model) {
    inpaint_params params = quick();
    return inpaint_paint(model, &image, &mask, &params, NULL);
}

static void models_are_independent_and_calls_wait(void **state) {
    (void)state;
    inpaint_model *models[2] = {open_tiny(true), open_tiny(false)};
    pthread_t threads[4];
    void *results[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, paint_in_thread, models[i % 2]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &results[i]);
        assert_non_null(results[i]);
        const inpaint_result *first = results[0], *this = results[i];
        if (this->count) assert_memory_equal(first->images[0].pixels, this->images[0].pixels, CUT_W * H * 3);
    }
    for (int i = 0; i < 4; i++) inpaint_result_free(results[i]);
    inpaint_info info;
    inpaint_describe(models[1], &info);
    assert_true(info.safety);
    assert_string_equal(info.dtype, "f32");
    assert_true(info.weight_bytes > 1000000);
    inpaint_close(models[0]);
    inpaint_close(models[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unmasked_pixels_stay_bit_for_bit),
        cmocka_unit_test(a_seed_repeats_and_raw_differs),
        cmocka_unit_test(progress_comes_step_by_step_and_cancels),
        cmocka_unit_test(messages_tell_of_resizing_and_cutting),
        cmocka_unit_test(guidance_of_one_ignores_the_negative_prompt),
        cmocka_unit_test(wrong_parameters_are_refused),
        cmocka_unit_test(models_are_independent_and_calls_wait),
    };
    return cmocka_run_group_tests(tests, make_pictures, NULL);
}
