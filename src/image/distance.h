/* How far each masked pixel is from the unmasked ones. Only for this folder. */
#ifndef IMAGE_DISTANCE_H
#define IMAGE_DISTANCE_H

#include "image/image.h"

enum { DISTANCE_MAX = 16384 }; /* pixels */

/* out[height * width]: the squared Euclidean distance, in pixels, from each pixel to the nearest one
 * whose mask value is 0, itself included; at most limit * limit (1 <= limit <= DISTANCE_MAX), and
 * that where there is no such pixel. What lies outside the picture is no edge. */
bool distance_squared(const struct image *binary_mask, uint32_t limit, uint32_t *out, struct error *error);

/* Each value becomes the largest one at most `radius` rows and columns away. */
bool distance_widest(uint32_t *values, size_t width, size_t height, size_t radius, struct error *error);

#endif
