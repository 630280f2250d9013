/* Blobs that a crash left without anybody who refers to them: written, but never told of. */
#ifndef STORE_SWEEP_H
#define STORE_SWEEP_H

#include "store/blob.h"
#include "store/store.h"

/* Delete blobs written before `before` (wall; a day ago leaves room for everything under way) that
 * nothing in the store refers to. *deleted may be NULL. Reads the whole folder: for now and then. */
bool store_sweep(struct store *store, struct blobs *blobs, int64_t before, size_t *deleted, struct error *error);

#endif
