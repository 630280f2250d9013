/* What only S3 has: where and who, documents that lie, big files in parts, servers that refuse or go. */
#include "fixture.h"
#include "s3_fixture.h"
#include "store/blob_s3.h"

#include <signal.h>

/* ---- without a server ---- */

static void set_keys(void) {
    setenv("AWS_ACCESS_KEY_ID", "key", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
}

static void expect_settings(const char *url, const char *endpoint, const char *bucket, const char *prefix, const char *region) {
    struct s3_settings settings;
    ASSERT_OK(s3_settings_read(url, &settings, error));
    assert_string_equal(settings.endpoint, endpoint);
    assert_string_equal(settings.bucket, bucket);
    assert_string_equal(settings.prefix, prefix);
    assert_string_equal(settings.region, region);
    s3_settings_free(&settings);
}

static void test_settings(void **state) {
    (void)state;
    if (test_s3()) skip();
    set_keys();
    expect_settings("s3://bucket", "https://s3.us-east-1.amazonaws.com", "bucket", "", "us-east-1");
    expect_settings("s3://bucket//a/b/", "https://s3.us-east-1.amazonaws.com", "bucket", "a/b/", "us-east-1");
    expect_settings("s3://b.c-d?endpoint=http://127.0.0.1:9000/&region=eu-west-3", "http://127.0.0.1:9000", "b.c-d", "", "eu-west-3");
    setenv("AWS_REGION", "eu-central-1", 1);
    expect_settings("s3://bucket/x", "https://s3.eu-central-1.amazonaws.com", "bucket", "x/", "eu-central-1");
    setenv("AWS_ENDPOINT_URL", "https://[::1]:8333", 1);
    expect_settings("s3://bucket/x?region=r", "https://[::1]:8333", "bucket", "x/", "r");
    unsetenv("AWS_REGION");
    unsetenv("AWS_ENDPOINT_URL");
}

static void test_bad_settings(void **state) {
    (void)state;
    if (test_s3()) skip();
    static const char *const bad[] = {"s3://",
                                      "s3://ab",
                                      "s3://bu cket",
                                      "s3://bucket/a b",
                                      "s3://bucket/../x",
                                      "s3://bucket/a//b",
                                      "s3://key:hunter2@bucket/x",
                                      "s3://bucket?secret=hunter2",
                                      "s3://bucket?endpoint=ftp://host",
                                      "s3://bucket?endpoint=http://user:hunter2@host",
                                      "s3://bucket?endpoint=http://host/path",
                                      "s3://bucket?region=a:b"};
    set_keys();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct s3_settings settings;
        struct error problem = {.code = ERROR_NONE};
        if (s3_settings_read(bad[i], &settings, &problem)) fail_msg("%s was accepted", bad[i]);
        assert_int_equal(problem.code, ERROR_ARGUMENT);
        assert_null(strstr(problem.message, "hunter2"));
    }
    struct s3_settings settings;
    setenv("AWS_SECRET_ACCESS_KEY", "sec\nret", 1);
    ASSERT_ERROR(ERROR_ARGUMENT, s3_settings_read("s3://bucket", &settings, error));
    unsetenv("AWS_SECRET_ACCESS_KEY");
    ASSERT_ERROR(ERROR_ARGUMENT, s3_settings_read("s3://bucket", &settings, error));
}

static bool on_path(void *user, const char *path, const char *text) { return buffer_format(user, "%s=%s;", path, text ? text : "-"); }

static bool read_xml(const char *text, char root[64], struct buffer *heard) {
    buffer_clear(heard);
    return s3_xml_read(text, strlen(text), root, on_path, heard);
}

static void test_xml(void **state) {
    (void)state;
    char root[64];
    struct buffer heard;
    buffer_init(&heard, 1 << 20);
    assert_true(
        read_xml("<?xml version=\"1.0\"?>\n<R xmlns=\"u\"> <A>1&amp;2</A>\n<C><K>a/b</K><o:W><I>x</I></o:W></C><E/></R>", root, &heard));
    assert_string_equal(root, "R");
    assert_string_equal(heard.data, "A=1&2;C/K=a/b;C/W/I=x;C/W=-;C=-;E=;");
    static const char *const bad[] = {"",
                                      "<html>",
                                      "{}",
                                      "<A/><B/>",
                                      "<A>&unknown;</A>",
                                      "<!DOCTYPE a [<!ENTITY e \"x\">]><A>&e;</A>",
                                      "<A><B><C><D><E><F><G><H><I/></H></G></F></E></D></C></B></A>"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_xml(bad[i], root, &heard)) fail_msg("%s was accepted", bad[i]);
    char *huge = memory_alloc(20000);
    memset(huge, 'x', 20000);
    memcpy(huge, "<A><B>", 6);
    memcpy(huge + 19990, "</B></A>\n", 10);
    assert_false(read_xml(huge, root, &heard));
    memory_free(huge);
    buffer_free(&heard);
}

static void test_escape(void **state) {
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    assert_true(s3_escape(&buffer, "aZ9-._~/+= \xc3\xa9"));
    assert_string_equal(buffer.data, "aZ9-._~%2F%2B%3D%20%C3%A9");
    buffer_free(&buffer);
}

static void test_nobody_there(void **state) {
    (void)state;
    struct blobs *blobs;
    if (test_s3()) skip();
    set_keys();
    ASSERT_ERROR(ERROR_NETWORK, blobs_open("s3://bucket/x?endpoint=http://127.0.0.1:1", &blobs, error));
}

/* ---- with one ---- */

static struct blobs *open_s3(char url[512]) {
    struct blobs *blobs = NULL;
    make_s3_url(url);
    ASSERT_OK(blobs_open(url, &blobs, error));
    return blobs;
}

/* Above the size of one request, from memory and from pieces: what comes back is what went in. */
static void test_big(void **state) {
    (void)state;
    enum { SIZE = 21000001 };
    char url[512], name[101], other[101], *back;
    size_t length;
    struct blob_writer *writer;
    if (!test_s3()) skip();
    char *data = memory_alloc(SIZE);
    struct blobs *blobs = open_s3(url);
    uint32_t random = 1;
    for (size_t i = 0; i < SIZE; i++) data[i] = (char)((random = random * 1664525 + 1013904223) >> 24);
    ASSERT_OK(blob_put(blobs, ".bin", data, SIZE, name, error));
    ASSERT_OK(blob_begin(blobs, ".bin", &writer, error));
    for (size_t at = 0; at < SIZE; at += 1000003)
        ASSERT_OK(blob_append(writer, data + at, SIZE - at < 1000003 ? SIZE - at : 1000003, error));
    ASSERT_OK(blob_commit(writer, other, error));
    const char *const names[] = {name, other};
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(blob_read(blobs, names[i], SIZE, &back, &length, error));
        assert_int_equal(length, SIZE);
        assert_memory_equal(back, data, SIZE);
        memory_free(back);
        ASSERT_ERROR(ERROR_LIMIT, blob_read(blobs, names[i], SIZE - 1, &back, &length, error));
        ASSERT_OK(blob_delete(blobs, names[i], error));
    }
    memory_free(data);
    blobs_close(blobs);
}

static bool on_counted(void *user, const char *name, uint64_t size, int64_t modified) {
    (void)size;
    (void)name, (void)modified;
    ++*(size_t *)user;
    return true;
}

static size_t count_pages(struct blobs *blobs) {
    size_t count = 0;
    ASSERT_OK(blobs_each(blobs, on_counted, &count, error));
    return count;
}

/* More than a page; what is not ours in the same place is left alone. */
static void test_pages(void **state) {
    (void)state;
    enum { COUNT = 1005 };
    char url[512];
    if (!test_s3()) skip();
    char(*names)[101] = memory_array(COUNT, 101);
    struct blobs *blobs = open_s3(url);
    const struct s3_body body = {.data = "x", .length = 1};
    const struct s3_request foreign = {.method = "PUT", .name = "index.html", .body = &body};
    struct s3_answer answer;
    ASSERT_OK(s3_request((struct s3 *)blobs, &foreign, &answer, error));
    s3_answer_free(&answer);
    for (size_t i = 0; i < COUNT; i++) ASSERT_OK(blob_put(blobs, "", "x", 1, names[i], error));
    assert_int_equal(count_pages(blobs), COUNT);
    for (size_t i = 0; i < COUNT; i++) ASSERT_OK(blob_delete(blobs, names[i], error));
    assert_int_equal(count_pages(blobs), 0);
    memory_free(names);
    blobs_close(blobs);
}

static void expect_refusal(const char *url, const char *variable, const char *value, const char *word) {
    struct blobs *blobs;
    struct error problem = {.code = ERROR_NONE};
    char *before = memory_string(getenv(variable));
    setenv(variable, value, 1);
    bool ok = blobs_open(url, &blobs, &problem);
    if (before)
        setenv(variable, before, 1);
    else
        unsetenv(variable);
    memory_free(before);
    assert_false(ok);
    assert_int_equal(problem.code, ERROR_IO);
    if (!strstr(problem.message, word)) fail_msg("%s does not say %s", problem.message, word);
    assert_null(strstr(problem.message, "hunter2"));
}

static void test_refusals(void **state) {
    (void)state;
    char url[512];
    if (!test_s3()) skip();
    make_s3_url(url);
    expect_refusal(url, "AWS_SECRET_ACCESS_KEY", "hunter2", "AWS_SECRET_ACCESS_KEY");
    expect_refusal(url, "AWS_ACCESS_KEY_ID", "nobody", "AWS_ACCESS_KEY_ID");
    char *elsewhere = memory_format("s3://no-such-bucket/x%s", strchr(url, '?'));
    expect_refusal(elsewhere, "AWS_UNUSED", "x", "no-such-bucket");
    memory_free(elsewhere);
}

/* Stop a process, and return only when it has: the signal reaches a busy process late. */
static void stop(pid_t process) {
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)process);
    assert_int_equal(kill(process, SIGSTOP), 0);
    while (state != 'T') {
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
        fclose(file);
    }
}

/* The server stops answering in the middle: the call ends with a clear error, within its patience; what
 * was not promised is not there when it goes on, what was is. */
static void test_stopped(void **state) {
    (void)state;
    char url[512], name[101], lost[101], *data;
    size_t length;
    const char *process = getenv("INPAINT_TEST_S3_PID");
    if (!test_s3() || !process) skip();
    struct blobs *blobs = open_s3(url);
    ASSERT_OK(blob_put(blobs, ".png", "kept", 4, name, error));
    pid_t server = (pid_t)strtol(process, NULL, 10);
    stop(server);
    int64_t began = time_monotonic();
    bool ok = blob_put(blobs, ".png", "lost", 4, lost, NULL);
    int64_t first = time_monotonic() - began;
    began = time_monotonic();
    ASSERT_ERROR(ERROR_NETWORK, blob_read(blobs, name, 10, &data, &length, error));
    int64_t second = time_monotonic() - began;
    assert_int_equal(kill(server, SIGCONT), 0);
    assert_false(ok);
    assert_true(first < 30000000 && second < 12000000);
    ASSERT_OK(blob_read(blobs, name, 10, &data, &length, error));
    assert_memory_equal(data, "kept", 4);
    memory_free(data);
    blobs_close(blobs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings), cmocka_unit_test(test_bad_settings), cmocka_unit_test(test_xml),
        cmocka_unit_test(test_escape),   cmocka_unit_test(test_nobody_there), cmocka_unit_test(test_big),
        cmocka_unit_test(test_pages),    cmocka_unit_test(test_refusals),     cmocka_unit_test(test_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
