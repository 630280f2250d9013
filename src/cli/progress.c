#include "cli/progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_WIDTH = 30 };

static const char *const stage_names[] = {"preparing", "reading the prompt", "encoding", "painting", "decoding", "checking"};

void progress_begin(struct progress *progress, bool quiet) {
    *progress = (struct progress){.terminal = isatty(STDERR_FILENO), .quiet = quiet, .last_tenth = -1};
}

static void draw_bar(const inpaint_progress *now, double left) {
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int filled = BAR_WIDTH * 8 * now->step / now->steps;
    fprintf(stderr, "\r\033[Kpainting %3d%% │", 100 * now->step / now->steps);
    for (int i = 0; i < filled / 8; i++) fputs("█", stderr);
    fputs(eighths[filled % 8], stderr);
    for (int i = (filled + 7) / 8; i < BAR_WIDTH; i++) fputc(' ', stderr);
    fprintf(stderr, "│ %d/%d", now->step, now->steps);
    if (now->step > 0 && now->step < now->steps) fprintf(stderr, "  %.0f s left", left);
    fflush(stderr);
}

static void show_steps(struct progress *progress, const inpaint_progress *now) {
    if (now->step == 0) progress->denoise_began = now->seconds;
    double spent = now->seconds - progress->denoise_began;
    double left = now->step ? spent / now->step * (now->steps - now->step) : 0;
    int tenth = 10 * now->step / now->steps;
    if (progress->terminal)
        draw_bar(now, left);
    else if (tenth != progress->last_tenth)
        fprintf(stderr, "painting: step %d of %d, %.1f s, %.1f s left\n", now->step, now->steps, spent, left);
    progress->last_tenth = tenth;
}

void progress_show(struct progress *progress, const inpaint_progress *now) {
    if (now->message) {
        progress_end(progress);
        fprintf(stderr, "%s\n", now->message);
    } else if (progress->quiet) {
        return;
    } else if (now->stage == INPAINT_STAGE_DENOISE) {
        show_steps(progress, now);
    } else if (progress->terminal) {
        fprintf(stderr, "\r\033[K%s…", stage_names[now->stage]);
        fflush(stderr);
    }
}

void progress_end(struct progress *progress) {
    if (progress->terminal && !progress->quiet) fputs("\r\033[K", stderr);
    fflush(stderr);
}
