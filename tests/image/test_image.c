#include "support.h"

/* What EXIF says about each orientation is checked against Pillow's exif_transpose. */
static void orientations_turn_as_in_pillow(void **state) {
    (void)state;
    for (int orientation = 1; orientation <= 8; orientation++) {
        char name[40];
        size_t length, expected_length;
        int told = 0;
        snprintf(name, sizeof name, "orientation-%d.png", orientation);
        uint8_t *data = golden(name, &length);
        snprintf(name, sizeof name, "orientation-%d.turned", orientation);
        uint8_t *expected = golden(name, &expected_length);
        struct image image;
        assert_true(image_decode(data, length, NULL, &image, &told, NULL));
        assert_int_equal(told, orientation);
        assert_true(image_orient(&image, told, NULL));
        assert_int_equal(image.width, orientation < 5 ? 5 : 3);
        assert_int_equal(image.height, orientation < 5 ? 3 : 5);
        assert_memory_equal(image.pixels, expected, expected_length);
        image_free(&image);
        memory_free(data);
        memory_free(expected);
    }
}

static void orientations_beyond_the_eight_are_refused(void **state) {
    (void)state;
    struct image image = picture(2, 3, IMAGE_GREY, 0);
    struct error error = {0};
    assert_false(image_orient(&image, 0, &error));
    assert_false(image_orient(&image, 9, NULL));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    memory_fail_at(1, 0);
    assert_false(image_orient(&image, 6, &error));
    memory_fail_at(0, 0);
    assert_int_equal(error.code, ERROR_MEMORY);
    assert_int_equal(image.width, 2); /* untouched */
    image_free(&image);
}

static void cuts_stay_inside(void **state) {
    (void)state;
    struct image image = picture(7, 5, IMAGE_RGB, 0), out;
    assert_true(image_crop(&image, 2, 1, 4, 3, &out, NULL));
    for (size_t y = 0; y < 3; y++) assert_memory_equal(out.pixels + y * 12, image.pixels + ((y + 1) * 7 + 2) * 3, 12);
    image_free(&out);
    struct error error = {0};
    assert_false(image_crop(&image, 4, 0, 4, 5, &out, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    assert_null(out.pixels);
    assert_false(image_crop(&image, SIZE_MAX, 0, 1, 1, &out, NULL));
    assert_false(image_crop(&image, 0, 5, 1, 1, &out, NULL));
    assert_false(image_crop(&image, 0, 0, 0, 1, &out, NULL));
    image_free(&image);
}

static void impossible_pictures_are_not_made(void **state) {
    (void)state;
    struct image image;
    struct error error = {0};
    assert_false(image_create(&image, 0, 1, IMAGE_RGB, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    assert_false(image_create(&image, SIZE_MAX / 2, 3, IMAGE_RGB, NULL));
    assert_null(image.pixels);
    memory_fail_at(1, 0);
    assert_false(image_create(&image, 2, 2, IMAGE_GREY, &error));
    memory_fail_at(0, 0);
    assert_int_equal(error.code, ERROR_MEMORY);
    image_free(&image); /* all zero is fine */
}

static void inverting_twice_is_nothing(void **state) {
    (void)state;
    struct image image = picture(5, 4, IMAGE_RGB, 0), again = picture(5, 4, IMAGE_RGB, 0);
    image_invert(&image);
    for (size_t i = 0; i < 60; i++) assert_int_equal(image.pixels[i] + again.pixels[i], 255);
    image_invert(&image);
    assert_true(same_pixels(&image, &again));
    image_free(&image);
    image_free(&again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orientations_turn_as_in_pillow),
        cmocka_unit_test(orientations_beyond_the_eight_are_refused),
        cmocka_unit_test(cuts_stay_inside),
        cmocka_unit_test(impossible_pictures_are_not_made),
        cmocka_unit_test(inverting_twice_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
