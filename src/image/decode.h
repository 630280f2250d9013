/* What the decoders share. Only for this folder. */
#ifndef IMAGE_DECODE_H
#define IMAGE_DECODE_H

#include "image/image.h"

/* Each decodes a whole file to RGB. On failure *image is all zero. *orientation is 1 .. 8. */
bool decode_png(const uint8_t *data, size_t length, const struct image_limits *limits, struct image *image, int *orientation,
                struct error *error);
bool decode_jpeg(const uint8_t *data, size_t length, const struct image_limits *limits, struct image *image, int *orientation,
                 struct error *error);
bool decode_webp(const uint8_t *data, size_t length, const struct image_limits *limits, struct image *image, int *orientation,
                 struct error *error);

/* Check the size that a file claims, then make the RGB picture for it. */
bool decode_begin(size_t width, size_t height, const struct image_limits *limits, struct image *image, struct error *error);

/* The orientation (1 .. 8) that a TIFF-like EXIF block tells; 1 when it tells none or is damaged.
 * A leading "Exif\0\0" is skipped. */
int exif_orientation(const uint8_t *data, size_t length);

#endif
