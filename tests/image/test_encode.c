#include "support.h"

typedef bool encode_function(const struct image *image, int setting, struct buffer *out, struct error *error);

static const char *const some_texts[] = {"Software", "inpaintd", "prompt", "ein H\xC3\xBCndchen", "seed", "", "notes", "a\ttab", NULL};

static bool as_png(const struct image *image, int setting, struct buffer *out, struct error *error) {
    return image_encode_png(image, setting ? some_texts : NULL, out, error);
}

static const struct {
    encode_function *encode;
    int setting;
    enum image_format format;
    int tolerance; /* of a grey or gently coloured picture, per byte */
} encoders[] = {
    {as_png, 0, IMAGE_PNG, 0},
    {as_png, 1, IMAGE_PNG, 0},
    {image_encode_jpeg, 95, IMAGE_JPEG, 6},
    {image_encode_jpeg, 75, IMAGE_JPEG, 24},
    {image_encode_webp, 95, IMAGE_WEBP, 16},
    {image_encode_webp, 40, IMAGE_WEBP, 40},
};
enum { ENCODERS = sizeof encoders / sizeof *encoders };

static void what_is_written_is_read_again(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{1, 1}, {37, 23}, {8, 40}};
    static const enum image_mode modes[] = {IMAGE_RGB, IMAGE_GREY};
    for (size_t e = 0; e < ENCODERS; e++) {
        for (size_t s = 0; s < 3; s++) {
            for (size_t m = 0; m < 2; m++) {
                struct image image = gradient(sizes[s][0], sizes[s][1], modes[m]), back;
                struct buffer out;
                struct error error = {0};
                buffer_init(&out, 1 << 20);
                assert_true(encoders[e].encode(&image, encoders[e].setting, &out, &error));
                assert_int_equal(image_sniff(out.data, out.length), encoders[e].format);
                assert_true(image_decode(out.data, out.length, NULL, &back, NULL, &error));
                assert_int_equal(back.width, image.width);
                assert_int_equal(back.height, image.height);
                for (size_t i = 0; i < image.width * image.height * 3; i++) {
                    int before = image.pixels[modes[m] == IMAGE_RGB ? i : i / 3];
                    assert_in_range(back.pixels[i] + encoders[e].tolerance, before, before + 2 * encoders[e].tolerance);
                }
                image_free(&back);
                image_free(&image);
                buffer_free(&out);
            }
        }
    }
}

/* Chunk by chunk, by the PNG specification: length, type, data, CRC. */
static const uint8_t *find_chunk(const struct buffer *png, const char *type, const char *keyword, size_t *length) {
    const uint8_t *data = (const uint8_t *)png->data;
    for (size_t at = 8; at + 12 <= png->length;) {
        size_t size = (size_t)data[at] << 24 | (size_t)data[at + 1] << 16 | (size_t)data[at + 2] << 8 | data[at + 3];
        const uint8_t *content = data + at + 8;
        if (memcmp(data + at + 4, type, 4) == 0 && size > strlen(keyword) && strcmp((const char *)content, keyword) == 0) {
            *length = size;
            return content;
        }
        at += 12 + size;
    }
    return NULL;
}

static void texts_are_in_the_png(void **state) {
    (void)state;
    struct image image = gradient(4, 4, IMAGE_RGB);
    struct buffer out;
    buffer_init(&out, 1 << 20);
    assert_true(image_encode_png(&image, some_texts, &out, NULL));
    size_t length;
    const uint8_t *text = find_chunk(&out, "tEXt", "Software", &length);
    assert_non_null(text);
    assert_int_equal(length, 9 + 8);
    assert_memory_equal(text + 9, "inpaintd", 8);
    /* iTXt: keyword 0, compressed 0, method 0, language 0, translated keyword 0, UTF-8 */
    text = find_chunk(&out, "iTXt", "prompt", &length);
    assert_non_null(text);
    assert_int_equal(length, 7 + 4 + 13);
    assert_memory_equal(text + 11, "ein H\xC3\xBCndchen", 13);
    assert_non_null(find_chunk(&out, "iTXt", "notes", &length));
    assert_null(find_chunk(&out, "tEXt", "seed", &length));
    buffer_free(&out);

    const char *too_long[] = {"a keyword of more than the seventy-nine characters that a PNG file allows, this one", "x", NULL};
    struct error error = {0};
    assert_false(image_encode_png(&image, too_long, &out, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    buffer_free(&out);
    image_free(&image);
}

static void a_full_buffer_is_an_error(void **state) {
    (void)state;
    struct image image = picture(64, 64, IMAGE_RGB, 0);
    for (size_t e = 0; e < ENCODERS; e++) {
        struct buffer out;
        struct error error = {0};
        buffer_init(&out, 600);
        assert_false(encoders[e].encode(&image, encoders[e].setting, &out, &error));
        assert_int_equal(error.code, ERROR_LIMIT);
        buffer_free(&out);
    }
    image_free(&image);
}

static void impossible_requests_are_refused(void **state) {
    (void)state;
    struct image image = picture(3, 3, IMAGE_RGB, 0), wide = picture(70000, 1, IMAGE_GREY, 0);
    struct buffer out;
    struct error error = {0};
    buffer_init(&out, 1 << 20);
    assert_false(image_encode_jpeg(&image, 0, &out, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    assert_false(image_encode_jpeg(&image, 101, &out, NULL));
    assert_false(image_encode_webp(&image, -1, &out, NULL));
    assert_false(image_encode_webp(&image, 101, &out, NULL));
    assert_false(image_encode_jpeg(&wide, 80, &out, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_false(image_encode_webp(&wide, 80, &out, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_true(image_encode_png(&wide, NULL, &out, NULL));
    buffer_free(&out);
    image_free(&image);
    image_free(&wide);
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    struct image images[] = {picture(50, 40, IMAGE_RGB, 0), picture(50, 40, IMAGE_GREY, 0)};
    for (size_t e = 0; e < ENCODERS; e++) {
        size_t failures = 0;
        for (bool done = false; !done;) {
            struct buffer out;
            struct error error = {0};
            buffer_init(&out, 1 << 20);
            memory_fail_at(failures + 1, 0);
            done = encoders[e].encode(&images[e % 2], encoders[e].setting, &out, &error);
            memory_fail_at(0, 0);
            if (!done) assert_true(error.code == ERROR_MEMORY || error.code == ERROR_LIMIT);
            failures += !done;
            buffer_free(&out);
        }
        assert_true(failures > 0);
    }
    image_free(&images[0]);
    image_free(&images[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),       cmocka_unit_test(texts_are_in_the_png),
        cmocka_unit_test(a_full_buffer_is_an_error),           cmocka_unit_test(impossible_requests_are_refused),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
