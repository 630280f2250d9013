/* A prediction as data: one request and its life.
 *
 *            create            claim              finish
 *   (nothing) ----> starting ----------> processing ----------> succeeded | failed
 *                      |  ^   lease out      |
 *                      |  +------------------+
 *                      +----> canceled <-----+        cancel, or the deadline
 *
 * Invariants (checked by the store's one transition function):
 *  1. A terminal prediction never changes status, output, error or completed time again.
 *  2. Only the holder of the current lease (attempt number) writes to a processing prediction.
 *  3. Each prediction ends exactly once; the end writes its last events and webhook rows in the
 *     same transaction.
 *  4. attempts <= ATTEMPTS_MAX; the lease that would exceed it fails the prediction instead. */
#ifndef PREDICT_PREDICTION_H
#define PREDICT_PREDICTION_H

#include "base/error.h"
#include "predict/trace.h"

#include <jansson.h>
#include <stdint.h>

enum prediction_status { PREDICTION_STARTING, PREDICTION_PROCESSING, PREDICTION_SUCCEEDED, PREDICTION_FAILED, PREDICTION_CANCELED };
const char *prediction_status_name(enum prediction_status status);
bool prediction_status_parse(const char *name, enum prediction_status *status);
bool prediction_status_terminal(enum prediction_status status);

enum { PREDICTION_ID_LENGTH = 26, ATTEMPTS_MAX = 2 };

/* 26 lowercase base32 characters from 128 random bits. */
bool prediction_id_create(char id[PREDICTION_ID_LENGTH + 1], struct error *error);

/* Webhook events, also the bits of `webhook_events`. */
enum { WEBHOOK_START = 1, WEBHOOK_OUTPUT = 2, WEBHOOK_LOGS = 4, WEBHOOK_COMPLETED = 8, WEBHOOK_ALL = 15 };

struct prediction {
    char id[PREDICTION_ID_LENGTH + 1];
    char *owner;    /* token's name; "" without tokens */
    char *model;    /* "owner/name" */
    char *version;  /* 64 hex digits */
    json_t *input;  /* object of known keys only, as given; "_image", "_mask": see input_read() */
    char *logs;     /* whole text, never NULL */
    json_t *output; /* array of blob names, or NULL */
    char *error;    /* NULL unless failed */
    enum prediction_status status;
    bool data_removed, from_web;
    int64_t created, started, completed, deadline; /* wall microseconds; 0 = not yet, none */
    double predict_seconds;                        /* of the successful or last attempt */
    char *webhook;                                 /* URL or NULL */
    unsigned webhook_events;
    int attempt;            /* leases handed out so far */
    char *stream_token;     /* unguessable; names the SSE stream */
    char *public_base;      /* scheme://host[:port] the creator used: URLs in webhooks and streams are built from it */
    bool data_uri_output;   /* outputs as data URIs in answers */
    char trace[TRACE_SIZE]; /* traceparent, or "" */
};
void prediction_free(struct prediction *prediction); /* frees members, zeroes it */

#endif
