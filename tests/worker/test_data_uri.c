/* data: URIs as clients write them, and as they should not. */
#include "worker/data_uri.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect_bytes(const char *uri, const char *expected, size_t expected_length) {
    char *data;
    size_t length;
    struct error error = {.code = ERROR_NONE};
    if (!data_uri_decode(uri, 1000, &data, &length, &error)) fail_msg("%s: %s", uri, error.message);
    assert_int_equal(length, expected_length);
    assert_memory_equal(data, expected, length);
    assert_int_equal(data[length], 0);
    memory_free(data);
}

static void expect_error(const char *uri, size_t maximum, enum error_code code) {
    char *data;
    size_t length;
    struct error error = {.code = ERROR_NONE};
    assert_false(data_uri_decode(uri, maximum, &data, &length, &error));
    assert_null(data);
    assert_int_equal(error.code, code);
}

/* RFC 4648, section 10. */
static void test_vectors(void **state) {
    (void)state;
    expect_bytes("data:;base64,", "", 0);
    expect_bytes("data:;base64,Zg==", "f", 1);
    expect_bytes("data:;base64,Zm8=", "fo", 2);
    expect_bytes("data:;base64,Zm9v", "foo", 3);
    expect_bytes("data:;base64,Zm9vYg==", "foob", 4);
    expect_bytes("data:;base64,Zm9vYmE=", "fooba", 5);
    expect_bytes("data:;base64,Zm9vYmFy", "foobar", 6);
}

static void test_leniency(void **state) {
    (void)state;
    expect_bytes("data:image/png;base64,Zm9vYg", "foob", 4);
    expect_bytes("data:application/octet-stream;charset=x;base64,Zm9v\r\n YmFy\n", "foobar", 6);
    expect_bytes("DATA:image/png;BASE64,Zm9v", "foo", 3);
    expect_bytes("data:;base64,%5a%6D9vYg%3D%3d", "foob", 4);
    expect_bytes("data:;base64,-_-_", "\xfb\xff\xbf", 3);
    expect_bytes("data:;base64,+/+/", "\xfb\xff\xbf", 3);
    expect_bytes("data:;base64,%2B%2f%2B/", "\xfb\xff\xbf", 3);
}

static void test_percent(void **state) {
    (void)state;
    expect_bytes("data:,hello%20world", "hello world", 11);
    expect_bytes("data:text/plain,a%00b", "a\0b", 3);
    expect_bytes("data:,100%", "100%", 4);
    expect_bytes("data:,%zz%4", "%zz%4", 5);
    expect_bytes("data:image/svg+xml;utf8,<a b='c'/>", "<a b='c'/>", 10);
    expect_bytes("data:base64,Zm9v", "Zm9v", 4); /* not marked as base64 */
}

static void test_damage(void **state) {
    (void)state;
    expect_error("data:image/png;base64", 1000, ERROR_FORMAT);
    expect_error("data", 1000, ERROR_FORMAT);
    expect_error("http://a,b", 1000, ERROR_FORMAT);
    expect_error("data:;base64,Zm9v!", 1000, ERROR_FORMAT);
    expect_error("data:;base64,Z", 1000, ERROR_FORMAT);
    expect_error("data:;base64,Zm9vZ", 1000, ERROR_FORMAT);
    expect_error("data:;base64,Zg==Zg==", 1000, ERROR_FORMAT);
    expect_error("data:;base64,Zm9v%00", 1000, ERROR_FORMAT);
    expect_error("data:;base64,Zm9v\xc3\xa9", 1000, ERROR_FORMAT);
}

static void test_limit(void **state) {
    (void)state;
    expect_error("data:;base64,Zm9vYmFy", 5, ERROR_LIMIT);
    expect_error("data:,123456", 5, ERROR_LIMIT);
    enum { LONG = 200000 };
    char *uri = memory_alloc(LONG + 1);
    memset(uri, 'A', LONG);
    uri[LONG] = 0;
    memcpy(uri, "data:;base64,", 13);
    expect_error(uri, 1000, ERROR_LIMIT);
    memory_fail_at(1, 1); /* what is too long is refused before memory is taken */
    expect_error(uri, 1000, ERROR_LIMIT);
    memory_fail_at(0, 0);
    memory_free(uri);
}

static void test_out_of_memory(void **state) {
    (void)state;
    memory_fail_at(1, 1);
    expect_error("data:;base64,Zm9v", 1000, ERROR_MEMORY);
    memory_fail_at(0, 0);
}

/* Every byte string of every length comes back. */
static void test_round_trip(void **state) {
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t seed = 1;
    for (size_t length = 0; length < 200; length++) {
        unsigned char bytes[200 + 2] = {0};
        char uri[400] = "data:;base64,";
        for (size_t i = 0; i < length; i++) bytes[i] = (unsigned char)((seed = seed * 1664525 + 1013904223) >> 24);
        size_t at = strlen(uri);
        for (size_t bit = 0; bit < length * 8; bit += 6) {
            unsigned pair = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];
            uri[at++] = digits[pair >> (10 - bit % 8) & 63];
        }
        expect_bytes(uri, (const char *)bytes, length);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),    cmocka_unit_test(test_leniency), cmocka_unit_test(test_percent),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_limit),    cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
