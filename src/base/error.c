#include "base/error.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    enum error_code code;
    const char *name;
    int http, exit;
} codes[] = {
#define X(name, value, http, exit) {ERROR_##name, #name, http, exit},
    ERROR_CODES(X)
#undef X
};

static size_t row_of(enum error_code code) {
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == code) return i;
    return 1; /* INTERNAL */
}

const char *error_name(enum error_code code) { return codes[row_of(code)].name; }
int error_http_status(enum error_code code) { return codes[row_of(code)].http; }
int error_exit_code(enum error_code code) { return codes[row_of(code)].exit; }

static void format_message(struct error *error, const char *format, va_list arguments) {
    int length = vsnprintf(error->message, sizeof error->message, format, arguments);
    if (length >= (int)sizeof error->message) error->message[utf8_cut(error->message, sizeof error->message - 1)] = 0;
}

bool error_set(struct error *error, enum error_code code, const char *format, ...) {
    if (!error) return false;
    va_list arguments;
    va_start(arguments, format);
    struct error made = {.code = code};
    format_message(&made, format, arguments);
    va_end(arguments);
    *error = made; /* last, because an argument may be the old message */
    return false;
}

bool error_context(struct error *error, const char *format, ...) {
    if (!error) return false;
    char old[sizeof error->message];
    memcpy(old, error->message, sizeof old);
    va_list arguments;
    va_start(arguments, format);
    format_message(error, format, arguments);
    va_end(arguments);
    size_t used = strlen(error->message), room = sizeof error->message - used;
    if (snprintf(error->message + used, room, ": %s", old) >= (int)room)
        error->message[utf8_cut(error->message, sizeof error->message - 1)] = 0;
    return false;
}

bool error_from_errno(struct error *error, const char *format, ...) {
    int number = errno;
    if (!error) return false;
    enum error_code code = ERROR_IO;
    if (number == ENOSPC || number == EDQUOT)
        code = ERROR_FULL;
    else if (number == ENOENT || number == ENOTDIR)
        code = ERROR_NOT_FOUND;
    else if (number == ENOMEM)
        code = ERROR_MEMORY;
    struct error made = {.code = code};
    va_list arguments;
    va_start(arguments, format);
    format_message(&made, format, arguments);
    va_end(arguments);
    char text[128];
    const char *reason = strerror_r(number, text, sizeof text);
    size_t used = strlen(made.message), room = sizeof made.message - used;
    if (snprintf(made.message + used, room, ": %s", reason) >= (int)room) made.message[utf8_cut(made.message, sizeof made.message - 1)] = 0;
    *error = made;
    return false;
}
