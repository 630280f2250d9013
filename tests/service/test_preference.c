/* Prefer and Cancel-After. */
#include "service/preference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect_wait(const char *header, int maximum, int seconds, const char *applied) {
    struct preference preference;
    preference_parse(header, maximum, &preference);
    assert_int_equal(preference.wait, seconds > 0);
    if (preference.seconds != seconds) fail_msg("%s: %d", header, preference.seconds);
    assert_string_equal(preference.applied, applied);
}

static void test_prefer(void **state) {
    (void)state;
    expect_wait(NULL, 60, 0, "");
    expect_wait("", 60, 0, "");
    expect_wait("respond-async", 60, 0, "");
    expect_wait("waiting", 60, 0, "");
    expect_wait("wait", 60, 60, "wait");
    expect_wait("wait", 30, 30, "wait");
    expect_wait("Wait=10", 60, 10, "wait=10");
    expect_wait("wait=1", 60, 1, "wait=1");
    expect_wait("wait=300", 60, 60, "wait=60");
    expect_wait("wait=300", 600, 300, "wait=300");
    expect_wait("wait=2.3", 60, 3, "wait=3");
    expect_wait("wait=0", 60, 1, "wait=1");
    expect_wait("wait=-5", 60, 1, "wait=1");
    expect_wait("wait=99999999999999999999", 60, 60, "wait=60");
    expect_wait("wait=1e400", 60, 60, "wait=60");
    expect_wait("wait=nan", 60, 60, "wait");
    expect_wait("wait=abc", 60, 60, "wait");
    expect_wait("wait=", 60, 60, "wait");
    expect_wait("wait=\"10\"", 60, 10, "wait=10");
    expect_wait("respond-async, wait=7", 60, 7, "wait=7");
    expect_wait(" wait ; foo=bar", 60, 60, "wait");
    expect_wait("wait=3, output=data-uri", 60, 3, "wait=3, output=data-uri");
    expect_wait("output=data-uri", 60, 0, "output=data-uri");
    expect_wait("output=data-uris", 60, 0, "");
    expect_wait("wait=5, wait=6", 60, 5, "wait=5");
}

static void test_time_left(void **state) {
    (void)state;
    struct preference preference;
    preference_parse("wait", 60, &preference);
    assert_in_range(preference_microseconds(&preference), 58000000, 59000000);
    preference_parse("wait=10", 60, &preference);
    assert_int_equal(preference_microseconds(&preference), 10000000);
    preference_parse("wait=300", 600, &preference);
    assert_in_range(preference_microseconds(&preference), 298000000, 300000000);
}

static void test_cancel_after(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {{"30s", 30},  {"5m", 300},   {"1h30m45s", 5445}, {"90", 90}, {"5", 5},
                {"1h", 3600}, {"2m5s", 125}, {" 30s ", 30},      {"0h5s", 5}};
    static const char *const bad[] = {
        "", "4", "4s", "s", "-5", "5x", "5s5m", "1.5h", "1h 5m", "5s5", "m", "10m5", "h5s", "721h", "99999999999999999999s", "5ss", "1d"};
    int64_t seconds;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!cancel_after_parse(good[i].text, &seconds)) fail_msg("refused: %s", good[i].text);
        assert_int_equal(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (cancel_after_parse(bad[i], &seconds)) fail_msg("accepted: %s", bad[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_prefer), cmocka_unit_test(test_time_left),
                                       cmocka_unit_test(test_cancel_after)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
