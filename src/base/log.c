#include "base/log.h"

#include "base/text.h"
#include "base/time.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_SIZE = 2048, MESSAGE_SIZE = 1024, SUBJECT_SIZE = 64 };

static const char *const names[] = {"debug", "info", "warning", "error"};

/* A thread works on one thing at a time; to hand it down to every function that may have something to say would
 * be in the way of everything else. */
static _Thread_local struct { char prediction[SUBJECT_SIZE], trace[SUBJECT_SIZE]; } subject;

void log_about(const char *prediction, const char *trace) {
    snprintf(subject.prediction, sizeof subject.prediction, "%s", prediction ? prediction : "");
    snprintf(subject.trace, sizeof subject.trace, "%s", trace ? trace : "");
}

static enum log_level lowest(void) {
    const char *wanted = getenv("INPAINT_LOG");
    for (int i = 0; wanted && i < 4; i++)
        if (strcmp(wanted, names[i]) == 0) return (enum log_level)i;
    return LOG_INFO;
}

static bool is_json(void) {
    const char *format = getenv("INPAINT_LOG_FORMAT");
    return format && strcmp(format, "json") == 0;
}

/* A line that is put together on the stack: logging must work when there is no memory. */
struct line {
    char text[LINE_SIZE];
    size_t length;
};

static void put(struct line *line, const char *text, size_t length) {
    size_t room = sizeof line->text - 2 - line->length; /* for the end */
    if (length > room) length = room;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void put_text(struct line *line, const char *text) { put(line, text, strlen(text)); }

/* A JSON string; bytes that are no UTF-8 become '?'. Whole or cut, it is closed. */
static void put_string(struct line *line, const char *text) {
    size_t length = strlen(text), room = sizeof line->text / 4 * 3; /* what follows has its place */
    bool valid = utf8_valid(text, length);
    put_text(line, "\"");
    for (size_t i = 0; i < length && line->length < room;) {
        size_t bytes = 1;
        unsigned char byte = (unsigned char)text[i];
        while (valid && byte >= 0x80 && i + bytes < length && ((unsigned char)text[i + bytes] & 0xc0) == 0x80) bytes++;
        if (byte == '"' || byte == '\\') put_text(line, "\\");
        if (byte < 0x20 || byte == 0x7f)
            put_text(line, " ");
        else if (byte >= 0x80 && !valid)
            put_text(line, "?");
        else
            put(line, text + i, bytes);
        i += bytes;
    }
    put_text(line, "\"");
}

static void put_member(struct line *line, const char *name, const char *text) {
    if (!text[0]) return;
    put_text(line, ",\"");
    put_text(line, name);
    put_text(line, "\":");
    put_string(line, text);
}

static void put_json(struct line *line, enum log_level level, const struct log_field *fields, size_t count, const char *message) {
    char stamp[TIME_TEXT_SIZE], number[64];
    put_text(line, "{\"time\":");
    put_string(line, time_text(time_wall(), 3, stamp));
    put_member(line, "level", names[level]);
    put_member(line, "prediction", subject.prediction);
    put_member(line, "trace", subject.trace);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].text) {
            put_member(line, fields[i].name, fields[i].text);
        } else {
            snprintf(number, sizeof number, ",\"%s\":%.10g", fields[i].name, fields[i].number);
            put_text(line, number);
        }
    }
    put_member(line, "message", message);
    put_text(line, "}");
}

static void put_plain(struct line *line, enum log_level level, const char *message) {
    char stamp[TIME_TEXT_SIZE];
    put_text(line, time_text(time_wall(), 3, stamp));
    put_text(line, " ");
    put_text(line, names[level]);
    put_text(line, " ");
    size_t from = line->length;
    put_text(line, message);
    if (subject.trace[0]) {
        put_text(line, " trace=");
        put_text(line, subject.trace);
    }
    for (size_t i = from; i < line->length; i++)
        if ((unsigned char)line->text[i] < 0x20) line->text[i] = ' '; /* one call stays one line, whatever came from outside */
}

static void write_line(enum log_level level, const struct log_field *fields, size_t count, const char *format, va_list arguments)
    __attribute__((format(printf, 4, 0)));
static void write_line(enum log_level level, const struct log_field *fields, size_t count, const char *format, va_list arguments) {
    struct line line = {.length = 0};
    char message[MESSAGE_SIZE];
    if (level < lowest()) return;
    int length = vsnprintf(message, sizeof message, format, arguments);
    if (length < 0) message[0] = 0;
    if ((size_t)length >= sizeof message) message[utf8_cut(message, sizeof message - 1)] = 0;
    if (is_json())
        put_json(&line, level, fields, count, message);
    else
        put_plain(&line, level, message);
    line.text[line.length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line.text, line.length);
    (void)written; /* nowhere left to say it */
}

void log_line(enum log_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_line(level, NULL, 0, format, arguments);
    va_end(arguments);
}

void log_fields(enum log_level level, const struct log_field *fields, size_t count, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_line(level, fields, count, format, arguments);
    va_end(arguments);
}
