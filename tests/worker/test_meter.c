/* Progress lines: as tqdm writes them, and as clients read them. */
#include "worker/meter.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_line(struct meter *meter, int step, double seconds, const char *expected) {
    char line[METER_LINE_SIZE];
    assert_true(meter_line(meter, step, seconds, line));
    assert_string_equal(line, expected);
}

/* The lines below were printed by tqdm 4.66.4 (format_meter, its smoothed rate) for the same times. */
static void test_lines_are_tqdms(void **state) {
    (void)state;
    struct meter meter;
    meter_begin(&meter, 50, 10);
    expect_line(&meter, 0, 10, "  0%|          | 0/50 [00:00<?, ?it/s]");
    expect_line(&meter, 1, 10.125, "  2%|▏         | 1/50 [00:00<00:06,  8.00it/s]");
    expect_line(&meter, 2, 10.25, "  4%|▍         | 2/50 [00:00<00:06,  8.00it/s]");
    expect_line(&meter, 25, 13.125, " 50%|█████     | 25/50 [00:03<00:03,  8.00it/s]");
    expect_line(&meter, 49, 16.125, " 98%|█████████▊| 49/50 [00:06<00:00,  8.00it/s]");
    expect_line(&meter, 50, 16.25, "100%|██████████| 50/50 [00:06<00:00,  8.00it/s]");
}

static void test_slow_steps(void **state) {
    (void)state;
    struct meter meter;
    meter_begin(&meter, 4, 0);
    expect_line(&meter, 0, 0, "  0%|          | 0/4 [00:00<?, ?it/s]");
    expect_line(&meter, 1, 2.5, " 25%|██▌       | 1/4 [00:02<00:07,  2.50s/it]");
    expect_line(&meter, 2, 5, " 50%|█████     | 2/4 [00:05<00:05,  2.50s/it]");
    meter_begin(&meter, 3, 0);
    expect_line(&meter, 1, 3661.25, " 33%|███▎      | 1/3 [1:01:01<2:02:02, 3661.25s/it]");
    expect_line(&meter, 3, 10983.75, "100%|██████████| 3/3 [3:03:03<00:00, 3661.25s/it]");
}

/* tqdm's moving average: the newest interval counts 0.3, and its start is corrected for. */
static void test_rate_follows_changes(void **state) {
    (void)state;
    struct meter meter;
    meter_begin(&meter, 10, 0);
    expect_line(&meter, 0, 0, "  0%|          | 0/10 [00:00<?, ?it/s]");
    expect_line(&meter, 1, 1, " 10%|█         | 1/10 [00:01<00:09,  1.00it/s]");
    /* dt: 0.3 * 3 + 0.7 * 0.3 = 1.11; dn: 0.3 + 0.7 * 0.3 = 0.51 */
    expect_line(&meter, 2, 4, " 20%|██        | 2/10 [00:04<00:17,  2.18s/it]");
    expect_line(&meter, 10, 12, "100%|██████████| 10/10 [00:12<00:00,  1.20s/it]");
}

static void test_not_too_often(void **state) {
    (void)state;
    struct meter meter;
    char line[METER_LINE_SIZE];
    meter_begin(&meter, 100, 0);
    assert_true(meter_line(&meter, 0, 0, line));
    assert_false(meter_line(&meter, 1, 0.05, line));
    assert_false(meter_line(&meter, 2, 0.09, line));
    assert_true(meter_line(&meter, 3, 0.11, line));
    assert_false(meter_line(&meter, 99, 0.2, line));
    assert_true(meter_line(&meter, 100, 0.2, line)); /* the last one always */
}

/* ^\s*(\d+)%\s*\|.+?\|\s*(\d+)\/(\d+) in the clients' words; POSIX has no lazy repetition, but the line
 * holds no third bar. */
static void test_clients_can_read_it(void **state) {
    (void)state;
    regex_t pattern;
    assert_int_equal(regcomp(&pattern, "^[[:space:]]*([0-9]+)%[[:space:]]*\\|[^|]+\\|[[:space:]]*([0-9]+)/([0-9]+)", REG_EXTENDED), 0);
    for (int steps = 1; steps <= 500; steps += 37) {
        struct meter meter;
        char line[METER_LINE_SIZE];
        meter_begin(&meter, steps, 0);
        for (int step = 0; step <= steps; step++) {
            regmatch_t match[4];
            assert_true(meter_line(&meter, step, step * 0.2, line));
            assert_int_equal(regexec(&pattern, line, 4, match, 0), 0);
            assert_int_equal(strtol(line + match[2].rm_so, NULL, 10), step);
            assert_int_equal(strtol(line + match[3].rm_so, NULL, 10), steps);
            long percent = strtol(line + match[1].rm_so, NULL, 10);
            assert_true(labs(percent * steps - step * 100L) <= steps / 2 + 1);
        }
    }
    regfree(&pattern);
}

static void test_odd_values(void **state) {
    (void)state;
    struct meter meter;
    char line[METER_LINE_SIZE];
    meter_begin(&meter, 0, 0); /* no steps: one */
    assert_true(meter_line(&meter, 0, 0, line));
    assert_true(meter_line(&meter, 5, 1e300, line));
    meter_begin(&meter, 10, 100);
    assert_true(meter_line(&meter, 10, 100, line)); /* all in no time: the rate is not known */
    assert_string_equal(line, "100%|██████████| 10/10 [00:00<?, ?it/s]");
    assert_true(meter_line(&meter, -3, 50, line)); /* a clock that runs backwards */
    assert_non_null(strstr(line, "[00:00<"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_tqdms), cmocka_unit_test(test_slow_steps),          cmocka_unit_test(test_rate_follows_changes),
        cmocka_unit_test(test_not_too_often),   cmocka_unit_test(test_clients_can_read_it), cmocka_unit_test(test_odd_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
