/* W3C Trace Context's own rules: what is taken over and what begins a new trace. */
#include "predict/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char known[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

static void go_on(const char *header, char trace[TRACE_SIZE], char id[TRACE_ID_SIZE]) {
    assert_true(trace_continue(header, trace, NULL));
    assert_int_equal(strlen(trace), TRACE_SIZE - 1);
    assert_memory_equal(trace, "00-", 3);
    trace_id(trace, id);
    assert_int_equal(strlen(id), 32);
}

static void test_taken_over(void **state) {
    static const char *const headers[] = {known, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
                                          "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                          "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes"};
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        char trace[TRACE_SIZE], id[TRACE_ID_SIZE];
        go_on(headers[i], trace, id);
        assert_string_equal(id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_memory_not_equal(trace + 36, "00f067aa0ba902b7", 16); /* a span of our own */
        assert_string_equal(trace + 53, i == 1 ? "00" : "01");
    }
}

static void test_a_new_one(void **state) {
    static const char *const headers[] = {NULL,
                                          "",
                                          "00",
                                          "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                                          "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                                          "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                          "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                                          "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                                          "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
                                          "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
                                          "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
                                          "00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01"};
    char seen[12][TRACE_ID_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        char trace[TRACE_SIZE];
        go_on(headers[i], trace, seen[i]);
        assert_memory_not_equal(seen[i], "4bf92f3577b34da6", 16);
        for (size_t j = 0; j < i; j++) assert_string_not_equal(seen[i], seen[j]);
    }
    trace_id("nothing", seen[0]);
    assert_string_equal(seen[0], "");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_taken_over), cmocka_unit_test(test_a_new_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
