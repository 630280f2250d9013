/* What the picture fuzzers share: decode, turn, and hold the decoder to its contract. */
#ifndef FUZZ_PICTURE_H
#define FUZZ_PICTURE_H

#include "image/image.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_picture(const uint8_t *data, size_t size) {
    const struct image_limits limits = {.side = 2048, .pixels = 1 << 18, .bytes = 1 << 20};
    struct image image;
    struct error error = {0};
    int orientation = 0;
    if (!image_decode(data, size, &limits, &image, &orientation, &error)) {
        if (image.pixels || error.code == ERROR_NONE || error.code == ERROR_INTERNAL || !error.message[0]) abort();
        return;
    }
    if (!image.width || !image.height || image.width > limits.side || image.height > limits.side || image.mode != IMAGE_RGB) abort();
    if (image.width * image.height > limits.pixels || orientation < 1 || orientation > 8) abort();
    /* Every pixel is written: the memory sanitizer and the optimiser both have to look. */
    unsigned sum = 0;
    for (size_t i = 0; i < image.width * image.height * 3; i++) sum += image.pixels[i];
    volatile unsigned seen = sum;
    (void)seen;
    if (!image_orient(&image, orientation, &error)) abort();
    image_free(&image);
}

#endif
