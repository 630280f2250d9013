/* Many files from one Hub at once: in ranges, over several connections, going on where an earlier
 * run stopped, checked against the hashes that the Hub stated.
 *
 * Beside PATH lie, until it is whole and checked, PATH.part (its bytes) and PATH.spans (which of them
 * are there). A process killed at any instruction loses what arrived in its last second. */
#ifndef LIBRARY_TRANSFER_H
#define LIBRARY_TRANSFER_H

#include "library/hub.h"

struct transfer_file {
    const struct hub_file *file;
    char *url, *path; /* path: where it shall be; its folder exists */
};

struct transfer_progress {
    bool checking;        /* reading back what arrived, to compare hashes; else receiving */
    uint64_t done, total; /* bytes */
    const char *note;     /* something to say once (a second try); else NULL */
};

struct transfer_options {
    const struct hub *hub;
    const char *id;  /* of the model, for sentences */
    int connections; /* at once, at least 1 */
    void (*progress)(void *user, const struct transfer_progress *progress);
    void *user;
};

/* Everything lies at its path afterwards, synced. ERROR_CANCELED when the hub's stop was set: calling
 * again goes on. ERROR_FULL; ERROR_FORMAT: the hash is wrong, even after a second try. */
bool transfer_files(const struct transfer_options *options, const struct transfer_file *files, size_t count, struct error *error);

/* Bytes of the file that earlier runs left there. */
uint64_t transfer_received(const struct transfer_file *file);

#endif
