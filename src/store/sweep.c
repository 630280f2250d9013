#include "store/sweep.h"

struct sweep {
    struct store *store;
    struct blobs *blobs;
    int64_t before;
    size_t deleted;
    struct error *error;
    bool failed;
};

static bool sweep_one(void *user, const char *name, uint64_t size, int64_t modified) {
    struct sweep *sweep = user;
    bool used = true;
    (void)size;
    if (modified >= sweep->before) return true;
    sweep->failed = !store_blob_used(sweep->store, name, &used, sweep->error) || (!used && !blob_delete(sweep->blobs, name, sweep->error));
    if (!sweep->failed && !used) sweep->deleted++;
    return !sweep->failed;
}

bool store_sweep(struct store *store, struct blobs *blobs, int64_t before, size_t *deleted, struct error *error) {
    struct sweep sweep = {.store = store, .blobs = blobs, .before = before, .error = error};
    bool ok = blobs_each(blobs, sweep_one, &sweep, error) && !sweep.failed;
    if (deleted) *deleted = sweep.deleted;
    return ok;
}
