/* vocab.json and merges.txt: the tokens of a byte-pair tokenizer and which pairs of them are joined.
 * A token is known by its id. Only for this folder. */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include "base/error.h"
#include "text/tokenizer.h"

enum { VOCABULARY_SIZE = TOKENIZER_END + 1, CHARACTERS = 0x144 };

struct merge {
    int32_t left, right, result;
    uint32_t rank; /* the lowest is joined first */
};

struct vocabulary {
    char *names;                       /* every token's text, each ended by 0 */
    const char *name[VOCABULARY_SIZE]; /* into names; NULL: no such id */
    int32_t byte[2][256];              /* the token of one byte: [0] within a word, [1] as its last */
    int16_t character[CHARACTERS];     /* the byte that a character of a token stands for, -1: none */
    struct merge *merges;              /* sorted by left, right */
    size_t merge_count;
};

bool vocabulary_open(const char *folder, struct vocabulary **vocabulary, struct error *error);
/* From the text of a merges.txt alone, and from the copy inside the program. */
bool vocabulary_from_merges(const char *merges, size_t length, struct vocabulary **vocabulary, struct error *error);
bool vocabulary_builtin(struct vocabulary **vocabulary, struct error *error);
void vocabulary_close(struct vocabulary *vocabulary);

/* How the two are joined; NULL: they are not. */
const struct merge *vocabulary_merge(const struct vocabulary *vocabulary, int32_t left, int32_t right);

#endif
