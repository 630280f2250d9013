/* Which decoder a file goes to, and the checks that come before all of them. */
#include "image/decode.h"

#include <string.h>

struct signature {
    size_t offset, length;
    const char *bytes;
    const char *name;
};

static bool has_signature(const struct signature *signature, const uint8_t *data, size_t length) {
    return length >= signature->offset + signature->length && memcmp(data + signature->offset, signature->bytes, signature->length) == 0;
}

enum image_format image_sniff(const void *data, size_t length) {
    static const struct signature png = {0, 8, "\x89PNG\r\n\x1a\n", "PNG"};
    static const struct signature jpeg = {0, 3, "\xff\xd8\xff", "JPEG"};
    static const struct signature riff = {0, 4, "RIFF", "RIFF"}, webp = {8, 4, "WEBP", "WebP"};
    if (has_signature(&png, data, length)) return IMAGE_PNG;
    if (has_signature(&jpeg, data, length)) return IMAGE_JPEG;
    if (has_signature(&riff, data, length) && has_signature(&webp, data, length)) return IMAGE_WEBP;
    return IMAGE_UNKNOWN;
}

/* What people send that is a picture, but none of ours: they deserve to be told its name. */
static const char *foreign_format(const uint8_t *data, size_t length) {
    static const struct signature signatures[] = {
        {0, 4, "GIF8", "GIF"},
        {0, 2, "BM", "BMP"},
        {0, 4, "II*\0", "TIFF"},
        {0, 4, "MM\0*", "TIFF"},
        {4, 8, "ftypavif", "AVIF"},
        {4, 8, "ftypavis", "AVIF"},
        {4, 8, "ftypheic", "HEIC"},
        {4, 8, "ftypheix", "HEIC"},
        {4, 8, "ftypmif1", "HEIF"},
        {4, 8, "\x6a\x50\x20\x20\r\n\x87\n", "JPEG 2000"},
        {4, 8, "JXL \r\n\x87\n", "JPEG XL"},
        {0, 2, "\xff\x0a", "JPEG XL"},
        {0, 4, "<svg", "SVG"},
        {0, 4, "%PDF", "PDF"},
    };
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
        if (has_signature(&signatures[i], data, length)) return signatures[i].name;
    return NULL;
}

bool decode_begin(size_t width, size_t height, const struct image_limits *limits, struct image *image, struct error *error) {
    if (!width || !height) return error_set(error, ERROR_FORMAT, "the picture has no pixels");
    if (width > limits->side || height > limits->side || width > limits->pixels / height)
        return error_set(error, ERROR_LIMIT, "the picture is %zu x %zu pixels; at most %zu a side and %zu in all are accepted", width,
                         height, limits->side, limits->pixels);
    return image_create(image, width, height, IMAGE_RGB, error);
}

bool image_decode(const void *data, size_t length, const struct image_limits *limits, struct image *image, int *orientation,
                  struct error *error) {
    *image = (struct image){0};
    if (!limits) limits = &image_limits_default;
    if (!length) return error_set(error, ERROR_FORMAT, "the picture's file is empty");
    if (length > limits->bytes)
        return error_set(error, ERROR_LIMIT, "the picture's file has %zu bytes; at most %zu are accepted", length, limits->bytes);
    int told = 1;
    if (!orientation) orientation = &told;
    *orientation = 1;
    switch (image_sniff(data, length)) {
    case IMAGE_PNG:
        return decode_png(data, length, limits, image, orientation, error);
    case IMAGE_JPEG:
        return decode_jpeg(data, length, limits, image, orientation, error);
    case IMAGE_WEBP:
        return decode_webp(data, length, limits, image, orientation, error);
    case IMAGE_UNKNOWN:
        break;
    }
    const char *name = foreign_format(data, length);
    if (name) return error_set(error, ERROR_UNSUPPORTED, "this is a %s file; send the picture as PNG, JPEG or WebP", name);
    return error_set(error, ERROR_FORMAT, "this is not a picture in PNG, JPEG or WebP");
}
