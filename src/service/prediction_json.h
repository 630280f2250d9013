/* The prediction object of the wire. */
#ifndef SERVICE_PREDICTION_JSON_H
#define SERVICE_PREDICTION_JSON_H

#include "predict/prediction.h"
#include "store/blob.h"

struct prediction_view {
    const char *base;    /* of all URLs */
    struct blobs *blobs; /* outputs as data URIs when not NULL */
    bool hide_stream;    /* leave urls.stream out */
    bool as_starting;    /* a blocking create whose time is up says so, whatever has begun */
    bool aborted;        /* one whose deadline came before its start is called aborted, not canceled */
    unsigned event;      /* a webhook of this event: shows no end unless WEBHOOK_COMPLETED; 0: plain */
};

/* A new reference; NULL when out of memory. */
json_t *prediction_json(const struct prediction *prediction, const struct prediction_view *view);

/* base/v1/outputs/BLOB/NAME.EXT with the blob's own ending; heap string. */
char *blob_url(const char *base, const char *blob, const char *name);
/* The URL of output `index`, or its data URI when `blobs` is not NULL (and the blob is there). */
char *output_url(const char *base, struct blobs *blobs, const char *blob, size_t index);

#endif
