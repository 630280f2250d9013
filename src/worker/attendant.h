/* Stands beside one prediction while it is painted, in a thread of its own: keeps the lease alive,
 * writes logs and previews in batches, and finds out when the prediction was canceled or lost. So
 * the painting thread never waits for the disk, and a long step does not cost the lease. */
#ifndef WORKER_ATTENDANT_H
#define WORKER_ATTENDANT_H

#include "store/blob.h"
#include "store/store.h"

struct attendant;

enum verdict {
    VERDICT_GOING,    /* still ours */
    VERDICT_CANCELED, /* somebody canceled it, or its deadline has passed */
    VERDICT_LOST      /* another worker has it, or it is gone */
};

/* NULL on failure. */
struct attendant *attendant_start(struct store *store, struct blobs *blobs, const struct lease *lease, int lease_seconds,
                                  struct error *error);
enum verdict attendant_verdict(struct attendant *attendant);
/* Add a line (without its end) to the logs; soon written. */
void attendant_log(struct attendant *attendant, const char *line);
/* Is it time for another preview? */
bool attendant_wants_preview(struct attendant *attendant);
/* Rows of RGB without gaps, from memory_alloc(): the attendant's from now on. */
void attendant_preview(struct attendant *attendant, int width, int height, uint8_t *pixels);
/* Write what is left of the logs, end the thread, free. */
enum verdict attendant_end(struct attendant *attendant);

#endif
