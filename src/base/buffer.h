/* A growing byte buffer that knows its maximum. A failed append empties it and remembers the
 * failure, so that a chain of appends is checked once, at its end. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data; /* always followed by a 0 once something was appended; NULL before */
    size_t length;
    size_t capacity;
    size_t maximum;
    bool failed; /* out of memory or over the maximum */
};

void buffer_init(struct buffer *buffer, size_t maximum);
void buffer_free(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* keeps the memory, forgets a failure */
bool buffer_append(struct buffer *buffer, const void *data, size_t length);
bool buffer_text(struct buffer *buffer, const char *text);
bool buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The content as a heap string of the caller's; NULL after a failure. The buffer is empty then. */
char *buffer_take(struct buffer *buffer);

#endif
