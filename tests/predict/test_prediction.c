/* Ids, statuses, and the table of what may happen in which status. */
#include "predict/transition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_ids(void **state) {
    (void)state;
    enum { COUNT = 2000 };
    static char ids[COUNT][PREDICTION_ID_LENGTH + 1];
    unsigned seen[256] = {0};
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(prediction_id_create(ids[i], NULL));
        assert_int_equal(strlen(ids[i]), PREDICTION_ID_LENGTH);
        assert_int_equal(strspn(ids[i], "abcdefghijklmnopqrstuvwxyz234567"), PREDICTION_ID_LENGTH);
        /* 128 bits: the last digit carries three of them. */
        assert_non_null(strchr("aeimquy4", ids[i][PREDICTION_ID_LENGTH - 1]));
        for (size_t c = 0; c + 1 < PREDICTION_ID_LENGTH; c++) seen[(unsigned char)ids[i][c]]++;
        for (size_t j = 0; j < i && i < 200; j++) assert_string_not_equal(ids[i], ids[j]);
    }
    /* 50,000 digits over 32 letters: each some 1560 times. */
    for (const char *c = "abcdefghijklmnopqrstuvwxyz234567"; *c; c++) assert_in_range(seen[(unsigned char)*c], 1200, 1950);
}

static void test_status_names(void **state) {
    (void)state;
    static const char *const names[] = {"starting", "processing", "succeeded", "failed", "canceled"};
    enum prediction_status status;
    for (int i = 0; i < 5; i++) {
        assert_string_equal(prediction_status_name((enum prediction_status)i), names[i]);
        assert_true(prediction_status_parse(names[i], &status));
        assert_int_equal(status, i);
        assert_int_equal(prediction_status_terminal(status), i >= 2);
    }
    assert_false(prediction_status_parse("aborted", &status));
    assert_false(prediction_status_parse("", &status));
    assert_string_equal(prediction_status_name((enum prediction_status)77), "unknown");
}

static void test_transitions(void **state) {
    (void)state;
    static const struct {
        enum prediction_status from;
        enum prediction_action action;
        bool started;
        int to; /* -1: may not be */
        unsigned told;
    } table[] = {
        {PREDICTION_STARTING, PREDICTION_CLAIM, false, PREDICTION_PROCESSING, WEBHOOK_START},
        {PREDICTION_STARTING, PREDICTION_CLAIM, true, PREDICTION_PROCESSING, 0},
        {PREDICTION_PROCESSING, PREDICTION_CLAIM, true, PREDICTION_PROCESSING, 0},
        {PREDICTION_PROCESSING, PREDICTION_RELEASE, true, PREDICTION_STARTING, 0},
        {PREDICTION_PROCESSING, PREDICTION_LOG, true, PREDICTION_PROCESSING, WEBHOOK_LOGS},
        {PREDICTION_PROCESSING, PREDICTION_PREVIEW, true, PREDICTION_PROCESSING, 0},
        {PREDICTION_PROCESSING, PREDICTION_SUCCEED, true, PREDICTION_SUCCEEDED, WEBHOOK_OUTPUT | WEBHOOK_COMPLETED},
        {PREDICTION_PROCESSING, PREDICTION_FAIL, true, PREDICTION_FAILED, WEBHOOK_COMPLETED},
        {PREDICTION_PROCESSING, PREDICTION_CANCEL, true, PREDICTION_CANCELED, WEBHOOK_COMPLETED},
        {PREDICTION_STARTING, PREDICTION_CANCEL, false, PREDICTION_CANCELED, WEBHOOK_COMPLETED},
        {PREDICTION_STARTING, PREDICTION_RELEASE, false, -1, 0},
        {PREDICTION_STARTING, PREDICTION_LOG, false, -1, 0},
        {PREDICTION_STARTING, PREDICTION_PREVIEW, false, -1, 0},
        {PREDICTION_STARTING, PREDICTION_SUCCEED, false, -1, 0},
        {PREDICTION_STARTING, PREDICTION_FAIL, false, -1, 0},
    };
    struct prediction_transition transition;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bool may = prediction_transition(table[i].from, table[i].started, table[i].action, &transition);
        assert_int_equal(may, table[i].to >= 0);
        if (!may) continue;
        assert_int_equal(transition.status, table[i].to);
        assert_int_equal(transition.told, table[i].told);
    }
    for (int from = PREDICTION_SUCCEEDED; from <= PREDICTION_CANCELED; from++)
        for (int action = PREDICTION_CLAIM; action <= PREDICTION_CANCEL; action++)
            assert_false(prediction_transition((enum prediction_status)from, true, (enum prediction_action)action, &transition));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_status_names),
        cmocka_unit_test(test_transitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
