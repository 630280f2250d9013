/* Pulling a model from a Hub into the models folder. */
#ifndef LIBRARY_PULL_H
#define LIBRARY_PULL_H

#include "library/hub.h"
#include "library/library.h"
#include "library/transfer.h"

struct pull_options {
    struct hub hub;
    const char *folder;   /* of all models */
    const char *id;       /* OWNER/NAME */
    const char *revision; /* NULL: the newest */
    const char *file;     /* a single-file checkpoint's name; NULL: choose */
    bool full;            /* weights as trained (f32) rather than in half precision */
    int connections;
    /* Asked once for each licence: is it accepted? false ends the pull. */
    bool (*license)(void *user, const struct hub_listing *listing);
    /* Told once, when it is known what will be received. */
    void (*begins)(void *user, const struct hub_listing *listing, size_t files, uint64_t bytes, uint64_t there);
    void (*progress)(void *user, const struct transfer_progress *progress);
    void *user;
};

/* *path: what --model would resolve to, as a heap string; *fresh false: it was there already, at this
 * revision. What is in place is whole and checked; a pull that ends early leaves its part for the next. */
bool model_pull(const struct pull_options *options, char **path, bool *fresh, struct error *error);

/* Where a model lies while it is pulled; heap string. */
char *pull_folder(const char *folder, const char *id);

/* rm -r, but never through a link. *bytes grows by what that freed. */
bool folder_remove(const char *path, uint64_t *bytes, struct error *error);

#endif
