#include "service/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

static void test_accepted(void **state) {
    (void)state;
    static const char *const yes[] = {"gzip", "gzip, deflate, br", "br;q=1.0, GZIP;q=0.5", "deflate,gzip", " br ,  gzip ;q=0.001"},
                             *const no[] = {"",      "identity", "br, deflate", "gzip;q=0", "gzip; q=0.000, br",
                                            "xgzip", "gzipx",    ",,",          "*;q=0"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) assert_true(gzip_accepted(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) assert_false(gzip_accepted(no[i]));
    assert_false(gzip_accepted(NULL));
}

static void test_there_and_back(void **state) {
    (void)state;
    static unsigned char data[100000], back[sizeof data + 1];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i % 251 * (i / 1000));
    const size_t lengths[] = {0, 1, 1000, sizeof data};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct buffer out;
        buffer_init(&out, 1 << 20);
        assert_true(gzip_compress(data, lengths[i], &out));
        z_stream stream = {.next_in = (Bytef *)out.data, .avail_in = (uInt)out.length, .next_out = back, .avail_out = sizeof back};
        assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
        assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
        assert_int_equal(stream.total_out, lengths[i]);
        assert_memory_equal(back, data, lengths[i]);
        inflateEnd(&stream);
        buffer_free(&out);
    }
    struct buffer small;
    buffer_init(&small, 10);
    assert_false(gzip_compress(data, sizeof data, &small));
    buffer_free(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_accepted), cmocka_unit_test(test_there_and_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
