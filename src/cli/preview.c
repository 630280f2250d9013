#include "cli/preview.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ENLARGED = 4, SIDE_MAX = 1024, SIDE_BY_SIDE_MAX = 4, SEQUENCE_BYTES_MAX = 64 << 20 };
static const double interval = 0.5; /* seconds */

/* The previews of all pictures beside each other. */
static bool gather(int count, const inpaint_progress *now, struct image *image, struct error *error) {
    size_t width = (size_t)now->preview_width, height = (size_t)now->preview_height, all = width * (size_t)count;
    struct image one = {0};
    bool fine = image_create(image, all, height, IMAGE_RGB, error) && image_create(&one, width, height, IMAGE_RGB, error);
    for (int i = 0; fine && i < count; i++) {
        fine = now->preview(now->preview_state, i, one.pixels);
        for (size_t y = 0; fine && y < height; y++)
            memcpy(image->pixels + 3 * (y * all + (size_t)i * width), one.pixels + 3 * y * width, 3 * width);
    }
    image_free(&one);
    return fine;
}

static bool enlarge(const struct image *small, struct image *large, struct error *error) {
    size_t side = small->width > small->height ? small->width : small->height, factor = ENLARGED;
    while (factor > 1 && side * factor > SIDE_MAX) factor--;
    return image_resize_bicubic(small, small->width * factor, small->height * factor, large, error);
}

/* Character cells that hold so many pixels; false when the terminal has not the room. */
static bool cells(const struct image *image, int *columns, int *rows) {
    struct winsize window = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_row == 0 || window.ws_col == 0)
        window = (struct winsize){.ws_row = 1000, .ws_col = 1000};
    int cell_width = window.ws_xpixel >= window.ws_col ? window.ws_xpixel / window.ws_col : 8;
    int cell_height = window.ws_ypixel >= window.ws_row ? window.ws_ypixel / window.ws_row : 16;
    *columns = ((int)image->width + cell_width - 1) / cell_width;
    *rows = ((int)image->height + cell_height - 1) / cell_height;
    return *columns <= window.ws_col && *rows < window.ws_row;
}

/* Where terminals leave the cursor differs: it is saved in front of the picture and moved by hand. */
static void place(struct preview *preview, const struct image *image, struct error *error) {
    int columns = 0, rows = 0;
    struct buffer out;
    if (!cells(image, &columns, &rows)) return;
    buffer_init(&out, SEQUENCE_BYTES_MAX);
    buffer_text(&out, "\r\033[K");
    if (preview->rows == 0)
        for (int i = 0; i < rows; i++) buffer_text(&out, "\n");
    buffer_format(&out, "\033[%dA\0337", rows);
    if (terminal_picture(preview->kind, image, columns, rows, &out, error)) {
        buffer_format(&out, "\0338\033[%dB\r", rows);
        fwrite(out.data, 1, out.length, stderr);
        fflush(stderr);
        preview->rows = rows;
    }
    buffer_free(&out);
}

void preview_show(struct preview *preview, const inpaint_progress *now) {
    if (now->message != NULL) preview->rows = 0; /* a line was printed below: the next one starts afresh */
    bool due = now->stage == INPAINT_STAGE_DENOISE && now->preview != NULL && now->step > 0 && now->seconds - preview->last >= interval;
    if (preview->kind == TERMINAL_NONE || !due) return;
    preview->last = now->seconds;
    struct error error = {.code = ERROR_NONE};
    struct image small = {0}, large = {0};
    int count = preview->count < SIDE_BY_SIDE_MAX ? preview->count : SIDE_BY_SIDE_MAX;
    /* Without a preview the painting goes on. */
    if (gather(count, now, &small, &error) && enlarge(&small, &large, &error)) place(preview, &large, &error);
    image_free(&small);
    image_free(&large);
}
