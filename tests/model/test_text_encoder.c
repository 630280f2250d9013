#include "model/text_encoder.h"

#include "checkpoint.h"

enum { TOKENS = 77, WIDTH = 32, HIDDEN = TOKENS * WIDTH };

static struct plan_options options;
static struct text_encoder *encoder;

static struct text_encoder *opened(const char *folder) {
    struct text_encoder *made;
    struct error error;
    if (!text_encoder_open(folder, &made, &error)) fail_msg("%s", error.message);
    return made;
}

static int open_encoder(void **state) {
    (void)state;
    engine_open(&options, DTYPE_F32);
    encoder = opened(TINY "/text_encoder");
    assert_int_equal(text_encoder_width(encoder), WIDTH);
    assert_true(text_encoder_bytes(encoder) == 3205720);
    return 0;
}

static int close_encoder(void **state) {
    (void)state;
    text_encoder_close(encoder);
    engine_close(&options);
    return 0;
}

static void fill_ids(int32_t *ids, size_t n, int32_t step) {
    for (size_t i = 0; i < n * TOKENS; i++) ids[i] = (int32_t)((i + 1) * (size_t)step % 49408);
}

static void run(struct text_encoder *with, const int32_t *ids, size_t n, float *hidden) {
    struct error error;
    if (!text_encoder_run(with, &options, ids, n, hidden, &error)) fail_msg("%s", error.message);
}

static void prompts_do_not_mix(void **state) {
    (void)state;
    int32_t ids[3 * TOKENS];
    static float together[3 * HIDDEN], alone[HIDDEN];
    fill_ids(ids, 3, 631);
    run(encoder, ids, 3, together);
    for (size_t i = 0; i < 3; i++) {
        run(encoder, ids + i * TOKENS, 1, alone);
        assert_close(together + i * HIDDEN, alone, HIDDEN, 1e-6);
    }
}

/* A token changes what comes after it, and nothing before. */
static void looks_back_only(void **state) {
    (void)state;
    int32_t ids[TOKENS];
    static float before[HIDDEN], after[HIDDEN];
    fill_ids(ids, 1, 97);
    run(encoder, ids, 1, before);
    ids[40]++;
    run(encoder, ids, 1, after);
    assert_close(after, before, 40 * WIDTH, 1e-7);
    assert_true(relative_difference(after + 40 * WIDTH, before + 40 * WIDTH, WIDTH) > 1e-4);
    assert_true(relative_difference(after + 76 * WIDTH, before + 76 * WIDTH, WIDTH) > 1e-12);
}

static void refuses_ids_outside_the_vocabulary(void **state) {
    (void)state;
    int32_t ids[TOKENS];
    static float hidden[HIDDEN];
    static const int32_t wrong[] = {-1, 49408, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        struct error error = {0};
        fill_ids(ids, 1, 3);
        ids[TOKENS - 1] = wrong[i];
        assert_false(text_encoder_run(encoder, &options, ids, 1, hidden, &error));
        assert_int_equal(error.code, ERROR_ARGUMENT);
    }
    struct error error = {0};
    assert_false(text_encoder_run(encoder, &options, ids, 0, hidden, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
}

static void names_without_the_leading_part(void **state) {
    (void)state;
    int32_t ids[TOKENS];
    static float expected[HIDDEN], found[HIDDEN];
    fill_ids(ids, 1, 11);
    run(encoder, ids, 1, expected);
    struct copy copy;
    copy_begin(&copy, "model");
    copy_config(&copy, TINY "/text_encoder", "{}");
    copy_weights(&copy, TINY "/text_encoder", "model", &(struct rename){"text_model.", "", NULL}, 1);
    struct text_encoder *shorter = opened(copy.folder);
    run(shorter, ids, 1, found);
    assert_memory_equal(found, expected, sizeof found);
    text_encoder_close(shorter);
    copy_end(&copy);
}

static void the_activation_is_the_configs(void **state) {
    (void)state;
    int32_t ids[TOKENS];
    static float quick[HIDDEN], exact[HIDDEN];
    fill_ids(ids, 1, 11);
    run(encoder, ids, 1, quick);
    struct copy copy;
    copy_begin(&copy, "model");
    copy_config(&copy, TINY "/text_encoder", "{\"hidden_act\": \"gelu\"}");
    copy_link(&copy, TINY "/text_encoder", "model");
    struct text_encoder *other = opened(copy.folder);
    run(other, ids, 1, exact);
    double difference = relative_difference(exact, quick, HIDDEN);
    assert_true(difference > 1e-10 && difference < 1e-2);
    text_encoder_close(other);
    copy_end(&copy);
}

/* Also where the rest of the model computes in bf16. */
static void always_f32(void **state) {
    (void)state;
    int32_t ids[TOKENS];
    static float expected[HIDDEN], found[HIDDEN];
    fill_ids(ids, 1, 5);
    run(encoder, ids, 1, expected);
    options.compute = DTYPE_BF16;
    run(encoder, ids, 1, found);
    options.compute = DTYPE_F32;
    assert_memory_equal(found, expected, sizeof found);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_do_not_mix),
        cmocka_unit_test(looks_back_only),
        cmocka_unit_test(refuses_ids_outside_the_vocabulary),
        cmocka_unit_test(names_without_the_leading_part),
        cmocka_unit_test(the_activation_is_the_configs),
        cmocka_unit_test(always_f32),
    };
    return cmocka_run_group_tests(tests, open_encoder, close_encoder);
}
