#include "model/safety_checker.h"

#include "checkpoint.h"

static struct plan_options options;
static struct image picture;

static int make_picture(void **state) {
    (void)state;
    struct error error;
    engine_open(&options, DTYPE_F32);
    assert_true(image_create(&picture, 64, 48, IMAGE_RGB, &error));
    for (size_t i = 0; i < 64 * 48 * 3; i++) picture.pixels[i] = (uint8_t)(i * 7 % 251);
    return 0;
}

static int free_picture(void **state) {
    (void)state;
    image_free(&picture);
    engine_close(&options);
    return 0;
}

static struct safety_checker *opened(const char *folder, const char *preprocessor) {
    struct safety_checker *checker;
    struct error error;
    if (!safety_checker_open(folder, preprocessor, &checker, &error)) fail_msg("%s", error.message);
    return checker;
}

static struct safety_result judged(const char *folder) {
    struct safety_checker *checker = opened(folder, NULL);
    struct safety_result result;
    struct error error;
    /* other weights may come to lie where earlier ones lay: nothing packed is shared */
    struct plan_options own;
    engine_open(&own, DTYPE_BF16); /* asked for or not, this one is f32 */
    if (!safety_checker_run(checker, &own, &picture, &result, NULL, &error)) fail_msg("%s", error.message);
    safety_checker_close(checker);
    engine_close(&own);
    return result;
}

/* The verdict with these limits. */
static bool flagged_with(const float special[SAFETY_SPECIAL], const float concept[SAFETY_CONCEPTS]) {
    struct copy copy;
    copy_begin(&copy, "model");
    copy_config(&copy, TINY "/safety_checker", "{}");
    copy_weights(&copy, TINY "/safety_checker", "model", NULL, 0);
    copy_fill(&copy, "special_care_embeds_weights", special, SAFETY_SPECIAL);
    copy_fill(&copy, "concept_embeds_weights", concept, SAFETY_CONCEPTS);
    struct safety_result result = judged(copy.folder);
    copy_end(&copy);
    return result.flagged;
}

static void fill(float *limits, size_t count, float value) {
    for (size_t i = 0; i < count; i++) limits[i] = value;
}

static void limits_lie_in_the_weights(void **state) {
    (void)state;
    float special[SAFETY_SPECIAL], concept[SAFETY_CONCEPTS];
    fill(special, SAFETY_SPECIAL, 1);
    fill(concept, SAFETY_CONCEPTS, 1);
    assert_false(flagged_with(special, concept));
    concept[16] = -1;
    assert_true(flagged_with(special, concept)); /* one is enough, and the last counts */
    fill(concept, SAFETY_CONCEPTS, 1);
    fill(special, SAFETY_SPECIAL, -1);
    assert_false(flagged_with(special, concept)); /* special care alone flags nothing */
}

/* A concept that is missed by 0.005 is one as soon as special care is needed. */
static void special_care_makes_it_stricter(void **state) {
    (void)state;
    struct safety_result result = judged(TINY "/safety_checker");
    float special[SAFETY_SPECIAL], concept[SAFETY_CONCEPTS];
    fill(special, SAFETY_SPECIAL, 1);
    fill(concept, SAFETY_CONCEPTS, 1);
    concept[5] = result.concept[5] + 0.005f;
    assert_false(flagged_with(special, concept));
    special[2] = -1;
    assert_true(flagged_with(special, concept));
    /* and each special one makes the following ones stricter */
    special[0] = -1;
    special[2] = result.special[2] + 0.005f;
    assert_true(flagged_with(special, concept));
    special[1] = special[2] = 1;
    concept[5] = result.concept[5] + 0.015f;
    assert_false(flagged_with(special, concept)); /* not by more than 0.01 */
}

/* 0.0004 above the limit rounds to nothing; 0.002 does not. */
static void three_decimals_count(void **state) {
    (void)state;
    struct safety_result result = judged(TINY "/safety_checker");
    float special[SAFETY_SPECIAL], concept[SAFETY_CONCEPTS];
    fill(special, SAFETY_SPECIAL, 1);
    fill(concept, SAFETY_CONCEPTS, 1);
    size_t small = 0; /* the cosine with the finest f16 steps around it */
    for (size_t i = 1; i < SAFETY_CONCEPTS; i++)
        if (result.concept[i] * result.concept[i] < result.concept[small] * result.concept[small]) small = i;
    concept[small] = result.concept[small] - 0.0004f;
    assert_false(flagged_with(special, concept));
    concept[small] = result.concept[small] - 0.002f;
    assert_true(flagged_with(special, concept));
}

static void names_without_the_inner_model(void **state) {
    (void)state;
    struct copy copy;
    copy_begin(&copy, "model");
    copy_config(&copy, TINY "/safety_checker", "{}");
    copy_weights(&copy, TINY "/safety_checker", "model", &(struct rename){"vision_model.vision_model.", "vision_model.", NULL}, 1);
    struct safety_result expected = judged(TINY "/safety_checker"), found = judged(copy.folder);
    assert_memory_equal(found.concept, expected.concept, sizeof found.concept);
    copy_end(&copy);
}

/* ==== Preparing pictures ==== */

static void any_shape_of_picture(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{1, 1}, {8, 8}, {8, 2000}, {3000, 16}, {224, 225}, {640, 224}};
    struct safety_checker *checker = opened(TINY "/safety_checker", NULL);
    size_t side = safety_checker_side(checker);
    assert_int_equal(side, 224);
    float *pixels = memory_array(side * side * 3, sizeof *pixels);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct image other;
        struct error error = {0};
        assert_true(image_create(&other, sizes[i][0], sizes[i][1], IMAGE_RGB, &error));
        memset(other.pixels, 255, sizes[i][0] * sizes[i][1] * 3);
        if (!safety_checker_pixels(checker, &other, pixels, &error)) fail_msg("%s", error.message);
        for (size_t k = 0; k < side * side * 3; k += 97) assert_true(pixels[k] > 1.9f && pixels[k] < 2.2f); /* white */
        image_free(&other);
    }
    struct image empty = {.mode = IMAGE_RGB};
    struct error error = {0};
    assert_false(safety_checker_pixels(checker, &empty, pixels, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    memory_free(pixels);
    safety_checker_close(checker);
}

static void preprocessor_configs(void **state) {
    (void)state;
    static const struct {
        const char *json;
        bool opens;
    } cases[] = {
        {"{}", true},
        {"{\"size\": {\"shortest_edge\": 224}, \"crop_size\": {\"height\": 224, \"width\": 224}}", true},
        {"{\"size\": 256, \"crop_size\": 224, \"image_mean\": [0.5, 0.5, 0.5]}", true},
        {"{\"crop_size\": {\"height\": 224, \"width\": 200}}", false},
        {"{\"size\": 200, \"crop_size\": 224}", false},
        {"{\"crop_size\": 200}", false},
        {"{\"size\": 1000000000}", false},
        {"{\"resample\": 2}", false},
        {"{\"do_normalize\": false}", false},
        {"{\"image_std\": [0, 0, 0]}", false},
        {"{\"image_mean\": [0.5]}", false},
        {"{\"image_mean\": 0.5}", false},
        {"[]", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[] = "/tmp/inpaint-preprocessor-XXXXXX";
        int file = mkstemp(path);
        assert_true(file >= 0);
        close(file);
        write_file(path, cases[i].json, strlen(cases[i].json));
        struct safety_checker *checker;
        struct error error = {0};
        bool opens = safety_checker_open(TINY "/safety_checker", path, &checker, &error);
        unlink(path);
        if (opens) safety_checker_close(checker);
        if (opens != cases[i].opens) fail_msg("%s: %s", cases[i].json, error.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_lie_in_the_weights), cmocka_unit_test(special_care_makes_it_stricter),
        cmocka_unit_test(three_decimals_count),      cmocka_unit_test(names_without_the_inner_model),
        cmocka_unit_test(any_shape_of_picture),      cmocka_unit_test(preprocessor_configs),
    };
    return cmocka_run_group_tests(tests, make_picture, free_picture);
}
