/* CLIP's byte-pair tokenizer with the original's text clean-up (ftfy's fix_text, whitespace,
 * lower case), as transformers 4.21's slow CLIPTokenizer does it. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "base/error.h"

#include <stdint.h>

enum { TOKENIZER_LENGTH = 77, TOKENIZER_START = 49406, TOKENIZER_END = 49407 };

struct tokenizer;

/* From a folder with vocab.json and merges.txt, and tokenizer_config.json, optional, whose pad_token is used.
 * Without vocab.json and merges.txt (or folder NULL): CLIP's own, from the copy inside the program. */
bool tokenizer_open(const char *folder, struct tokenizer **tokenizer, struct error *error);
/* Pad as OpenCLIP does, with token 0 ("!"). */
void tokenizer_pad_as_open_clip(struct tokenizer *tokenizer);
void tokenizer_close(struct tokenizer *tokenizer);

/* Ids of `text` (UTF-8; bytes that are not become U+FFFD), padded to 77 with the end token,
 * or with what the folder's tokenizer_config.json names.
 * keep_end true: cut to 76 and end with the end token (the negative prompt);
 * keep_end false: all ids are made, then the first 77 kept (the positive prompt: a long one has no
 * end token).
 * *count: ids before cutting and padding, start and end included, when keep_end is false; at most 77 otherwise.
 * *cut, when not NULL: a new heap string with the decoded text of what was cut, or NULL when
 * nothing was. Reentrant: a tokenizer may be used by several threads at once.
 * Fails only with ERROR_MEMORY, or ERROR_LIMIT for a text over 1 MB. */
bool tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length, bool keep_end, int32_t ids[TOKENIZER_LENGTH],
                      size_t *count, char **cut, struct error *error);

/* ftfy 6.1.1's fix_text with its default settings; a new heap string. */
char *text_fix(const char *text, size_t length, size_t *fixed_length, struct error *error);

#endif
