/* A Hub of models (huggingface.co, a mirror, anything that answers the same two routes):
 *
 *   GET /api/models/OWNER/NAME/revision/REVISION?blobs=true    what there is: files, sizes, hashes, licence
 *   GET /OWNER/NAME/resolve/REVISION/PATH                      a file, mostly by way of a signed URL of another host
 *
 * What it answers is believed in nothing: limits first, then every path, size and hash is checked. */
#ifndef LIBRARY_HUB_H
#define LIBRARY_HUB_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdint.h>

#define HUB_ENDPOINT "https://huggingface.co"

struct hub {
    const char *endpoint; /* without a slash at its end */
    const char *token;    /* NULL: none. Sent to the endpoint's own host only */
    atomic_int *stop;     /* ends a transfer when set; may be NULL */
};

struct hub_file {
    char *path; /* "unet/config.json": relative, no "..", nothing that could leave its folder */
    uint64_t size;
    char sha256[65]; /* of large files; else "" */
    char git[41];    /* git's name of the content (SHA-1), of small files; else "" */
};

struct hub_listing {
    char *id;           /* as the Hub writes it: a renamed repository answers with its new name */
    char revision[65];  /* the commit, to which the files are pinned */
    char license[64];   /* "creativeml-openrail-m"; "unknown" when none is stated */
    char *license_link; /* NULL: none */
    struct hub_file *files;
    size_t count;
};

/* "owner/name", as a repository may be called. */
bool hub_valid_id(const char *id);
/* A relative path that stays below the folder it is joined to. */
bool hub_valid_path(const char *path);

/* revision NULL: the newest. ERROR_DENIED: gated or private, and the sentence says what to do;
 * ERROR_NOT_FOUND; ERROR_NETWORK; ERROR_FORMAT or ERROR_LIMIT for an answer that is not believed. */
bool hub_list(const struct hub *hub, const char *id, const char *revision, struct hub_listing *listing, struct error *error);
void hub_listing_free(struct hub_listing *listing);
const struct hub_file *hub_find(const struct hub_listing *listing, const char *path);

/* The URL of a file, as a heap string; NULL when out of memory. */
char *hub_url(const struct hub *hub, const struct hub_listing *listing, const char *path);

/* What an HTTP status other than success means, in a sentence. what: "the list of files", a path. */
bool hub_refusal(const struct hub *hub, const char *id, const char *what, long status, struct error *error);

/* What every request to a Hub has in common: protocols, redirects, token, time limits. easy: a CURL *. */
bool hub_configure(const struct hub *hub, void *easy);

#endif
