/* Where a page of a list begins: opaque to clients, base64url of what we need to go on. */
#ifndef SERVICE_CURSOR_H
#define SERVICE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

enum { CURSOR_TEXT_SIZE = 192, CURSOR_ID_SIZE = 65 };

struct cursor {
    int64_t created;         /* of the item beyond which the page lies */
    char id[CURSOR_ID_SIZE]; /* and its id */
    bool ascending;          /* towards newer ones: a `previous` link */
};

bool cursor_format(const struct cursor *cursor, char text[CURSOR_TEXT_SIZE]);
bool cursor_parse(const char *text, struct cursor *cursor);

#endif
