/* Downloading an input over http or https: it comes from a stranger's URL. */
#ifndef WORKER_DOWNLOAD_H
#define WORKER_DOWNLOAD_H

#include "base/error.h"

#include <stddef.h>

struct download_limits {
    size_t bytes;
    int seconds;
    bool private_networks; /* may the address be private (address.h)? Else checked for every hop, after DNS */
    /* Asked several times a second: false ends the download with ERROR_CANCELED. May be NULL. */
    bool (*going)(void *user);
    void *user;
};

/* The body as a new heap block (memory_free()). At most five redirects, to http and https only. The
 * sentences name the host but never the rest of the URL, which may hold a secret. */
bool download(const char *url, const struct download_limits *limits, char **data, size_t *length, struct error *error);

#endif
