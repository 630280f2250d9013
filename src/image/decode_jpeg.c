/* JPEG to RGB through libjpeg-turbo with the settings that Pillow leaves at their defaults (slow
 * integer DCT, smooth upsampling). Errors leave the library by longjmp(); nothing is printed. */
#include "image/decode.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

/* A progressive file may repeat scans without end, each as dear as the whole picture. */
enum { SCANS_MAX = 200 };

struct jpeg {
    struct jpeg_decompress_struct library; /* client_data leads back here */
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    bool finishing; /* all pixels are there */
    const struct image_limits *limits;
    struct image *image;
    uint8_t *cmyk; /* one row */
    int *orientation;
    struct error *error;
};

/* Well-formed, but beyond what libjpeg-turbo was built for: lossless, 12 bits, hierarchical, ... */
static bool is_unsupported(int code) {
    return code == JERR_SOF_UNSUPPORTED || code == JERR_BAD_PRECISION || code == JERR_ARITH_NOTIMPL || code == JERR_NOT_COMPILED ||
           code == JERR_CONVERSION_NOTIMPL || code == JERR_FRACT_SAMPLE_NOTIMPL || code == JERR_CCIR601_NOTIMPL;
}

static void on_error(j_common_ptr library) {
    struct jpeg *jpeg = library->client_data;
    char text[JMSG_LENGTH_MAX];
    library->err->format_message(library, text);
    if (library->err->msg_code == JERR_OUT_OF_MEMORY)
        error_set(jpeg->error, ERROR_MEMORY, "out of memory for a JPEG picture");
    else if (is_unsupported(library->err->msg_code))
        error_set(jpeg->error, ERROR_UNSUPPORTED, "this kind of JPEG is not known here: %s", text);
    else
        error_set(jpeg->error, ERROR_FORMAT, "the JPEG picture is damaged: %s", text);
    longjmp(jpeg->failed, 1);
}

static void on_message(j_common_ptr library) { (void)library; }

static void on_progress(j_common_ptr library) {
    struct jpeg *jpeg = library->client_data;
    if (jpeg->library.input_scan_number <= SCANS_MAX) return;
    error_set(jpeg->error, ERROR_LIMIT, "the JPEG picture has more than %d scans", (int)SCANS_MAX);
    longjmp(jpeg->failed, 1);
}

static void source_nothing(j_decompress_ptr library) { (void)library; }

/* All bytes were there from the start: asking for more means that the file is cut off. After the
 * last pixel nothing is missing but the end mark. */
static boolean source_fill(j_decompress_ptr library) {
    static const JOCTET end_of_image[] = {0xFF, JPEG_EOI};
    const struct jpeg *jpeg = library->client_data;
    if (!jpeg->finishing) ERREXIT(library, JERR_INPUT_EOF);
    library->src->next_input_byte = end_of_image;
    library->src->bytes_in_buffer = sizeof end_of_image;
    return TRUE;
}

static void source_skip(j_decompress_ptr library, long count) {
    const struct jpeg *jpeg = library->client_data;
    if (count <= 0) return;
    size_t left = library->src->bytes_in_buffer, skipped = (size_t)count;
    if (skipped > left && !jpeg->finishing) ERREXIT(library, JERR_INPUT_EOF);
    if (skipped > left) skipped = left;
    library->src->next_input_byte += skipped;
    library->src->bytes_in_buffer -= skipped;
}

static void read_orientation(struct jpeg *jpeg) {
    for (jpeg_saved_marker_ptr marker = jpeg->library.marker_list; marker; marker = marker->next) {
        if (marker->data_length < 6 || memcmp(marker->data, "Exif\0\0", 6) != 0) continue;
        *jpeg->orientation = exif_orientation(marker->data, marker->data_length);
        return;
    }
}

/* Pillow takes every four-channel file for Adobe's, which stores ink inverted: what it calls
 * 255 - stored is ink, and its CMYK to RGB is (255 - ink) * (255 - black) / 255, rounded its way. */
static void rgb_from_cmyk(const uint8_t *cmyk, size_t width, uint8_t *rgb) {
    for (size_t x = 0; x < width; x++, cmyk += 4, rgb += 3) {
        unsigned white = cmyk[3];
        for (int c = 0; c < 3; c++) {
            unsigned product = (255U - cmyk[c]) * white + 128;
            unsigned ink = ((product >> 8) + product) >> 8;
            rgb[c] = (uint8_t)(white - ink);
        }
    }
}

static bool read_pixels(struct jpeg *jpeg) {
    struct jpeg_decompress_struct *library = &jpeg->library;
    int channels = library->num_components;
    if (channels != 1 && channels != 3 && channels != 4)
        return error_set(jpeg->error, ERROR_UNSUPPORTED, "the JPEG picture has %d colour channels; 1, 3 and 4 are known", channels);
    library->out_color_space = channels == 4 ? JCS_CMYK : JCS_RGB;
    size_t width = library->image_width;
    if (!decode_begin(width, library->image_height, jpeg->limits, jpeg->image, jpeg->error)) return false;
    if (channels == 4 && !(jpeg->cmyk = memory_array(width, 4)))
        return error_set(jpeg->error, ERROR_MEMORY, "out of memory for a JPEG picture");
    jpeg_start_decompress(library);
    if (library->output_width != width || library->output_height != jpeg->image->height)
        return error_set(jpeg->error, ERROR_INTERNAL, "the JPEG decoder changed the picture's size");
    while (library->output_scanline < library->output_height) {
        uint8_t *line = jpeg->image->pixels + library->output_scanline * width * 3;
        JSAMPROW row = channels == 4 ? jpeg->cmyk : line;
        jpeg_read_scanlines(library, &row, 1);
        if (channels == 4) rgb_from_cmyk(jpeg->cmyk, width, line);
    }
    /* Marks that no JPEG file has, met on the way to its end, tell that the pixels were damaged. */
    jpeg->finishing = true;
    jpeg_finish_decompress(library);
    return true;
}

/* Everything that may longjmp() runs below here, so that no local variable outlives it. */
static bool decode(struct jpeg *jpeg, const uint8_t *data, size_t length) {
    if (setjmp(jpeg->failed)) return false;
    jpeg_create_decompress(&jpeg->library);
    jpeg->source = (struct jpeg_source_mgr){.next_input_byte = data,
                                            .bytes_in_buffer = length,
                                            .init_source = source_nothing,
                                            .fill_input_buffer = source_fill,
                                            .skip_input_data = source_skip,
                                            .resync_to_restart = jpeg_resync_to_restart,
                                            .term_source = source_nothing};
    jpeg->library.src = &jpeg->source;
    jpeg->progress.progress_monitor = on_progress;
    jpeg->library.progress = &jpeg->progress;
    jpeg_save_markers(&jpeg->library, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&jpeg->library, TRUE);
    read_orientation(jpeg);
    return read_pixels(jpeg);
}

bool decode_jpeg(const uint8_t *data, size_t length, const struct image_limits *limits, struct image *image, int *orientation,
                 struct error *error) {
    struct jpeg jpeg = {.limits = limits, .image = image, .orientation = orientation, .error = error};
    jpeg.library.err = jpeg_std_error(&jpeg.errors);
    jpeg.errors.error_exit = on_error;
    jpeg.errors.output_message = on_message;
    jpeg.library.client_data = &jpeg;
    bool done = decode(&jpeg, data, length);
    jpeg_destroy_decompress(&jpeg.library);
    memory_free(jpeg.cmyk);
    if (!done) image_free(image);
    return done;
}
