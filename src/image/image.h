/* Pictures as bytes, and everything that happens to them before and after the network: decoding
 * with limits checked first, Pillow-exact conversion and resizing, the original predictor's
 * cropping and masking, and compositing. Knows nothing of models. */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/buffer.h"
#include "base/error.h"

#include <stdint.h>

enum image_mode { IMAGE_GREY = 1, IMAGE_RGB = 3 }; /* bytes a pixel */

struct image {
    size_t width, height;
    enum image_mode mode;
    uint8_t *pixels; /* rows without gaps; memory_free() */
};

bool image_create(struct image *image, size_t width, size_t height, enum image_mode mode, struct error *error);
void image_free(struct image *image); /* leaves it all zero; an all-zero image is fine */

struct image_limits {
    size_t side;   /* pixels; default 16384 */
    size_t pixels; /* default 100 million */
    size_t bytes;  /* of the encoded file; default 100 MB */
};
extern const struct image_limits image_limits_default;

enum image_format { IMAGE_UNKNOWN, IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP };
enum image_format image_sniff(const void *data, size_t length);

/* Decode PNG, JPEG or WebP to RGB as Pillow's Image.open().convert("RGB") does: alpha dropped, not
 * composited; palettes looked up; 16-bit grey as Pillow's conversion of mode "I;16" to RGB.
 * EXIF orientation is NOT applied (the original does not); *orientation (may be NULL) tells it,
 * 1 .. 8. Width, height and size are checked against the limits before memory is taken. */
bool image_decode(const void *data, size_t length, const struct image_limits *limits, struct image *image, int *orientation,
                  struct error *error);

/* Turn a picture as its EXIF orientation (1 .. 8) says, in place. */
bool image_orient(struct image *image, int orientation, struct error *error);

/* PNG, RGB or grey, 8 bits. texts: pairs keyword, UTF-8 text ..., NULL; stored as tEXt/iTXt; may be NULL. */
bool image_encode_png(const struct image *image, const char *const *texts, struct buffer *out, struct error *error);
bool image_encode_jpeg(const struct image *image, int quality, struct buffer *out, struct error *error);
bool image_encode_webp(const struct image *image, int quality, struct buffer *out, struct error *error);

/* Pillow's resize, BICUBIC (a = -0.5, antialiased when shrinking), bit for bit: 8-bit fixed-point
 * coefficients, horizontal pass first. */
bool image_resize_bicubic(const struct image *image, size_t width, size_t height, struct image *out, struct error *error);
/* Pillow's convert("L") of an RGB picture: (19595 R + 38470 G + 7471 B + 0x8000) >> 16. */
bool image_to_grey(const struct image *image, struct image *out, struct error *error);
bool image_crop(const struct image *image, size_t left, size_t top, size_t width, size_t height, struct image *out, struct error *error);
void image_invert(struct image *image);

/* The original predictor's preparation (steps 3 to 6 of its predict()): convert, invert the mask,
 * centre-crop to multiples of 8, resize the mask to the image. `mask_resized` (may be NULL) tells
 * whether the resize took place, with the mask's size before it in `mask_size` (may be NULL).
 * Inputs are RGB. ERROR_ARGUMENT when a side is below 8 pixels. */
bool image_prepare(const struct image *image, const struct image *mask, bool invert, struct image *image_out, struct image *mask_out,
                   bool *mask_resized, size_t mask_size[2], struct error *error);

/* mask (RGB or grey) -> grey with 0 or 255: 255 where the grey value is at least 128. */
bool image_threshold_mask(const struct image *mask, struct image *out, struct error *error);
/* masked image as the network wants it: out[height * width * 3] f32, value / 127.5 - 1, and 0.0
 * (mid-grey) where the binary mask is set. */
void image_masked_floats(const struct image *image, const struct image *binary_mask, float *out);
/* nearest, factor 8: out[(height / 8) * (width / 8)] of 0.0 or 1.0, the top-left pixel of each 8x8. */
void image_latent_mask(const struct image *binary_mask, float *out);
/* decode [-1, 1] -> bytes: clamp(x / 2 + 0.5, 0, 1) * 255, rounded half to even. */
void image_from_floats(const float *pixels, struct image *image);

/* The mask's promise: out = original where the binary mask is 0, bit for bit; the painted picture
 * inside it, blended towards the original over the `feather` pixels next to the edge, inside the
 * mask only. `painted` is changed in place. feather 0 = hard edge. */
bool image_composite(struct image *painted, const struct image *original, const struct image *binary_mask, int feather,
                     struct error *error);

#endif
