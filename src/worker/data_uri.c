#include "worker/data_uri.h"

#include "base/memory.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

static int hex_value(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

/* A percent sign that begins no escape stands for itself. */
static unsigned char next_byte(const char **at) {
    const char *text = *at;
    int high = text[0] == '%' ? hex_value(text[1]) : -1;
    int low = high >= 0 ? hex_value(text[2]) : -1;
    *at += low >= 0 ? 3 : 1;
    return (unsigned char)(low >= 0 ? high << 4 | low : text[0]);
}

static size_t decode_percent(const char *text, const char *end, char *data) {
    size_t length = 0;
    while (text < end) data[length++] = (char)next_byte(&text);
    return length;
}

static int base64_value(unsigned char digit) {
    if (digit >= 'A' && digit <= 'Z') return digit - 'A';
    if (digit >= 'a' && digit <= 'z') return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9') return digit - '0' + 52;
    if (digit == '+' || digit == '-') return 62;
    if (digit == '/' || digit == '_') return 63;
    return -1;
}

static bool is_blank(unsigned char byte) { return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n'; }

/* After the first '=' only padding and blanks may follow. A single digit left over carries no byte. */
static bool decode_base64(const char *text, const char *end, char *data, size_t *length) {
    uint32_t bits = 0;
    unsigned held = 0;
    bool padded = false;
    *length = 0;
    while (text < end) {
        unsigned char byte = next_byte(&text);
        if (is_blank(byte)) continue;
        if (byte == '=') {
            padded = true;
            continue;
        }
        int value = base64_value(byte);
        if (value < 0 || padded) return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        data[(*length)++] = (char)(bits >> held & 0xff);
    }
    return held < 6;
}

static bool is_base64(const char *header, const char *comma) {
    static const char mark[] = ";base64";
    size_t length = sizeof mark - 1;
    return (size_t)(comma - header) >= length && strncasecmp(comma - length, mark, length) == 0;
}

bool data_uri_decode(const char *uri, size_t maximum, char **data, size_t *length, struct error *error) {
    const char *comma = strncasecmp(uri, "data:", 5) == 0 ? strchr(uri, ',') : NULL;
    *data = NULL;
    *length = 0;
    if (!comma) return error_set(error, ERROR_FORMAT, "its data URI has no comma before the data");
    const char *text = comma + 1, *end = text + strlen(text);
    bool base64 = is_base64(uri + 4, comma);
    /* Three percent signs a digit at most: what is longer can't come out short enough. */
    size_t longest = maximum < SIZE_MAX / 8 ? maximum * (base64 ? 4 : 3) + 1024 : SIZE_MAX;
    if ((size_t)(end - text) > longest) return error_set(error, ERROR_LIMIT, "it has more than the %zu bytes that are accepted", maximum);
    char *block = memory_alloc((size_t)(end - text) + 1);
    if (!block) return error_set(error, ERROR_MEMORY, "out of memory for a data URI");
    bool ok = true;
    if (base64)
        ok = decode_base64(text, end, block, length) || error_set(error, ERROR_FORMAT, "the base64 of its data URI is damaged");
    else
        *length = decode_percent(text, end, block);
    if (ok && *length > maximum) ok = error_set(error, ERROR_LIMIT, "it has more than the %zu bytes that are accepted", maximum);
    if (!ok) {
        memory_free(block);
        *length = 0;
        return false;
    }
    block[*length] = 0;
    *data = block;
    return true;
}
