#include "cli/terminal_picture.h"
#include "base/memory.h"

#include <sodium.h>
#include <string.h>

enum {
    KITTY_CHUNK = 4096, /* most bytes of base64 in one of kitty's sequences */
    PICTURE_BYTES_MAX = 64 << 20,
    LEVELS = 6, /* of red, green and blue in a sixel picture */
    COLOURS = LEVELS * LEVELS * LEVELS,
    BAND = 6 /* rows that one line of sixels draws */
};

static bool is(const char *value, const char *wanted) { return value != NULL && strcmp(value, wanted) == 0; }
static bool begins(const char *value, const char *start) { return value != NULL && strncmp(value, start, strlen(start)) == 0; }

enum terminal_pictures terminal_pictures_by_environment(char *(*get)(const char *name)) {
    const char *term = get("TERM"), *program = get("TERM_PROGRAM");
    if (get("TMUX") != NULL || begins(term, "screen") || begins(term, "tmux")) return TERMINAL_NONE;
    if (get("KITTY_WINDOW_ID") != NULL || is(term, "xterm-kitty") || is(term, "xterm-ghostty") || is(program, "ghostty"))
        return TERMINAL_KITTY;
    if (is(program, "iTerm.app") || is(program, "WezTerm") || is(program, "mintty") || is(get("LC_TERMINAL"), "iTerm2"))
        return TERMINAL_ITERM;
    if (begins(term, "foot") || begins(term, "mlterm") || begins(term, "contour") || begins(term, "yaft") ||
        (term != NULL && strstr(term, "sixel") != NULL) || get("KONSOLE_VERSION") != NULL)
        return TERMINAL_SIXEL;
    return TERMINAL_NONE;
}

/* The picture as a PNG in base64, a new heap string; *size: of the PNG. */
static char *encoded(const struct image *image, size_t *size, struct error *error) {
    struct buffer png;
    buffer_init(&png, PICTURE_BYTES_MAX);
    char *text = NULL;
    if (image_encode_png(image, NULL, &png, error)) {
        size_t length = sodium_base64_ENCODED_LEN(png.length, sodium_base64_VARIANT_ORIGINAL);
        text = memory_alloc(length);
        if (text != NULL)
            sodium_bin2base64(text, length, (const unsigned char *)png.data, png.length, sodium_base64_VARIANT_ORIGINAL);
        else
            error_set(error, ERROR_MEMORY, "out of memory");
        *size = png.length;
    }
    buffer_free(&png);
    return text;
}

/* a=T: send and show; i=1, p=1: in place of the one before; C=1: leave the cursor; q=2: answer nothing. */
static void kitty(const char *base64, int columns, int rows, struct buffer *out) {
    size_t length = strlen(base64);
    for (size_t at = 0; at < length; at += KITTY_CHUNK) {
        size_t part = length - at < KITTY_CHUNK ? length - at : KITTY_CHUNK;
        buffer_text(out, "\033_G");
        if (at == 0) buffer_format(out, "a=T,f=100,i=1,p=1,c=%d,r=%d,C=1,", columns, rows);
        buffer_format(out, "q=2,m=%d;", at + part < length);
        buffer_append(out, base64 + at, part);
        buffer_text(out, "\033\\");
    }
}

/* ---- sixel ---- */

/* One of 216 colours; the fraction is spread over 4 x 4 pixels (Bayer's ordered dither). */
static uint8_t colour_of(const uint8_t *pixel, size_t x, size_t y) {
    static const uint8_t thresholds[4][4] = {{0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}};
    unsigned colour = 0;
    for (int c = 0; c < 3; c++) {
        unsigned scaled = (unsigned)pixel[c] * (LEVELS - 1) * 16 + (2U * thresholds[y % 4][x % 4] + 1) * 255 / 2;
        colour = colour * LEVELS + scaled / (255 * 16);
    }
    return (uint8_t)colour;
}

static void run_of(struct buffer *out, char sixel, size_t count) {
    if (count > 3) {
        buffer_format(out, "!%zu%c", count, sixel);
    } else {
        for (size_t i = 0; i < count; i++) buffer_append(out, &sixel, 1);
    }
}

/* Up to six rows, one pass for each colour that they have. colours: [rows][width]. */
static void band(const uint8_t *colours, size_t width, size_t rows, struct buffer *out) {
    bool used[COLOURS] = {false};
    for (size_t i = 0; i < width * rows; i++) used[colours[i]] = true;
    for (unsigned colour = 0; colour < COLOURS; colour++) {
        if (!used[colour]) continue;
        buffer_format(out, "#%u", colour);
        char last = 0;
        size_t count = 0;
        for (size_t x = 0; x < width; x++) {
            unsigned bits = 0;
            for (size_t y = 0; y < rows; y++) bits |= (unsigned)(colours[y * width + x] == colour) << y;
            char sixel = (char)('?' + bits);
            if (sixel != last && count > 0) {
                run_of(out, last, count);
                count = 0;
            }
            last = sixel;
            count++;
        }
        if (last != '?') run_of(out, last, count); /* nothing at the end of a line may be left out */
        buffer_text(out, "$");
    }
    buffer_text(out, "-");
}

static bool sixel(const struct image *image, struct buffer *out, struct error *error) {
    uint8_t *colours = memory_array(image->width, BAND);
    if (colours == NULL) return error_set(error, ERROR_MEMORY, "out of memory");
    buffer_format(out, "\033P0;1;0q\"1;1;%zu;%zu", image->width, image->height);
    for (int colour = 0; colour < COLOURS; colour++)
        buffer_format(out, "#%d;2;%d;%d;%d", colour, colour / (LEVELS * LEVELS) * 100 / (LEVELS - 1),
                      colour / LEVELS % LEVELS * 100 / (LEVELS - 1), colour % LEVELS * 100 / (LEVELS - 1));
    for (size_t top = 0; top < image->height; top += BAND) {
        size_t rows = image->height - top < BAND ? image->height - top : BAND;
        for (size_t i = 0; i < rows * image->width; i++)
            colours[i] = colour_of(image->pixels + 3 * (top * image->width + i), i % image->width, top + i / image->width);
        band(colours, image->width, rows, out);
    }
    buffer_text(out, "\033\\");
    memory_free(colours);
    return true;
}

bool terminal_picture(enum terminal_pictures kind, const struct image *image, int columns, int rows, struct buffer *out,
                      struct error *error) {
    if (kind == TERMINAL_SIXEL) {
        if (!sixel(image, out, error)) return false;
    } else {
        size_t size = 0;
        char *base64 = encoded(image, &size, error);
        if (base64 == NULL) return false;
        if (kind == TERMINAL_KITTY)
            kitty(base64, columns, rows, out);
        else
            buffer_format(out, "\033]1337;File=inline=1;size=%zu;width=%d;height=%d;preserveAspectRatio=1:%s\a", size, columns, rows,
                          base64);
        memory_free(base64);
    }
    return !out->failed || error_set(error, ERROR_MEMORY, "out of memory");
}
