/* The prepared picture and mask, the masked picture and the latent mask against the original
 * predictor's, in every byte, for each case that image.json lists. */
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "reference.h"
#include "weights/weights.h"

#include <jansson.h>
#include <string.h>

static int failures;

static void complain(const char *what, const char *message) {
    printf("FAILED: %s: %s\n", what, message);
    failures++;
}

static bool read_picture(const char *folder, const json_t *entry, const char *key, struct image *image, struct error *error) {
    const char *name = json_string_value(json_object_get(entry, key));
    if (!name) return error_set(error, ERROR_FORMAT, "the case does not name its %s", key);
    char path[1024], *data;
    size_t length;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!file_read(path, image_limits_default.bytes, &data, &length, error)) return false;
    bool done = image_decode(data, length, NULL, image, NULL, error);
    memory_free(data);
    return done;
}

/* Bytes of "INDEX.part" against ours. */
static void compare(const struct weights *goldens, size_t index, const char *part, const void *ours, size_t length) {
    char name[64], message[160];
    snprintf(name, sizeof name, "%zu.%s", index, part);
    const struct tensor *golden = weights_find(goldens, name);
    if (!golden) {
        complain(name, "not in image.safetensors");
        return;
    }
    size_t there = tensor_count(golden) * dtype_size(golden->dtype), size = dtype_size(golden->dtype), wrong = 0;
    if (there != length) {
        snprintf(message, sizeof message, "%zu bytes, the original has %zu", length, there);
        complain(name, message);
        return;
    }
    for (size_t i = 0; i < length; i += size) wrong += memcmp((const char *)ours + i, (const char *)golden->data + i, size) != 0;
    snprintf(message, sizeof message, "%zu of %zu values differ", wrong, length / size);
    if (wrong) complain(name, message);
}

static bool compare_case(const struct weights *goldens, size_t index, const struct image *image, const struct image *mask,
                         struct error *error) {
    struct image binary;
    if (!image_threshold_mask(mask, &binary, error)) return false;
    size_t count = image->width * image->height;
    uint8_t *bits = memory_array(count, 1);
    float *masked = memory_array(3 * count, sizeof *masked), *planes = memory_array(3 * count, sizeof *planes),
          *latent = memory_array(count, sizeof *latent);
    bool there = bits && masked && planes && latent;
    if (there) {
        for (size_t i = 0; i < count; i++) bits[i] = binary.pixels[i] == 255;
        image_masked_floats(image, &binary, masked);
        for (size_t i = 0; i < 3 * count; i++) planes[i] = masked[i % count * 3 + i / count]; /* the golden is [1, 3, h, w] */
        image_latent_mask(&binary, latent);
        compare(goldens, index, "image", image->pixels, 3 * count);
        compare(goldens, index, "mask", bits, count);
        compare(goldens, index, "masked_image", planes, 3 * count * sizeof *planes);
        compare(goldens, index, "latent_mask", latent, count / 64 * sizeof *latent);
    }
    image_free(&binary);
    memory_free(bits);
    memory_free(masked);
    memory_free(planes);
    memory_free(latent);
    return there || error_set(error, ERROR_MEMORY, "out of memory");
}

static bool run_case(const char *folder, const struct weights *goldens, size_t index, const json_t *entry, struct error *error) {
    struct image pictures[4] = {0};
    bool invert = json_is_true(json_object_get(entry, "invert_mask"));
    bool done = read_picture(folder, entry, "image", &pictures[0], error) && read_picture(folder, entry, "mask", &pictures[1], error) &&
                image_prepare(&pictures[0], &pictures[1], invert, &pictures[2], &pictures[3], NULL, NULL, error);
    if (done && ((json_int_t)pictures[2].width != json_integer_value(json_object_get(entry, "width")) ||
                 (json_int_t)pictures[2].height != json_integer_value(json_object_get(entry, "height"))))
        done = error_set(error, ERROR_INTERNAL, "prepared to %zu x %zu pixels", pictures[2].width, pictures[2].height);
    done = done && compare_case(goldens, index, &pictures[2], &pictures[3], error);
    for (int i = 0; i < 4; i++) image_free(&pictures[i]);
    return done;
}

/* How many cases were run. */
static size_t run_folder(const char *part) {
    char path[1000], folder[1024];
    char name[64];
    snprintf(name, sizeof name, "%s/image.json", part);
    if (!reference_path(name, path, sizeof path)) return 0;
    json_t *cases = json_load_file(path, 0, NULL);
    struct weights *goldens = NULL;
    struct error error = {0};
    snprintf(folder, sizeof folder, "%s/%s", reference_folder(), part);
    snprintf(path, sizeof path, "%s/%s/image.safetensors", reference_folder(), part);
    if (!json_is_array(cases))
        complain(name, "is not a list of cases");
    else if (!weights_open_file(path, &goldens, &error))
        complain(path, error.message);
    size_t count = goldens ? json_array_size(cases) : 0;
    for (size_t i = 0; i < count; i++) {
        char label[96];
        snprintf(label, sizeof label, "%s case %zu", part, i);
        error = (struct error){0};
        if (!run_case(folder, goldens, i, json_array_get(cases, i), &error)) complain(label, error.message);
    }
    if (goldens) weights_close(goldens);
    json_decref(cases);
    printf("%s: %zu cases\n", part, count);
    return count;
}

int main(void) {
    size_t count = run_folder("tiny") + run_folder("bundled") + run_folder("full");
    if (failures) return 1;
    return count ? 0 : TEST_SKIPPED;
}
