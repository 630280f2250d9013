/* The input table: validation in gojsonschema's words, defaults, and what is echoed. */
#include "predict/input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const good = "{\"image\": \"https://a/b.png\", \"mask\": \"data:image/png;base64,AAAA\"}";

struct checked {
    struct input_problem problems[INPUT_PROBLEMS_MAX];
    json_t *known;
    int count;
};

static struct checked check(const char *text) {
    struct checked checked = {.count = 0};
    json_t *input = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(input);
    checked.count = input_validate(input, &checked.known, checked.problems);
    json_decref(input);
    return checked;
}

static void expect_problem(const char *text, const char *type, const char *field, const char *description) {
    struct checked checked = check(text);
    assert_int_equal(checked.count, 1);
    assert_string_equal(checked.problems[0].type, type);
    assert_string_equal(checked.problems[0].field, field);
    assert_string_equal(checked.problems[0].description, description);
    json_decref(checked.known);
}

static void expect_fine(const char *text) {
    struct checked checked = check(text);
    assert_int_equal(checked.count, 0);
    json_decref(checked.known);
}

#define WITH(rest) "{\"image\": \"https://a/b.png\", \"mask\": \"https://a/m.png\", " rest "}"

static void test_good(void **state) {
    (void)state;
    struct checked checked = check(good);
    assert_int_equal(checked.count, 0);
    assert_int_equal(json_object_size(checked.known), 2);
    json_decref(checked.known);
}

static void test_required(void **state) {
    (void)state;
    struct checked checked = check("{}");
    assert_int_equal(checked.count, 2);
    assert_string_equal(checked.problems[0].type, "required");
    assert_string_equal(checked.problems[0].field, "input");
    assert_string_equal(checked.problems[0].description, "image is required");
    assert_string_equal(checked.problems[1].description, "mask is required");
    json_decref(checked.known);
    expect_problem("{\"image\": \"https://a/b\"}", "required", "input", "mask is required");
}

static void test_types(void **state) {
    (void)state;
    expect_problem(WITH("\"num_outputs\": \"two\""), "invalid_type", "input.num_outputs", "Invalid type. Expected: integer, given: string");
    expect_problem(WITH("\"num_outputs\": 1.5"), "invalid_type", "input.num_outputs", "Invalid type. Expected: integer, given: number");
    expect_problem(WITH("\"num_outputs\": true"), "invalid_type", "input.num_outputs", "Invalid type. Expected: integer, given: boolean");
    expect_problem(WITH("\"num_outputs\": [1]"), "invalid_type", "input.num_outputs", "Invalid type. Expected: integer, given: array");
    expect_problem(WITH("\"prompt\": 5"), "invalid_type", "input.prompt", "Invalid type. Expected: string, given: integer");
    expect_problem(WITH("\"prompt\": 5.5"), "invalid_type", "input.prompt", "Invalid type. Expected: string, given: number");
    expect_problem(WITH("\"prompt\": {}"), "invalid_type", "input.prompt", "Invalid type. Expected: string, given: object");
    expect_problem(WITH("\"invert_mask\": \"yes\""), "invalid_type", "input.invert_mask", "Invalid type. Expected: boolean, given: string");
    expect_problem(WITH("\"guidance_scale\": \"7\""), "invalid_type", "input.guidance_scale",
                   "Invalid type. Expected: number, given: string");
    expect_problem("{\"image\": null, \"mask\": \"https://a/m\"}", "invalid_type", "input.image",
                   "Invalid type. Expected: string, given: null");
    expect_problem("[]", "invalid_type", "input", "Invalid type. Expected: object, given: array");
    expect_problem("\"x\"", "invalid_type", "input", "Invalid type. Expected: object, given: string");
}

static void test_ranges(void **state) {
    (void)state;
    expect_problem(WITH("\"num_outputs\": 0"), "number_gte", "input.num_outputs", "Must be greater than or equal to 1");
    expect_problem(WITH("\"num_outputs\": 5"), "number_lte", "input.num_outputs", "Must be less than or equal to 4");
    expect_problem(WITH("\"num_inference_steps\": 501"), "number_lte", "input.num_inference_steps", "Must be less than or equal to 500");
    expect_problem(WITH("\"guidance_scale\": 0.99"), "number_gte", "input.guidance_scale", "Must be greater than or equal to 1");
    expect_problem(WITH("\"guidance_scale\": 20.5"), "number_lte", "input.guidance_scale", "Must be less than or equal to 20");
    expect_problem(WITH("\"seed\": 1e30"), "number_lte", "input.seed", "Must be less than or equal to 9223372036854775807");
    expect_problem(WITH("\"seed\": -1e30"), "number_gte", "input.seed", "Must be greater than or equal to -9223372036854775808");
    expect_fine(WITH("\"num_outputs\": 4, \"num_inference_steps\": 500, \"guidance_scale\": 20, \"seed\": -5"));
    expect_fine(WITH("\"num_outputs\": 1.0, \"num_inference_steps\": 1, \"guidance_scale\": 1, \"seed\": 9223372036854775807"));
}

static void test_uris(void **state) {
    (void)state;
    static const char *const bad[] = {"photo.png",     "",           "://x",      "1http://a",    "https//a",
                                      "http://a\\\\b", "a\\u0001:b", "ht\\ntp:x", "blob:abcd.png"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"mask\": \"https://a/m.png\", \"image\": \"%s\"}", bad[i]);
        expect_problem(text, "format", "input.image", "Does not match format 'uri'");
    }
    expect_fine("{\"mask\": \"data:application/octet-stream;base64,AA==\", \"image\": \"HTTP://EXAMPLE.org/a b?c=d\"}");
}

static void test_unknown_keys_are_dropped(void **state) {
    (void)state;
    struct checked checked = check(WITH("\"width\": 512, \"auth\": \"secret\", \"prompt\": null, \"seed\": 3"));
    assert_int_equal(checked.count, 0);
    assert_int_equal(json_object_size(checked.known), 3);
    assert_null(json_object_get(checked.known, "auth"));
    assert_null(json_object_get(checked.known, "prompt"));
    assert_int_equal(json_integer_value(json_object_get(checked.known, "seed")), 3);
    json_decref(checked.known);
}

static void test_several_problems(void **state) {
    (void)state;
    struct checked checked = check("{\"prompt\": 1, \"num_outputs\": 9, \"num_inference_steps\": 0, \"guidance_scale\": \"x\","
                                   " \"seed\": \"y\", \"invert_mask\": 0, \"negative_prompt\": [], \"image\": 1, \"mask\": \"m\"}");
    assert_int_equal(checked.count, 9);
    json_decref(checked.known);
}

static void test_defaults(void **state) {
    (void)state;
    struct input_values values;
    struct checked checked = check(good);
    input_read(checked.known, &values);
    assert_string_equal(values.prompt, "");
    assert_string_equal(values.negative_prompt, "");
    assert_string_equal(values.image, "https://a/b.png");
    assert_string_equal(values.mask, "data:image/png;base64,AAAA");
    assert_false(values.invert_mask);
    assert_int_equal(values.num_outputs, 1);
    assert_int_equal(values.num_inference_steps, 50);
    assert_true(values.guidance_scale == 7.5);
    assert_false(values.has_seed);
    json_decref(checked.known);
}

static void test_values(void **state) {
    (void)state;
    struct input_values values;
    struct checked checked = check(WITH("\"prompt\": \"a cat\", \"negative_prompt\": \"dog\", \"invert_mask\": true, \"num_outputs\": 3.0,"
                                        " \"num_inference_steps\": 7, \"guidance_scale\": 3, \"seed\": -9223372036854775808"));
    assert_int_equal(checked.count, 0);
    input_read(checked.known, &values);
    assert_string_equal(values.prompt, "a cat");
    assert_string_equal(values.negative_prompt, "dog");
    assert_true(values.invert_mask);
    assert_int_equal(values.num_outputs, 3);
    assert_int_equal(values.num_inference_steps, 7);
    assert_true(values.guidance_scale == 3);
    assert_true(values.has_seed);
    assert_true(values.seed == INT64_MIN);
    json_decref(checked.known);
}

/* The service notes beside the client's value where it holds the bytes; a client cannot. */
static void test_held_files(void **state) {
    (void)state;
    struct input_values values;
    json_t *known = json_pack("{s:s,s:s,s:s}", "image", "https://a/v1/files/x", "_image", "blob:abc.png", "mask", "https://a/m.png");
    input_read(known, &values);
    assert_string_equal(values.image, "blob:abc.png");
    assert_string_equal(values.mask, "https://a/m.png");
    json_decref(known);
    struct checked checked = check(WITH("\"_image\": \"blob:abc.png\""));
    assert_int_equal(checked.count, 0);
    assert_null(json_object_get(checked.known, "_image"));
    json_decref(checked.known);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_files),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_uris),
        cmocka_unit_test(test_unknown_keys_are_dropped),
        cmocka_unit_test(test_several_problems),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
