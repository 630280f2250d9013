#include "image/distance.h"

#include "support.h"

#include <math.h>

static struct image mask_of(size_t width, size_t height, unsigned share, uint32_t seed) {
    struct image mask = picture(width, height, IMAGE_GREY, 0);
    for (size_t i = 0; i < width * height; i++) {
        seed = seed * 1664525 + 1013904223;
        mask.pixels[i] = (seed >> 16) % 100 < share ? 255 : 0;
    }
    return mask;
}

/* By definition: every pixel against every other. */
static uint32_t nearest(const struct image *mask, size_t x, size_t y, uint32_t limit) {
    long best = (long)limit * limit;
    for (size_t v = 0; v < mask->height; v++) {
        for (size_t u = 0; u < mask->width; u++) {
            long dx = (long)u - (long)x, dy = (long)v - (long)y;
            if (!mask->pixels[v * mask->width + u] && dx * dx + dy * dy < best) best = dx * dx + dy * dy;
        }
    }
    return (uint32_t)best;
}

static void distances_are_exact(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{1, 1}, {1, 30}, {30, 1}, {21, 17}, {40, 13}};
    static const unsigned shares[] = {0, 50, 90, 98, 100};
    static const uint32_t limits[] = {1, 4, 100, DISTANCE_MAX};
    uint32_t out[40 * 17];
    for (size_t c = 0; c < 5 * 5 * 4; c++) {
        const size_t *size = sizes[c % 5];
        uint32_t limit = limits[c / 25];
        struct image mask = mask_of(size[0], size[1], shares[c / 5 % 5], (uint32_t)c);
        assert_true(distance_squared(&mask, limit, out, NULL));
        for (size_t y = 0; y < size[1]; y++)
            for (size_t x = 0; x < size[0]; x++) assert_int_equal(out[y * size[0] + x], nearest(&mask, x, y, limit));
        image_free(&mask);
    }
}

static void the_widest_is_the_largest_nearby(void **state) {
    (void)state;
    enum { WIDTH = 19, HEIGHT = 11 };
    uint32_t values[WIDTH * HEIGHT], copy[WIDTH * HEIGHT], seed = 5;
    static const size_t radii[] = {0, 1, 3, 10, 500};
    for (size_t r = 0; r < 5; r++) {
        for (size_t i = 0; i < WIDTH * HEIGHT; i++) values[i] = copy[i] = (seed = seed * 1664525 + 1013904223) >> 20;
        assert_true(distance_widest(values, WIDTH, HEIGHT, radii[r], NULL));
        for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
            uint32_t most = 0;
            for (size_t k = 0; k < WIDTH * HEIGHT; k++) {
                long dx = labs((long)(i % WIDTH) - (long)(k % WIDTH)), dy = labs((long)(i / WIDTH) - (long)(k / WIDTH));
                if (dx <= (long)radii[r] && dy <= (long)radii[r] && copy[k] > most) most = copy[k];
            }
            assert_int_equal(values[i], most);
        }
    }
}

static void unmasked_pixels_are_the_originals(void **state) {
    (void)state;
    static const int feathers[] = {0, 1, 5, 100};
    for (size_t c = 0; c < 16; c++) {
        struct image painted = picture(33, 20, IMAGE_RGB, 1), original = picture(33, 20, IMAGE_RGB, 0),
                     mask = mask_of(33, 20, (unsigned[]){0, 40, 95, 100}[c / 4], (uint32_t)c), before = picture(33, 20, IMAGE_RGB, 1);
        assert_true(image_composite(&painted, &original, &mask, feathers[c % 4], NULL));
        for (size_t i = 0; i < 33 * 20; i++) {
            const uint8_t *pixel = painted.pixels + 3 * i, *old = original.pixels + 3 * i, *new = before.pixels + 3 * i;
            if (!mask.pixels[i]) assert_memory_equal(pixel, old, 3);
            if (mask.pixels[i] && (!feathers[c % 4] || c >= 12)) assert_memory_equal(pixel, new, 3); /* no edge: all paint */
            for (size_t k = 0; k < 3; k++) assert_in_range(pixel[k], old[k] < new[k] ? old[k] : new[k], old[k] < new[k] ? new[k] : old[k]);
        }
        image_free(&painted);
        image_free(&original);
        image_free(&mask);
        image_free(&before);
    }
}

/* One row over a mask from `first` to `end`: black original, white paint. */
static void row_of(size_t first, size_t end, int feather, uint8_t row[64]) {
    struct image painted = picture(64, 5, IMAGE_GREY, 0), original = picture(64, 5, IMAGE_GREY, 0), mask = picture(64, 5, IMAGE_GREY, 0);
    memset(painted.pixels, 255, 64 * 5);
    memset(original.pixels, 0, 64 * 5);
    for (size_t i = 0; i < 64 * 5; i++) mask.pixels[i] = i % 64 >= first && i % 64 < end ? 255 : 0;
    assert_true(image_composite(&painted, &original, &mask, feather, NULL));
    for (size_t y = 1; y < 5; y++) assert_memory_equal(painted.pixels + y * 64, painted.pixels, 64);
    memcpy(row, painted.pixels, 64);
    image_free(&painted);
    image_free(&original);
    image_free(&mask);
}

static void paint_grows_from_the_edge_inwards(void **state) {
    (void)state;
    uint8_t row[64];
    row_of(10, 50, 8, row);
    assert_int_equal(row[9], 0);
    assert_in_range(row[10], 1, 20); /* starts near the original */
    for (size_t x = 10; x < 18; x++) assert_true(row[x] < row[x + 1]);
    for (size_t x = 18; x < 42; x++) assert_int_equal(row[x], 255); /* all paint after 8 pixels */
    for (size_t x = 10; x < 50; x++) assert_int_equal(row[x], row[59 - x]);
    assert_int_equal(row[50], 0);
}

static void the_border_of_the_picture_is_no_edge(void **state) {
    (void)state;
    uint8_t row[64];
    row_of(40, 64, 8, row);
    for (size_t x = 48; x < 64; x++) assert_int_equal(row[x], 255);
    assert_in_range(row[40], 1, 20);
    row_of(0, 64, 8, row);
    for (size_t x = 0; x < 64; x++) assert_int_equal(row[x], 255);
}

static void a_thin_stroke_still_shows(void **state) {
    (void)state;
    uint8_t row[64];
    row_of(30, 31, 16, row);
    assert_int_equal(row[30], 255);
    row_of(30, 35, 16, row);
    assert_int_equal(row[32], 255);
    assert_true(row[30] < row[31] && row[31] < 255);
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    struct image a = picture(4, 4, IMAGE_RGB, 0), b = picture(4, 5, IMAGE_RGB, 0), mask = picture(4, 4, IMAGE_GREY, 1),
                 tall = picture(4, 5, IMAGE_GREY, 1);
    struct error error = {0};
    assert_false(image_composite(&a, &b, &mask, 3, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    assert_false(image_composite(&a, &a, &tall, 3, NULL));
    assert_false(image_composite(&a, &a, &a, 3, NULL));
    assert_false(image_composite(&a, &mask, &mask, 3, NULL));
    assert_false(image_composite(&a, &a, &mask, -1, NULL));
    assert_false(image_composite(&a, &a, &mask, 1 << 20, NULL));
    image_free(&a);
    image_free(&b);
    image_free(&mask);
    image_free(&tall);
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    struct image painted = picture(12, 12, IMAGE_RGB, 1), original = picture(12, 12, IMAGE_RGB, 0), mask = mask_of(12, 12, 80, 3);
    size_t failures = 0;
    for (bool done = false; !done; failures += !done) {
        struct error error = {0};
        memory_fail_at(failures + 1, 0);
        done = image_composite(&painted, &original, &mask, 4, &error);
        memory_fail_at(0, 0);
        assert_true(done || error.code == ERROR_MEMORY);
    }
    assert_true(failures > 4);
    image_free(&painted);
    image_free(&original);
    image_free(&mask);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_are_exact),
        cmocka_unit_test(the_widest_is_the_largest_nearby),
        cmocka_unit_test(unmasked_pixels_are_the_originals),
        cmocka_unit_test(paint_grows_from_the_edge_inwards),
        cmocka_unit_test(the_border_of_the_picture_is_no_edge),
        cmocka_unit_test(a_thin_stroke_still_shows),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
