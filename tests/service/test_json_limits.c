/* JSON bodies: what is refused before it is parsed. */
#include "base/buffer.h"
#include "service/json_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool parses(const char *text) {
    char problem[256] = "", copy[256];
    snprintf(copy, sizeof copy, "%s", text);
    json_t *json = json_parse_body(copy, strlen(copy), problem);
    bool fine = json != NULL;
    assert_true(fine || problem[0] != 0);
    json_decref(json);
    return fine;
}

static void test_bodies(void **state) {
    (void)state;
    assert_true(parses("{\"a\": [1, 2.5, \"x\\\"[[[[{\", null]}"));
    assert_true(parses("7"));
    assert_true(parses("{\"a\": 99999999999999999999}"));
    static const char *const bad[] = {"", " ", "{", "{\"a\":1", "[1,]", "{\"a\" 1}", "\xff", "{\"a\": 1e999999}", "{}x", "\"\\"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parses(bad[i])) fail_msg("accepted: %s", bad[i]);
}

static void test_no_quoting(void **state) {
    (void)state;
    char problem[256], text[] = "{\"image\": \"secret\" oops}";
    assert_null(json_parse_body(text, strlen(text), problem));
    assert_null(strstr(problem, "secret"));
    assert_null(strstr(problem, "oops"));
}

static void test_escaped_nuls(void **state) {
    (void)state;
    char problem[256], text[] = "[\"a\\u0000b\", \"\\\\u0000\"]";
    json_t *json = json_parse_body(text, strlen(text), problem);
    assert_string_equal(json_string_value(json_array_get(json, 0)), "a\xef\xbf\xbd"
                                                                    "b");
    assert_string_equal(json_string_value(json_array_get(json, 1)), "\\u0000");
    json_decref(json);
}

static void test_depth_and_size(void **state) {
    (void)state;
    struct buffer text;
    char problem[256];
    for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        buffer_init(&text, 1 << 20);
        for (int i = 0; i < depth; i++) buffer_text(&text, "[");
        for (int i = 0; i < depth; i++) buffer_text(&text, "]");
        json_t *json = json_parse_body(text.data, text.length, problem);
        assert_int_equal(json != NULL, depth == JSON_DEPTH_MAX);
        json_decref(json);
        buffer_free(&text);
    }
    buffer_init(&text, 1 << 20);
    buffer_text(&text, "[0");
    for (int i = 0; i < JSON_VALUES_MAX + 1; i++) buffer_text(&text, ",0");
    assert_false(json_within_limits(text.data, text.length));
    buffer_clear(&text);
    buffer_text(&text, "\"");
    for (int i = 0; i < JSON_VALUES_MAX + 1; i++) buffer_text(&text, ",[");
    buffer_text(&text, "\""); /* in a string they are no values */
    assert_true(json_within_limits(text.data, text.length));
    buffer_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bodies), cmocka_unit_test(test_no_quoting),
                                       cmocka_unit_test(test_escaped_nuls), cmocka_unit_test(test_depth_and_size)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
