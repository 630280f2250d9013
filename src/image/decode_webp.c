/* WebP to RGB through libwebp. Of an animation the first frame is taken, on a black canvas. */
#include "image/decode.h"

#include <webp/decode.h>
#include <webp/demux.h>

static bool fail(VP8StatusCode status, struct error *error) {
    if (status == VP8_STATUS_OUT_OF_MEMORY) return error_set(error, ERROR_MEMORY, "out of memory for a WebP picture");
    return error_set(error, ERROR_FORMAT, "the WebP picture is damaged");
}

static void read_orientation(WebPDemuxer *demuxer, int *orientation) {
    WebPChunkIterator chunk = {0};
    if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) *orientation = exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
    WebPDemuxReleaseChunkIterator(&chunk);
}

/* libwebp writes straight into the picture, so what the frame claims is compared with its own bits
 * and with the canvas first. */
static bool decode_frame(const WebPIterator *frame, struct image *image, struct error *error) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return error_set(error, ERROR_INTERNAL, "the WebP library is another version");
    VP8StatusCode status = WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &config.input);
    if (status != VP8_STATUS_OK) return fail(status, error);
    if (frame->x_offset < 0 || frame->y_offset < 0 || config.input.width != frame->width || config.input.height != frame->height)
        return fail(VP8_STATUS_BITSTREAM_ERROR, error);
    size_t left = (size_t)frame->x_offset, top = (size_t)frame->y_offset;
    size_t width = (size_t)frame->width, height = (size_t)frame->height;
    if (!width || !height || left + width > image->width || top + height > image->height) return fail(VP8_STATUS_BITSTREAM_ERROR, error);
    size_t stride = image->width * 3, skipped = top * stride + left * 3;
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->pixels + skipped;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = (height - 1) * stride + width * 3;
    status = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    return status == VP8_STATUS_OK || fail(status, error);
}

bool decode_webp(const uint8_t *data, size_t length, const struct image_limits *limits, struct image *image, int *orientation,
                 struct error *error) {
    WebPData file = {.bytes = data, .size = length};
    WebPDemuxer *demuxer = WebPDemux(&file);
    if (!demuxer) return fail(VP8_STATUS_BITSTREAM_ERROR, error);
    WebPIterator frame = {0};
    bool done =
        decode_begin(WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH), WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT), limits, image, error);
    if (done && !WebPDemuxGetFrame(demuxer, 1, &frame)) done = fail(VP8_STATUS_BITSTREAM_ERROR, error);
    if (done) done = decode_frame(&frame, image, error);
    if (done) read_orientation(demuxer, orientation);
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demuxer);
    if (!done) image_free(image);
    return done;
}
