#include "cli/transfer_bar.h"

#include "base/time.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 30 };

const char *bytes_text(uint64_t bytes, char text[BYTES_TEXT_SIZE]) {
    if (bytes >= 1000000000)
        snprintf(text, BYTES_TEXT_SIZE, "%.2f GB", (double)bytes / 1e9);
    else if (bytes >= 1000000)
        snprintf(text, BYTES_TEXT_SIZE, "%.1f MB", (double)bytes / 1e6);
    else
        snprintf(text, BYTES_TEXT_SIZE, "%.0f kB", (double)bytes / 1e3);
    return text;
}

void transfer_bar_begin(struct transfer_bar *bar, bool quiet) {
    *bar = (struct transfer_bar){.terminal = isatty(STDERR_FILENO), .quiet = quiet, .what = "", .last_tenth = -1};
}

/* "40 s", "3 min", "1 h 20 min" */
static void time_left(double seconds, char text[32]) {
    if (seconds < 90)
        snprintf(text, 32, "%.0f s", seconds);
    else if (seconds < 5400)
        snprintf(text, 32, "%.0f min", seconds / 60);
    else
        snprintf(text, 32, "%d h %d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
}

static void draw(const struct transfer_bar *bar, uint64_t done, uint64_t total, double speed) {
    char now[BYTES_TEXT_SIZE], all[BYTES_TEXT_SIZE], a_second[BYTES_TEXT_SIZE], left[32] = "?";
    int filled = total ? (int)((double)done / (double)total * BAR_WIDTH) : BAR_WIDTH;
    fprintf(stderr, "\r\033[K%s %3d%% │", bar->what, total ? (int)((double)done / (double)total * 100) : 100);
    for (int i = 0; i < BAR_WIDTH; i++) fputs(i < filled ? "█" : " ", stderr);
    fprintf(stderr, "│ %s of %s", bytes_text(done, now), bytes_text(total, all));
    if (speed > 0) {
        time_left((double)(total - done) / speed, left);
        fprintf(stderr, ", %s/s, %s left", bytes_text((uint64_t)speed, a_second), left);
    }
    fflush(stderr);
}

void transfer_bar_show(struct transfer_bar *bar, const char *what, uint64_t done, uint64_t total) {
    if (bar->quiet) return;
    if (strcmp(bar->what, what) != 0) *bar = (struct transfer_bar){.terminal = bar->terminal, .what = what, .last_tenth = -1};
    if (done > total) done = total;
    int64_t now = time_monotonic();
    if (bar->began == 0) {
        bar->began = now;
        bar->first = done;
    }
    double seconds = (double)(now - bar->began) / 1e6,
           speed = seconds > 0.5 && done > bar->first ? (double)(done - bar->first) / seconds : 0;
    int tenth = total ? (int)((double)done / (double)total * 10) : 10;
    char text[BYTES_TEXT_SIZE], all[BYTES_TEXT_SIZE];
    if (bar->terminal)
        draw(bar, done, total, speed);
    else if (tenth != bar->last_tenth)
        fprintf(stderr, "%s: %s of %s\n", what, bytes_text(done, text), bytes_text(total, all));
    bar->last_tenth = tenth;
}

void transfer_bar_end(struct transfer_bar *bar) {
    if (bar->terminal && !bar->quiet) fputs("\r\033[K", stderr);
    fflush(stderr);
}
