#include "worker/meter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* tqdm's defaults: the least time between lines, and the weight of the newest interval. */
static const double line_seconds = 0.1, smoothing = 0.3;
enum { CELLS = 10, EIGHTHS = 8, INTERVAL_SIZE = 24, BAR_SIZE = CELLS * 3 + 1 };

/* 00:05, 1:00:05 */
static void format_interval(double seconds, char text[INTERVAL_SIZE]) {
    long whole = seconds < 0 ? 0 : seconds > 1e9 ? 1000000000 : (long)seconds;
    if (whole >= 3600)
        snprintf(text, INTERVAL_SIZE, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text, INTERVAL_SIZE, "%02ld:%02ld", whole / 60, whole % 60);
}

/* Ten cells, the last one filled by eighths; blank beyond. */
static void format_bar(int step, int steps, char bar[BAR_SIZE]) {
    static const char *const cells[EIGHTHS + 1] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
    int filled = (int)((long long)step * CELLS * EIGHTHS / steps);
    size_t length = 0;
    for (int cell = 0; cell < CELLS; cell++) {
        int part = filled - cell * EIGHTHS;
        const char *text = cells[part <= 0 ? 0 : part >= EIGHTHS ? EIGHTHS : part];
        memcpy(bar + length, text, strlen(text) + 1);
        length += strlen(text);
    }
}

/* Steps a second: between lines a moving average, at the end the average of the whole; 0 = unknown. */
static double rate_of(const struct meter *meter, int step, double elapsed) {
    if (step == meter->steps) return elapsed > 0 ? step / elapsed : 0;
    return meter->average_seconds > 0 ? meter->average_steps / meter->average_seconds : 0;
}

static void format_line(const struct meter *meter, int step, double seconds, char line[METER_LINE_SIZE]) {
    char bar[BAR_SIZE], elapsed[INTERVAL_SIZE], left[INTERVAL_SIZE] = "?", rate_text[32] = "?it/s";
    double rate = rate_of(meter, step, seconds - meter->began);
    format_bar(step, meter->steps, bar);
    format_interval(seconds - meter->began, elapsed);
    if (rate > 0) {
        format_interval((meter->steps - step) / rate, left);
        if (rate < 1)
            snprintf(rate_text, sizeof rate_text, "%5.2fs/it", fmin(1 / rate, 1e9));
        else
            snprintf(rate_text, sizeof rate_text, "%5.2fit/s", fmin(rate, 1e9));
    }
    snprintf(line, METER_LINE_SIZE, "%3.0f%%|%s| %d/%d [%s<%s, %s]", 100.0 * step / meter->steps, bar, step, meter->steps, elapsed, left,
             rate_text);
}

void meter_begin(struct meter *meter, int steps, double seconds) {
    *meter = (struct meter){.steps = steps > 0 ? steps : 1, .began = seconds, .last = seconds};
}

bool meter_line(struct meter *meter, int step, double seconds, char line[METER_LINE_SIZE]) {
    if (step < 0) step = 0;
    if (step > meter->steps) step = meter->steps;
    if (step > 0) {
        if (seconds - meter->last < line_seconds && step < meter->steps) return false;
        /* Both averages start too low by the same factor, which their quotient does not show. */
        meter->average_steps += smoothing * (step - meter->last_step - meter->average_steps);
        meter->average_seconds += smoothing * (seconds - meter->last - meter->average_seconds);
        meter->last_step = step;
        meter->last = seconds;
    }
    format_line(meter, step, seconds, line);
    return true;
}
