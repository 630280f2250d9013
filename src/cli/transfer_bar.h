/* Progress of a download or a check on standard error: a moving line with speed and time left on a
 * terminal, one line a tenth elsewhere. */
#ifndef CLI_TRANSFER_BAR_H
#define CLI_TRANSFER_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct transfer_bar {
    bool terminal, quiet;
    const char *what; /* "receiving" */
    uint64_t first;   /* bytes that were there when it began */
    int64_t began;    /* monotonic; 0: not yet */
    int last_tenth;
};

void transfer_bar_begin(struct transfer_bar *bar, bool quiet);
/* what: a verb; another one begins anew. */
void transfer_bar_show(struct transfer_bar *bar, const char *what, uint64_t done, uint64_t total);
void transfer_bar_end(struct transfer_bar *bar); /* other output starts on a fresh line */

/* "1.7 GB", "12 kB" */
enum { BYTES_TEXT_SIZE = 24 };
const char *bytes_text(uint64_t bytes, char text[BYTES_TEXT_SIZE]);

#endif
