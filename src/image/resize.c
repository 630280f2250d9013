/* Pillow's Image.resize(size, BICUBIC) for 8 bits, bit for bit (libImaging/Resample.c): each output
 * sample is a weighted sum of the input samples within the filter's reach, with weights rounded to
 * fixed point; first along rows, then along columns, rounded to bytes in between. */
#include "image/image.h"

#include "base/memory.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { PRECISION_BITS = 32 - 8 - 2 };
static const double filter_support = 2.0; /* samples on each side, at the coarser of the two scales */

/* Keys' cubic convolution with a = -0.5. */
static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

/* What goes into each output sample of one axis. */
struct weights {
    size_t width; /* weights kept per output sample */
    size_t *first, *count;
    int32_t *values; /* [samples][width], fixed point */
};

static void weights_free(struct weights *weights) {
    memory_free(weights->first);
    memory_free(weights->count);
    memory_free(weights->values);
    *weights = (struct weights){0};
}

static int32_t fixed_point(double weight) {
    double scaled = weight * (1 << PRECISION_BITS);
    return (int32_t)(weight < 0 ? -0.5 + scaled : 0.5 + scaled);
}

/* row: room for one output sample's weights. */
static void weights_of_sample(struct weights *weights, size_t sample, size_t in, size_t out, double *row) {
    double scale = (double)in / (double)out, filter_scale = scale < 1.0 ? 1.0 : scale;
    double center = ((double)sample + 0.5) * scale, support = filter_support * filter_scale;
    double low = center - support + 0.5, high = center + support + 0.5;
    size_t first = low < 0 ? 0 : (size_t)low, end = high > (double)in ? in : (size_t)high;
    size_t count = end - first;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        row[i] = bicubic(((double)(i + first) - center + 0.5) * (1.0 / filter_scale));
        sum += row[i];
    }
    for (size_t i = 0; i < count; i++) weights->values[sample * weights->width + i] = fixed_point(sum != 0 ? row[i] / sum : row[i]);
    weights->first[sample] = first;
    weights->count[sample] = count;
}

static bool weights_make(struct weights *weights, size_t in, size_t out, struct error *error) {
    double scale = (double)in / (double)out, support = filter_support * (scale < 1.0 ? 1.0 : scale);
    *weights = (struct weights){.width = (size_t)ceil(support) * 2 + 1};
    weights->first = memory_array(out, sizeof *weights->first);
    weights->count = memory_array(out, sizeof *weights->count);
    weights->values =
        weights->width > SIZE_MAX / sizeof *weights->values / out ? NULL : memory_array(out * weights->width, sizeof *weights->values);
    double *row = memory_array(weights->width, sizeof *row);
    bool there = weights->first && weights->count && weights->values && row;
    if (there)
        for (size_t sample = 0; sample < out; sample++) weights_of_sample(weights, sample, in, out, row);
    else
        weights_free(weights);
    memory_free(row);
    return there || error_set(error, ERROR_MEMORY, "out of memory for resizing a picture");
}

static uint8_t to_byte(int32_t sum) {
    int32_t value = sum >> PRECISION_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void resample_row(const uint8_t *in, const struct weights *weights, size_t width, size_t channels, uint8_t *out) {
    for (size_t x = 0; x < width; x++) {
        const int32_t *values = weights->values + x * weights->width;
        for (size_t c = 0; c < channels; c++) {
            const uint8_t *from = in + weights->first[x] * channels + c;
            int32_t sum = 1 << (PRECISION_BITS - 1);
            for (size_t i = 0; i < weights->count[x]; i++) sum += from[i * channels] * values[i];
            *out++ = to_byte(sum);
        }
    }
}

static bool resample_rows(const struct image *image, size_t width, struct image *out, struct error *error) {
    struct weights weights;
    if (!weights_make(&weights, image->width, width, error)) return false;
    bool done = image_create(out, width, image->height, image->mode, error);
    size_t channels = (size_t)image->mode;
    for (size_t y = 0; done && y < image->height; y++)
        resample_row(image->pixels + y * image->width * channels, &weights, width, channels, out->pixels + y * width * channels);
    weights_free(&weights);
    return done;
}

static bool resample_columns(const struct image *image, size_t height, struct image *out, struct error *error) {
    struct weights weights;
    if (!weights_make(&weights, image->height, height, error)) return false;
    size_t stride = image->width * (size_t)image->mode;
    int32_t *sums = memory_array(stride, sizeof *sums);
    bool done = sums ? image_create(out, image->width, height, image->mode, error)
                     : error_set(error, ERROR_MEMORY, "out of memory for resizing a picture");
    for (size_t y = 0; done && y < height; y++) {
        for (size_t x = 0; x < stride; x++) sums[x] = 1 << (PRECISION_BITS - 1);
        for (size_t i = 0; i < weights.count[y]; i++) {
            const uint8_t *row = image->pixels + (weights.first[y] + i) * stride;
            int32_t weight = weights.values[y * weights.width + i];
            for (size_t x = 0; x < stride; x++) sums[x] += row[x] * weight;
        }
        for (size_t x = 0; x < stride; x++) out->pixels[y * stride + x] = to_byte(sums[x]);
    }
    memory_free(sums);
    weights_free(&weights);
    return done;
}

bool image_resize_bicubic(const struct image *image, size_t width, size_t height, struct image *out, struct error *error) {
    *out = (struct image){0};
    if (!width || !height || width > SIZE_MAX / (size_t)image->mode / height)
        return error_set(error, ERROR_ARGUMENT, "a picture cannot be resized to %zu x %zu pixels", width, height);
    bool rows = width != image->width, columns = height != image->height;
    if (!rows && !columns) return image_crop(image, 0, 0, width, height, out, error);
    if (!columns) return resample_rows(image, width, out, error);
    if (!rows) return resample_columns(image, height, out, error);
    struct image between = {0};
    bool done = resample_rows(image, width, &between, error) && resample_columns(&between, height, out, error);
    image_free(&between);
    return done;
}
