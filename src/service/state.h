/* What every part of the service shares: the doors to the store and the threads. Filled in once by
 * service_run() and constant from then on.
 *
 * Threads: two of libmicrohttpd's that poll (epoll) and never block; HANDLER_THREADS that handle
 * requests, whose connections are suspended meanwhile; the hub, which sleeps until the store changes
 * and wakes waits and streams (suspended connections too); two for webhooks; and the caller of
 * service_run(), which looks after what is overdue. */
#ifndef SERVICE_STATE_H
#define SERVICE_STATE_H

#include "service/service.h"
#include "store/blob.h"
#include "store/store.h"

#include <stdatomic.h>

enum {
    HANDLER_THREADS = 4,
    WAIT_DEFAULT_SECONDS = 60,               /* a bare Prefer: wait */
    PAGE_SIZE = 100,                         /* predictions or files on one page of a list */
    PAGE_BYTES = 8 * 1024 * 1024,            /* a page is cut short (its `next` goes on) above this */
    INLINE_INPUT_BYTES = 256 * 1024,         /* longer data URIs are held as blobs and echoed as URLs */
    BODY_BYTES_IN_FLIGHT = 512 * 1024 * 1024 /* all JSON bodies being received or handled */
};
#define FILE_BYTES_MAX  ((size_t)100 * 1000 * 1000)
#define DRAIN_BYTES_MAX ((uint64_t)128 * 1024 * 1024) /* of a refused body, read so that the client sees the answer */

struct service {
    const struct service_options *options;
    struct store *writer; /* all changes go through one handle: SQLite has one writer anyway */
    struct blobs *blobs;
    struct auth *auth;
    struct handlers *handlers;
    struct hub *hub;
    struct webhooks *webhooks;
    struct limits *limits; /* NULL: none are configured */
    struct lines *lines;   /* NULL: no limit */
    struct metrics *metrics;
    struct thumbnails *thumbnails;
    char bound[300];    /* host:port that we listen on, for clients that send no Host */
    const char *scheme; /* that we speak ourselves: "http" or "https" */
    bool loopback;
    atomic_size_t body_bytes; /* of JSON bodies in memory */
    atomic_size_t requests;   /* begun and not ended */
    atomic_bool draining;     /* told to stop: not ready, but serving on */
};

#endif
