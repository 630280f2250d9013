/* The HTTP service: routes over the store. Never loads a model, never computes. */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "base/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* A model besides the default one. */
struct service_model {
    const char *name;    /* "owner/name" */
    const char *version; /* 64 hex digits, of what it holds */
    const char *created; /* RFC 3339: when it was last changed */
};

struct service_options {
    const char *listen; /* "127.0.0.1:8080", "[::1]:8080", port 0 = any free */
    const char *store_url, *blobs_url;
    const char *public_url;             /* base of all URLs that we emit, or NULL: from the request */
    const char *model_name;             /* the default: "andreasjansson/stable-diffusion-inpainting" */
    const struct service_model *models; /* those that are asked for by their own names */
    size_t model_count;
    const char *hints;                           /* a JSON object with the model's own defaults for the page, or NULL */
    size_t body_bytes;                           /* most bytes of a JSON body: 32 MB */
    int run_seconds;                             /* a prediction that runs for longer fails; 0 = no limit */
    int drain_seconds;                           /* told to stop, serve on for this long, not ready: balancers turn away */
    int wait_seconds;                            /* most seconds of Prefer: wait: 60 */
    int retention_seconds;                       /* inputs, outputs, logs removed after this; 0 = never */
    int forget_seconds;                          /* and the whole record after this; 0 = never */
    int file_seconds;                            /* uploaded files expire after this; 0 = never */
    bool data_uri_output;                        /* outputs as data URIs for everybody */
    bool say_aborted;                            /* a deadline before the start is called aborted instead of canceled */
    bool private_webhooks;                       /* may webhooks go to private addresses and plain http? default true: self-hosting */
    const char *cors_origins;                    /* comma-separated allow-list, NULL = none */
    const char *tls_certificate, *tls_key;       /* PEM files: serve https; NULL = plain http */
    int creates_per_minute, requests_per_minute; /* for each token (without tokens: address); 0 = no limit */
    uint64_t free_bytes;                         /* with less left on the disk nothing new is taken; 0 = no floor */
    const char *metrics_listen;                  /* where /metrics, /healthz and /readyz are answered without a token too, or NULL */
    int queue_limit;                             /* most waiting predictions of each token; 0 = no limit */
};

/* Serve until *stop is set. `ready`, when not NULL, is called once with the bound port. */
bool service_run(const struct service_options *options, atomic_int *stop, void (*ready)(void *user, int port), void *user,
                 struct error *error);

#endif
