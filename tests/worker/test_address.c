/* Which addresses inputs may come from. */
#include "worker/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/un.h>

#include <cmocka.h>

static bool is_public(const char *text) {
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) return address_is_public((struct sockaddr *)&in, sizeof in);
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1) fail_msg("%s is no address", text);
    return address_is_public((struct sockaddr *)&in6, sizeof in6);
}

static void test_public(void **state) {
    (void)state;
    static const char *const addresses[] = {
        "1.1.1.1",     "8.8.8.8",         "9.255.255.255",    "11.0.0.0",       "100.63.255.255",  "100.128.0.0",     "126.1.1.1",
        "128.0.0.1",   "169.253.255.255", "169.255.0.0",      "172.15.255.255", "172.32.0.0",      "192.0.1.0",       "192.167.255.255",
        "192.169.0.0", "198.17.255.255",  "198.20.0.0",       "203.0.112.255",  "203.0.114.0",     "223.255.255.255", "2606:4700::1111",
        "2a00:1450::", "3ffe::1",         "2002:0808:0808::", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        if (!is_public(addresses[i])) fail_msg("%s is public", addresses[i]);
}

static void test_not_public(void **state) {
    (void)state;
    static const char *const addresses[] = {"0.0.0.0",
                                            "0.1.2.3",
                                            "10.0.0.1",
                                            "10.255.255.255",
                                            "100.64.0.1",
                                            "100.127.255.255",
                                            "127.0.0.1",
                                            "127.255.255.1",
                                            "169.254.169.254",
                                            "172.16.0.1",
                                            "172.31.255.255",
                                            "192.0.0.1",
                                            "192.0.2.1",
                                            "192.88.99.1",
                                            "192.168.1.1",
                                            "198.18.0.1",
                                            "198.19.255.255",
                                            "198.51.100.7",
                                            "203.0.113.7",
                                            "224.0.0.1",
                                            "239.1.1.1",
                                            "240.0.0.1",
                                            "255.255.255.255",
                                            "::",
                                            "::1",
                                            "::127.0.0.1",
                                            "::ffff:127.0.0.1",
                                            "::ffff:10.1.1.1",
                                            "fe80::1",
                                            "febf::1",
                                            "fec0::1",
                                            "fc00::1",
                                            "fdff::1",
                                            "ff02::1",
                                            "2001:db8::1",
                                            "2001::1",
                                            "2001:1::1",
                                            "2002:7f00:0001::",
                                            "2002:c0a8:0101::",
                                            "64:ff9b::10.0.0.1",
                                            "64:ff9b:1::8.8.8.8",
                                            "100::1",
                                            "3fff::1",
                                            "4000::1",
                                            "5f00::1"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        if (is_public(addresses[i])) fail_msg("%s is not public", addresses[i]);
}

static void test_other_families(void **state) {
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
    struct sockaddr_in in = {.sin_family = AF_INET};
    in.sin_addr.s_addr = htonl(0x08080808);
    assert_false(address_is_public((struct sockaddr *)&un, sizeof un));
    assert_false(address_is_public((struct sockaddr *)&in, sizeof in - 1)); /* cut short */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public),
        cmocka_unit_test(test_not_public),
        cmocka_unit_test(test_other_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
