#include "base/time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int64_t time_wall(void) { return now(CLOCK_REALTIME); }
int64_t time_monotonic(void) { return now(CLOCK_MONOTONIC); }
int64_t time_processor(void) { return now(CLOCK_PROCESS_CPUTIME_ID); }

void time_sleep(int64_t microseconds) {
    if (microseconds <= 0) return;
    struct timespec left = {.tv_sec = microseconds / 1000000, .tv_nsec = (microseconds % 1000000) * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

const char *time_text(int64_t wall, int digits, char text[TIME_TEXT_SIZE]) {
    int64_t micros = wall % 1000000;
    time_t seconds = (time_t)(wall / 1000000);
    if (micros < 0) {
        micros += 1000000;
        seconds -= 1;
    }
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t used = strftime(text, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    if (digits == 6)
        snprintf(text + used, TIME_TEXT_SIZE - used, ".%06dZ", (int)micros);
    else if (digits == 3)
        snprintf(text + used, TIME_TEXT_SIZE - used, ".%03dZ", (int)(micros / 1000));
    else
        snprintf(text + used, TIME_TEXT_SIZE - used, "Z");
    return text;
}

/* `count` digits at *p as a number within [low, high]; moves *p on. */
static bool digits_at(const char **p, int count, int low, int high, int *value) {
    *value = 0;
    for (int i = 0; i < count; i++, (*p)++) {
        if (**p < '0' || **p > '9') return false;
        *value = *value * 10 + (**p - '0');
    }
    return *value >= low && *value <= high;
}

static bool offset_at(const char **p, int *minutes) {
    *minutes = 0;
    if (**p == 'Z' || **p == 'z') {
        (*p)++;
        return true;
    }
    if (**p != '+' && **p != '-' && **p != ' ') return false;
    int sign = **p == '-' ? -1 : 1, hour, minute = 0;
    (*p)++;
    if (!digits_at(p, 2, 0, 23, &hour)) return false;
    if (**p == ':') (*p)++;
    if (**p && !digits_at(p, 2, 0, 59, &minute)) return false;
    *minutes = sign * (hour * 60 + minute);
    return true;
}

bool time_parse(const char *text, int64_t *wall) {
    struct tm parts = {0};
    int year, month, day, micros = 0, offset = 0;
    const char *p = text;
    if (!digits_at(&p, 4, 1970, 9999, &year) || *p++ != '-' || !digits_at(&p, 2, 1, 12, &month) || *p++ != '-' ||
        !digits_at(&p, 2, 1, 31, &day))
        return false;
    if (*p) {
        if (*p != 'T' && *p != 't' && *p != ' ') return false;
        p++;
        if (!digits_at(&p, 2, 0, 23, &parts.tm_hour) || *p++ != ':' || !digits_at(&p, 2, 0, 59, &parts.tm_min)) return false;
        if (*p == ':') {
            p++;
            if (!digits_at(&p, 2, 0, 60, &parts.tm_sec)) return false;
        }
        if (*p == '.') {
            int scale = 100000, count = 0;
            for (p++; *p >= '0' && *p <= '9'; p++, count++, scale /= 10) micros += (*p - '0') * scale;
            if (count < 1 || count > 9) return false;
        }
        if (*p && !offset_at(&p, &offset)) return false;
        if (*p) return false;
    }
    parts.tm_year = year - 1900;
    parts.tm_mon = month - 1;
    parts.tm_mday = day;
    time_t seconds = timegm(&parts);
    if (parts.tm_mday != day) return false; /* 30 February */
    *wall = ((int64_t)seconds - offset * 60) * 1000000 + micros;
    return true;
}
