/* RGB and grey to lossy WebP through libwebp, into a buffer that knows its maximum. */
#include "image/image.h"

#include "base/memory.h"

#include <webp/encode.h>

static int append(const uint8_t *data, size_t length, const WebPPicture *picture) {
    return buffer_append(picture->custom_ptr, data, length);
}

static bool fail(const WebPPicture *picture, struct error *error) {
    const struct buffer *out = picture->custom_ptr;
    WebPEncodingError status = picture->error_code;
    /* libwebp does not always say so when the writer fails. */
    if (out->failed) return error_set(error, ERROR_LIMIT, "the WebP file does not fit into %zu bytes or into memory", out->maximum);
    if (status == VP8_ENC_ERROR_OUT_OF_MEMORY || status == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY)
        return error_set(error, ERROR_MEMORY, "out of memory for a WebP file");
    return error_set(error, ERROR_INTERNAL, "the WebP file could not be written (libwebp's error %d)", (int)status);
}

/* libwebp has no grey: the same value three times. */
static bool import(const struct image *image, WebPPicture *picture, struct error *error) {
    if (image->mode == IMAGE_RGB) return WebPPictureImportRGB(picture, image->pixels, (int)(image->width * 3)) || fail(picture, error);
    struct image rgb;
    if (!image_create(&rgb, image->width, image->height, IMAGE_RGB, error)) return false;
    for (size_t i = 0; i < image->width * image->height; i++)
        rgb.pixels[3 * i] = rgb.pixels[3 * i + 1] = rgb.pixels[3 * i + 2] = image->pixels[i];
    bool done = WebPPictureImportRGB(picture, rgb.pixels, (int)(image->width * 3)) || fail(picture, error);
    image_free(&rgb);
    return done;
}

bool image_encode_webp(const struct image *image, int quality, struct buffer *out, struct error *error) {
    if (quality < 0 || quality > 100) return error_set(error, ERROR_ARGUMENT, "WebP quality is 0 to 100, not %d", quality);
    if (image->width > WEBP_MAX_DIMENSION || image->height > WEBP_MAX_DIMENSION)
        return error_set(error, ERROR_LIMIT, "a WebP picture has at most %d pixels a side", WEBP_MAX_DIMENSION);
    WebPConfig config;
    WebPPicture picture;
    if (!WebPConfigPreset(&config, WEBP_PRESET_PHOTO, (float)quality) || !WebPPictureInit(&picture))
        return error_set(error, ERROR_INTERNAL, "the WebP library is another version");
    picture.width = (int)image->width;
    picture.height = (int)image->height;
    picture.writer = append;
    picture.custom_ptr = out;
    bool done = import(image, &picture, error);
    if (done) done = WebPEncode(&config, &picture) || fail(&picture, error);
    WebPPictureFree(&picture);
    return done;
}
