/* The original joins, again and again, all occurrences (from the left) of the pair that is lowest in
 * rank. The same is done here with a heap of pairs, so that a long word takes n log n steps. */
#include "text/bytepair.h"

#include "base/memory.h"

#include <stdint.h>

#define NONE SIZE_MAX

struct bytepair_node {
    int32_t token; /* -1: was joined to the one before */
    size_t previous, next;
};

struct bytepair_candidate {
    const struct merge *merge;
    size_t position; /* of the left one */
};

void bytepair_free(struct bytepair *bytepair) {
    memory_free(bytepair->nodes);
    memory_free(bytepair->heap);
    memory_free(bytepair->joined);
    *bytepair = (struct bytepair){0};
}

/* A word of n bytes has n - 1 pairs at first, and each of at most n - 1 joins makes two new ones. */
static bool reserve(struct bytepair *bytepair, size_t length) {
    if (length <= bytepair->capacity) return true;
    size_t capacity = length < 64 ? 64 : length * 2;
    bytepair_free(bytepair);
    bytepair->nodes = memory_array(capacity, sizeof *bytepair->nodes);
    bytepair->heap = memory_array(capacity, 3 * sizeof *bytepair->heap);
    bytepair->joined = memory_array(capacity, sizeof *bytepair->joined);
    if (!bytepair->nodes || !bytepair->heap || !bytepair->joined) return false;
    bytepair->capacity = capacity;
    return true;
}

/* ==== The heap: lowest rank first, then from the left ==== */

static bool before(const struct bytepair_candidate *a, const struct bytepair_candidate *b) {
    return a->merge->rank != b->merge->rank ? a->merge->rank < b->merge->rank : a->position < b->position;
}

static void push(struct bytepair *bytepair, struct bytepair_candidate candidate) {
    struct bytepair_candidate *heap = bytepair->heap;
    size_t at = bytepair->waiting++;
    for (; at > 0 && before(&candidate, &heap[(at - 1) / 2]); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = candidate;
}

static struct bytepair_candidate pop(struct bytepair *bytepair) {
    struct bytepair_candidate *heap = bytepair->heap, first = heap[0], last = heap[--bytepair->waiting];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < bytepair->waiting && before(&heap[child + 1], &heap[child])) child++;
        if (child >= bytepair->waiting || !before(&heap[child], &last)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

/* ==== Joining ==== */

static void push_pair(struct bytepair *bytepair, const struct vocabulary *vocabulary, size_t left) {
    const struct bytepair_node *nodes = bytepair->nodes;
    if (left == NONE || nodes[left].next == NONE) return;
    const struct merge *merge = vocabulary_merge(vocabulary, nodes[left].token, nodes[nodes[left].next].token);
    if (merge) push(bytepair, (struct bytepair_candidate){merge, left});
}

/* Unless one of the two was joined to another meanwhile. */
static bool join(struct bytepair_node *nodes, const struct bytepair_candidate *candidate) {
    struct bytepair_node *left = &nodes[candidate->position];
    if (left->token != candidate->merge->left || left->next == NONE) return false;
    struct bytepair_node *right = &nodes[left->next];
    if (right->token != candidate->merge->right) return false;
    left->token = candidate->merge->result;
    left->next = right->next;
    if (right->next != NONE) nodes[right->next].previous = candidate->position;
    right->token = -1;
    return true;
}

/* All occurrences of one pair; the new pairs come into play after that only. */
static void join_lowest(struct bytepair *bytepair, const struct vocabulary *vocabulary) {
    const struct merge *lowest = bytepair->heap[0].merge;
    size_t count = 0;
    while (bytepair->waiting > 0 && bytepair->heap[0].merge == lowest) {
        struct bytepair_candidate candidate = pop(bytepair);
        if (join(bytepair->nodes, &candidate)) bytepair->joined[count++] = candidate.position;
    }
    for (size_t i = 0; i < count; i++) {
        push_pair(bytepair, vocabulary, bytepair->nodes[bytepair->joined[i]].previous);
        push_pair(bytepair, vocabulary, bytepair->joined[i]);
    }
}

bool bytepair_encode(struct bytepair *bytepair, const struct vocabulary *vocabulary, const unsigned char *word, size_t length,
                     int32_t *tokens, size_t *count) {
    if (!reserve(bytepair, length)) return false;
    for (size_t i = 0; i < length; i++) {
        bool last = i + 1 == length;
        bytepair->nodes[i] = (struct bytepair_node){vocabulary->byte[last][word[i]], i ? i - 1 : NONE, last ? NONE : i + 1};
    }
    bytepair->waiting = 0;
    for (size_t i = 0; i < length; i++) push_pair(bytepair, vocabulary, i);
    while (bytepair->waiting > 0) join_lowest(bytepair, vocabulary);
    *count = 0;
    for (size_t i = 0; i != NONE; i = bytepair->nodes[i].next) tokens[(*count)++] = bytepair->nodes[i].token;
    return true;
}
