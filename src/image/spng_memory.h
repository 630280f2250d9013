/* libspng on our heap, so that tests can make each of its allocations fail. Only for this folder. */
#ifndef IMAGE_SPNG_MEMORY_H
#define IMAGE_SPNG_MEMORY_H

#include "base/memory.h"

#include <spng.h>

static inline spng_ctx *spng_new(int flags) {
    struct spng_alloc heap = {.malloc_fn = memory_alloc, .realloc_fn = memory_resize, .calloc_fn = memory_array, .free_fn = memory_free};
    return spng_ctx_new2(&heap, flags);
}

#endif
