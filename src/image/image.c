/* Pictures as such: making, freeing, cutting, turning. */
#include "image/image.h"

#include "base/memory.h"

#include <string.h>

const struct image_limits image_limits_default = {.side = 16384, .pixels = 100000000, .bytes = 100000000};

bool image_create(struct image *image, size_t width, size_t height, enum image_mode mode, struct error *error) {
    *image = (struct image){0};
    if (!width || !height || width > SIZE_MAX / (size_t)mode / height)
        return error_set(error, ERROR_ARGUMENT, "a picture of %zu x %zu pixels cannot exist", width, height);
    uint8_t *pixels = memory_array(height, width * (size_t)mode);
    if (!pixels) return error_set(error, ERROR_MEMORY, "out of memory for a picture of %zu x %zu pixels", width, height);
    *image = (struct image){.width = width, .height = height, .mode = mode, .pixels = pixels};
    return true;
}

void image_free(struct image *image) {
    memory_free(image->pixels);
    *image = (struct image){0};
}

bool image_crop(const struct image *image, size_t left, size_t top, size_t width, size_t height, struct image *out, struct error *error) {
    *out = (struct image){0};
    if (width > image->width || left > image->width - width || height > image->height || top > image->height - height)
        return error_set(error, ERROR_ARGUMENT, "the cut of %zu x %zu pixels at %zu, %zu leaves the picture of %zu x %zu pixels", width,
                         height, left, top, image->width, image->height);
    if (!image_create(out, width, height, image->mode, error)) return false;
    size_t pixel = (size_t)image->mode;
    for (size_t y = 0; y < height; y++)
        memcpy(out->pixels + y * width * pixel, image->pixels + ((top + y) * image->width + left) * pixel, width * pixel);
    return true;
}

void image_invert(struct image *image) {
    size_t count = image->width * image->height * (size_t)image->mode;
    for (size_t i = 0; i < count; i++) image->pixels[i] = (uint8_t)(255 - image->pixels[i]);
}

bool image_orient(struct image *image, int orientation, struct error *error) {
    if (orientation < 1 || orientation > 8) return error_set(error, ERROR_ARGUMENT, "an EXIF orientation is 1 to 8, not %d", orientation);
    if (orientation == 1) return true;
    /* Pixel (x, y) of the turned picture is the source's (x, y), or (y, x) from orientation 5 on,
     * counted from the right or from the bottom where the orientation mirrors. */
    bool swap = orientation >= 5;
    bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    struct image out;
    size_t width = swap ? image->height : image->width, height = swap ? image->width : image->height;
    if (!image_create(&out, width, height, image->mode, error)) return false;
    size_t pixel = (size_t)image->mode;
    uint8_t *to = out.pixels;
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++, to += pixel) {
            size_t source_x = swap ? y : x, source_y = swap ? x : y;
            if (mirror_x) source_x = image->width - 1 - source_x;
            if (mirror_y) source_y = image->height - 1 - source_y;
            memcpy(to, image->pixels + (source_y * image->width + source_x) * pixel, pixel);
        }
    }
    image_free(image);
    *image = out;
    return true;
}
