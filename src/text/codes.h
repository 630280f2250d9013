/* Text as an array of code points, growing. A failed allocation sticks, so that a chain of appends
 * is checked once, at its end. Only for this folder. */
#ifndef TEXT_CODES_H
#define TEXT_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CODE_REPLACEMENT = 0xfffd, CODE_MAX = 0x10ffff };

struct codes {
    uint32_t *data;
    size_t length, capacity;
    bool failed; /* out of memory */
};

void codes_free(struct codes *codes);
void codes_append(struct codes *codes, uint32_t code);
void codes_append_all(struct codes *codes, const uint32_t *data, size_t length);
/* `to` becomes what `from` is, failed if either was; `from` becomes empty. */
void codes_move(struct codes *to, struct codes *from);
bool codes_equal(const struct codes *a, const struct codes *b);

/* UTF-8 in; each longest beginning of a broken character becomes one U+FFFD. */
void codes_append_utf8(struct codes *codes, const char *text, size_t length);
/* A new heap string, NULL when out of memory. */
char *codes_utf8(const struct codes *codes, size_t *length);
/* Bytes of one code point; its number is returned. */
size_t code_utf8(uint32_t code, unsigned char bytes[4]);

/* White space as Python's str.strip() and \s of its `re` have it. */
bool code_is_space(uint32_t code);

#endif
