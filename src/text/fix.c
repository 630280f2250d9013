/* ftfy 6.1.1's fix_text with its default settings. Its step for surrogates has nothing to do here:
 * UTF-8 has none, and nothing below makes any. */
#include "text/fix.h"

#include "base/error.h"
#include "base/memory.h"
#include "text/mojibake.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <unictype.h>
#include <uninorm.h>

enum { EFFORT = 1 << 26 };

/* ==== Single characters ==== */

static const struct {
    uint16_t code;
    uint16_t letters[3];
} ligatures[] = {
    {0x0132, {'I', 'J'}},    {0x0133, {'i', 'j'}},    {0x0149, {0x02bc, 'n'}}, {0x01f1, {'D', 'Z'}},      {0x01f2, {'D', 'z'}},
    {0x01f3, {'d', 'z'}},    {0x01c4, {'D', 0x017d}}, {0x01c5, {'D', 0x017e}}, {0x01c6, {'d', 0x017e}},   {0x01c7, {'L', 'J'}},
    {0x01c8, {'L', 'j'}},    {0x01c9, {'l', 'j'}},    {0x01ca, {'N', 'J'}},    {0x01cb, {'N', 'j'}},      {0x01cc, {'n', 'j'}},
    {0xfb00, {'f', 'f'}},    {0xfb01, {'f', 'i'}},    {0xfb02, {'f', 'l'}},    {0xfb03, {'f', 'f', 'i'}}, {0xfb04, {'f', 'f', 'l'}},
    {0xfb05, {0x017f, 't'}}, {0xfb06, {'s', 't'}},
};

static uint32_t uncurl(uint32_t code) {
    if (code == 0x02bc || (code >= 0x2018 && code <= 0x201b)) return '\'';
    if (code >= 0x201c && code <= 0x201f) return '"';
    return code;
}

static bool is_line_break(uint32_t code) { return code == '\r' || code == 0x2028 || code == 0x2029 || code == 0x85; }

static bool is_control(uint32_t code) {
    return code <= 0x08 || code == 0x0b || (code >= 0x0e && code <= 0x1f) || code == 0x7f || (code >= 0x206a && code <= 0x206f) ||
           code == 0xfeff || (code >= 0xfff9 && code <= 0xfffc);
}

/* Half-width and full-width forms become what they are forms of: one or two characters. */
static size_t standard_width(uint32_t code, uint32_t out[4]) {
    out[0] = code == 0x3000 ? ' ' : code;
    if (code < 0xff01 || code > 0xffef) return 1;
    size_t length = 4;
    uint32_t *made = u32_normalize(UNINORM_NFKC, &code, 1, out, &length);
    if (made == out) return length;
    memory_free(made); /* did not fit: no such form does that */
    out[0] = code;
    return 1;
}

static void append_uncurled(struct codes *out, uint32_t code) {
    code = uncurl(code);
    codes_append(out, is_line_break(code) ? '\n' : code);
}

/* One character through the steps that look at one at a time: C1 controls, ligatures, width, quotes,
 * line breaks. */
static void fix_character(uint32_t code, struct codes *out) {
    if (code < 0x80) {
        append_uncurled(out, code);
        return;
    }
    if (code <= 0x9f) code = windows_1252_from_byte((unsigned char)code);
    for (size_t i = 0; i < sizeof ligatures / sizeof *ligatures; i++) {
        if (ligatures[i].code != code) continue;
        for (size_t j = 0; j < 3 && ligatures[i].letters[j]; j++) append_uncurled(out, ligatures[i].letters[j]);
        return;
    }
    uint32_t forms[4];
    size_t count = standard_width(code, forms);
    for (size_t i = 0; i < count; i++) append_uncurled(out, forms[i]);
}

static void fix_characters(struct codes *text) {
    struct codes out = {0};
    for (size_t i = 0; i < text->length; i++) {
        if (text->data[i] == '\r' && i + 1 < text->length && text->data[i + 1] == '\n') continue;
        fix_character(text->data[i], &out);
    }
    codes_move(text, &out);
}

/* ==== Sequences ==== */

static bool is_letter(uint32_t code) { return (code | 32) >= 'a' && (code | 32) <= 'z'; }

/* Length of the terminal's escape sequence here: ESC [ digits and semicolons, a letter; or 0. */
static size_t match_escape(const uint32_t *text, size_t length) {
    if (length < 3 || text[0] != 0x1b || text[1] != '[') return 0;
    size_t end = 2;
    while (end < length && (text[end] == ';' || uc_is_general_category_withtable(text[end], UC_CATEGORY_MASK_Nd))) end++;
    return end < length && is_letter(text[end]) ? end + 1 : 0;
}

/* In place: escape sequences, then control characters. */
static void remove_controls(struct codes *text) {
    size_t kept = 0;
    for (size_t i = 0; i < text->length;) {
        size_t length = match_escape(text->data + i, text->length - i);
        if (length == 0) text->data[kept++] = text->data[i];
        i += length ? length : 1;
    }
    text->length = kept;
    kept = 0;
    for (size_t i = 0; i < text->length; i++)
        if (!is_control(text->data[i])) text->data[kept++] = text->data[i];
    text->length = kept;
}

/* Canonical composition (NFC). Nothing below U+0300 is changed by it. */
static void normalize(struct codes *text) {
    bool needed = false;
    for (size_t i = 0; i < text->length; i++) needed |= text->data[i] >= 0x300;
    if (!needed) return;
    size_t length;
    uint32_t *made = u32_normalize(UNINORM_NFC, text->data, text->length, NULL, &length);
    text->failed |= !made;
    if (!made) return;
    text->length = 0;
    codes_append_all(text, made, length);
    memory_free(made);
}

/* ==== The text ==== */

static void fix_once(struct codes *text, bool unescape, struct effort *effort) {
    if (unescape) unescape_html(text);
    fix_encoding(text, effort);
    fix_characters(text);
    remove_controls(text);
    normalize(text);
}

/* Until nothing changes any more. */
static void fix_segment(struct codes *text, bool unescape, struct effort *effort) {
    for (bool same = false; !same && !text->failed && effort_spend(effort, text->length + 1);) {
        struct codes before = {0};
        codes_append_all(&before, text->data, text->length);
        fix_once(text, unescape, effort);
        same = codes_equal(&before, text);
        text->failed |= before.failed;
        codes_free(&before);
    }
}

static size_t segment_end(const struct codes *text, size_t begin) {
    while (begin < text->length && text->data[begin] != '\n') begin++;
    return begin < text->length ? begin + 1 : begin;
}

static bool contains(const struct codes *text, uint32_t code) {
    for (size_t i = 0; i < text->length; i++)
        if (text->data[i] == code) return true;
    return false;
}

/* Line by line. From the first line with a '<' on, the text is taken for HTML and its entities stay. */
void fix_text(struct codes *text) {
    struct effort effort = {EFFORT};
    struct codes out = {0};
    bool unescape = true;
    for (size_t begin = 0, end; begin < text->length && !out.failed; begin = end) {
        struct codes segment = {0};
        end = segment_end(text, begin);
        codes_append_all(&segment, text->data + begin, end - begin);
        unescape = unescape && !contains(&segment, '<');
        fix_segment(&segment, unescape, &effort);
        codes_append_all(&out, segment.data, segment.length);
        out.failed |= segment.failed;
        codes_free(&segment);
    }
    codes_move(text, &out);
}

char *text_fix(const char *text, size_t length, size_t *fixed_length, struct error *error) {
    if (length > TEXT_LENGTH_MAX) {
        error_set(error, ERROR_LIMIT, "the text has %zu bytes; %d are the most", length, TEXT_LENGTH_MAX);
        return NULL;
    }
    struct codes codes = {0};
    codes_append_utf8(&codes, text, length);
    fix_text(&codes);
    char *fixed = codes.failed ? NULL : codes_utf8(&codes, fixed_length);
    codes_free(&codes);
    if (!fixed) error_set(error, ERROR_MEMORY, "out of memory to clean up a text of %zu bytes", length);
    return fixed;
}
