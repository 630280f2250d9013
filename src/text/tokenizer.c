#include "text/tokenizer.h"

#include "base/file.h"
#include "base/memory.h"
#include "text/bytepair.h"
#include "text/fix.h"
#include "text/vocabulary.h"

#include <jansson.h>
#include <string.h>

enum { CONFIG_BYTES_MAX = 1 << 20 };

struct tokenizer {
    struct vocabulary *vocabulary;
    int32_t pad;
};

/* tokenizer_config.json's pad_token: a text, or an object whose "content" it is. Without the file or
 * the entry it stays the end token; Stable Diffusion 2 says "!". */
static bool read_pad(const char *folder, struct tokenizer *tokenizer, struct error *error) {
    char *path = file_join(folder, "tokenizer_config.json"), *text = NULL;
    size_t length = 0;
    if (!path) return error_set(error, ERROR_MEMORY, "out of memory for the tokenizer");
    bool exists = file_exists(path);
    bool read = !exists || file_read(path, CONFIG_BYTES_MAX, &text, &length, error);
    json_error_t where;
    json_t *root = exists && read ? json_loadb(text, length, 0, &where) : NULL;
    if (exists && read && !json_is_object(root)) read = error_set(error, ERROR_FORMAT, "%s is not a JSON object", path);
    const json_t *pad = json_object_get(root, "pad_token");
    const char *name = json_string_value(json_is_object(pad) ? json_object_get(pad, "content") : pad);
    const struct vocabulary *vocabulary = tokenizer->vocabulary;
    for (int32_t id = 0; name && id < VOCABULARY_SIZE; id++)
        if (vocabulary->name[id] && strcmp(vocabulary->name[id], name) == 0) {
            tokenizer->pad = id;
            name = NULL;
        }
    if (read && name) read = error_set(error, ERROR_FORMAT, "%s: the vocabulary does not have the pad_token", path);
    json_decref(root);
    memory_free(text);
    memory_free(path);
    return read;
}

/* The folder's vocabulary, or, where it has none, CLIP's own: nothing else goes with these models. Half
 * of one is an error. */
static bool open_vocabulary(const char *folder, struct vocabulary **vocabulary, struct error *error) {
    char *names = folder ? file_join(folder, "vocab.json") : NULL, *merges = folder ? file_join(folder, "merges.txt") : NULL;
    bool known = !folder || (names && merges), there = known && folder && (file_exists(names) || file_exists(merges));
    memory_free(names);
    memory_free(merges);
    if (!known) return error_set(error, ERROR_MEMORY, "out of memory for the tokenizer");
    return there ? vocabulary_open(folder, vocabulary, error) : vocabulary_builtin(vocabulary, error);
}

bool tokenizer_open(const char *folder, struct tokenizer **tokenizer, struct error *error) {
    struct tokenizer *opened = memory_zero(sizeof *opened);
    if (!opened) return error_set(error, ERROR_MEMORY, "out of memory for the tokenizer");
    bool filled = open_vocabulary(folder, &opened->vocabulary, error);
    opened->pad = TOKENIZER_END;
    if (!filled || (folder && !read_pad(folder, opened, error))) {
        tokenizer_close(opened);
        return false;
    }
    *tokenizer = opened;
    return true;
}

void tokenizer_pad_as_open_clip(struct tokenizer *tokenizer) { tokenizer->pad = 0; }

void tokenizer_close(struct tokenizer *tokenizer) {
    if (!tokenizer) return;
    vocabulary_close(tokenizer->vocabulary);
    memory_free(tokenizer);
}

/* ==== Encoding ==== */

/* Ids, growing. */
struct ids {
    int32_t *data;
    size_t length, capacity;
};

static bool reserve(struct ids *ids, size_t more) {
    if (ids->capacity - ids->length >= more) return true;
    size_t capacity = 2 * ids->capacity + more;
    int32_t *data = memory_resize(ids->data, capacity * sizeof *data);
    if (!data) return false;
    ids->data = data;
    ids->capacity = capacity;
    return true;
}

static bool append(struct ids *ids, int32_t id) {
    if (!reserve(ids, 1)) return false;
    ids->data[ids->length++] = id;
    return true;
}

static bool append_word(const struct vocabulary *vocabulary, struct bytepair *bytepair, const struct codes *word, struct ids *ids) {
    size_t length, count = 0;
    char *bytes = codes_utf8(word, &length);
    if (!bytes) return false;
    bool whole = strcmp(bytes, vocabulary->name[TOKENIZER_START]) == 0 || strcmp(bytes, vocabulary->name[TOKENIZER_END]) == 0;
    bool done;
    if (whole)
        done = append(ids, strcmp(bytes, vocabulary->name[TOKENIZER_START]) == 0 ? TOKENIZER_START : TOKENIZER_END);
    else
        done =
            reserve(ids, length) && bytepair_encode(bytepair, vocabulary, (unsigned char *)bytes, length, ids->data + ids->length, &count);
    ids->length += count;
    memory_free(bytes);
    return done;
}

/* All ids of the text, start and end included. False when out of memory. */
static bool encode(const struct vocabulary *vocabulary, struct codes *text, struct ids *ids) {
    fix_text(text);
    clean_whitespace(text);
    lower_case(text);
    if (text->failed || !append(ids, TOKENIZER_START)) return false;
    struct bytepair bytepair = {0};
    bool done = true;
    for (size_t begin = 0, end; done && next_word(text, &begin, &end); begin = end) {
        const struct codes word = {.data = text->data + begin, .length = end - begin};
        done = append_word(vocabulary, &bytepair, &word, ids);
    }
    bytepair_free(&bytepair);
    return done && append(ids, TOKENIZER_END);
}

/* ==== Decoding ==== */

static bool ends_word(const struct codes *text, size_t at) {
    static const char mark[] = "</w>";
    for (size_t i = 0; i < 4; i++)
        if (at + i >= text->length || text->data[at + i] != (uint32_t)mark[i]) return false;
    return true;
}

/* The bytes that the ids stand for, as text: "</w>" is a space. */
static bool join_names(const struct vocabulary *vocabulary, const int32_t *ids, size_t count, struct codes *text) {
    struct codes names = {0};
    for (size_t i = 0; i < count; i++) codes_append_utf8(&names, vocabulary->name[ids[i]], strlen(vocabulary->name[ids[i]]));
    char *bytes = memory_alloc(names.length + 1);
    bool done = bytes && !names.failed;
    size_t length = 0;
    for (size_t i = 0; done && i < names.length; i++) {
        int byte = names.data[i] < CHARACTERS ? vocabulary->character[names.data[i]] : -1;
        if (byte >= 0) bytes[length++] = (char)byte;
    }
    if (done) codes_append_utf8(text, bytes, length);
    memory_free(bytes);
    codes_free(&names);
    return done && !text->failed;
}

static void space_words(struct codes *text) {
    size_t kept = 0;
    for (size_t i = 0; i < text->length; kept++) {
        bool end = ends_word(text, i);
        text->data[kept] = end ? ' ' : text->data[i];
        i += end ? 4 : 1;
    }
    text->length = kept;
    size_t first = 0;
    while (text->length > 0 && code_is_space(text->data[text->length - 1])) text->length--;
    while (first < text->length && code_is_space(text->data[first])) first++;
    text->length -= first;
    if (first) memmove(text->data, text->data + first, text->length * sizeof *text->data);
}

/* No space before punctuation and contractions: one after the other, over all of the text. */
static void close_up(char *text) {
    static const struct {
        const char *from, *to;
    } changes[] = {{" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
                   {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        size_t from = strlen(changes[i].from), to = strlen(changes[i].to);
        char *out = text;
        for (const char *at = text; *at;) {
            bool found = strncmp(at, changes[i].from, from) == 0;
            if (found)
                memcpy(out, changes[i].to, to);
            else
                *out = *at;
            out += found ? to : 1;
            at += found ? from : 1;
        }
        *out = 0;
    }
}

/* A new heap string, NULL when out of memory. */
static char *decode(const struct vocabulary *vocabulary, const int32_t *ids, size_t count) {
    struct codes text = {0};
    char *decoded = NULL;
    if (join_names(vocabulary, ids, count, &text)) {
        space_words(&text);
        decoded = codes_utf8(&text, NULL);
    }
    codes_free(&text);
    if (decoded) close_up(decoded);
    return decoded;
}

/* ==== The whole ==== */

/* Keep what fits of all ids. first, last: what is cut, when there is anything. */
static void keep(const struct ids *all, int32_t pad, bool keep_end, int32_t ids[TOKENIZER_LENGTH], size_t *first, size_t *last) {
    bool fits = all->length <= TOKENIZER_LENGTH;
    for (size_t i = 0; i < TOKENIZER_LENGTH; i++) ids[i] = i < all->length ? all->data[i] : pad;
    if (!fits && keep_end) ids[TOKENIZER_LENGTH - 1] = TOKENIZER_END;
    *first = fits ? all->length : keep_end ? TOKENIZER_LENGTH - 1 : TOKENIZER_LENGTH;
    *last = fits || !keep_end ? all->length : all->length - 1;
}

bool tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length, bool keep_end, int32_t ids[TOKENIZER_LENGTH],
                      size_t *count, char **cut, struct error *error) {
    if (length > TEXT_LENGTH_MAX)
        return error_set(error, ERROR_LIMIT, "the prompt has %zu bytes; %d are the most", length, TEXT_LENGTH_MAX);
    struct codes codes = {0};
    struct ids all = {0};
    codes_append_utf8(&codes, text, length);
    bool done = encode(tokenizer->vocabulary, &codes, &all);
    char *decoded = NULL;
    if (done) {
        size_t first, last;
        keep(&all, tokenizer->pad, keep_end, ids, &first, &last);
        if (count) *count = keep_end && all.length > TOKENIZER_LENGTH ? TOKENIZER_LENGTH : all.length;
        if (cut && first < last) {
            decoded = decode(tokenizer->vocabulary, all.data + first, last - first);
            done = decoded;
        }
    }
    codes_free(&codes);
    memory_free(all.data);
    if (!done) return error_set(error, ERROR_MEMORY, "out of memory to tokenize a prompt of %zu bytes", length);
    if (cut) *cut = decoded;
    return true;
}
