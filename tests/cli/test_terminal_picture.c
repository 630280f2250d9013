/* The escape sequences are taken apart again: what a terminal would see is the picture. */
#include "base/memory.h"
#include "cli/terminal_picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

enum { WIDTH = 45, HEIGHT = 20 };

static struct image sample(void) {
    struct image image;
    struct error error;
    assert_true(image_create(&image, WIDTH, HEIGHT, IMAGE_RGB, &error));
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
        image.pixels[3 * i] = (uint8_t)(i % WIDTH * 255 / (WIDTH - 1));
        image.pixels[3 * i + 1] = (uint8_t)(i / WIDTH * 255 / (HEIGHT - 1));
        image.pixels[3 * i + 2] = (uint8_t)(i * 2654435761U >> 24); /* noise: several chunks */
    }
    return image;
}

static char *shown(enum terminal_pictures kind, const struct image *image) {
    struct buffer out;
    struct error error;
    buffer_init(&out, 1 << 24);
    assert_true(terminal_picture(kind, image, 9, 4, &out, &error));
    assert_true(out.length == strlen(out.data));
    return buffer_take(&out);
}

static void assert_png(const char *base64, size_t length, const struct image *image) {
    unsigned char *png = memory_alloc(length);
    size_t size;
    struct image back = {0};
    struct error error;
    assert_int_equal(sodium_base642bin(png, length, base64, length, NULL, &size, NULL, sodium_base64_VARIANT_ORIGINAL), 0);
    assert_true(image_decode(png, size, &image_limits_default, &back, NULL, &error));
    assert_int_equal(back.width, image->width);
    assert_int_equal(back.height, image->height);
    assert_memory_equal(back.pixels, image->pixels, 3 * image->width * image->height);
    image_free(&back);
    memory_free(png);
}

static void test_kitty(void **state) {
    (void)state;
    struct image image = sample();
    char *text = shown(TERMINAL_KITTY, &image), *base64 = memory_zero(strlen(text) + 1);
    int chunks = 0, more = 1;
    for (const char *at = text; *at != 0; chunks++) {
        assert_true(more); /* nothing after the last chunk */
        assert_memory_equal(at, "\033_G", 3);
        const char *data = strchr(at, ';') + 1, *end = strstr(data, "\033\\");
        assert_true(end != NULL && end - data <= 4096);
        if (chunks == 0) assert_non_null(strstr(at, "a=T,f=100,i=1,p=1,c=9,r=4,C=1,"));
        more = data[-2] == '1';
        assert_memory_equal(data - 4, "m=", 2);
        strncat(base64, data, (size_t)(end - data));
        at = end + 2;
    }
    assert_false(more);
    assert_png(base64, strlen(base64), &image);
    memory_free(base64);
    memory_free(text);
    image_free(&image);
}

static void test_iterm(void **state) {
    (void)state;
    struct image image = sample();
    char *text = shown(TERMINAL_ITERM, &image);
    assert_memory_equal(text, "\033]1337;File=inline=1;", 21);
    assert_non_null(strstr(text, "width=9;height=4;"));
    char *data = strchr(text, ':') + 1;
    assert_int_equal(data[strlen(data) - 1], '\a');
    assert_png(data, strlen(data) - 1, &image);
    memory_free(text);
    image_free(&image);
}

/* Draw sixels: every pixel gets a colour, near the picture's on the average of each 4 x 4 pixels. */
static void test_sixel(void **state) {
    (void)state;
    struct image image = sample();
    char *text = shown(TERMINAL_SIXEL, &image);
    static int palette[256][3], canvas[HEIGHT][WIDTH];
    memset(canvas, -1, sizeof canvas);
    const char *at = strstr(text, "q\"1;1;45;20");
    assert_true(at != NULL && strncmp(text, "\033P", 2) == 0);
    at += 11;
    size_t x = 0, y = 0, count = 1;
    long colour = 0;
    char *end;
    for (; *at != '\033'; at++) {
        if (*at == '#') {
            colour = strtol(at + 1, &end, 10);
            assert_in_range(colour, 0, 255);
            if (*end == ';') {
                assert_int_equal(end[1], '2');
                end += 2;
                for (int c = 0; c < 3; c++) palette[colour][c] = (int)strtol(end + 1, &end, 10);
            }
            at = end - 1;
        } else if (*at == '!') {
            count = (size_t)strtol(at + 1, &end, 10);
            at = end - 1;
        } else if (*at == '$') {
            x = 0;
        } else if (*at == '-') {
            x = 0;
            y += 6;
        } else {
            assert_in_range(*at, '?', '~');
            for (; count > 0; count--, x++)
                for (size_t bit = 0; bit < 6; bit++)
                    if ((*at - '?') >> bit & 1) {
                        assert_true(x < WIDTH && y + bit < HEIGHT);
                        assert_int_equal(canvas[y + bit][x], -1);
                        canvas[y + bit][x] = (int)colour;
                    }
            count = 1;
        }
    }
    assert_string_equal(at, "\033\\");
    for (size_t top = 0; top + 4 <= HEIGHT; top += 4)
        for (size_t left = 0; left + 4 <= WIDTH; left += 4)
            for (size_t c = 0; c < 3; c++) {
                int is = 0, wanted = 0;
                for (size_t i = 0; i < 16; i++) {
                    size_t row = top + i / 4, column = left + i % 4;
                    assert_true(canvas[row][column] >= 0);
                    is += palette[canvas[row][column]][c] * 255 / 100;
                    wanted += image.pixels[3 * (row * WIDTH + column) + c];
                }
                assert_in_range(is - wanted + 16 * 20, 0, 2 * 16 * 20);
            }
    memory_free(text);
    image_free(&image);
}

static const char *const *variables; /* name, value, ..., NULL */
static char *look_up(const char *name) {
    for (const char *const *at = variables; *at != NULL; at += 2)
        if (strcmp(*at, name) == 0) return (char *)(uintptr_t)at[1];
    return NULL;
}

static void test_environment(void **state) {
    (void)state;
    static const struct {
        const char *variables[7];
        enum terminal_pictures kind;
    } cases[] = {
        {{"TERM", "xterm-kitty", NULL}, TERMINAL_KITTY},
        {{"TERM", "xterm-256color", "KITTY_WINDOW_ID", "1", NULL}, TERMINAL_KITTY},
        {{"TERM", "xterm-256color", "TERM_PROGRAM", "iTerm.app", NULL}, TERMINAL_ITERM},
        {{"TERM", "xterm-256color", "TERM_PROGRAM", "WezTerm", NULL}, TERMINAL_ITERM},
        {{"TERM", "foot", NULL}, TERMINAL_SIXEL},
        {{"TERM", "xterm-256color", NULL}, TERMINAL_NONE},
        {{"TERM", "tmux-256color", "KITTY_WINDOW_ID", "1", NULL}, TERMINAL_NONE},
        {{NULL}, TERMINAL_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        variables = cases[i].variables;
        assert_int_equal(terminal_pictures_by_environment(look_up), cases[i].kind);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kitty), cmocka_unit_test(test_iterm), cmocka_unit_test(test_sixel),
                                       cmocka_unit_test(test_environment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
