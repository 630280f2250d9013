/* RGB and grey to JPEG through libjpeg-turbo, into a buffer that knows its maximum. */
#include "image/image.h"

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

enum { BLOCK = 1 << 14, FINE_QUALITY = 90 };

struct jpeg {
    struct jpeg_compress_struct library; /* client_data leads back here */
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr destination;
    jmp_buf failed;
    struct buffer *out;
    struct error *error;
    uint8_t block[BLOCK];
};

static void on_error(j_common_ptr library) {
    struct jpeg *jpeg = library->client_data;
    char text[JMSG_LENGTH_MAX];
    library->err->format_message(library, text);
    bool memory = library->err->msg_code == JERR_OUT_OF_MEMORY;
    error_set(jpeg->error, memory ? ERROR_MEMORY : ERROR_INTERNAL, "the JPEG file could not be written: %s", text);
    longjmp(jpeg->failed, 1);
}

static void on_message(j_common_ptr library) { (void)library; }

static void write_out(struct jpeg *jpeg, size_t length) {
    if (buffer_append(jpeg->out, jpeg->block, length)) return;
    error_set(jpeg->error, ERROR_LIMIT, "the JPEG file does not fit into %zu bytes or into memory", jpeg->out->maximum);
    longjmp(jpeg->failed, 1);
}

static void destination_begin(j_compress_ptr library) {
    struct jpeg *jpeg = library->client_data;
    jpeg->destination.next_output_byte = jpeg->block;
    jpeg->destination.free_in_buffer = BLOCK;
}

static boolean destination_empty(j_compress_ptr library) {
    write_out(library->client_data, BLOCK);
    destination_begin(library);
    return TRUE;
}

static void destination_end(j_compress_ptr library) {
    struct jpeg *jpeg = library->client_data;
    write_out(jpeg, BLOCK - jpeg->destination.free_in_buffer);
}

/* Everything that may longjmp() runs below here, so that no local variable outlives it. */
static bool encode(struct jpeg *jpeg, const struct image *image, int quality) {
    if (setjmp(jpeg->failed)) return false;
    struct jpeg_compress_struct *library = &jpeg->library;
    jpeg_create_compress(library);
    jpeg->destination.init_destination = destination_begin;
    jpeg->destination.empty_output_buffer = destination_empty;
    jpeg->destination.term_destination = destination_end;
    library->dest = &jpeg->destination;
    library->image_width = (JDIMENSION)image->width;
    library->image_height = (JDIMENSION)image->height;
    library->input_components = (int)image->mode;
    library->in_color_space = image->mode == IMAGE_RGB ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(library);
    jpeg_set_quality(library, quality, TRUE);
    library->optimize_coding = TRUE;
    /* Who asks for fine quality wants red edges sharp: no halving of the colour's resolution. */
    if (quality >= FINE_QUALITY) library->comp_info[0].h_samp_factor = library->comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(library, TRUE);
    while (library->next_scanline < library->image_height) {
        JSAMPROW row = image->pixels + library->next_scanline * image->width * (size_t)image->mode;
        jpeg_write_scanlines(library, &row, 1);
    }
    jpeg_finish_compress(library);
    return true;
}

bool image_encode_jpeg(const struct image *image, int quality, struct buffer *out, struct error *error) {
    if (quality < 1 || quality > 100) return error_set(error, ERROR_ARGUMENT, "JPEG quality is 1 to 100, not %d", quality);
    if (image->width > JPEG_MAX_DIMENSION || image->height > JPEG_MAX_DIMENSION)
        return error_set(error, ERROR_LIMIT, "a JPEG picture has at most %ld pixels a side", JPEG_MAX_DIMENSION);
    struct jpeg jpeg = {.out = out, .error = error};
    jpeg.library.err = jpeg_std_error(&jpeg.errors);
    jpeg.errors.error_exit = on_error;
    jpeg.errors.output_message = on_message;
    jpeg.library.client_data = &jpeg;
    bool done = encode(&jpeg, image, quality);
    jpeg_destroy_compress(&jpeg.library);
    return done;
}
