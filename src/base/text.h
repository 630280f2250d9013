/* Small things about text. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* True when the bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool utf8_valid(const char *text, size_t length);

/* The largest cut <= length that does not fall inside a character. */
size_t utf8_cut(const char *text, size_t length);

/* Whole decimal numbers, with nothing before or after; false when out of [minimum, maximum]. */
bool text_to_integer(const char *text, long long minimum, long long maximum, long long *value);
bool text_to_number(const char *text, double minimum, double maximum, double *value);

#endif
