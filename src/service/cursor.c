#include "service/cursor.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

bool cursor_format(const struct cursor *cursor, char text[CURSOR_TEXT_SIZE]) {
    char plain[128];
    int length = snprintf(plain, sizeof plain, "%s%" PRId64 ".%s", cursor->ascending ? "r=1&p=" : "p=", cursor->created, cursor->id);
    if (length < 0 || (size_t)length >= sizeof plain) return false;
    if (sodium_base64_ENCODED_LEN((size_t)length, sodium_base64_VARIANT_URLSAFE_NO_PADDING) > CURSOR_TEXT_SIZE) return false;
    sodium_bin2base64(text, CURSOR_TEXT_SIZE, (const unsigned char *)plain, (size_t)length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return true;
}

bool cursor_parse(const char *text, struct cursor *cursor) {
    char plain[128];
    size_t length;
    memset(cursor, 0, sizeof *cursor);
    if (sodium_base642bin((unsigned char *)plain, sizeof plain - 1, text, strlen(text), "=", &length, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return false;
    plain[length] = 0;
    const char *rest = plain;
    if (strncmp(rest, "r=1&", 4) == 0) {
        cursor->ascending = true;
        rest += 4;
    }
    if (strncmp(rest, "p=", 2) != 0) return false;
    rest += 2;
    size_t digits = strspn(rest, "0123456789");
    if (digits == 0 || digits > 18 || rest[digits] != '.') return false;
    for (size_t i = 0; i < digits; i++) cursor->created = cursor->created * 10 + (rest[i] - '0');
    rest += digits + 1;
    size_t id = strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    if (id == 0 || id >= CURSOR_ID_SIZE || rest[id] != 0 || cursor->created <= 0) return false;
    memcpy(cursor->id, rest, id + 1);
    return true;
}
