#include "base/memory.h"
#include "text/codes.h"
#include "text/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases.h"

static void check(const char *text, size_t length, const char *wanted, size_t wanted_length) {
    size_t fixed_length = 0;
    struct error error = {0};
    char *fixed = text_fix(text, length, &fixed_length, &error);
    if (!fixed) fail_msg("%s", error.message);
    if (fixed_length != wanted_length || memcmp(fixed, wanted, wanted_length) != 0)
        fail_msg("\"%.*s\" became \"%s\", not \"%s\"", (int)length, text, fixed, wanted);
    assert_int_equal(fixed[fixed_length], 0);
    memory_free(fixed);
}

static void test_original(void **state) {
    (void)state;
    json_t *cases = read_cases();
    assert_true(json_array_size(cases) > 200);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i), *text = json_object_get(one, "text"), *fixed = json_object_get(one, "fixed");
        check(json_string_value(text), json_string_length(text), json_string_value(fixed), json_string_length(fixed));
    }
    json_decref(cases);
}

/* As Python's bytes.decode("utf-8", "replace"): each longest beginning of a character is one U+FFFD. */
static void test_invalid_utf8(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t replaced; /* U+FFFD at the beginning, then "z" */
    } cases[] = {
        {"\xffz", 1},         {"\x80z", 1},         {"\xc3z", 1},         {"\xe2\x82z", 1},         {"\xf0\x9f\x98z", 1},
        {"\xc0\x80z", 2},     {"\xe0\x80\x80z", 3}, {"\xed\xa0\x80z", 3}, {"\xf4\x90\x80\x80z", 4}, {"\xf5\x80\x80\x80z", 4},
        {"\xf0\x80\x80z", 3}, {"\xe2\xe2\x82z", 2}, {"\xc3\xc3\xc3z", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct codes codes = {0};
        codes_append_utf8(&codes, cases[i].text, strlen(cases[i].text));
        assert_int_equal(codes.length, cases[i].replaced + 1);
        for (size_t j = 0; j < cases[i].replaced; j++) assert_int_equal(codes.data[j], CODE_REPLACEMENT);
        assert_int_equal(codes.data[codes.length - 1], 'z');
        codes_free(&codes);
    }
    check("caf\xe9", 4, "caf\xef\xbf\xbd", 6);
    check("\xf0\x9f\x98", 3, "\xef\xbf\xbd", 3); /* cut off at the end */
}

static void test_limit(void **state) {
    (void)state;
    enum { LENGTH = 1000001 };
    char *text = malloc(LENGTH);
    memset(text, 'a', LENGTH);
    size_t length;
    struct error error = {0};
    assert_null(text_fix(text, LENGTH, &length, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    check(text, LENGTH - 1, text, LENGTH - 1);
    free(text);
}

/* Text of very many layers ends in reasonable time; ten thousand characters are unwrapped in full. */
static void test_layers(void **state) {
    (void)state;
    enum { LONG = 1000000, SHORT = 10000 };
    char *text = malloc(LONG);
    for (size_t i = 0; i < LONG; i++) text[i] = i == 0 ? '&' : "amp;"[(i - 1) % 4];
    check(text, SHORT - SHORT % 4 + 1, "&", 1);
    size_t length;
    char *fixed = text_fix(text, LONG, &length, NULL);
    assert_non_null(fixed);
    assert_true(length < LONG);
    memory_free(fixed);
    free(text);
}

static void test_memory_fails(void **state) {
    (void)state;
    static const char text[] = "SÃ£o &amp; \xd0\x96 caf\xc3\x83\xc2\xa9 \x1b[0m \xef\xac\x81\ne\xcc\x81";
    size_t n = 1, wanted_length;
    char *wanted = text_fix(text, sizeof text - 1, &wanted_length, NULL);
    assert_non_null(wanted);
    for (bool done = false; !done; n++) {
        struct error error = {0};
        size_t length;
        memory_fail_at(n, 0);
        char *fixed = text_fix(text, sizeof text - 1, &length, &error);
        memory_fail_at(0, 0);
        done = fixed;
        if (done)
            assert_string_equal(fixed, wanted); /* never a part of it */
        else
            assert_int_equal(error.code, ERROR_MEMORY);
        memory_free(fixed);
        assert_true(n < 2000);
    }
    assert_true(n > 20);
    memory_free(wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_original), cmocka_unit_test(test_invalid_utf8), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_layers),   cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
