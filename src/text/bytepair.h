/* Byte-pair encoding of one word. Only for this folder. */
#ifndef TEXT_BYTEPAIR_H
#define TEXT_BYTEPAIR_H

#include "text/vocabulary.h"

struct bytepair_node;
struct bytepair_candidate;

/* Working memory, grown to the longest word so far. Zero-initialised. */
struct bytepair {
    struct bytepair_node *nodes;
    struct bytepair_candidate *heap;
    size_t *joined;
    size_t capacity; /* bytes of a word */
    size_t waiting;  /* candidates in the heap */
};

void bytepair_free(struct bytepair *bytepair);

/* The tokens of a word of `length` >= 1 bytes, at most `length` of them. False when out of memory. */
bool bytepair_encode(struct bytepair *bytepair, const struct vocabulary *vocabulary, const unsigned char *word, size_t length,
                     int32_t *tokens, size_t *count);

#endif
