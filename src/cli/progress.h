/* Progress of a run on standard error: one moving line with the time left on a terminal, one line a
 * tenth elsewhere. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "inpaint.h"

#include <stdbool.h>

struct progress {
    bool terminal, quiet;
    int last_tenth;
    double denoise_began;
};

void progress_begin(struct progress *progress, bool quiet);
void progress_show(struct progress *progress, const inpaint_progress *now);
/* Leave the moving line, so that other output starts on a fresh one. */
void progress_end(struct progress *progress);

#endif
