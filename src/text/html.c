/* HTML's entities in text that is not HTML: "&amp;" is what somebody escaped once too often. */
#include "text/fix.h"
#include "text/mojibake.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LENGTH = 24 };

static bool is_digit(uint32_t code) { return code >= '0' && code <= '9'; }
static bool is_alphanumeric(uint32_t code) { return is_digit(code) || ((code | 32) >= 'a' && (code | 32) <= 'z'); }

/* The name in "&name;" or "&#name;" at the text's beginning: ASCII letters and digits. Returns the
 * length of it all, or 0. */
static size_t match_entity(const uint32_t *text, size_t length, char name[NAME_MAX_LENGTH + 1], bool *number) {
    *number = length > 1 && text[1] == '#';
    size_t first = *number ? 2 : 1, count = 0;
    while (count < NAME_MAX_LENGTH && first + count < length && is_alphanumeric(text[first + count])) {
        name[count] = (char)text[first + count];
        count++;
    }
    name[count] = 0;
    size_t end = first + count;
    return count > 0 && end < length && text[end] == ';' ? end + 1 : 0;
}

static int digit_value(char digit) { return digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10; }

/* "65" or "x41" as a number, not above CODE_MAX + 1; false when it is neither. */
static bool read_number(const char *name, uint32_t *number) {
    uint32_t base = (name[0] | 32) == 'x' ? 16 : 10, value = 0;
    const char *digits = base == 16 ? name + 1 : name;
    if (!*digits) return false;
    for (; *digits; digits++) {
        uint32_t digit = (uint32_t)digit_value(*digits);
        if (digit >= base) return false;
        value = value * base + digit;
        if (value > CODE_MAX) value = CODE_MAX + 1;
    }
    *number = value;
    return true;
}

/* Numbers that HTML says are errors and stand for nothing. */
static bool is_no_character(uint32_t code) {
    return (code >= 0x01 && code <= 0x08) || code == 0x0b || (code >= 0x0e && code <= 0x1f) || code == 0x7f ||
           (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) == 0xfffe;
}

/* What a number stands for, by HTML's rules; false: left as it is. */
static bool append_number(const char *name, struct codes *out) {
    uint32_t code;
    if (!read_number(name, &code) || code == ';') return false;
    if (code == 0 || code > CODE_MAX || (code >= 0xd800 && code <= 0xdfff))
        codes_append(out, CODE_REPLACEMENT);
    else if (code >= 0x80 && code <= 0x9f)
        codes_append(out, windows_1252_from_byte((unsigned char)code));
    else if (!is_no_character(code))
        codes_append(out, code);
    return true;
}

static int compare_names(const void *key, const void *element) { return strcmp(key, ((const struct html_entity *)element)->name); }

static bool append_named(const char *name, struct codes *out) {
    const struct html_entity *entity = bsearch(name, html_entities, html_entity_count, sizeof *html_entities, compare_names);
    for (size_t i = 0; entity && i < 3 && entity->codes[i]; i++) codes_append(out, entity->codes[i]);
    return entity;
}

void unescape_html(struct codes *text) {
    struct codes out = {0};
    for (size_t i = 0; i < text->length;) {
        char name[NAME_MAX_LENGTH + 1];
        bool number = false;
        size_t length = text->data[i] == '&' ? match_entity(text->data + i, text->length - i, name, &number) : 0;
        if (length && (number ? append_number(name, &out) : append_named(name, &out))) {
            i += length;
            continue;
        }
        codes_append_all(&out, text->data + i, length ? length : 1);
        i += length ? length : 1;
    }
    codes_move(text, &out);
}
