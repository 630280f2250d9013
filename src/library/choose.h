/* Which files of a repository are needed to inpaint: a repository holds each component in several
 * forms, samples and other programs' files; one form of each is enough. */
#ifndef LIBRARY_CHOOSE_H
#define LIBRARY_CHOOSE_H

#include "library/hub.h"

struct choice {
    const struct hub_file **files; /* of the listing; small ones, which say what it is, first */
    size_t count;
    const char *main; /* the checkpoint when it is a single file, else NULL: a folder in diffusers' layout */
    uint64_t bytes;
};

/* single: the name of a file at the root, or NULL to choose. Half precision is preferred (it is what
 * the original ran in), except with full. ERROR_UNSUPPORTED says what is there instead. */
bool choose_files(const struct hub_listing *listing, const char *single, bool full, struct choice *choice, struct error *error);
void choice_free(struct choice *choice);

#endif
