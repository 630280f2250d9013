/* Where in the arena each value lies: greedy by size, each into the tightest gap that is free for
 * its whole life (Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural Net
 * Inference"). */
#include "base/memory.h"
#include "tensor/plan_internal.h"

#include <stdint.h>
#include <stdlib.h>

enum { ALIGNMENT = 64 };

static size_t rounded(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* Every operand's memory lives at least until the operation that reads it; a value read in another
 * section than its own lives for ever. */
static void extend_lives(struct plan *plan) {
    for (size_t i = 0; i < plan->operation_count; i++) {
        const struct operation *operation = plan->operations[i];
        for (int k = 0; k < OPERANDS; k++) {
            if (!value_given(operation->operand[k])) continue;
            const struct plan_value *value = &plan->values[operation->operand[k].index];
            struct storage *storage = &plan->storages[value->storage];
            if (storage->last < i) storage->last = i;
            if (value->section != operation->section) storage->persistent = true;
        }
    }
}

static bool live_together(const struct storage *a, const struct storage *b) {
    return a->persistent || b->persistent || (a->first <= b->last && b->first <= a->last);
}

static int by_size(const void *a, const void *b) {
    const struct storage *left = *(struct storage *const *)a, *right = *(struct storage *const *)b;
    /* What lives for ever goes first, to the bottom: it is in everybody's way wherever it lies. */
    if (left->persistent != right->persistent) return left->persistent ? -1 : 1;
    if (left->bytes != right->bytes) return left->bytes > right->bytes ? -1 : 1;
    return left < right ? -1 : left > right; /* an order that does not depend on the sort */
}

/* placed: by offset. */
static size_t tightest_gap(struct storage *const *placed, size_t count, const struct storage *storage) {
    size_t best = SIZE_MAX, best_gap = SIZE_MAX, end = 0, bytes = rounded(storage->bytes);
    for (size_t i = 0; i < count; i++) {
        if (!live_together(placed[i], storage)) continue;
        if (placed[i]->offset > end) {
            size_t gap = placed[i]->offset - end;
            if (gap >= bytes && gap < best_gap) {
                best = end;
                best_gap = gap;
            }
        }
        size_t after = placed[i]->offset + rounded(placed[i]->bytes);
        if (after > end) end = after;
    }
    return best == SIZE_MAX ? end : best;
}

static void insert_by_offset(struct storage **placed, size_t count, struct storage *storage) {
    size_t at = count;
    for (; at > 0 && placed[at - 1]->offset > storage->offset; at--) placed[at] = placed[at - 1];
    placed[at] = storage;
}

bool plan_layout(struct plan *plan, size_t *bytes, struct error *error) {
    extend_lives(plan);
    size_t count = plan->storage_count;
    struct storage **order = memory_array(count, sizeof(struct storage *));
    struct storage **placed = memory_array(count, sizeof(struct storage *));
    bool fine = order && placed;
    if (fine) {
        for (size_t i = 0; i < count; i++) order[i] = &plan->storages[i];
        if (count) qsort(order, count, sizeof *order, by_size);
        *bytes = 0;
        for (size_t i = 0; i < count; i++) {
            order[i]->offset = tightest_gap(placed, i, order[i]);
            insert_by_offset(placed, i, order[i]);
            size_t end = order[i]->offset + rounded(order[i]->bytes);
            if (end > *bytes) *bytes = end;
        }
    }
    memory_free(order);
    memory_free(placed);
    return fine || error_set(error, ERROR_MEMORY, "out of memory while laying out a plan");
}
