/* multipart/form-data, cut at every place. */
#include "base/buffer.h"
#include "base/memory.h"
#include "service/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* What the reader heard, as text: "<name|filename|type>data</>". */
static bool on_begin(void *context, const struct multipart_part *part) {
    return buffer_format(context, "<%s|%s|%s>", part->name, part->filename == NULL ? "-" : part->filename,
                         part->type == NULL ? "-" : part->type);
}
static bool on_data(void *context, const char *data, size_t length) { return buffer_append(context, data, length); }
static bool on_end(void *context) { return buffer_text(context, "</>"); }

static bool parse(const char *type, const char *body, size_t length, size_t piece, struct buffer *heard, bool *complete) {
    struct multipart_reader reader = {heard, on_begin, on_data, on_end};
    struct multipart *multipart = multipart_create(type, &reader);
    bool fine = multipart != NULL;
    for (size_t i = 0; fine && i < length; i += piece) {
        size_t some = length - i < piece ? length - i : piece;
        char *copy = memory_alloc(some); /* so that a read beyond the piece is caught */
        memcpy(copy, body + i, some);
        fine = multipart_feed(multipart, copy, some);
        memory_free(copy);
    }
    *complete = fine && multipart_complete(multipart);
    multipart_free(multipart);
    return fine;
}

static const char *const type = "multipart/form-data; boundary=XX";

static void expect(const char *content_type, const char *body, const char *wanted) {
    size_t length = strlen(body);
    for (size_t piece = 1; piece <= length; piece++) {
        struct buffer heard;
        bool complete;
        buffer_init(&heard, 65536);
        assert_true(parse(content_type, body, length, piece, &heard, &complete));
        assert_true(complete);
        if (strcmp(heard.data == NULL ? "" : heard.data, wanted) != 0) fail_msg("pieces of %zu: %s", piece, heard.data);
        buffer_free(&heard);
    }
}

static void expect_broken(const char *content_type, const char *body) {
    for (size_t piece = 1; piece <= strlen(body); piece++) {
        struct buffer heard;
        bool complete;
        buffer_init(&heard, 65536);
        bool fine = parse(content_type, body, strlen(body), piece, &heard, &complete);
        assert_false(fine && complete);
        buffer_free(&heard);
    }
}

#define HEAD "--XX\r\nContent-Disposition: form-data; name=\"content\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n"

static void test_parts(void **state) {
    (void)state;
    expect(type, HEAD "hello\r\n--XX--\r\n", "<content|a.png|image/png>hello</>");
    expect(type, "preamble\r\n" HEAD "x\r\n--XX\r\nContent-Disposition: form-data; name=metadata\r\n\r\n{}\r\n--XX--epilogue",
           "<content|a.png|image/png>x</><metadata|-|->{}</>");
    expect("Multipart/Form-Data; charset=x; boundary=\"X X\"",
           "--X X\r\ncontent-disposition: FORM-DATA; filename=f; name=n\r\n\r\nd\r\n--X X--", "<n|f|->d</>");
    expect(type, "--XX  \r\nContent-Disposition: form-data; name=\"a\\\"b;\"; filename=\"x; name=\\\"y\\\"\"\r\n\r\n\r\n--XX--",
           "<a\"b;|x; name=\"y\"|-></>");
}

static void test_empty_and_near(void **state) {
    (void)state;
    expect(type, HEAD "\r\n--XX--", "<content|a.png|image/png></>");
    expect(type, HEAD "--XX--", "<content|a.png|image/png></>"); /* without a line of its own */
    expect(type, HEAD "--XY\r\n--XX--", "<content|a.png|image/png>--XY</>");
    expect(type, HEAD "\r\n\r\n--X\r\n--XX--", "<content|a.png|image/png>\r\n\r\n--X</>");
    expect(type, HEAD "\r\r\n\r\n-\r\n--\r\n--X\r\r\n--XX--", "<content|a.png|image/png>\r\r\n\r\n-\r\n--\r\n--X\r</>");
    expect(type, "--XX\r\n\r\nno head\r\n--XX--", "<|-|->no head</>");
}

static void test_broken(void **state) {
    (void)state;
    expect_broken(type, HEAD "never ended");
    expect_broken(type, HEAD "x\r\n--XXjunk");
    expect_broken(type, "--XX\r\nContent-Disposition: form-data; name=a");
    expect_broken(type, "--XX-x");
    expect_broken(type, "nothing");
    struct multipart_reader reader = {NULL, on_begin, on_data, on_end};
    static const char *const none[] = {"application/json", "multipart/form-data",
                                       "multipart/form-data; boundary=", "multipart/mixed; boundary=x"};
    assert_null(multipart_create(NULL, &reader));
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) assert_null(multipart_create(none[i], &reader));
}

static void test_limits(void **state) {
    (void)state;
    struct buffer body, heard;
    bool complete;
    buffer_init(&body, 1 << 20);
    buffer_init(&heard, 1 << 20);
    buffer_text(&body, "--XX\r\nX: ");
    for (int i = 0; i < 10000; i++) buffer_text(&body, "y");
    assert_false(parse(type, body.data, body.length, 1000, &heard, &complete)); /* an endless head */
    buffer_clear(&body);
    for (int i = 0; i < 100; i++) buffer_text(&body, "--XX\r\n\r\n\r\n");
    assert_false(parse(type, body.data, body.length, 1000, &heard, &complete)); /* too many parts */
    buffer_free(&body);
    buffer_free(&heard);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts), cmocka_unit_test(test_empty_and_near), cmocka_unit_test(test_broken),
                                       cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
