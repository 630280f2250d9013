#include "support.h"

struct prepared {
    struct image image, mask;
    bool resized;
    size_t size[2];
};

static struct prepared prepare(const struct image *image, const struct image *mask, bool invert) {
    struct prepared result;
    struct error error = {0};
    if (!image_prepare(image, mask, invert, &result.image, &result.mask, &result.resized, result.size, &error))
        fail_msg("%s", error.message);
    assert_int_equal(result.image.width, result.mask.width);
    assert_int_equal(result.image.height, result.mask.height);
    return result;
}

static void prepared_free(struct prepared *prepared) {
    image_free(&prepared->image);
    image_free(&prepared->mask);
}

static void assert_cut(const struct image *whole, size_t left, size_t top, const struct image *cut) {
    struct image expected;
    assert_true(image_crop(whole, left, top, cut->width, cut->height, &expected, NULL));
    assert_true(same_pixels(&expected, cut));
    image_free(&expected);
}

static void a_fitting_pair_stays_as_it_is(void **state) {
    (void)state;
    struct image image = picture(16, 24, IMAGE_RGB, 0), mask = picture(16, 24, IMAGE_RGB, 1);
    struct prepared prepared = prepare(&image, &mask, false);
    assert_true(same_pixels(&image, &prepared.image));
    assert_true(same_pixels(&mask, &prepared.mask));
    assert_false(prepared.resized);
    prepared_free(&prepared);
    prepared = prepare(&image, &mask, true);
    image_invert(&mask);
    assert_true(same_pixels(&mask, &prepared.mask));
    prepared_free(&prepared);
    image_free(&image);
    image_free(&mask);
}

static void equal_sizes_are_cut_alike_around_the_centre(void **state) {
    (void)state;
    struct image image = picture(23, 13, IMAGE_RGB, 0), mask = picture(23, 13, IMAGE_RGB, 1);
    struct prepared prepared = prepare(&image, &mask, false);
    assert_int_equal(prepared.image.width, 16);
    assert_int_equal(prepared.image.height, 8);
    assert_cut(&image, 3, 2, &prepared.image); /* int(7 / 2), int(5 / 2) */
    assert_cut(&mask, 3, 2, &prepared.mask);
    assert_false(prepared.resized);
    prepared_free(&prepared);
    image_free(&image);
    image_free(&mask);
}

static void a_mask_of_the_cut_size_is_taken_as_it_is(void **state) {
    (void)state;
    struct image image = picture(23, 13, IMAGE_RGB, 0), mask = picture(16, 8, IMAGE_RGB, 1);
    struct prepared prepared = prepare(&image, &mask, false);
    assert_true(same_pixels(&mask, &prepared.mask));
    assert_false(prepared.resized);
    prepared_free(&prepared);
    image_free(&image);
    image_free(&mask);
}

/* A mask that itself is no multiple of 8 and has another size is resized whole, not cut; and it is
 * inverted before that. */
static void any_other_mask_is_resized_after_inversion(void **state) {
    (void)state;
    struct image image = picture(24, 16, IMAGE_RGB, 0), mask = picture(13, 29, IMAGE_RGB, 1), expected;
    struct prepared prepared = prepare(&image, &mask, true);
    assert_true(prepared.resized);
    assert_int_equal(prepared.size[0], 13);
    assert_int_equal(prepared.size[1], 29);
    image_invert(&mask);
    assert_true(image_resize_bicubic(&mask, 24, 16, &expected, NULL));
    assert_true(same_pixels(&expected, &prepared.mask));
    prepared_free(&prepared);
    image_free(&expected);
    image_free(&image);
    image_free(&mask);
}

static void pictures_below_eight_pixels_are_refused(void **state) {
    (void)state;
    struct image small = picture(7, 100, IMAGE_RGB, 0), pixel = picture(1, 1, IMAGE_RGB, 0), image = picture(8, 8, IMAGE_RGB, 0), out, mask;
    struct error error = {0};
    assert_false(image_prepare(&small, &small, false, &out, &mask, NULL, NULL, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "7 x 100"));
    assert_null(out.pixels);
    assert_false(image_prepare(&pixel, &image, false, &out, &mask, NULL, NULL, NULL));
    assert_true(image_prepare(&image, &pixel, false, &out, &mask, NULL, NULL, NULL)); /* one pixel is a mask for all */
    for (size_t i = 0; i < 64 * 3; i++) assert_int_equal(mask.pixels[i], pixel.pixels[i % 3]);
    image_free(&out);
    image_free(&mask);
    image_free(&small);
    image_free(&pixel);
    image_free(&image);
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    struct image image = picture(23, 13, IMAGE_RGB, 0), mask = picture(30, 9, IMAGE_RGB, 1), out, mask_out;
    size_t failures = 0;
    for (bool done = false; !done; failures += !done) {
        struct error error = {0};
        memory_fail_at(failures + 1, 0);
        done = image_prepare(&image, &mask, true, &out, &mask_out, NULL, NULL, &error);
        memory_fail_at(0, 0);
        assert_true(done || (error.code == ERROR_MEMORY && !out.pixels && !mask_out.pixels));
    }
    assert_true(failures > 5);
    image_free(&out);
    image_free(&mask_out);
    image_free(&image);
    image_free(&mask);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fitting_pair_stays_as_it_is),
        cmocka_unit_test(equal_sizes_are_cut_alike_around_the_centre),
        cmocka_unit_test(a_mask_of_the_cut_size_is_taken_as_it_is),
        cmocka_unit_test(any_other_mask_is_resized_after_inversion),
        cmocka_unit_test(pictures_below_eight_pixels_are_refused),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
