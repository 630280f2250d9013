/* Cursors: what is written is read; what is not ours is refused. */
#include "service/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_round_trip(void **state) {
    (void)state;
    struct cursor cursor = {.created = 1795488149123000, .id = "ixziczojp4244uhdl34ssawz5m"}, back;
    char text[CURSOR_TEXT_SIZE];
    for (int ascending = 0; ascending < 2; ascending++) {
        cursor.ascending = ascending;
        assert_true(cursor_format(&cursor, text));
        assert_int_equal(strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"), strlen(text));
        assert_true(cursor_parse(text, &back));
        assert_int_equal(back.created, cursor.created);
        assert_string_equal(back.id, cursor.id);
        assert_int_equal(back.ascending, cursor.ascending);
    }
}

static void test_refused(void **state) {
    (void)state;
    struct cursor cursor;
    /* "", no base64, "p=", "p=5", "p=5.", "p=0.a", "q=5.a", "p=5.a/b", twenty digits */
    static const char *const bad[] = {
        "", "%%%", "cD0", "cD01", "cD01Lg", "cD0wLmE", "cT01LmE", "cD01LmEvYg", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OS5h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (cursor_parse(bad[i], &cursor)) fail_msg("accepted: %s", bad[i]);
    assert_true(cursor_parse("cD01LmE", &cursor)); /* "p=5.a" */
    assert_int_equal(cursor.created, 5);
    char endless[4096];
    memset(endless, 'A', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    assert_false(cursor_parse(endless, &cursor));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
