/* Pictures in terminals that show them: kitty's graphics protocol, iTerm2's inline images, sixel. */
#ifndef CLI_TERMINAL_PICTURE_H
#define CLI_TERMINAL_PICTURE_H

#include "image/image.h"

enum terminal_pictures { TERMINAL_AUTO, TERMINAL_KITTY, TERMINAL_ITERM, TERMINAL_SIXEL, TERMINAL_NONE };

/* What the terminal that these environment variables describe shows; `get` is getenv(). Inside tmux
 * and screen, which pass on none of it, TERMINAL_NONE. */
enum terminal_pictures terminal_pictures_by_environment(char *(*get)(const char *name));

/* Append what shows the RGB picture at the cursor, in a field of `columns` x `rows` character cells
 * (sixel: at its own size in pixels). Where the cursor is afterwards depends on the terminal. */
bool terminal_picture(enum terminal_pictures kind, const struct image *image, int columns, int rows, struct buffer *out,
                      struct error *error);

#endif
