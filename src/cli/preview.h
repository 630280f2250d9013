/* paint --preview: the forming picture above the progress line. */
#ifndef CLI_PREVIEW_H
#define CLI_PREVIEW_H

#include "cli/terminal_picture.h"
#include "inpaint.h"

struct preview {
    enum terminal_pictures kind;
    int count;   /* pictures being painted */
    int rows;    /* of the terminal that hold the last preview; 0: none is shown */
    double last; /* seconds since the call began, at the last preview; -1 before */
};

/* Show it on standard error, at most twice a second. The cursor is at the start of the line below. */
void preview_show(struct preview *preview, const inpaint_progress *now);

#endif
