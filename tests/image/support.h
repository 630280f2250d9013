/* What the tests of this folder share. */
#ifndef TESTS_IMAGE_SUPPORT_H
#define TESTS_IMAGE_SUPPORT_H

#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A file of tests/image/golden; memory_free(). */
static inline uint8_t *golden(const char *name, size_t *length) {
    char path[512], *data;
    struct error error = {0};
    snprintf(path, sizeof path, SOURCE_DIR "/tests/image/golden/%s", name);
    if (!file_read(path, 1 << 20, &data, length, &error)) fail_msg("%s", error.message);
    return (uint8_t *)data;
}

/* The same numbers as pixels() in golden/make.py. */
static inline void fill(uint8_t *pixels, size_t count, int kind) {
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        pixels[i] = (uint8_t)(kind == 0 ? state >> 24 : 255 * (state >> 31));
    }
}

static inline struct image picture(size_t width, size_t height, enum image_mode mode, int kind) {
    struct image image;
    assert_true(image_create(&image, width, height, mode, NULL));
    fill(image.pixels, width * height * (size_t)mode, kind);
    return image;
}

/* A picture without noise, so that lossy formats come back near it. */
static inline struct image gradient(size_t width, size_t height, enum image_mode mode) {
    struct image image = picture(width, height, mode, 0);
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t c = 0; c < (size_t)mode; c++)
                image.pixels[(y * width + x) * (size_t)mode + c] = (uint8_t)(40 + 3 * x + 2 * y + 20 * c);
    return image;
}

static inline bool same_pixels(const struct image *a, const struct image *b) {
    return a->width == b->width && a->height == b->height && a->mode == b->mode &&
           memcmp(a->pixels, b->pixels, a->width * a->height * (size_t)a->mode) == 0;
}

#endif
