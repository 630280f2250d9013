/* Host headers, bases of URLs, who may talk to a server without tokens. */
#include "service/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_hosts(void **state) {
    (void)state;
    static const char *const good[] = {"localhost",         "127.0.0.1:8080", "[::1]:80", "[2001:db8::1]",
                                       "a.example.com:443", "my_container",   "x",        "A-b.C:1",
                                       "[::ffff:1.2.3.4]"};
    static const char *const bad[] = {
        "",     "a b",      "a\r\nX: y", "a/b",         "a@b", "[::1", "[::1]x", "a:",    "a:99999", "a:80:90", "::1",
        "a\"b", "<script>", "a%2eb",     "\xc3\xa9.fr", "-a",  ".a",   "a:8o",   "[]:80", "a#b",     "a?b",     "a\tb"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(host_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (host_valid(bad[i])) fail_msg("accepted: %s", bad[i]);
    char longest[400];
    memset(longest, 'a', 256);
    longest[256] = 0;
    assert_false(host_valid(longest));
    longest[255] = 0;
    assert_true(host_valid(longest));
}

static void expect_base(const char *public_url, const char *proto, const char *forwarded, const char *host, const char *expected) {
    char base[512];
    assert_true(origin_base(public_url, proto, forwarded, "http", host, "127.0.0.1:8080", base, sizeof base));
    assert_string_equal(base, expected);
}

static void test_base(void **state) {
    (void)state;
    expect_base(NULL, NULL, NULL, "h:1", "http://h:1");
    expect_base(NULL, NULL, NULL, NULL, "http://127.0.0.1:8080");
    expect_base(NULL, "https", NULL, "h", "https://h");
    expect_base(NULL, "HTTPS, http", "a.example , b", "h", "https://a.example");
    expect_base(NULL, "javascript", "a b", "h", "http://h");
    expect_base(NULL, "https", "evil\r\nX: y", "h", "https://h");
    expect_base("https://p.example/paint//", "http", "other", "h", "https://p.example/paint");
    char base[512];
    assert_true(origin_base(NULL, "http", NULL, "https", "h", "x", base, sizeof base)); /* a proxy's word goes before our own */
    assert_string_equal(base, "http://h");
    char small[8];
    assert_false(origin_base(NULL, NULL, NULL, "http", "example.com", "x", small, sizeof small));
}

static void test_ours(void **state) {
    (void)state;
    assert_true(host_is_ours("127.0.0.1:8080", NULL));
    assert_true(host_is_ours("[::1]:8080", NULL));
    assert_true(host_is_ours("localhost", NULL));
    assert_true(host_is_ours("paint.localhost:1", NULL));
    assert_true(host_is_ours("nas", NULL));
    assert_false(host_is_ours("evil.example", NULL));
    assert_false(host_is_ours("127.0.0.1.evil.example", NULL));
    assert_false(host_is_ours("localhost.evil.example", NULL));
    assert_true(host_is_ours("Paint.Example:443", "https://paint.example/x"));
    assert_false(host_is_ours("paint.example.evil", "https://paint.example"));
}

static void test_origins(void **state) {
    (void)state;
    assert_true(origin_same("http://h:1", "http://x", "h:1"));
    assert_true(origin_same("https://p.example", "https://p.example/paint", "inner:80"));
    assert_false(origin_same("https://p.example.evil", "https://p.example/paint", "inner:80"));
    assert_false(origin_same("null", "http://h", "h"));
    assert_false(origin_same("http://evil", "http://h", NULL));
    assert_true(origin_allowed("https://a.example, https://b.example", "https://b.example"));
    assert_false(origin_allowed("https://a.example,https://b.example", "https://b.example.evil"));
    assert_false(origin_allowed("https://a.example", "https://a"));
    assert_true(origin_allowed("*", "https://anything"));
    assert_false(origin_allowed(NULL, "https://a"));
    assert_false(origin_allowed("", ""));
}

static void test_listen(void **state) {
    (void)state;
    char host[64], port[8];
    assert_true(listen_parse("127.0.0.1:0", host, sizeof host, port, sizeof port));
    assert_string_equal(host, "127.0.0.1");
    assert_string_equal(port, "0");
    assert_true(listen_parse("[::1]:8080", host, sizeof host, port, sizeof port));
    assert_string_equal(host, "::1");
    assert_true(listen_parse(":80", host, sizeof host, port, sizeof port));
    assert_string_equal(host, "");
    static const char *const bad[] = {"127.0.0.1", "8080", "::1:80", "[::1:80", "a:", "a:70000", "a:-1", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(listen_parse(bad[i], host, sizeof host, port, sizeof port));
    assert_true(listen_is_loopback("127.0.0.1") && listen_is_loopback("127.1.2.3") && listen_is_loopback("::1") &&
                listen_is_loopback("localhost"));
    assert_false(listen_is_loopback("0.0.0.0") || listen_is_loopback("") || listen_is_loopback("::") || listen_is_loopback("128.0.0.1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts), cmocka_unit_test(test_base), cmocka_unit_test(test_ours),
                                       cmocka_unit_test(test_origins), cmocka_unit_test(test_listen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
