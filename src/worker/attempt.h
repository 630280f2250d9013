/* One attempt at one prediction, from its lease to its end. */
#ifndef WORKER_ATTEMPT_H
#define WORKER_ATTEMPT_H

#include "worker/worker.h"

/* What a worker holds while it runs. */
struct worker {
    const struct worker_options *options;
    struct store *store;
    struct blobs *blobs;
    struct models *models;
    atomic_int *stop;
};

/* Paint it and end it: succeeded or failed; given back when *stop was set; left alone when it was
 * canceled or lost meanwhile. */
void attempt_run(const struct worker *worker, const struct lease *lease, const struct prediction *prediction);

#endif
