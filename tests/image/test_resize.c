#include "support.h"

/* tests/image/golden/resize.txt: what Pillow makes of the same numbers. */
static void resizing_equals_pillow_in_every_byte(void **state) {
    (void)state;
    size_t length, size, at = 0, cases = 0;
    char *list = (char *)golden("resize.txt", &length), *rest = list;
    uint8_t *expected = golden("resize.bin", &size);
    for (char *line; (line = strtok_r(rest, "\n", &rest)); cases++) {
        size_t width, height, channels, new_width, new_height;
        int kind;
        assert_int_equal(sscanf(line, "%zu %zu %zu %d %zu %zu", &width, &height, &channels, &kind, &new_width, &new_height), 6);
        struct image image = picture(width, height, channels == 1 ? IMAGE_GREY : IMAGE_RGB, kind), out;
        assert_true(image_resize_bicubic(&image, new_width, new_height, &out, NULL));
        size_t count = new_width * new_height * channels;
        assert_int_equal(out.width, new_width);
        assert_int_equal(out.height, new_height);
        assert_int_equal(out.mode, image.mode);
        assert_true(at + count <= size);
        for (size_t i = 0; i < count; i++)
            if (out.pixels[i] != expected[at + i]) fail_msg("%s: byte %zu is %d, Pillow has %d", line, i, out.pixels[i], expected[at + i]);
        at += count;
        image_free(&image);
        image_free(&out);
    }
    assert_int_equal(at, size);
    assert_true(cases > 50);
    memory_free(list);
    memory_free(expected);
}

static void impossible_sizes_are_refused(void **state) {
    (void)state;
    struct image image = picture(4, 4, IMAGE_RGB, 0), out;
    struct error error = {0};
    assert_false(image_resize_bicubic(&image, 0, 4, &out, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    assert_false(image_resize_bicubic(&image, 4, 0, &out, NULL));
    assert_false(image_resize_bicubic(&image, SIZE_MAX / 4, 4, &out, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    assert_null(out.pixels);
    image_free(&image);
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    struct image image = picture(20, 30, IMAGE_RGB, 0), out;
    size_t failures = 0;
    for (bool done = false; !done; failures += !done) {
        struct error error = {0};
        memory_fail_at(failures + 1, 0);
        done = image_resize_bicubic(&image, 15, 44, &out, &error);
        memory_fail_at(0, 0);
        assert_true(done || (error.code == ERROR_MEMORY && !out.pixels));
    }
    assert_true(failures > 5);
    image_free(&image);
    image_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizing_equals_pillow_in_every_byte),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
