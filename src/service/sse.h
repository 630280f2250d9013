/* Server-sent events as the hosted service's clients expect them: `event`, `id`, `data`, LF only,
 * every event with an id, only the names output, logs, error, done (and preview on request). */
#ifndef SERVICE_SSE_H
#define SERVICE_SSE_H

#include "base/buffer.h"
#include "store/blob.h"
#include "store/store.h"

struct sse_view {
    const char *base;    /* of URLs */
    struct blobs *blobs; /* for data URIs */
    bool logs, previews; /* wanted on this stream */
    bool data_uri;       /* outputs as data URIs */
    int64_t after;       /* the last event number that the client has seen; -1: none */
};

/* "TIME:NUMBER" -> NUMBER; -1 when it is not of ours. */
int64_t sse_last_event_id(const char *text);

/* One event of the wire; `data` may have several lines. */
void sse_write(struct buffer *out, const char *name, int64_t created, int64_t number, const char *data);

/* What a store event looks like to this view, which may be nothing. *outputs counts the output
 * events seen so far, emitted or not. failure: the prediction's error text, for a failed end.
 * Returns true when the event ends the stream. */
bool sse_event(struct buffer *out, const struct sse_view *view, const struct event *event, const char *failure, size_t *outputs);

#endif
