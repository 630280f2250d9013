/* Keeping the mask's promise, and hiding the seam that it would leave. */
#include "image/distance.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

static bool same_size(const struct image *a, const struct image *b) { return a->width == b->width && a->height == b->height; }

struct rectangle {
    size_t left, top, width, height;
};

/* The masked pixels and a frame of one pixel around them, as far as the picture has one: the nearest
 * unmasked pixel of any masked one lies in there. false when nothing is masked. */
static bool find_masked(const struct image *mask, struct rectangle *found) {
    size_t left = mask->width, right = 0, top = mask->height, bottom = 0;
    for (size_t y = 0; y < mask->height; y++) {
        for (size_t x = 0; x < mask->width; x++) {
            if (!mask->pixels[y * mask->width + x]) continue;
            if (x < left) left = x;
            if (x > right) right = x;
            if (y < top) top = y;
            bottom = y;
        }
    }
    if (left > right || top > bottom) return false;
    if (left) left--;
    if (top) top--;
    if (right + 1 < mask->width) right++;
    if (bottom + 1 < mask->height) bottom++;
    *found = (struct rectangle){.left = left, .top = top, .width = right - left + 1, .height = bottom - top + 1};
    return true;
}

static void keep_unmasked(struct image *painted, const struct image *original, const struct image *mask) {
    size_t pixel = (size_t)painted->mode, count = mask->width * mask->height;
    for (size_t i = 0; i < count; i++)
        if (!mask->pixels[i]) memcpy(painted->pixels + i * pixel, original->pixels + i * pixel, pixel);
}

/* How much of the paint shows: a smooth step from 0 at the last unmasked pixel to 1 where the
 * distance reaches `full`. */
static float paint_share(uint32_t squared_distance, uint32_t squared_full) {
    if (squared_distance >= squared_full) return 1.0F;
    float part = sqrtf((float)squared_distance / (float)squared_full);
    return part * part * (3.0F - 2.0F * part);
}

static void blend(struct image *painted, const struct image *original, const struct image *area_mask, const struct rectangle *area,
                  const uint32_t *distance, const uint32_t *widest) {
    size_t pixel = (size_t)painted->mode;
    for (size_t y = 0; y < area->height; y++) {
        for (size_t x = 0; x < area->width; x++) {
            size_t i = y * area->width + x, at = ((area->top + y) * painted->width + area->left + x) * pixel;
            if (!area_mask->pixels[i]) continue;
            float share = paint_share(distance[i], widest[i]);
            for (size_t c = at; c < at + pixel; c++) {
                float from = original->pixels[c], to = painted->pixels[c];
                painted->pixels[c] = (uint8_t)rintf(from + (to - from) * share);
            }
        }
    }
}

/* Paint shows in full from feather + 1 pixels off the edge on. Where the mask is too thin for that,
 * it shows in full along the mask's middle: a feather as wide as the stroke would hide the stroke. */
static bool feather_edge(struct image *painted, const struct image *original, const struct image *area_mask, const struct rectangle *area,
                         uint32_t feather, struct error *error) {
    size_t count = area->width * area->height;
    uint32_t *distance = memory_array(count, sizeof *distance), *widest = memory_array(count, sizeof *widest);
    bool done = distance && widest ? distance_squared(area_mask, feather + 1, distance, error)
                                   : error_set(error, ERROR_MEMORY, "out of memory for blending the edge of the mask");
    if (done) {
        memcpy(widest, distance, count * sizeof *widest);
        done = distance_widest(widest, area->width, area->height, feather, error);
    }
    if (done) blend(painted, original, area_mask, area, distance, widest);
    memory_free(distance);
    memory_free(widest);
    return done;
}

bool image_composite(struct image *painted, const struct image *original, const struct image *binary_mask, int feather,
                     struct error *error) {
    if (!same_size(painted, original) || !same_size(painted, binary_mask) || painted->mode != original->mode ||
        binary_mask->mode != IMAGE_GREY)
        return error_set(error, ERROR_ARGUMENT, "compositing needs a picture, an original and a grey mask of one size");
    if (feather < 0 || feather >= DISTANCE_MAX)
        return error_set(error, ERROR_ARGUMENT, "the feather is 0 to %d pixels, not %d", DISTANCE_MAX - 1, feather);
    struct rectangle area;
    if (feather && find_masked(binary_mask, &area)) {
        struct image area_mask;
        bool done = image_crop(binary_mask, area.left, area.top, area.width, area.height, &area_mask, error) &&
                    feather_edge(painted, original, &area_mask, &area, (uint32_t)feather, error);
        image_free(&area_mask);
        if (!done) return false;
    }
    keep_unmasked(painted, original, binary_mask);
    return true;
}
