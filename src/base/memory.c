#include "base/memory.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The fault counter is the one piece of mutable global state: it exists for tests and is 0 otherwise. */
static atomic_size_t calls, fail_at;
static atomic_int fail_for_ever;

void memory_fail_at(size_t n, int for_ever) {
    atomic_store(&fail_at, n);
    atomic_store(&fail_for_ever, for_ever);
    atomic_store(&calls, 0);
}

size_t memory_calls(void) { return atomic_load(&calls); }

static _Thread_local size_t failures;

static int fails_now(void) {
    size_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    size_t call = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
    return at && (call == at || (call > at && atomic_load(&fail_for_ever)));
}

static void *counted(void *block) {
    if (!block) failures++;
    return block;
}

size_t memory_failures(void) { return failures; }

void *memory_alloc(size_t size) { return counted(fails_now() ? NULL : malloc(size ? size : 1)); }
void *memory_zero(size_t size) { return counted(fails_now() ? NULL : calloc(1, size ? size : 1)); }
void *memory_resize(void *old, size_t size) { return counted(fails_now() ? NULL : realloc(old, size ? size : 1)); }
void memory_free(void *pointer) { free(pointer); }

void *memory_array(size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) return counted(NULL);
    return counted(fails_now() ? NULL : calloc(count ? count : 1, size ? size : 1));
}

char *memory_string_n(const char *text, size_t length) {
    char *copy = length == SIZE_MAX ? NULL : memory_alloc(length + 1);
    if (!copy) return NULL;
    memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}

char *memory_string(const char *text) { return text ? memory_string_n(text, strlen(text)) : NULL; }

char *memory_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : memory_alloc((size_t)length + 1);
    if (!text) return NULL;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20 };

void *memory_aligned(size_t size) {
    if (fails_now() || size > SIZE_MAX - HUGE_PAGE) return NULL;
    size_t alignment = size >= 2 * (size_t)HUGE_PAGE ? (size_t)HUGE_PAGE : (size_t)ALIGNMENT;
    size_t rounded = (size + alignment - 1) / alignment * alignment;
    void *block = aligned_alloc(alignment, rounded ? rounded : alignment);
    /* Kernels stream through these blocks: fewer pages, fewer TLB misses. Advice only. */
    if (block && alignment == HUGE_PAGE) madvise(block, rounded, MADV_HUGEPAGE);
    return block;
}

void memory_aligned_free(void *pointer) { free(pointer); }
