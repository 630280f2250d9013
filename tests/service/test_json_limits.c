/* JSON bodies: what is refused before it is parsed. */
#include "base/buffer.h"
#include "service/json_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool parses(const char *text) {
    char problem[256] = "";
    json_t *json = json_parse_body(text, strlen(text), problem);
    bool fine = json != NULL;
    assert_true(fine || problem[0] != 0);
    json_decref(json);
    return fine;
}

static void test_bodies(void **state) {
    (void)state;
    assert_true(parses("{\"a\": [1, 2.5, \"x\\\"[[[[{\", null]}"));
    assert_true(parses("7"));
    static const char *const bad[] = {"",    " ",    "{",          "{\"a\":1", "[1,]", "{\"a\" 1}", "\xff", "{\"a\": 99999999999999999999}",
                                      "{}x", "\"\\", "\"\\u0000\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parses(bad[i])) fail_msg("accepted: %s", bad[i]);
}

static void test_no_quoting(void **state) {
    (void)state;
    char problem[256];
    assert_null(json_parse_body("{\"image\": \"secret\" oops}", 25, problem));
    assert_null(strstr(problem, "secret"));
    assert_null(strstr(problem, "oops"));
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
                                       cmocka_unit_test(test_depth_and_size)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
