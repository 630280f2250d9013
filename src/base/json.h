/* JSON as text, and nothing but the whole of it. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>

/* Let jansson allocate by memory.h: once, before it is used for the first time. json_text() relies on it. */
void json_use_memory(void);

/* json_dumps(), but NULL when there was no memory for all of it: jansson (2.14) goes on without a key that it could
 * not write. The caller frees it with memory_free(). */
char *json_text(const json_t *json, size_t flags);

#endif
