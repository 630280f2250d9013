/* The worker: claims predictions under a lease, fetches their inputs, runs the pipeline, writes
 * progress, previews and results. Meets the service only in the store. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "base/error.h"
#include "inpaint.h"
#include "store/blob.h"
#include "store/store.h"

#include <stdatomic.h>

struct worker_model {
    const char *name; /* "owner/name", by which predictions ask for it; NULL, of an only one: whatever they ask for */
    const char *path; /* several names may have the same */
};

struct worker_options {
    const char *store_url, *blobs_url;
    const struct worker_model *models; /* the first is opened at the start, the others when they are asked for */
    size_t model_count;
    inpaint_options engine;
    int lease_seconds;     /* 15 */
    size_t download_bytes; /* most bytes of one input; 100 MB */
    int download_seconds;  /* 60 */
    bool private_networks; /* may inputs come from private addresses? */
    size_t memory_budget;  /* bytes that all models and a prediction may take; 0 = three quarters of the machine's */
};

/* Serve until *stop is set (a running prediction is then given back to the queue). The first model is
 * opened first; failing that is the only error. */
bool worker_run(const struct worker_options *options, atomic_int *stop, struct error *error);

#endif
