#include "support.h"

#include <math.h>

/* The numbers are Pillow's: 19595, 38470 and 7471 of 65536, rounded. */
static void grey_is_pillows_luma(void **state) {
    (void)state;
    static const struct {
        uint8_t rgb[3], grey;
    } cases[] = {{{0, 0, 0}, 0},         {{255, 255, 255}, 255}, {{255, 0, 0}, 76}, {{0, 255, 0}, 150},   {{0, 0, 255}, 29},
                 {{128, 128, 128}, 128}, {{127, 127, 127}, 127}, {{1, 2, 3}, 2},    {{200, 100, 50}, 124}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image image = {.width = 1, .height = 1, .mode = IMAGE_RGB, .pixels = (uint8_t *)(uintptr_t)cases[i].rgb}, out;
        assert_true(image_to_grey(&image, &out, NULL));
        assert_int_equal(out.mode, IMAGE_GREY);
        assert_int_equal(out.pixels[0], cases[i].grey);
        image_free(&out);
    }
}

static void masks_are_set_from_128_on(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        struct image mask = picture(256, 1, (enum image_mode)channels, 0), out;
        for (size_t i = 0; i < 256 * (size_t)channels; i++) mask.pixels[i] = (uint8_t)(i / (size_t)channels);
        assert_true(image_threshold_mask(&mask, &out, NULL));
        for (size_t i = 0; i < 256; i++) assert_int_equal(out.pixels[i], i < 128 ? 0 : 255);
        image_free(&mask);
        image_free(&out);
    }
}

static void masked_pixels_are_mid_grey(void **state) {
    (void)state;
    uint8_t rgb[] = {0, 255, 51, 10, 20, 30}, set[] = {0, 255};
    const struct image image = {.width = 2, .height = 1, .mode = IMAGE_RGB, .pixels = rgb};
    const struct image mask = {.width = 2, .height = 1, .mode = IMAGE_GREY, .pixels = set};
    float out[6];
    image_masked_floats(&image, &mask, out);
    assert_true(out[0] == -1.0F && out[1] == 1.0F && out[2] == 51 / 127.5F - 1);
    for (int i = 3; i < 6; i++) assert_true(out[i] == 0.0F);
}

static void the_latent_mask_is_every_eighth_pixel(void **state) {
    (void)state;
    struct image mask = picture(24, 16, IMAGE_GREY, 1);
    float out[6];
    image_latent_mask(&mask, out);
    for (size_t y = 0; y < 2; y++)
        for (size_t x = 0; x < 3; x++) assert_true(out[3 * y + x] == (mask.pixels[8 * y * 24 + 8 * x] ? 1.0F : 0.0F));
    image_free(&mask);
}

static void floats_become_bytes_half_to_even(void **state) {
    (void)state;
    static const struct {
        float value;
        uint8_t byte;
    } cases[] = {{-1, 0},
                 {1, 255},
                 {0, 128},
                 {-0x1.01014p-7F, 126},
                 {0x1.0100b2p-7F, 128},
                 {0x1.fdfdfcp-1F, 254}, /* 127.5, 126.5, 128.5, 254.5 */
                 {0.2F, 153},
                 {-2, 0},
                 {7, 255},
                 {NAN, 0},
                 {INFINITY, 255},
                 {-INFINITY, 0}};
    enum { CASES = sizeof cases / sizeof *cases };
    float values[3 * CASES];
    struct image image = picture(CASES, 1, IMAGE_RGB, 0);
    for (size_t i = 0; i < 3 * CASES; i++) values[i] = cases[i / 3].value;
    image_from_floats(values, &image);
    for (size_t i = 0; i < 3 * CASES; i++) assert_int_equal(image.pixels[i], cases[i / 3].byte);
    image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grey_is_pillows_luma),
        cmocka_unit_test(masks_are_set_from_128_on),
        cmocka_unit_test(masked_pixels_are_mid_grey),
        cmocka_unit_test(the_latent_mask_is_every_eighth_pixel),
        cmocka_unit_test(floats_become_bytes_half_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
