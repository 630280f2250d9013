/* PNG to RGB through libspng, one scanline at a time and in the file's own sample format: what
 * becomes of palettes, few bits and 16 bits is decided here, as Pillow decides it. */
#include "image/decode.h"
#include "image/spng_memory.h"

/* Text and colour profiles are not looked at, but libspng holds them while it decodes. */
enum { CHUNK_LIMIT = 16 << 20, CHUNK_CACHE_LIMIT = 64 << 20 };

struct png {
    spng_ctx *context;
    struct spng_ihdr header;
    uint8_t palette[256][3];
    uint8_t *scanline;
    size_t scanline_size;
};

static bool fail(int status, struct error *error) {
    if (status == SPNG_EMEM || status == SPNG_EZLIB_INIT) /* zlib does not start when it gets no memory */
        return error_set(error, ERROR_MEMORY, "out of memory for a PNG picture");
    return error_set(error, ERROR_FORMAT, "the PNG picture is damaged: %s", spng_strerror(status));
}

/* Pillow leaves a grey ramp where an index is beyond the file's palette. */
static bool load_palette(struct png *png, struct error *error) {
    struct spng_plte palette;
    int status = spng_get_plte(png->context, &palette);
    if (status) return fail(status, error);
    for (size_t i = 0; i < 256; i++) {
        bool there = i < palette.n_entries;
        png->palette[i][0] = there ? palette.entries[i].red : (uint8_t)i;
        png->palette[i][1] = there ? palette.entries[i].green : (uint8_t)i;
        png->palette[i][2] = there ? palette.entries[i].blue : (uint8_t)i;
    }
    return true;
}

/* Sample `index` of 1, 2, 4 or 8 bits, high bits first. */
static unsigned packed_sample(const uint8_t *row, size_t index, unsigned depth) {
    size_t bit = index * depth;
    return (unsigned)row[bit / 8] >> (8 - depth - bit % 8) & ((1U << depth) - 1);
}

static uint8_t grey_sample(const struct png *png, size_t x) {
    unsigned depth = png->header.bit_depth;
    if (depth == 8) return png->scanline[x];
    /* 16-bit grey is mode "I" to Pillow, and that is clipped, not scaled, on its way to RGB. */
    if (depth == 16) return png->scanline[2 * x] ? 255 : png->scanline[2 * x + 1];
    return (uint8_t)(packed_sample(png->scanline, x, depth) * (255 / ((1U << depth) - 1)));
}

/* The x-th pixel of the scanline. Of 16 bits a sample the high byte is taken; alpha is dropped. */
static void read_pixel(const struct png *png, size_t x, uint8_t *rgb) {
    unsigned bytes = png->header.bit_depth / 8U;
    const uint8_t *row = png->scanline;
    switch (png->header.color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE:
        rgb[0] = rgb[1] = rgb[2] = grey_sample(png, x);
        break;
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
        rgb[0] = rgb[1] = rgb[2] = row[x * 2 * bytes];
        break;
    case SPNG_COLOR_TYPE_INDEXED: {
        const uint8_t *colour = png->palette[packed_sample(row, x, png->header.bit_depth)];
        for (int c = 0; c < 3; c++) rgb[c] = colour[c];
        break;
    }
    default: {
        size_t channels = png->header.color_type == SPNG_COLOR_TYPE_TRUECOLOR ? 3 : 4;
        for (size_t c = 0; c < 3; c++) rgb[c] = row[(x * channels + c) * bytes];
    }
    }
}

static bool read_scanlines(struct png *png, struct image *image, struct error *error) {
    static const size_t first_column[7] = {0, 4, 0, 2, 0, 1, 0}, column_step[7] = {8, 8, 4, 4, 2, 2, 1};
    int status = spng_decode_image(png->context, NULL, 0, SPNG_FMT_RAW, SPNG_DECODE_PROGRESSIVE);
    if (status) return fail(status, error);
    do {
        struct spng_row_info row;
        status = spng_get_row_info(png->context, &row);
        if (!status) status = spng_decode_scanline(png->context, png->scanline, png->scanline_size);
        if (status && status != SPNG_EOI) return fail(status, error);
        if (row.row_num >= image->height || row.pass < 0 || row.pass > 6)
            return error_set(error, ERROR_INTERNAL, "the PNG decoder lost its way at row %u", (unsigned)row.row_num);
        size_t x = png->header.interlace_method ? first_column[row.pass] : 0;
        size_t step = png->header.interlace_method ? column_step[row.pass] : 1;
        uint8_t *line = image->pixels + row.row_num * image->width * 3;
        for (size_t i = 0; x < image->width; x += step, i++) read_pixel(png, i, line + 3 * x);
    } while (status != SPNG_EOI);
    return true;
}

static bool decode(struct png *png, const uint8_t *data, size_t length, const struct image_limits *limits, struct image *image,
                   int *orientation, struct error *error) {
    png->context = spng_new(0);
    if (!png->context) return fail(SPNG_EMEM, error);
    int status = spng_set_chunk_limits(png->context, CHUNK_LIMIT, CHUNK_CACHE_LIMIT);
    if (!status) status = spng_set_png_buffer(png->context, data, length);
    if (!status) status = spng_get_ihdr(png->context, &png->header);
    if (status) return fail(status, error);
    if (!decode_begin(png->header.width, png->header.height, limits, image, error)) return false;
    if (png->header.color_type == SPNG_COLOR_TYPE_INDEXED && !load_palette(png, error)) return false;

    png->scanline_size = image->width * 8; /* the widest format: four samples of 16 bits */
    png->scanline = memory_alloc(png->scanline_size);
    if (!png->scanline) return fail(SPNG_EMEM, error);
    if (!read_scanlines(png, image, error)) return false;

    struct spng_exif exif;
    /* What follows the pixels may be cut off or damaged: nothing of it is needed. */
    if (!spng_decode_chunks(png->context) && !spng_get_exif(png->context, &exif))
        *orientation = exif_orientation((const uint8_t *)exif.data, exif.length);
    return true;
}

bool decode_png(const uint8_t *data, size_t length, const struct image_limits *limits, struct image *image, int *orientation,
                struct error *error) {
    struct png png = {0};
    bool done = decode(&png, data, length, limits, image, orientation, error);
    if (!done) image_free(image);
    memory_free(png.scanline);
    spng_ctx_free(png.context);
    return done;
}
