/* Server-sent events: the wire's exact bytes. */
#include "service/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char *const blob = "abc.png";

static void expect(const struct sse_view *view, enum event_kind kind, const char *data, const char *failure, size_t output, bool ends,
                   const char *wire) {
    struct buffer out;
    struct event event = {.sequence = 21, .created = 1690212292999999, .kind = kind, .data = (char *)(uintptr_t)data};
    buffer_init(&out, 65536);
    assert_int_equal(sse_event(&out, view, &event, failure, &output), ends);
    assert_false(out.failed);
    assert_string_equal(out.length == 0 ? "" : out.data, wire);
    buffer_free(&out);
}

static const struct sse_view plain = {.base = "http://h", .after = -1};

static void test_output(void **state) {
    (void)state;
    expect(&plain, EVENT_OUTPUT, blob, NULL, 0, false, "event: output\nid: 1690212292:42\ndata: http://h/v1/outputs/abc.png/out-0.png\n\n");
    expect(&plain, EVENT_OUTPUT, blob, NULL, 3, false, "event: output\nid: 1690212292:42\ndata: http://h/v1/outputs/abc.png/out-3.png\n\n");
}

static void test_logs(void **state) {
    (void)state;
    struct sse_view logs = plain;
    logs.logs = true;
    expect(&plain, EVENT_LOGS, "Using seed: 1\n", NULL, 0, false, "");
    expect(&logs, EVENT_LOGS, "Using seed: 1\n", NULL, 0, false, "event: logs\nid: 1690212292:42\ndata: Using seed: 1\n\n");
    expect(&logs, EVENT_LOGS, "a\n b\r\nc", NULL, 0, false, "event: logs\nid: 1690212292:42\ndata: a\ndata:  b\ndata: c\n\n");
    expect(&logs, EVENT_LOGS, "a\n\nb\n", NULL, 0, false, "event: logs\nid: 1690212292:42\ndata: a\ndata: \ndata: b\n\n");
    expect(&logs, EVENT_LOGS, "", NULL, 0, false, "");
}

static void test_ends(void **state) {
    (void)state;
    expect(&plain, EVENT_DONE, "succeeded", NULL, 0, true, "event: done\nid: 1690212292:43\ndata: {}\n\n");
    expect(&plain, EVENT_DONE, "canceled", NULL, 0, true, "event: done\nid: 1690212292:43\ndata: {\"reason\":\"canceled\"}\n\n");
    expect(&plain, EVENT_DONE, "failed", "No \"luck\"", 0, true,
           "event: error\nid: 1690212292:42\ndata: {\"detail\":\"No \\\"luck\\\"\"}\n\n"
           "event: done\nid: 1690212292:43\ndata: {\"reason\":\"error\"}\n\n");
    expect(&plain, EVENT_START, "", NULL, 0, false, "");
    expect(&plain, EVENT_PREVIEW, blob, NULL, 0, false, "");
}

static void test_resume(void **state) {
    (void)state;
    struct sse_view after = plain;
    after.after = 42; /* has seen the error, not the end */
    expect(&after, EVENT_DONE, "failed", "x", 0, true, "event: done\nid: 1690212292:43\ndata: {\"reason\":\"error\"}\n\n");
    expect(&after, EVENT_OUTPUT, blob, NULL, 0, false, "");
    after.after = 43;
    expect(&after, EVENT_DONE, "failed", "x", 0, true, "");
    assert_int_equal(sse_last_event_id("1690212292:42"), 42);
    assert_int_equal(sse_last_event_id("0:0"), 0);
    static const char *const bad[] = {"", "42", ":42", "1690212292:", "1:2:3", "1:x", "1:-2", "1:99999999999999999999", "a:1", " 1:2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(sse_last_event_id(bad[i]), -1);
    assert_int_equal(sse_last_event_id(NULL), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_output), cmocka_unit_test(test_logs), cmocka_unit_test(test_ends),
                                       cmocka_unit_test(test_resume)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
