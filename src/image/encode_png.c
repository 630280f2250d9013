/* RGB and grey to PNG through libspng, with texts beside the pixels. */
#include "image/image.h"
#include "image/spng_memory.h"

#include <string.h>

static bool fail(int status, const struct buffer *out, struct error *error) {
    /* zlib does not start when it gets no memory. */
    if (status == SPNG_EMEM || status == SPNG_EZLIB_INIT) return error_set(error, ERROR_MEMORY, "out of memory for a PNG file");
    if (status == SPNG_ETEXT_KEYWORD)
        return error_set(error, ERROR_ARGUMENT, "a keyword of a PNG's texts has 1 to 79 printable Latin-1 characters");
    if (out->failed) return error_set(error, ERROR_LIMIT, "the PNG file does not fit into %zu bytes or into memory", out->maximum);
    return error_set(error, ERROR_INTERNAL, "the PNG file could not be written: %s", spng_strerror(status));
}

static int append(spng_ctx *context, void *user, void *data, size_t length) {
    (void)context;
    return buffer_append(user, data, length) ? 0 : SPNG_IO_ERROR;
}

/* tEXt holds Latin-1 without control characters but the line feed; ASCII is the part of it that is
 * UTF-8 as well. Everything else goes into iTXt. */
static bool is_plain(const char *text) {
    for (; *text; text++)
        if ((*text < 32 || *text > 126) && *text != '\n') return false;
    return true;
}

/* An empty text says nothing and libspng refuses it: left out. */
static bool set_texts(spng_ctx *context, const char *const *texts, const struct buffer *out, struct error *error) {
    uint32_t count = 0;
    for (size_t i = 0; texts && texts[i]; i += 2) count += texts[i + 1][0] != 0;
    if (!count) return true;
    struct spng_text *list = memory_array(count, sizeof *list);
    if (!list) return fail(SPNG_EMEM, out, error);
    static char nothing[1];
    struct spng_text *text = list;
    int status = 0;
    for (size_t i = 0; texts[i] && !status; i += 2) {
        if (!texts[i + 1][0]) continue;
        size_t length = strlen(texts[i]);
        if (length >= sizeof text->keyword) {
            status = SPNG_ETEXT_KEYWORD;
            break;
        }
        memcpy(text->keyword, texts[i], length);
        text->type = is_plain(texts[i + 1]) ? SPNG_TEXT : SPNG_ITXT;
        memcpy(&text->text, &texts[i + 1], sizeof text->text); /* const is lost: libspng only reads it */
        text->length = strlen(texts[i + 1]);
        text->language_tag = text->translated_keyword = nothing;
        text++;
    }
    if (!status) status = spng_set_text(context, list, count);
    memory_free(list); /* libspng keeps a copy of it, but not of the texts */
    return !status || fail(status, out, error);
}

bool image_encode_png(const struct image *image, const char *const *texts, struct buffer *out, struct error *error) {
    if (image->width > INT32_MAX || image->height > INT32_MAX)
        return error_set(error, ERROR_LIMIT, "a PNG picture has at most 2147483647 pixels a side");
    spng_ctx *context = spng_new(SPNG_CTX_ENCODER);
    if (!context) return fail(SPNG_EMEM, out, error);
    struct spng_ihdr header = {.width = (uint32_t)image->width, .height = (uint32_t)image->height, .bit_depth = 8};
    header.color_type = image->mode == IMAGE_RGB ? SPNG_COLOR_TYPE_TRUECOLOR : SPNG_COLOR_TYPE_GRAYSCALE;
    int status = spng_set_png_stream(context, append, out);
    if (!status) status = spng_set_ihdr(context, &header);
    bool done = !status || fail(status, out, error);
    done = done && set_texts(context, texts, out, error);
    if (done) {
        size_t size = image->width * image->height * (size_t)image->mode;
        status = spng_encode_image(context, image->pixels, size, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
        done = !status || fail(status, out, error);
    }
    spng_ctx_free(context);
    return done;
}
