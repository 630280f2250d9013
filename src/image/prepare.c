/* Steps 3 to 6 of the original predictor, in its order: the mask is inverted before it is resized,
 * it is cropped only when it has the uncropped picture's size, and it is resized, without keeping
 * its proportions, whenever it then differs from the cropped picture. */
#include "image/image.h"

enum { MULTIPLE = 8 }; /* the autoencoder halves three times */

static bool same_size(const struct image *a, const struct image *b) { return a->width == b->width && a->height == b->height; }

static bool copy(const struct image *image, struct image *out, struct error *error) {
    return image_crop(image, 0, 0, image->width, image->height, out, error);
}

static bool crop_to_multiple(const struct image *image, struct image *out, struct error *error) {
    size_t width = image->width / MULTIPLE * MULTIPLE, height = image->height / MULTIPLE * MULTIPLE;
    return image_crop(image, (image->width - width) / 2, (image->height - height) / 2, width, height, out, error);
}

static bool resize_to(struct image *mask, const struct image *image, struct error *error) {
    struct image resized;
    if (!image_resize_bicubic(mask, image->width, image->height, &resized, error)) return false;
    image_free(mask);
    *mask = resized;
    return true;
}

bool image_prepare(const struct image *image, const struct image *mask, bool invert, struct image *image_out, struct image *mask_out,
                   bool *mask_resized, size_t mask_size[2], struct error *error) {
    *image_out = *mask_out = (struct image){0};
    if (image->width < MULTIPLE || image->height < MULTIPLE)
        return error_set(error, ERROR_ARGUMENT, "the image is %zu x %zu pixels; each side needs at least %d", image->width, image->height,
                         (int)MULTIPLE);
    bool crop = image->width % MULTIPLE || image->height % MULTIPLE;
    bool done = crop && same_size(mask, image) ? crop_to_multiple(mask, mask_out, error) : copy(mask, mask_out, error);
    done = done && (crop ? crop_to_multiple(image, image_out, error) : copy(image, image_out, error));
    bool resize = done && !same_size(mask_out, image_out);
    if (mask_resized) *mask_resized = resize;
    if (mask_size) {
        mask_size[0] = mask_out->width;
        mask_size[1] = mask_out->height;
    }
    if (done && invert) image_invert(mask_out);
    if (resize) done = resize_to(mask_out, image_out, error);
    if (done) return true;
    image_free(image_out);
    image_free(mask_out);
    return false;
}
