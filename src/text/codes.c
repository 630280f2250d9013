#include "text/codes.h"

#include "base/memory.h"

#include <string.h>

void codes_free(struct codes *codes) {
    memory_free(codes->data);
    *codes = (struct codes){0};
}

static bool reserve(struct codes *codes, size_t more) {
    if (codes->failed) return false;
    if (codes->capacity - codes->length >= more) return true;
    size_t capacity = codes->capacity ? codes->capacity * 2 : 64;
    while (capacity - codes->length < more) capacity *= 2;
    uint32_t *data = memory_resize(codes->data, capacity * sizeof *data);
    codes->failed = !data;
    if (!data) return false;
    codes->data = data;
    codes->capacity = capacity;
    return true;
}

void codes_append(struct codes *codes, uint32_t code) {
    if (reserve(codes, 1)) codes->data[codes->length++] = code;
}

void codes_append_all(struct codes *codes, const uint32_t *data, size_t length) {
    if (length == 0 || !reserve(codes, length)) return;
    memcpy(codes->data + codes->length, data, length * sizeof *data);
    codes->length += length;
}

void codes_move(struct codes *to, struct codes *from) {
    bool failed = to->failed || from->failed;
    memory_free(to->data);
    *to = *from;
    to->failed = failed;
    *from = (struct codes){0};
}

bool codes_equal(const struct codes *a, const struct codes *b) {
    return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length * sizeof *a->data) == 0);
}

/* What may follow a first byte: how many bytes, and the range of the first of them, which keeps
 * overlong forms, surrogates and codes above U+10FFFF out. 0 for what is no first byte. */
static size_t following(unsigned char first, unsigned char *low, unsigned char *high) {
    *low = 0x80;
    *high = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) return 1;
    if (first >= 0xe0 && first <= 0xef) {
        if (first == 0xe0) *low = 0xa0;
        if (first == 0xed) *high = 0x9f;
        return 2;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        if (first == 0xf0) *low = 0x90;
        if (first == 0xf4) *high = 0x8f;
        return 3;
    }
    return 0;
}

void codes_append_utf8(struct codes *codes, const char *text, size_t length) {
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t i = 0; i < length;) {
        unsigned char first = bytes[i++], low, high;
        if (first < 0x80) {
            codes_append(codes, first);
            continue;
        }
        size_t left = following(first, &low, &high);
        uint32_t code = left == 1 ? first & 0x1fu : left == 2 ? first & 0x0fu : first & 0x07u;
        bool whole = left > 0;
        for (; left > 0; left--, low = 0x80, high = 0xbf) {
            whole = i < length && bytes[i] >= low && bytes[i] <= high;
            if (!whole) break;
            code = code << 6 | (bytes[i++] & 0x3fu);
        }
        codes_append(codes, whole ? code : CODE_REPLACEMENT);
    }
}

size_t code_utf8(uint32_t code, unsigned char bytes[4]) {
    if (code < 0x80) {
        bytes[0] = (unsigned char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6) bytes[i] = (unsigned char)(0x80u | (code & 0x3fu));
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    bytes[0] = (unsigned char)(marks[length] | code);
    return length;
}

char *codes_utf8(const struct codes *codes, size_t *length) {
    char *text = memory_alloc(codes->length * 4 + 1);
    if (!text) return NULL;
    size_t at = 0;
    for (size_t i = 0; i < codes->length; i++) at += code_utf8(codes->data[i], (unsigned char *)text + at);
    text[at] = 0;
    if (length) *length = at;
    return text;
}

bool code_is_space(uint32_t code) {
    if (code < 0x80) return code == ' ' || (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x1f);
    return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
           code == 0x202f || code == 0x205f || code == 0x3000;
}
