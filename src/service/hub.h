/* The hub: one thread that sleeps until the store changes and tells whoever watches a prediction.
 *
 * Two kinds watch: blocking creates (Prefer: wait), which want to know of the end or of their time
 * being up, and streams, which want every event as text. Watchers are suspended connections; a
 * thousand of them cost memory, no threads and no polling. */
#ifndef SERVICE_HUB_H
#define SERVICE_HUB_H

#include "service/sse.h"
#include "service/state.h"

#include <microhttpd.h>

struct hub;
struct request;

bool hub_start(struct service *service, struct hub **hub, struct error *error);
/* Wakes every watcher for good (waits are answered, streams end), then ends the thread. */
void hub_stop(struct hub *hub);
void hub_free(struct hub *hub);

/* A place in the hub's table. */
struct watch {
    struct watch *next, *previous; /* in the bucket */
    char prediction[PREDICTION_ID_LENGTH + 1];
    struct request *request; /* a blocking create ... */
    struct stream *stream;   /* ... or a stream */
    int64_t due;             /* monotonic: the wait's end, the stream's next keep-alive */
    bool linked, parked, fired;
};

/* ---- blocking creates ---- */

/* Watch from now on (before the prediction is created, so that no end is missed). */
void hub_wait_begin(struct hub *hub, struct request *request, const char *prediction, int64_t due);
/* Park: true, and the hub will submit the request's step when the prediction ends or time is up;
 * false when that has happened already, or the service is closing. */
bool hub_wait_park(struct hub *hub, struct request *request);
void hub_wait_end(struct hub *hub, struct request *request);

/* ---- streams ---- */

/* Open a stream of a prediction, with everything that happened already, as the response of a
 * connection. view: see sse.h; its strings are copied. NULL on failure. */
struct MHD_Response *stream_open(struct hub *hub, struct store *reader, struct MHD_Connection *connection,
                                 const struct prediction *prediction, const struct sse_view *view, struct error *error);
enum { STREAM_SILENCE = 12000000 }; /* microseconds between keep-alives */
size_t hub_streams(struct hub *hub);

/* ---- for stream.c ---- */

void hub_lock(struct hub *hub);
void hub_unlock(struct hub *hub);
/* With the hub locked. False when it is closing. */
bool hub_link(struct hub *hub, struct watch *watch, const char *prediction, int64_t due);
void hub_unlink(struct hub *hub, struct watch *watch);

#endif
