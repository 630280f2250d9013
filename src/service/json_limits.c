#include "service/json_limits.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

bool json_within_limits(const char *text, size_t length) {
    size_t depth = 0, values = 0;
    bool inside = false; /* a string */
    for (size_t i = 0; i < length; i++) {
        if (inside) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                inside = false;
            continue;
        }
        switch (text[i]) {
        case '"':
            inside = true;
            break;
        case '{':
        case '[':
            if (++depth > JSON_DEPTH_MAX || ++values > JSON_VALUES_MAX) return false;
            break;
        case '}':
        case ']':
            if (depth > 0) depth--;
            break;
        case ',':
        case ':':
            if (++values > JSON_VALUES_MAX) return false;
            break;
        default:
            break;
        }
    }
    return true;
}

static void replace_nuls(char *text, size_t length) {
    for (size_t i = 0; i + 6 <= length; i++) {
        if (text[i] != '\\') continue;
        if (memcmp(text + i + 1, "u0000", 5) == 0) memcpy(text + i + 1, "ufffd", 5);
        i++; /* whatever follows the backslash belongs to it */
    }
}

json_t *json_parse_body(char *text, size_t length, char problem[256]) {
    json_error_t error;
    if (length == 0) {
        snprintf(problem, 256, "The body of this request is empty; it must be a JSON object.");
        return NULL;
    }
    if (!json_within_limits(text, length)) {
        snprintf(problem, 256, "The JSON body is nested deeper than %d levels or has more than %d values.", JSON_DEPTH_MAX,
                 JSON_VALUES_MAX);
        return NULL;
    }
    replace_nuls(text, length);
    size_t failures = memory_failures();
    json_t *json = json_loadb(text, length, JSON_DECODE_ANY, &error);
    /* Whole numbers beyond 64 bits are numbers still; what takes them says so in its own words. */
    if (json == NULL && json_error_code(&error) == json_error_numeric_overflow)
        json = json_loadb(text, length, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    problem[0] = 0;
    if (json != NULL || memory_failures() != failures) return json; /* the parser itself does not always know */
    enum json_error_code code = json_error_code(&error);
    /* The parser's own sentence quotes the text near the trouble, which may be a picture or a secret. */
    snprintf(problem, 256, "The body of this request is not valid JSON: %s at line %d, column %d.",
             code == json_error_numeric_overflow         ? "a number is too large"
             : code == json_error_invalid_utf8           ? "bytes that are not UTF-8"
             : code == json_error_premature_end_of_input ? "it ends too early"
                                                         : "unexpected text",
             error.line, error.column);
    return NULL;
}
