/* Undoing mojibake: back to the bytes by the encoding that they were misread in, then read as what
 * they were. */
#include "base/buffer.h"
#include "text/mojibake.h"

#include <string.h>

enum { DEPTH_MAX = 16, LOST = 0x1a }; /* LOST: the byte that stands for U+FFFD in Windows' encodings */

bool effort_spend(struct effort *effort, size_t length) {
    if (effort->left == 0) return false;
    effort->left -= length < effort->left ? length : effort->left;
    return true;
}

uint32_t windows_1252_from_byte(unsigned char byte) {
    for (size_t i = 0; byte >= 0x80 && i < mojibake_letter_count; i++)
        if (mojibake_letters[i].byte[WINDOWS_1252] == byte) return mojibake_letters[i].code;
    return byte;
}

/* ==== Text to bytes ==== */

#define BIT(encoding) (1u << (encoding))
enum {
    ALL_ENCODINGS = (1 << ENCODINGS) - 1,
    WINDOWS = 1 << WINDOWS_1252 | 1 << WINDOWS_1251 | 1 << WINDOWS_1250 | 1 << WINDOWS_1253 | 1 << WINDOWS_1254
};

static unsigned encodings_of(uint32_t code) {
    if (code == LOST) return ALL_ENCODINGS & ~WINDOWS;
    if (code < 0x80) return ALL_ENCODINGS;
    if (code == CODE_REPLACEMENT) return WINDOWS;
    const struct mojibake_letter *letter = mojibake_find(code);
    unsigned encodings = 0;
    for (unsigned i = 0; letter && i < ENCODINGS; i++)
        if (letter->byte[i]) encodings |= BIT(i);
    return encodings;
}

/* The encodings that all of the text could have been read in. */
static unsigned possible_encodings(const struct codes *text) {
    unsigned encodings = ALL_ENCODINGS;
    for (size_t i = 0; i < text->length && encodings; i++) encodings &= encodings_of(text->data[i]);
    return encodings;
}

static void encode(const struct codes *text, unsigned encoding, struct buffer *bytes) {
    for (size_t i = 0; i < text->length; i++) {
        uint32_t code = text->data[i];
        unsigned char byte = code == CODE_REPLACEMENT ? LOST : (unsigned char)code;
        const struct mojibake_letter *letter = mojibake_find(code);
        if (letter && letter->byte[encoding]) byte = letter->byte[encoding];
        buffer_append(bytes, &byte, 1);
    }
}

/* ==== Repairs to the bytes ==== */

/* A part of the bytes that is left to look at. */
struct part {
    const unsigned char *at;
    size_t length;
};

static bool between(unsigned char byte, unsigned char low, unsigned char high) { return byte >= low && byte <= high; }
static bool continues(unsigned char byte) { return between(byte, 0x80, 0xbf); }

/* Length of the sequence here that would be UTF-8 if its space were the no-break space A0 (only
 * where that makes a likely character), or 0. */
static size_t match_altered(struct part part) {
    const unsigned char *b = part.at;
    if (part.length >= 2 && b[0] && strchr("\xc2\xc3\xc5\xce\xd0\xd9", b[0]) && b[1] == ' ') return 2;
    if (part.length >= 3) {
        bool second = continues(b[1]) && b[1] != 0x85 && b[1] != 0xa0;
        bool third = continues(b[2]) && b[2] != 0x85 && b[2] != 0xa0;
        if (between(b[0], 0xe2, 0xe3) && b[1] == ' ' && third) return 3;
        if (between(b[0], 0xe0, 0xe3) && second && b[2] == ' ') return 3;
    }
    if (part.length >= 4 && b[0] == 0xf0) {
        int spaces = (b[1] == ' ') + (b[2] == ' ') + (b[3] == ' ');
        int rest = continues(b[1]) + continues(b[2]) + continues(b[3]);
        if (spaces == 1 && rest == 2) return 4;
    }
    return 0;
}

/* "Ã " that is the word "à": its space stays. Not before a space, and not where it begins one of the
 * Portuguese words that are written so. */
static bool match_a_grave(struct part part) {
    if (part.length < 2 || part.at[0] != 0xc3 || part.at[1] != ' ') return false;
    static const char *const exceptions[] = {" ", "quele", "quela", "quilo", "s "};
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++) {
        size_t length = strlen(exceptions[i]);
        if (part.length - 2 >= length && memcmp(part.at + 2, exceptions[i], length) == 0) return false;
    }
    return true;
}

static struct part whole(const struct buffer *bytes) { return (struct part){(const unsigned char *)bytes->data, bytes->length}; }

static void skip(struct part *part, size_t length) {
    part->at += length;
    part->length -= length;
}

static void restore_a_grave(const struct buffer *bytes, struct buffer *restored) {
    for (struct part part = whole(bytes); part.length > 0;) {
        bool found = match_a_grave(part);
        buffer_append(restored, found ? "\xc3\xa0 " : (const char *)part.at, found ? 3 : 1);
        skip(&part, found ? 2 : 1);
    }
}

static void restore_byte_a0(struct buffer *bytes) {
    for (struct part part = whole(bytes); part.length > 0;) {
        size_t length = match_altered(part);
        for (size_t i = 0; i < length; i++) {
            size_t at = bytes->length - part.length + i;
            if (bytes->data[at] == ' ') bytes->data[at] = (char)0xa0;
        }
        skip(&part, length ? length : 1);
    }
}

/* Of a sequence's bytes after the first: some are lost, and at most `questions` of them as '?'. */
static bool some_lost(const unsigned char *bytes, size_t count, int questions) {
    int lost = 0;
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '?' && --questions < 0) return false;
        if (bytes[i] == '?' || bytes[i] == LOST)
            lost++;
        else if (!continues(bytes[i]))
            return false;
    }
    return lost > 0;
}

/* Length of the sequence here that would be UTF-8 (or a pair of surrogates in it) but for lost
 * bytes, or 0. */
static size_t match_lossy(struct part part) {
    const unsigned char *b = part.at;
    if (part.length >= 2) {
        if (between(b[0], 0xc2, 0xdf) && b[1] == LOST) return 2;
        if (between(b[0], 0xc2, 0xc3) && b[1] == '?') return 2;
    }
    if (part.length >= 6 && b[0] == 0xed && between(b[1], 0xa0, 0xaf) && b[3] == 0xed && between(b[4], 0xb0, 0xbf)) {
        unsigned char last[] = {b[2], b[5]};
        if (some_lost(last, 2, 2)) return 6;
    }
    if (part.length >= 3 && between(b[0], 0xe0, 0xef) && some_lost(b + 1, 2, 1)) return 3;
    if (part.length >= 4 && between(b[0], 0xf0, 0xf4) && some_lost(b + 1, 3, 1)) return 4;
    return b[0] == LOST ? 1 : 0;
}

static void replace_lossy(const struct buffer *bytes, struct buffer *replaced) {
    for (struct part part = whole(bytes); part.length > 0;) {
        size_t length = match_lossy(part);
        buffer_append(replaced, length ? "\xef\xbf\xbd" : (const char *)part.at, length ? 3 : 1);
        skip(&part, length ? length : 1);
    }
}

/* ==== Bytes to text ==== */

/* Six bytes that are two surrogates. That a newline may stand for the last byte of all is how ftfy's
 * pattern happens to be written; the same holds for C0 below. */
static bool match_surrogates(struct part part) {
    const unsigned char *b = part.at;
    return part.length >= 6 && b[0] == 0xed && between(b[1], 0xa0, 0xaf) && continues(b[2]) && b[3] == 0xed && between(b[4], 0xb0, 0xbf) &&
           (continues(b[5]) || (b[5] == '\n' && part.length == 6));
}

/* UTF-8 with its variants: surrogates in pairs, and C0 80 for U+0000. False when it is neither. */
static bool decode(const struct buffer *bytes, struct codes *text) {
    for (struct part part = whole(bytes); part.length > 0;) {
        const unsigned char *b = part.at;
        if (match_surrogates(part)) {
            codes_append(text, 0x10000u + ((b[1] & 0x0fu) << 16 | (b[2] & 0x3fu) << 10 | (b[4] & 0x0fu) << 6 | (b[5] & 0x3fu)));
            skip(&part, 6);
            continue;
        }
        if (b[0] == 0xc0 && part.length >= 2 && (b[1] == 0x80 || (b[1] == '\n' && part.length == 2))) {
            codes_append(text, 0);
            skip(&part, 2);
            continue;
        }
        size_t length = b[0] < 0x80 ? 1 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
        size_t before = text->length;
        if (length > part.length) return false;
        codes_append_utf8(text, (const char *)b, length);
        if (text->failed || text->length != before + 1) return false;
        /* U+FFFD is either broken or spelt out. */
        if (text->data[before] == CODE_REPLACEMENT && (length != 3 || memcmp(b, "\xef\xbf\xbd", 3) != 0)) return false;
        skip(&part, length);
    }
    return true;
}

/* ==== One step ==== */

enum outcome { NOTHING, FIXED, NO_MEMORY };

/* The text as if misread in this encoding. */
static enum outcome transcode(const struct codes *text, unsigned encoding, struct codes *fixed) {
    struct buffer bytes, restored, replaced;
    buffer_init(&bytes, SIZE_MAX / 2);
    buffer_init(&restored, SIZE_MAX / 2);
    buffer_init(&replaced, SIZE_MAX / 2);
    encode(text, encoding, &bytes);
    if (!bytes.failed) restore_a_grave(&bytes, &restored);
    if (!restored.failed) restore_byte_a0(&restored);
    bool lossy = BIT(encoding) & WINDOWS;
    if (!restored.failed && lossy) replace_lossy(&restored, &replaced);
    bool failed = bytes.failed || restored.failed || replaced.failed;
    bool decoded = !failed && decode(lossy ? &replaced : &restored, fixed);
    failed = failed || fixed->failed;
    buffer_free(&bytes);
    buffer_free(&restored);
    buffer_free(&replaced);
    if (!decoded) codes_free(fixed);
    return failed ? NO_MEMORY : decoded ? FIXED : NOTHING;
}

static bool in_groups(const struct codes *text, size_t at, size_t count, uint32_t groups) {
    if (text->length - at < count) return false;
    for (size_t i = at; i < at + count; i++)
        if (!(mojibake_groups(text->data[i]) & groups) && !(text->data[i] == ' ' && (groups & IN_CONTINUATION))) return false;
    return true;
}

/* End of the run of what looks like UTF-8's sequences that begins at `at`; `at` when none does. */
static size_t match_sequences(const struct codes *text, size_t at) {
    static const uint32_t first[] = {IN_FIRST_OF_2, IN_FIRST_OF_3, IN_FIRST_OF_4};
    if (at > 0 && (mojibake_groups(text->data[at - 1]) & IN_CONTINUATION_STRICT)) return at;
    for (bool found = true; found;) {
        found = false;
        for (size_t i = 0; i < 3 && !found; i++) {
            if (in_groups(text, at, 1, first[i]) && in_groups(text, at + 1, i + 1, IN_CONTINUATION)) {
                at += i + 2;
                found = true;
            }
        }
    }
    return at;
}

static void fix_text_encoding(struct codes *text, struct effort *effort, int depth);

/* Mojibake within text that as a whole is not in one encoding: each run of it on its own. */
static enum outcome fix_parts(const struct codes *text, struct effort *effort, int depth, struct codes *fixed) {
    for (size_t i = 0; i < text->length && !fixed->failed;) {
        size_t end = match_sequences(text, i), length = end - i;
        struct codes part = {0};
        if (length == 0) {
            codes_append(fixed, text->data[i++]);
            continue;
        }
        codes_append_all(&part, text->data + i, length);
        /* Shorter than the text: else it would go on for ever. */
        if (!part.failed && length < text->length && is_bad(part.data, part.length)) fix_text_encoding(&part, effort, depth + 1);
        codes_append_all(fixed, part.data, part.length);
        fixed->failed |= part.failed;
        codes_free(&part);
        i = end;
    }
    bool failed = fixed->failed, same = codes_equal(fixed, text);
    if (failed || same) codes_free(fixed);
    return failed ? NO_MEMORY : same ? NOTHING : FIXED;
}

static bool is_c1(uint32_t code) { return code >= 0x80 && code <= 0x9f; }

/* C1 controls are nobody's intention: Windows-1252's characters were. Where all of the text is
 * Latin-1 and has a byte that Windows-1252 lacks, the same is done character by character. */
static enum outcome fix_controls(const struct codes *text, struct codes *fixed) {
    bool any = false;
    for (size_t i = 0; i < text->length; i++) {
        uint32_t code = text->data[i];
        any |= is_c1(code);
        codes_append(fixed, is_c1(code) ? windows_1252_from_byte((unsigned char)code) : code);
    }
    bool failed = fixed->failed;
    if (failed || !any) codes_free(fixed);
    return failed ? NO_MEMORY : any ? FIXED : NOTHING;
}

static enum outcome fix_step(const struct codes *text, struct effort *effort, int depth, struct codes *fixed) {
    if (!is_bad(text->data, text->length)) return NOTHING;
    enum outcome outcome = NOTHING;
    unsigned encodings = possible_encodings(text);
    for (unsigned i = 0; i < ENCODINGS && outcome == NOTHING; i++)
        if (encodings & BIT(i)) outcome = transcode(text, i, fixed);
    if (outcome == NOTHING && depth < DEPTH_MAX) outcome = fix_parts(text, effort, depth, fixed);
    if (outcome == NOTHING) outcome = fix_controls(text, fixed);
    return outcome;
}

static void fix_text_encoding(struct codes *text, struct effort *effort, int depth) {
    for (bool changed = true; changed && text->length > 0 && effort_spend(effort, text->length);) {
        struct codes fixed = {0};
        enum outcome outcome = fix_step(text, effort, depth, &fixed);
        text->failed |= outcome == NO_MEMORY;
        changed = outcome == FIXED && !codes_equal(text, &fixed);
        if (changed) codes_move(text, &fixed);
        codes_free(&fixed);
    }
}

void fix_encoding(struct codes *text, struct effort *effort) { fix_text_encoding(text, effort, 0); }
