/* Downloads from servers that may not mean well. */
#include "worker/download.h"
#include "worker/fetch.h"

#include "base/memory.h"
#include "base/time.h"
#include "server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const char body[] = "not really a picture";

static int set_up(void **state) {
    struct server *server = memory_zero(sizeof *server);
    server_start(server, body, sizeof body - 1);
    *state = server;
    return 0;
}

static int tear_down(void **state) {
    server_stop(*state);
    memory_free(*state);
    return 0;
}

static const struct download_limits lenient = {.bytes = 100000, .seconds = 10, .private_networks = true};

static void url_of(struct server *server, const char *path, char url[128]) {
    snprintf(url, 128, "http://127.0.0.1:%d%s", server->port, path);
}

static void expect_body(struct server *server, const char *path) {
    char url[128], *data;
    size_t length;
    struct error error = {.code = ERROR_NONE};
    url_of(server, path, url);
    if (!download(url, &lenient, &data, &length, &error)) fail_msg("%s: %s", path, error.message);
    assert_int_equal(length, sizeof body - 1);
    assert_string_equal(data, body);
    memory_free(data);
}

/* The sentence says `what`, and nothing of the path. */
static void expect_failure(const char *url, const struct download_limits *limits, enum error_code code, const char *what) {
    char *data;
    size_t length;
    struct error error = {.code = ERROR_NONE};
    if (download(url, limits, &data, &length, &error)) fail_msg("%s was downloaded", url);
    if (error.code != code || !strstr(error.message, what)) fail_msg("%s: %s (%s)", url, error.message, error_name(error.code));
    assert_null(strstr(error.message, "secret"));
    assert_null(data);
}

static void expect_failure_of(struct server *server, const char *path, enum error_code code, const char *what) {
    char url[128];
    url_of(server, path, url);
    expect_failure(url, &lenient, code, what);
}

static void test_plain(void **state) {
    expect_body(*state, "/picture");
    char url[128], *data;
    size_t length;
    url_of(*state, "/empty", url);
    assert_true(download(url, &lenient, &data, &length, NULL));
    assert_int_equal(length, 0);
    memory_free(data);
}

static void test_redirects(void **state) {
    expect_body(*state, "/hop/1");
    expect_body(*state, "/hop/5");
    expect_failure_of(*state, "/hop/6", ERROR_NETWORK, "redirects more than 5 times");
    expect_failure_of(*state, "/loop", ERROR_NETWORK, "redirects more than 5 times");
    expect_failure_of(*state, "/away", ERROR_ARGUMENT, "http or https");
}

static void test_refusals(void **state) {
    expect_failure_of(*state, "/secret?secret", ERROR_NETWORK, "127.0.0.1 answered with status 404");
    expect_failure_of(*state, "/cut", ERROR_NETWORK, "could not be downloaded");
    expect_failure_of(*state, "/endless", ERROR_LIMIT, "more than the 100000 bytes");
    expect_failure_of(*state, "/huge", ERROR_LIMIT, "more than the 100000 bytes");
}

static void test_addresses(void **state) {
    struct server *server = *state;
    const struct download_limits strict = {.bytes = 100000, .seconds = 10};
    static const char *const hosts[] = {"127.0.0.1",          "localhost", "0.0.0.0",    "[::1]",
                                        "[::ffff:127.0.0.1]", "127.1",     "2130706433", "0x7f.1"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        char url[128];
        snprintf(url, sizeof url, "http://%s:%d/picture?secret", hosts[i], server->port);
        expect_failure(url, &strict, ERROR_NETWORK, "private network");
    }
    assert_int_equal(atomic_load(&server->requests), 0);
}

/* Without the operator's consent no proxy either: it would decide the address. */
static void test_no_proxy(void **state) {
    struct server *server = *state;
    char proxy[64];
    const struct download_limits strict = {.bytes = 100000, .seconds = 10};
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", server->port);
    setenv("http_proxy", proxy, 1);
    expect_failure("http://10.0.0.1/picture", &strict, ERROR_NETWORK, "private network");
    unsetenv("http_proxy");
    assert_int_equal(atomic_load(&server->requests), 0);
}

static void test_time(void **state) {
    char url[128];
    struct download_limits limits = lenient;
    limits.seconds = 1;
    url_of(*state, "/slow", url);
    int64_t began = time_monotonic();
    expect_failure(url, &limits, ERROR_NETWORK, "took too long");
    assert_true(time_monotonic() - began < 2500000);
}

static bool twice(void *user) { return ++*(int *)user < 3; }

static void test_cancel(void **state) {
    char url[128];
    int asked = 0;
    struct download_limits limits = lenient;
    limits.going = twice;
    limits.user = &asked;
    url_of(*state, "/slow", url);
    int64_t began = time_monotonic();
    expect_failure(url, &limits, ERROR_CANCELED, "canceled");
    assert_true(time_monotonic() - began < 2500000);
}

static void test_bad_urls(void **state) {
    (void)state;
    expect_failure("http://", &lenient, ERROR_ARGUMENT, "malformed");
    expect_failure("http://a b/", &lenient, ERROR_ARGUMENT, "malformed");
    expect_failure("http://nothing.invalid/secret", &lenient, ERROR_NETWORK, "nothing.invalid is not known");
    expect_failure("http://127.0.0.1:1/secret", &lenient, ERROR_NETWORK, "could not be downloaded from 127.0.0.1");
}

static void test_fetch_by_scheme(void **state) {
    char url[128], *data;
    size_t length;
    struct error error;
    url_of(*state, "/picture", url);
    assert_true(fetch(NULL, url, &lenient, &data, &length, &error));
    memory_free(data);
    assert_true(fetch(NULL, "data:,abc", &lenient, &data, &length, &error));
    assert_string_equal(data, "abc");
    memory_free(data);
    static const char *const refused[] = {"file:///etc/passwd", "ftp://example.org/x", "gopher://example.org/", "/etc/passwd", ""};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_false(fetch(NULL, refused[i], &lenient, &data, &length, &error));
        assert_int_equal(error.code, ERROR_ARGUMENT);
    }
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        SERVED(test_plain), SERVED(test_redirects), SERVED(test_refusals), SERVED(test_addresses),       SERVED(test_no_proxy),
        SERVED(test_time),  SERVED(test_cancel),    SERVED(test_bad_urls), SERVED(test_fetch_by_scheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
