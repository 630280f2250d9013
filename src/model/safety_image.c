#include "model/safety_image.h"

#include "model/config.h"

#include <string.h>

enum { SIDE_MIN = 16, SIDE_MAX = 1024 };

/* ==== preprocessor_config.json ==== */

/* Older files say 224, newer ones {"shortest_edge": 224} or {"height": 224, "width": 224}. */
static bool read_side(const json_t *root, const char *key, const char *const names[2], size_t *side, struct error *error) {
    const json_t *field = json_object_get(root, key);
    if (!json_is_object(field)) return config_size(root, key, SIDE_MIN, SIDE_MAX, side, error);
    size_t other;
    if (!config_size(field, names[0], SIDE_MIN, SIDE_MAX, side, error)) return error_context(error, "%s", key);
    other = *side;
    if (!config_size(field, names[1], SIDE_MIN, SIDE_MAX, &other, error)) return error_context(error, "%s", key);
    return other == *side || error_set(error, ERROR_UNSUPPORTED, "%s is not a square", key);
}

static bool read_config(const json_t *root, struct safety_image *config, struct error *error) {
    static const struct config_fixed fixed[] = {
        {"do_resize", "true"},  {"do_center_crop", "true"}, {"do_normalize", "true"},
        {"do_rescale", "true"}, {"resample", "3"},          {"rescale_factor", "0.00392156862745098"},
    };
    static const char *const edge[2] = {"shortest_edge", "shortest_edge"}, *const both[2] = {"height", "width"};
    if (!config_check_fixed(root, fixed, sizeof fixed / sizeof *fixed, error) || !read_side(root, "size", edge, &config->shorter, error) ||
        !read_side(root, "crop_size", both, &config->side, error) || !config_numbers(root, "image_mean", -10, 10, config->mean, 3, error) ||
        !config_numbers(root, "image_std", 1e-3, 10, config->spread, 3, error))
        return false;
    if (config->side > config->shorter)
        return error_set(error, ERROR_UNSUPPORTED, "crop_size %zu is larger than size %zu", config->side, config->shorter);
    return true;
}

bool safety_image_config(const char *path, struct safety_image *config, struct error *error) {
    *config = (struct safety_image){
        .shorter = 224, .side = 224, .mean = {0.48145466, 0.4578275, 0.40821073}, .spread = {0.26862954, 0.26130258, 0.27577711}};
    if (!path) return true;
    json_t *root;
    if (!config_open(path, NULL, &root, error)) return false;
    bool read = read_config(root, config, error);
    json_decref(root);
    return read || error_context(error, "%s", path);
}

/* ==== The picture ==== */

bool safety_image_pixels(const struct safety_image *config, const struct image *picture, float *pixels, struct error *error) {
    if (picture->mode != IMAGE_RGB || picture->width == 0 || picture->height == 0)
        return error_set(error, ERROR_ARGUMENT, "the safety checker needs a picture with pixels, in RGB");
    size_t shorter = picture->width < picture->height ? picture->width : picture->height;
    size_t width = config->shorter * picture->width / shorter, height = config->shorter * picture->height / shorter, side = config->side;
    struct image scaled = {0}, middle = {0};
    bool ready = image_resize_bicubic(picture, width, height, &scaled, error) &&
                 image_crop(&scaled, (width - side) / 2, (height - side) / 2, side, side, &middle, error);
    for (size_t i = 0; ready && i < side * side * 3; i++) {
        float value = (float)((double)middle.pixels[i] * (1.0 / 255.0));
        pixels[i] = (value - (float)config->mean[i % 3]) / (float)config->spread[i % 3];
    }
    image_free(&scaled);
    image_free(&middle);
    return ready;
}
