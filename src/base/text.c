#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

bool utf8_valid(const char *text, size_t length) {
    const unsigned char *p = (const unsigned char *)text, *end = p + length;
    while (p < end) {
        unsigned char first = *p++;
        if (first < 0x80) continue;
        size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        if (first < 0xC2 || first > 0xF4 || (size_t)(end - p) < more) return false;
        uint32_t code = first & (0x3Fu >> more);
        for (size_t i = 0; i < more; i++) {
            if ((p[i] & 0xC0) != 0x80) return false;
            code = code << 6 | (p[i] & 0x3Fu);
        }
        if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000) || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return false;
        p += more;
    }
    return true;
}

size_t utf8_cut(const char *text, size_t length) {
    size_t cut = length;
    /* Step back over continuation bytes to the lead byte, and keep it only if its character fits. */
    while (cut > 0 && length - cut < 4 && ((unsigned char)text[cut - 1] & 0xC0) == 0x80) cut--;
    if (cut == 0) return length;
    unsigned char lead = (unsigned char)text[cut - 1];
    size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return cut - 1 + size <= length ? length : cut - 1;
}

bool text_to_integer(const char *text, long long minimum, long long maximum, long long *value) {
    char *end;
    if (!text || !((*text >= '0' && *text <= '9') || *text == '-')) return false;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (errno || end == text || *end || parsed < minimum || parsed > maximum) return false;
    *value = parsed;
    return true;
}

bool text_to_number(const char *text, double minimum, double maximum, double *value) {
    char *end;
    if (!text || !((*text >= '0' && *text <= '9') || *text == '-' || *text == '.')) return false;
    double parsed = strtod(text, &end);
    if (end == text || *end || !isfinite(parsed) || parsed < minimum || parsed > maximum) return false;
    *value = parsed;
    return true;
}
