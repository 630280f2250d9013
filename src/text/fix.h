/* The clean-up of prompts: ftfy's fix_text on code points, and what CLIP's tokenizer does after it.
 * Only for this folder. */
#ifndef TEXT_FIX_H
#define TEXT_FIX_H

#include "text/codes.h"

enum { TEXT_LENGTH_MAX = 1000000 }; /* bytes */

struct html_entity {
    const char *name; /* without & and ; */
    uint32_t codes[3];
};
extern const struct html_entity html_entities[]; /* sorted by name */
extern const size_t html_entity_count;

/* text becomes fixed; text->failed when out of memory. */
void fix_text(struct codes *text);
void unescape_html(struct codes *text);

/* Each run of white space becomes one space, none at either end. */
void clean_whitespace(struct codes *text);
/* As Python's str.lower(). */
void lower_case(struct codes *text);

/* The next word at or after *begin, in the sense of CLIP's pattern: [*begin, *end). False at the
 * text's end. */
bool next_word(const struct codes *text, size_t *begin, size_t *end);

#endif
