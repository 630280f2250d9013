/* What a JSON body may be before it is parsed: a few bytes of JSON can cost a hundred times as much
 * memory, and deep nesting costs stack. */
#ifndef SERVICE_JSON_LIMITS_H
#define SERVICE_JSON_LIMITS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH_MAX = 32, JSON_VALUES_MAX = 20000 };

/* Not deeper than JSON_DEPTH_MAX, not more than JSON_VALUES_MAX values? Says nothing about whether
 * it is JSON otherwise. */
bool json_within_limits(const char *text, size_t length);

/* Parse a body: NULL with a sentence in `problem` when it is too deep, too much or not JSON, and with "" there when
 * there is no memory for it. Escaped
 * NULs ("\u0000"), which end strings too early everywhere behind us, become U+FFFD, in `text` itself. */
json_t *json_parse_body(char *text, size_t length, char problem[256]);

#endif
