#include "text/vocabulary.h"

#include "base/file.h"
#include "base/memory.h"
#include "text/codes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 16 << 20, MERGES_MAX = VOCABULARY_SIZE - 512 - 2, MERGE_MAX = 1024 };
#define WORD_END "</w>"

/* ==== Bytes as characters ==== */

/* Tokens are written with printable characters only: bytes that Latin-1 prints stand for themselves,
 * the others, in order, for U+0100 and on. */
static bool is_printable(unsigned byte) { return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad); }

static void set_characters(struct vocabulary *vocabulary, uint32_t characters[256]) {
    uint32_t next = 0x100;
    for (size_t i = 0; i < CHARACTERS; i++) vocabulary->character[i] = -1;
    for (unsigned byte = 0; byte < 256; byte++) {
        characters[byte] = is_printable(byte) ? byte : next++;
        vocabulary->character[characters[byte]] = (int16_t)byte;
    }
}

/* ==== Tokens ==== */

/* id of a token, or -1. */
static int32_t find_token(const json_t *tokens, const char *name) {
    const json_t *id = json_object_get(tokens, name);
    return id ? (int32_t)json_integer_value(id) : -1;
}

static bool check_ids(const json_t *tokens, size_t *bytes, struct error *error) {
    const char *name;
    json_t *value;
    *bytes = 0;
    size_t token = 1; /* in the file's order: its text may be anything, and stays out of messages */
    /* The iterator wants a pointer to what is not const, but changes nothing. */
    json_object_foreach((json_t *)(uintptr_t)tokens, name, value) {
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) >= VOCABULARY_SIZE)
            return error_set(error, ERROR_FORMAT, "the id of token number %zu is not a number from 0 to %d", token, VOCABULARY_SIZE - 1);
        *bytes += strlen(name) + 1;
        token++;
    }
    if (find_token(tokens, "<|startoftext|>") != TOKENIZER_START || find_token(tokens, "<|endoftext|>") != TOKENIZER_END)
        return error_set(error, ERROR_UNSUPPORTED,
                         "this is not CLIP's vocabulary: <|startoftext|> and <|endoftext|> do not have the ids %d and %d", TOKENIZER_START,
                         TOKENIZER_END);
    return true;
}

static bool copy_names(struct vocabulary *vocabulary, const json_t *tokens, struct error *error) {
    size_t bytes;
    if (!check_ids(tokens, &bytes, error)) return false;
    vocabulary->names = memory_alloc(bytes);
    if (!vocabulary->names) return error_set(error, ERROR_MEMORY, "out of memory for the tokens");
    char *at = vocabulary->names;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)tokens, name, value) {
        size_t length = strlen(name) + 1, id = (size_t)json_integer_value(value);
        if (vocabulary->name[id]) return error_set(error, ERROR_FORMAT, "two tokens have the id %zu", id);
        vocabulary->name[id] = memcpy(at, name, length);
        at += length;
    }
    return true;
}

static bool find_bytes(struct vocabulary *vocabulary, const json_t *tokens, struct error *error) {
    uint32_t characters[256];
    set_characters(vocabulary, characters);
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[4 + sizeof WORD_END];
        size_t length = code_utf8(characters[byte], (unsigned char *)name);
        for (int last = 0; last < 2; last++) {
            snprintf(name + length, sizeof name - length, "%s", last ? WORD_END : "");
            vocabulary->byte[last][byte] = find_token(tokens, name);
            if (vocabulary->byte[last][byte] < 0)
                return error_set(error, ERROR_FORMAT, "byte %u has no token (%s) in the vocabulary", byte, name);
        }
    }
    return true;
}

/* ==== Merges ==== */

static int compare_merges(const void *a, const void *b) {
    const struct merge *left = a, *right = b;
    if (left->left != right->left) return left->left < right->left ? -1 : 1;
    return (left->right > right->right) - (left->right < right->right);
}

/* One line: two tokens and a space between. */
static bool read_merge(const json_t *tokens, const char *line, size_t length, struct merge *merge, struct error *error) {
    char joined[MERGE_MAX];
    const char *space = memchr(line, ' ', length);
    size_t left = space ? (size_t)(space - line) : 0;
    if (left == 0 || left + 1 == length || length >= sizeof joined || memchr(space + 1, ' ', length - left - 1) || memchr(line, 0, length))
        return error_set(error, ERROR_FORMAT, "not two tokens with a space between");
    memcpy(joined, line, left);
    joined[left] = 0;
    merge->left = find_token(tokens, joined);
    memcpy(joined + left, space + 1, length - left - 1);
    joined[length - 1] = 0;
    merge->right = find_token(tokens, joined + left);
    merge->result = find_token(tokens, joined);
    if (merge->left < 0 || merge->right < 0 || merge->result < 0)
        return error_set(error, ERROR_FORMAT, "one of the two, or what they join to, is not in the vocabulary");
    return true;
}

static bool check_merges(const struct vocabulary *vocabulary, struct error *error) {
    for (size_t i = 1; i < vocabulary->merge_count; i++) {
        const struct merge *merge = &vocabulary->merges[i];
        if (compare_merges(merge - 1, merge) == 0)
            return error_set(error, ERROR_FORMAT, "lines %u and %u are the same", (merge - 1)->rank + 2, merge->rank + 2);
    }
    return true;
}

/* The first line is the format's version, and what is beyond MERGES_MAX lines was never used. */
static bool read_merges(struct vocabulary *vocabulary, const json_t *tokens, const char *text, size_t length, struct error *error) {
    vocabulary->merges = memory_array(MERGES_MAX, sizeof *vocabulary->merges);
    if (!vocabulary->merges) return error_set(error, ERROR_MEMORY, "out of memory for the merges");
    const char *at = text, *end = text + length;
    for (size_t line = 1; at < end && vocabulary->merge_count < MERGES_MAX; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *next = newline ? newline + 1 : end;
        size_t count = (size_t)((newline ? newline : end) - at);
        if (count > 0 && at[count - 1] == '\r') count--;
        struct merge *merge = &vocabulary->merges[vocabulary->merge_count];
        if (line > 1 && !(count == 0 && next == end)) {
            if (!read_merge(tokens, at, count, merge, error)) return error_context(error, "line %zu", line);
            merge->rank = (uint32_t)vocabulary->merge_count++;
        }
        at = next;
    }
    qsort(vocabulary->merges, vocabulary->merge_count, sizeof *vocabulary->merges, compare_merges);
    return check_merges(vocabulary, error);
}

const struct merge *vocabulary_merge(const struct vocabulary *vocabulary, int32_t left, int32_t right) {
    struct merge key = {.left = left, .right = right};
    return bsearch(&key, vocabulary->merges, vocabulary->merge_count, sizeof key, compare_merges);
}

/* ==== Files ==== */

static bool read_file(const char *folder, const char *name, char **data, size_t *length, struct error *error) {
    char *path = file_join(folder, name);
    if (!path) return error_set(error, ERROR_MEMORY, "out of memory to read %s", name);
    bool read = file_read(path, FILE_MAX, data, length, error);
    memory_free(path);
    return read;
}

static json_t *read_tokens(const char *folder, struct error *error) {
    char *data = NULL;
    size_t length = 0;
    if (!read_file(folder, "vocab.json", &data, &length, error)) return NULL;
    json_error_t where;
    json_t *tokens = json_loadb(data, length, JSON_REJECT_DUPLICATES, &where);
    memory_free(data);
    if (tokens && json_is_object(tokens)) return tokens;
    bool memory = !tokens && json_error_code(&where) == json_error_out_of_memory;
    if (tokens)
        error_set(error, ERROR_FORMAT, "%s/vocab.json is not a JSON object", folder);
    else
        error_set(error, memory ? ERROR_MEMORY : ERROR_FORMAT, "%s/vocab.json, line %d: %s", folder, where.line, where.text);
    json_decref(tokens);
    return NULL;
}

static bool fill(struct vocabulary *vocabulary, const char *folder, const json_t *tokens, struct error *error) {
    if (!copy_names(vocabulary, tokens, error) || !find_bytes(vocabulary, tokens, error))
        return error_context(error, "%s/vocab.json", folder);
    char *data = NULL;
    size_t length = 0;
    if (!read_file(folder, "merges.txt", &data, &length, error)) return false;
    bool read = read_merges(vocabulary, tokens, data, length, error);
    memory_free(data);
    return read ? true : error_context(error, "%s/merges.txt", folder);
}

bool vocabulary_open(const char *folder, struct vocabulary **vocabulary, struct error *error) {
    json_t *tokens = read_tokens(folder, error);
    if (!tokens) return false;
    struct vocabulary *opened = memory_zero(sizeof *opened);
    bool filled = opened ? fill(opened, folder, tokens, error) : error_set(error, ERROR_MEMORY, "out of memory for the vocabulary");
    json_decref(tokens);
    if (filled)
        *vocabulary = opened;
    else
        vocabulary_close(opened);
    return filled;
}

/* ==== From the merges alone ==== */

static bool add_token(json_t *tokens, const char *name) {
    return json_object_set_new(tokens, name, json_integer((json_int_t)json_object_size(tokens))) == 0;
}

/* Ids 0 to 511: the printable bytes, the others; all again as the ends of words. */
static bool add_bytes(json_t *tokens) {
    struct vocabulary *unused = memory_alloc(sizeof *unused);
    uint32_t characters[256];
    bool fine = unused != NULL;
    if (fine) set_characters(unused, characters);
    memory_free(unused);
    for (int last = 0; last < 2; last++) {
        for (unsigned pass = 0; pass < 512; pass++) {
            unsigned byte = pass % 256;
            if (!fine || is_printable(byte) != (pass < 256)) continue;
            char name[4 + sizeof WORD_END];
            size_t length = code_utf8(characters[byte], (unsigned char *)name);
            snprintf(name + length, sizeof name - length, "%s", last ? WORD_END : "");
            fine = add_token(tokens, name);
        }
    }
    return fine;
}

/* What each line makes: its two tokens without the space. */
static bool add_merged(json_t *tokens, const char *text, size_t length) {
    const char *at = text, *end = text + length;
    for (size_t line = 1; at < end && line <= MERGES_MAX + 1; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *next = newline ? newline + 1 : end;
        size_t count = (size_t)((newline ? newline : end) - at);
        const char *space = memchr(at, ' ', count);
        char name[MERGE_MAX];
        if (line > 1 && space && count < sizeof name) {
            size_t left = (size_t)(space - at);
            memcpy(name, at, left);
            memcpy(name + left, space + 1, count - left - 1);
            name[count - 1] = 0;
            if (!add_token(tokens, name)) return false;
        }
        at = next;
    }
    return true;
}

bool vocabulary_from_merges(const char *merges, size_t length, struct vocabulary **vocabulary, struct error *error) {
    json_t *tokens = json_object();
    struct vocabulary *opened = memory_zero(sizeof *opened);
    bool made = tokens && opened && add_bytes(tokens) && add_merged(tokens, merges, length) && add_token(tokens, "<|startoftext|>") &&
                add_token(tokens, "<|endoftext|>");
    bool filled =
        made ? copy_names(opened, tokens, error) && find_bytes(opened, tokens, error) && read_merges(opened, tokens, merges, length, error)
             : error_set(error, ERROR_MEMORY, "out of memory for the vocabulary");
    json_decref(tokens);
    if (filled)
        *vocabulary = opened;
    else
        vocabulary_close(opened);
    return filled;
}

void vocabulary_close(struct vocabulary *vocabulary) {
    if (!vocabulary) return;
    memory_free(vocabulary->names);
    memory_free(vocabulary->merges);
    memory_free(vocabulary);
}
