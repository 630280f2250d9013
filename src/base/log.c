#include "base/log.h"

#include "base/time.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"debug", "info", "warning", "error"};

static enum log_level lowest(void) {
    const char *wanted = getenv("INPAINT_LOG");
    for (int i = 0; wanted && i < 4; i++)
        if (strcmp(wanted, names[i]) == 0) return (enum log_level)i;
    return LOG_INFO;
}

void log_line(enum log_level level, const char *format, ...) {
    if (level < lowest()) return;
    char line[1024], stamp[TIME_TEXT_SIZE];
    int used = snprintf(line, sizeof line, "%s %s ", time_text(time_wall(), 3, stamp), names[level]);
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    va_end(arguments);
    size_t length = more < 0 ? (size_t)used : (size_t)used + (size_t)more;
    if (length > sizeof line - 2) length = sizeof line - 2;
    for (size_t i = (size_t)used; i < length; i++)
        if ((unsigned char)line[i] < 0x20) line[i] = ' '; /* one call stays one line, whatever came from outside */
    line[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written; /* nowhere left to say it */
}
