#include "service/preference.h"
#include "service/state.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The value of `wait` or `wait=VALUE` in one preference, rounded up; 0 without one. */
static int wait_value(const char *text, size_t length) {
    char copy[32];
    size_t start = strcspn(text, "=");
    if (start >= length) return 0;
    text += start + 1;
    length -= start + 1;
    while (length > 0 && (*text == ' ' || *text == '"' || *text == '\t')) text++, length--;
    if (length >= sizeof copy) length = sizeof copy - 1;
    memcpy(copy, text, length);
    copy[length] = 0;
    if (!isdigit((unsigned char)copy[0])) return copy[0] == '-' ? 1 : 0;
    char *end;
    double seconds = strtod(copy, &end);
    if (!(seconds <= 1e6)) return 1000000;
    return seconds < 1 ? 1 : (int)ceil(seconds);
}

static void append_applied(struct preference *preference, const char *text) {
    size_t length = strlen(preference->applied);
    snprintf(preference->applied + length, sizeof preference->applied - length, "%s%s", length == 0 ? "" : ", ", text);
}

static void take_wait(const char *text, size_t length, int maximum, struct preference *preference) {
    char applied[24];
    int asked = wait_value(text, length);
    preference->wait = true;
    preference->seconds = asked > 0 ? asked : WAIT_DEFAULT_SECONDS;
    if (preference->seconds > maximum) preference->seconds = maximum;
    snprintf(applied, sizeof applied, "wait=%d", preference->seconds);
    append_applied(preference, asked > 0 ? applied : "wait");
}

void preference_parse(const char *header, int maximum, struct preference *preference) {
    memset(preference, 0, sizeof *preference);
    if (maximum < 1) maximum = 1;
    while (header != NULL && *header != 0) {
        header += strspn(header, " ,\t");
        size_t length = strcspn(header, ","), name = strcspn(header, "=,; \t"), value = strcspn(header, ",; \t");
        if (name == 4 && strncasecmp(header, "wait", 4) == 0 && !preference->wait) {
            take_wait(header, strcspn(header, ",;"), maximum, preference);
        } else if (value == 15 && strncasecmp(header, "output=data-uri", 15) == 0 && !preference->data_uri_output) {
            preference->data_uri_output = true;
            append_applied(preference, "output=data-uri");
        }
        header += length;
    }
}

int64_t preference_microseconds(const struct preference *preference) {
    int64_t seconds = preference->seconds;
    return seconds >= 59 ? (seconds <= 60 ? 58500000 : (seconds - 1) * 1000000) : seconds * 1000000;
}

bool cancel_after_parse(const char *text, int64_t *seconds) {
    const int64_t maximum = (int64_t)30 * 24 * 3600;
    int64_t total = 0;
    int last = 0; /* units must come in falling order: h, m, s */
    text += strspn(text, " \t");
    if (*text == 0) return false;
    while (*text != 0 && *text != ' ' && *text != '\t') {
        if (!isdigit((unsigned char)*text)) return false;
        int64_t value = 0;
        for (; isdigit((unsigned char)*text); text++) {
            value = value * 10 + (*text - '0');
            if (value > maximum) return false;
        }
        int order = *text == 'h' ? 1 : *text == 'm' ? 2 : *text == 's' ? 3 : 4;
        if (order <= last || (order == 4 && (last != 0 || (*text != 0 && *text != ' ' && *text != '\t')))) return false;
        last = order;
        total += value * (order == 1 ? 3600 : order == 2 ? 60 : 1);
        if (order != 4) text++;
        if (total > maximum) return false;
    }
    text += strspn(text, " \t");
    if (*text != 0 || total < 5) return false;
    *seconds = total;
    return true;
}
