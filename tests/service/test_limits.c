/* Rate limits, with a clock of our own. */
#include "service/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const int64_t second = 1000000;

static void test_a_minute(void **state) {
    (void)state;
    struct limits *limits = limits_create(60, 120);
    int64_t now = 5 * second;
    for (int i = 59; i >= 0; i--) {
        struct limit_answer answer = limits_take(limits, LIMIT_CREATES, "a", now);
        assert_int_equal(answer.retry_seconds, 0);
        assert_int_equal(answer.remaining, i);
    }
    assert_int_equal(limits_take(limits, LIMIT_CREATES, "a", now).retry_seconds, 2);
    assert_int_equal(limits_take(limits, LIMIT_CREATES, "b", now).retry_seconds, 0);  /* others are not touched */
    assert_int_equal(limits_take(limits, LIMIT_REQUESTS, "a", now).retry_seconds, 0); /* nor other kinds */
    assert_int_equal(limits_take(limits, LIMIT_CREATES, "a", now + 2 * second).retry_seconds, 0);
    /* A long rest fills the bucket, and no more. */
    assert_int_equal(limits_take(limits, LIMIT_CREATES, "a", now + 9999 * second).remaining, 59);
    limits_free(limits);
}

static void test_none(void **state) {
    (void)state;
    struct limits *limits = limits_create(0, 1);
    for (int i = 0; i < 1000; i++) assert_int_equal(limits_take(limits, LIMIT_CREATES, "a", i).retry_seconds, 0);
    limits_free(limits);
}

static void test_many_callers(void **state) {
    (void)state;
    struct limits *limits = limits_create(1, 1);
    char name[32];
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "caller-%d", i);
        assert_int_equal(limits_take(limits, LIMIT_CREATES, name, i * second).retry_seconds, 0);
    }
    assert_true(limits_take(limits, LIMIT_CREATES, "caller-99999", 100000 * second).retry_seconds > 0);
    limits_free(limits);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_minute), cmocka_unit_test(test_none), cmocka_unit_test(test_many_callers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
