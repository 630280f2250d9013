#include "predict/trace.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

enum { ID_AT = 3, ID_DIGITS = 32, SPAN_AT = 36, SPAN_DIGITS = 16, FLAGS_AT = 53, LENGTH = 55 };

/* Hex digits, lower case, not all of them 0. */
static bool is_id(const char *text, size_t digits) { return strspn(text, "0123456789abcdef") >= digits && strspn(text, "0") < digits; }

/* Later versions may have more at the end, behind another dash; "ff" is none. */
static bool is_trace(const char *text) {
    if (strlen(text) < LENGTH || strspn(text, "0123456789abcdef") != 2 || strncmp(text, "ff", 2) == 0) return false;
    if (text[LENGTH] != 0 && (strncmp(text, "00", 2) == 0 || text[LENGTH] != '-')) return false;
    return text[ID_AT - 1] == '-' && is_id(text + ID_AT, ID_DIGITS) && text[SPAN_AT - 1] == '-' && is_id(text + SPAN_AT, SPAN_DIGITS) &&
           text[FLAGS_AT - 1] == '-' && strspn(text + FLAGS_AT, "0123456789abcdef") == 2;
}

static void write_hex(char *text, const unsigned char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

bool trace_continue(const char *header, char trace[TRACE_SIZE], struct error *error) {
    unsigned char bytes[(ID_DIGITS + SPAN_DIGITS) / 2];
    char id[ID_DIGITS + 1], span[SPAN_DIGITS + 1];
    bool known = header && is_trace(header);
    if (!random_bytes(bytes, sizeof bytes, error)) return false;
    bytes[0] |= 1; /* neither is all 0 */
    bytes[ID_DIGITS / 2] |= 1;
    write_hex(id, bytes, ID_DIGITS / 2);
    write_hex(span, bytes + ID_DIGITS / 2, SPAN_DIGITS / 2);
    if (known) memcpy(id, header + ID_AT, ID_DIGITS);
    bool sampled = known && strchr("13579bdf", header[FLAGS_AT + 1]) != NULL;
    snprintf(trace, TRACE_SIZE, "00-%s-%s-%s", id, span, known && !sampled ? "00" : "01");
    return true;
}

void trace_id(const char *trace, char id[TRACE_ID_SIZE]) {
    id[0] = 0;
    if (trace && is_trace(trace)) snprintf(id, TRACE_ID_SIZE, "%.32s", trace + ID_AT);
}
