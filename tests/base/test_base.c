#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void errors_say_what_and_where(void **state) {
    (void)state;
    struct error error = {0};
    assert_false(error_set(&error, ERROR_FORMAT, "bad %d", 7));
    assert_int_equal(error.code, ERROR_FORMAT);
    error_context(&error, "file %s", "x");
    assert_string_equal(error.message, "file x: bad 7");
    errno = ENOSPC;
    error_from_errno(&error, "write");
    assert_int_equal(error.code, ERROR_FULL);
    assert_int_equal(error_http_status(ERROR_NOT_FOUND), 404);
    assert_int_equal(error_exit_code(ERROR_CANCELED), 130);
    assert_false(error_set(NULL, ERROR_IO, "nobody listens"));
}

static void long_messages_end_between_characters(void **state) {
    (void)state;
    struct error error;
    char text[1200];
    for (int shift = 0; shift < 4; shift++) {
        memset(text, 'x', (size_t)shift);
        for (int i = 0; i < 390; i++) memcpy(text + shift + 3 * i, "\xE2\x82\xAC", 3);
        text[shift + 1170] = 0;
        error_set(&error, ERROR_IO, "%s", text);
        assert_true(utf8_valid(error.message, strlen(error.message)));
        assert_true(strlen(error.message) >= 508);
    }
}

static void utf8_is_judged_as_the_rfc_says(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        bool valid;
    } cases[] = {{"", true},
                 {"abc", true},
                 {"\xC3\xA9", true},
                 {"\xC0\x80", false},
                 {"\xC1\xBF", false},
                 {"\xE0\x80\x80", false},
                 {"\xED\xA0\x80", false},
                 {"\xF0\x9F\x98\x80", true},
                 {"\xF4\x90\x80\x80", false},
                 {"\xF5\x80\x80\x80", false},
                 {"\x80", false},
                 {"\xE2\x82", false},
                 {"\xF0\x8F\xBF\xBF", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(utf8_valid(cases[i].bytes, strlen(cases[i].bytes)), cases[i].valid);
}

/* Many small appends cost few allocations, however large the buffer has become. */
static void buffers_grow_by_doubling(void **state) {
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1000000);
    memory_fail_at(0, 0);
    for (int i = 0; i < 1000000; i++) assert_true(buffer_append(&buffer, "x", 1));
    assert_true(memory_calls() < 30);
    assert_false(buffer_append(&buffer, "x", 1));
    buffer_free(&buffer);
}

static void buffers_keep_their_maximum(void **state) {
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 10);
    assert_true(buffer_text(&buffer, "hello"));
    assert_true(buffer_format(&buffer, "%05d", 42));
    assert_string_equal(buffer.data, "hello00042");
    assert_false(buffer_text(&buffer, "!"));
    assert_true(buffer.failed);
    assert_null(buffer_take(&buffer));
    buffer_clear(&buffer);
    char *empty = buffer_take(&buffer);
    assert_string_equal(empty, "");
    memory_free(empty);
    memory_fail_at(1, 0);
    assert_false(buffer_text(&buffer, "x"));
    memory_fail_at(0, 0);
    buffer_free(&buffer);
}

static void times_read_back(void **state) {
    (void)state;
    char text[TIME_TEXT_SIZE];
    int64_t wall;
    assert_true(time_parse("2022-01-21T23:18:24.530357+00:00", &wall));
    assert_string_equal(time_text(wall, 6, text), "2022-01-21T23:18:24.530357Z");
    assert_string_equal(time_text(wall, 3, text), "2022-01-21T23:18:24.530Z");
    assert_true(time_parse("2022-01-21T23:18:24.5303571 00:00", &wall));
    assert_true(time_parse("2022-01-22T00:18:24+01:00", &wall));
    assert_string_equal(time_text(wall, 0, text), "2022-01-21T23:18:24Z");
    assert_true(time_parse("2024-02-29", &wall));
    static const char *const wrong[] = {
        "", "2022", "2022-02-30", "2022-13-01", "2022-01-01T25:00:00Z", "2022-01-01T00:00:00Zx", "2022-01-01T00:00:00.Z", "soon"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_false(time_parse(wrong[i], &wall));
}

static void numbers_are_whole_or_refused(void **state) {
    (void)state;
    long long integer;
    double number;
    assert_true(text_to_integer("-12", -20, 20, &integer) && integer == -12);
    assert_false(text_to_integer("12x", 0, 20, &integer));
    assert_false(text_to_integer("99999999999999999999", 0, INT64_MAX, &integer));
    assert_false(text_to_integer("", 0, 20, &integer));
    assert_true(text_to_number("7.5", 1, 20, &number) && number == 7.5);
    assert_false(text_to_number("nan", 0, 1, &number));
    assert_false(text_to_number("0x10", 0, 1, &number));
}

static void count_task(void *context, size_t task, size_t thread) {
    (void)thread;
    atomic_fetch_add(&((atomic_int *)context)[task], 1);
}

static void a_pool_runs_every_task_once(void **state) {
    (void)state;
    for (size_t threads = 1; threads <= 5; threads++) {
        struct pool *pool = pool_create(threads, NULL);
        assert_non_null(pool);
        assert_int_equal(pool_threads(pool), threads);
        atomic_int counts[100] = {0};
        for (int round = 0; round < 200; round++) pool_run(pool, (size_t)(round % 100), count_task, counts);
        for (int i = 0; i < 99; i++) assert_int_equal(counts[i], 2 * (99 - i));
        pool_free(pool);
    }
    memory_fail_at(3, 0);
    assert_null(pool_create(4, NULL));
    memory_fail_at(0, 0);
}

static void files_are_old_or_new(void **state) {
    (void)state;
    char folder[] = "/tmp/inpaint-base-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *deep = file_join(folder, "a/b/c"), *path = file_join(deep, "file"), *data;
    size_t length;
    struct error error;
    assert_true(file_make_folders(deep, &error));
    assert_true(file_write(path, "one", 3, &error));
    assert_true(file_write(path, "three", 5, &error));
    assert_true(file_read(path, 5, &data, &length, &error));
    assert_int_equal(length, 5);
    assert_string_equal(data, "three");
    memory_free(data);
    assert_false(file_read(path, 4, &data, &length, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_false(file_read(deep, 100, &data, &length, &error));
    assert_false(file_read("/nonexistent/x", 100, &data, &length, &error));
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    unlink(path);
    memory_free(path);
    memory_free(deep);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_say_what_and_where),      cmocka_unit_test(long_messages_end_between_characters),
        cmocka_unit_test(utf8_is_judged_as_the_rfc_says), cmocka_unit_test(buffers_keep_their_maximum),
        cmocka_unit_test(buffers_grow_by_doubling),       cmocka_unit_test(times_read_back),
        cmocka_unit_test(numbers_are_whole_or_refused),   cmocka_unit_test(a_pool_runs_every_task_once),
        cmocka_unit_test(files_are_old_or_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
