/* Log lines on standard error. One call is one line and one write. As text:
 *
 *     2026-01-31T12:00:00.000Z info prediction abc… succeeded after 3.1 s trace=4bf9…
 *
 * or, with INPAINT_LOG_FORMAT=json, as one JSON object with time, level, message and, where they are
 * known, prediction, trace and the line's own fields. Nothing secret goes in here: tokens, input texts
 * and data URIs are the caller's to leave out. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* From INPAINT_LOG (debug, info, warning, error); info when unset. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_error(...)   log_line(LOG_ERROR, __VA_ARGS__)

/* A value of its own beside the message, which says it too: only in JSON. */
struct log_field {
    const char *name;
    const char *text; /* NULL: it is the number */
    double number;
};
void log_fields(enum log_level level, const struct log_field *fields, size_t count, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What this thread works on from now on, and so what all its lines are about, whoever writes them: a
 * prediction's id and the id of its trace, each NULL or "" for none. Copied. */
void log_about(const char *prediction, const char *trace);

#endif
