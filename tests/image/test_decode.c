#include "support.h"

/* tests/image/golden/decode.txt: what Pillow makes of each format and mode. */
static void every_mode_becomes_the_rgb_of_pillow(void **state) {
    (void)state;
    size_t length, cases = 0;
    char *list = (char *)golden("decode.txt", &length), *rest = list;
    for (char *line; (line = strtok_r(rest, "\n", &rest)); cases++) {
        char name[64], expected_name[80];
        size_t width, height, size, expected_size;
        int told, orientation = 0;
        assert_int_equal(sscanf(line, "%63s %zu %zu %d", name, &width, &height, &told), 4);
        snprintf(expected_name, sizeof expected_name, "%s.rgb", name);
        uint8_t *data = golden(name, &size), *expected = golden(expected_name, &expected_size);
        struct image image;
        struct error error = {0};
        if (!image_decode(data, size, NULL, &image, &orientation, &error)) fail_msg("%s: %s", name, error.message);
        assert_int_equal(image.mode, IMAGE_RGB);
        assert_int_equal(image.width, width);
        assert_int_equal(image.height, height);
        assert_int_equal(width * height * 3, expected_size);
        for (size_t i = 0; i < expected_size; i++)
            if (image.pixels[i] != expected[i]) fail_msg("%s: byte %zu is %d, Pillow has %d", name, i, image.pixels[i], expected[i]);
        assert_int_equal(orientation, told);
        image_free(&image);
        memory_free(data);
        memory_free(expected);
    }
    assert_true(cases > 50);
    memory_free(list);
}

static void formats_are_told_by_their_first_bytes(void **state) {
    (void)state;
    assert_int_equal(image_sniff("\x89PNG\r\n\x1a\n", 8), IMAGE_PNG);
    assert_int_equal(image_sniff("\x89PNG\r\n\x1a\n", 7), IMAGE_UNKNOWN);
    assert_int_equal(image_sniff("\xff\xd8\xff\xe0", 4), IMAGE_JPEG);
    assert_int_equal(image_sniff("RIFF....WEBPVP8 ", 16), IMAGE_WEBP);
    assert_int_equal(image_sniff("RIFF....WAVE", 12), IMAGE_UNKNOWN);
    assert_int_equal(image_sniff("", 0), IMAGE_UNKNOWN);
}

static enum error_code decode_fails(const void *data, size_t length, const struct image_limits *limits, const char *says) {
    struct image image = {.width = 1};
    struct error error = {0};
    assert_false(image_decode(data, length, limits, &image, NULL, &error));
    assert_null(image.pixels);
    assert_int_equal(image.width, 0);
    if (!strstr(error.message, says)) fail_msg("\"%s\" does not say \"%s\"", error.message, says);
    return error.code;
}

static void what_is_no_picture_of_ours_is_named(void **state) {
    (void)state;
    assert_int_equal(decode_fails("", 0, NULL, "empty"), ERROR_FORMAT);
    assert_int_equal(decode_fails("hello", 5, NULL, "not a picture"), ERROR_FORMAT);
    assert_int_equal(decode_fails("GIF89a......", 12, NULL, "GIF"), ERROR_UNSUPPORTED);
    assert_int_equal(decode_fails("\0\0\0\x18"
                                  "ftypheic",
                                  12, NULL, "HEIC"),
                     ERROR_UNSUPPORTED);
}

/* Cut off at every length, a file fails, or gives the whole picture when only what follows the
 * pixels is missing (the last chunk of a PNG). */
static void cut_off_files_fail(void **state) {
    (void)state;
    static const char *const names[] = {"palette-4.png",   "rgba-16-interlaced.png", "orientation-6.png", "420.jpg",
                                        "progressive.jpg", "orientation.jpg",        "lossy-alpha.webp",  "lossless.webp",
                                        "animation.webp",  "orientation.webp"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        size_t length;
        uint8_t *data = golden(names[n], &length);
        struct image whole, image;
        assert_true(image_decode(data, length, NULL, &whole, NULL, NULL));
        bool png = image_sniff(data, length) == IMAGE_PNG;
        for (size_t cut = 0; cut < length; cut++) {
            uint8_t *part = memory_alloc(cut); /* its own block, so that the address sanitizer sees its end */
            struct error error = {0};
            memcpy(part, data, cut);
            if (image_decode(part, cut, NULL, &image, NULL, &error)) {
                assert_true(png && cut + 64 > length);
                assert_true(same_pixels(&image, &whole));
                image_free(&image);
            } else {
                assert_null(image.pixels);
                assert_int_equal(error.code, ERROR_FORMAT);
            }
            memory_free(part);
        }
        image_free(&whole);
        memory_free(data);
    }
}

/* One byte wrong: whatever comes of it, it is a picture or an error. */
static void damaged_files_end_in_a_picture_or_an_error(void **state) {
    (void)state;
    static const char *const names[] = {"palette-4.png",    "rgb-16-interlaced.png", "422.jpg",        "cmyk.jpg",       "progressive.jpg",
                                        "lossy-alpha.webp", "lossless-alpha.webp",   "animation.webp", "orientation.jpg"};
    const struct image_limits limits = {.side = 4096, .pixels = 1 << 20, .bytes = 1 << 20};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        size_t length;
        uint8_t *data = golden(names[n], &length);
        for (size_t at = 0; at < length; at++) {
            uint8_t kept = data[at];
            data[at] = (uint8_t)(kept ^ (at % 3 ? 0xFF : 0x01));
            struct image image;
            struct error error = {0};
            if (image_decode(data, length, &limits, &image, NULL, &error)) {
                assert_non_null(image.pixels);
                image_free(&image);
            } else
                assert_int_not_equal(error.code, ERROR_NONE);
            data[at] = kept;
        }
        memory_free(data);
    }
}

static void big_endian(uint8_t *at, uint32_t value, int bytes) {
    while (bytes--) *at++ = (uint8_t)(value >> 8 * bytes);
}

static uint32_t crc32_of(const uint8_t *data, size_t length) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

/* The file is refused although there is no memory for even one pixel: `allowed` allocations of the
 * decoder's own may succeed, the picture's would be the next. */
static void claim_is_refused(const void *data, size_t length, size_t allowed, const char *says) {
    memory_fail_at(allowed + 1, 1);
    enum error_code code = decode_fails(data, length, NULL, says);
    memory_fail_at(0, 0);
    assert_int_equal(code, ERROR_LIMIT);
}

static void huge_claims_are_refused_before_memory_is_taken(void **state) {
    (void)state;
    size_t length;
    uint8_t *png = golden("one-pixel.png", &length);
    big_endian(png + 16, 30000, 4);
    big_endian(png + 29, crc32_of(png + 12, 17), 4);
    claim_is_refused(png, length, 1, "30000 x 1 pixels; at most 16384");
    big_endian(png + 16, 16000, 4);
    big_endian(png + 20, 16000, 4);
    big_endian(png + 29, crc32_of(png + 12, 17), 4);
    claim_is_refused(png, length, 1, "16000 x 16000");
    big_endian(png + 16, 0, 4);
    big_endian(png + 29, crc32_of(png + 12, 17), 4);
    assert_int_equal(decode_fails(png, length, NULL, "damaged"), ERROR_FORMAT);
    memory_free(png);

    uint8_t *jpeg = golden("444.jpg", &length), *frame = NULL;
    for (size_t i = 0; i + 9 < length && !frame; i++)
        if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC0) frame = jpeg + i;
    assert_non_null(frame);
    big_endian(frame + 5, 30000, 2);
    claim_is_refused(jpeg, length, 0, "37 x 30000");
    big_endian(frame + 5, 0, 2);
    assert_int_equal(decode_fails(jpeg, length, NULL, "damaged"), ERROR_FORMAT);
    memory_free(jpeg);

    uint8_t *webp = golden("lossy-alpha.webp", &length); /* has a VP8X header: canvas size minus one at 24 and 27, little endian */
    assert_memory_equal(webp + 12, "VP8X", 4);
    webp[24] = 29999 & 0xFF, webp[25] = 29999 >> 8;
    struct error error = {0};
    struct image image;
    assert_false(image_decode(webp, length, NULL, &image, NULL, &error)); /* the canvas lies about the frame */
    assert_true(error.code == ERROR_LIMIT || error.code == ERROR_FORMAT);
    memory_free(webp);
}

/* Claims within the limits, but the pixels are not there. */
static void lying_sizes_fail(void **state) {
    (void)state;
    size_t length;
    uint8_t *png = golden("rgb-8.png", &length);
    big_endian(png + 20, 900, 4);
    big_endian(png + 29, crc32_of(png + 12, 17), 4);
    assert_int_equal(decode_fails(png, length, NULL, "damaged"), ERROR_FORMAT);
    memory_free(png);
}

static void limits_are_the_callers(void **state) {
    (void)state;
    size_t length;
    uint8_t *data = golden("444.jpg", &length); /* 37 x 23 */
    struct image image;
    struct image_limits limits = {.side = 37, .pixels = 37 * 23, .bytes = length};
    assert_true(image_decode(data, length, &limits, &image, NULL, NULL));
    image_free(&image);
    limits.side = 36;
    assert_int_equal(decode_fails(data, length, &limits, "at most 36 a side"), ERROR_LIMIT);
    limits.side = 37, limits.pixels--;
    assert_int_equal(decode_fails(data, length, &limits, "in all"), ERROR_LIMIT);
    limits.pixels++, limits.bytes--;
    assert_int_equal(decode_fails(data, length, &limits, "bytes"), ERROR_LIMIT);
    memory_free(data);
}

static void jpegs_are_read_to_their_end_mark(void **state) {
    (void)state;
    size_t length;
    uint8_t *data = golden("444.jpg", &length), *longer = memory_alloc(length + 100), *frame = NULL;
    struct image image, again;
    assert_true(image_decode(data, length, NULL, &image, NULL, NULL));
    memset(longer + length, 'x', 100); /* what follows the end is nobody's business */
    memcpy(longer, data, length);
    assert_true(image_decode(longer, length + 100, NULL, &again, NULL, NULL));
    assert_true(same_pixels(&image, &again));
    image_free(&image);
    image_free(&again);
    longer[length - 60] = 0xFF; /* in the middle of the pixels, a mark that no JPEG has */
    longer[length - 59] = 0xA2;
    assert_int_equal(decode_fails(longer, length, NULL, "damaged"), ERROR_FORMAT);
    for (size_t i = 0; i + 9 < length && !frame; i++)
        if (data[i] == 0xFF && data[i + 1] == 0xC0) frame = data + i;
    assert_non_null(frame);
    frame[4] = 12; /* bits a sample */
    assert_int_equal(decode_fails(data, length, NULL, "precision 12"), ERROR_UNSUPPORTED);
    frame[4] = 8, frame[1] = 0xC3; /* lossless */
    assert_int_equal(decode_fails(data, length, NULL, "not known here"), ERROR_UNSUPPORTED);
    memory_free(data);
    memory_free(longer);
}

static size_t scans_of(const uint8_t *jpeg, size_t length, size_t *last) {
    size_t scans = 0;
    for (size_t i = 0; i + 1 < length; i++)
        if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xDA) scans++, *last = i;
    return scans;
}

/* The last refinement scan again and again: cheap to send, dear to decode. */
static void endless_scans_are_refused(void **state) {
    (void)state;
    size_t length, last = 0;
    uint8_t *data = golden("progressive.jpg", &length);
    assert_true(scans_of(data, length, &last) > 3);
    struct buffer file;
    buffer_init(&file, 1 << 20);
    buffer_append(&file, data, last);
    for (int i = 0; i < 300; i++) buffer_append(&file, data + last, length - 2 - last);
    assert_true(buffer_append(&file, data + length - 2, 2));
    assert_int_equal(decode_fails(file.data, file.length, NULL, "scans"), ERROR_LIMIT);
    buffer_free(&file);
    memory_free(data);
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    static const char *const names[] = {"palette-4.png", "rgba-16-interlaced.png", "orientation-6.png", "420.jpg",
                                        "cmyk.jpg",      "lossless.webp",          "lossy.webp"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        size_t length, failures = 0;
        uint8_t *data = golden(names[n], &length);
        bool done = false;
        while (!done) {
            struct image image;
            struct error error = {0};
            memory_fail_at(failures + 1, 0);
            done = image_decode(data, length, NULL, &image, NULL, &error);
            bool reached = memory_calls() > failures;
            memory_fail_at(0, 0);
            if (!done) {
                /* zlib's window, taken in the middle of a stream, looks like damage to libspng. */
                assert_true(error.code == ERROR_MEMORY || (error.code == ERROR_FORMAT && n < 3));
                assert_null(image.pixels);
                failures++;
            } else if (reached) { /* something that the picture does not need */
                done = false;
                failures++;
            }
            image_free(&image);
        }
        assert_true(failures > 0);
        memory_free(data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode_becomes_the_rgb_of_pillow),
        cmocka_unit_test(formats_are_told_by_their_first_bytes),
        cmocka_unit_test(what_is_no_picture_of_ours_is_named),
        cmocka_unit_test(cut_off_files_fail),
        cmocka_unit_test(damaged_files_end_in_a_picture_or_an_error),
        cmocka_unit_test(huge_claims_are_refused_before_memory_is_taken),
        cmocka_unit_test(lying_sizes_fail),
        cmocka_unit_test(limits_are_the_callers),
        cmocka_unit_test(jpegs_are_read_to_their_end_mark),
        cmocka_unit_test(endless_scans_are_refused),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
