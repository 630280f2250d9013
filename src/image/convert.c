/* Between bytes, masks and the numbers that the networks see. */
#include "image/image.h"

#include <math.h>
#include <string.h>

/* ITU-R 601 luma in 16-bit fixed point, as in Pillow's convert("L"). */
static uint8_t luma(const uint8_t *rgb) { return (uint8_t)((19595U * rgb[0] + 38470U * rgb[1] + 7471U * rgb[2] + 0x8000U) >> 16); }

bool image_to_grey(const struct image *image, struct image *out, struct error *error) {
    if (!image_create(out, image->width, image->height, IMAGE_GREY, error)) return false;
    size_t count = image->width * image->height;
    if (image->mode == IMAGE_GREY)
        memcpy(out->pixels, image->pixels, count);
    else
        for (size_t i = 0; i < count; i++) out->pixels[i] = luma(image->pixels + 3 * i);
    return true;
}

bool image_threshold_mask(const struct image *mask, struct image *out, struct error *error) {
    if (!image_to_grey(mask, out, error)) return false;
    size_t count = out->width * out->height;
    for (size_t i = 0; i < count; i++) out->pixels[i] = out->pixels[i] >= 128 ? 255 : 0;
    return true;
}

/* The masked value is a product with 0, as in the original: minus zero where the pixel was dark. */
void image_masked_floats(const struct image *image, const struct image *binary_mask, float *out) {
    size_t count = image->width * image->height;
    for (size_t i = 0; i < count; i++) {
        float keep = binary_mask->pixels[i] ? 0.0F : 1.0F;
        for (size_t c = 0; c < 3; c++) out[3 * i + c] = ((float)image->pixels[3 * i + c] / 127.5F - 1.0F) * keep;
    }
}

void image_latent_mask(const struct image *binary_mask, float *out) {
    for (size_t y = 0; y < binary_mask->height / 8; y++)
        for (size_t x = 0; x < binary_mask->width / 8; x++) *out++ = binary_mask->pixels[8 * y * binary_mask->width + 8 * x] ? 1.0F : 0.0F;
}

void image_from_floats(const float *pixels, struct image *image) {
    size_t count = image->width * image->height * (size_t)image->mode;
    for (size_t i = 0; i < count; i++) {
        float value = pixels[i] / 2 + 0.5F;
        value = value > 0.0F ? value : 0.0F; /* not-a-number becomes black */
        image->pixels[i] = (uint8_t)rintf((value < 1.0F ? value : 1.0F) * 255);
    }
}
