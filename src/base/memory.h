/* The one door to the heap. Tests make the N-th call fail through memory_fail_at(). */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* As malloc/calloc/realloc; NULL when there is none. memory_array checks count * size for overflow. */
void *memory_alloc(size_t size);
void *memory_zero(size_t size);
void *memory_array(size_t count, size_t size);
void *memory_resize(void *old, size_t size);
char *memory_string(const char *text);                  /* strdup; NULL in, NULL out */
char *memory_string_n(const char *text, size_t length); /* a copy of length bytes, ended by 0 */
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void memory_free(void *pointer); /* NULL is fine */

/* How often this thread has asked in vain: tells "no memory" from "no JSON" where a library does not. */
size_t memory_failures(void);

/* 64-byte aligned block, for tensors; zero-filled pages from the system when large. */
void *memory_aligned(size_t size);
void memory_aligned_free(void *pointer);

/* Fault injection for tests: the `n`-th allocation from now fails (1 = the next), and, when
 * `for_ever`, every one after it. 0 switches it off. Affects the whole process. */
void memory_fail_at(size_t n, int for_ever);
size_t memory_calls(void); /* allocations made since the last memory_fail_at() */

#endif
