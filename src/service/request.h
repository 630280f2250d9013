/* One HTTP request, from its first line to its log line.
 *
 *   route -> auth -> limit -> body -> handle -> send -> log
 *
 * Everything but `handle` runs on libmicrohttpd's polling threads and must not block; `handle` runs
 * on a handler thread (handlers.h) while the connection is suspended, and may use store and disk. */
#ifndef SERVICE_REQUEST_H
#define SERVICE_REQUEST_H

#include "base/buffer.h"
#include "service/hub.h"
#include "service/state.h"

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>

struct request;
struct route;
struct upload;

enum request_phase { REQUEST_ROUTE, REQUEST_BODY, REQUEST_HANDLE, REQUEST_SEND };
/* True: the answer is there. False: the request is parked in the hub and no longer ours to touch. */
typedef bool request_step(struct request *request);

enum { REQUEST_PARAMETERS_MAX = 4, REQUEST_HEADERS_MAX = 8 };

struct request {
    struct service *service;
    struct MHD_Connection *connection;
    enum request_phase phase;
    int64_t begun; /* monotonic */

    char *target; /* as it came, path and query */
    char method[16];
    const char *path; /* without scheme, host, /v1 and query; in `text` */
    const char *raw_path;
    const char *query; /* after '?', or "" */
    char *text;
    const struct route *route;
    char *parameters[REQUEST_PARAMETERS_MAX]; /* of the route's pattern, decoded; in `text` */
    char base[512];                           /* scheme://host[:port][/prefix], no '/' at the end */
    char owner[64];                           /* the token's name */
    bool metrics_only;                        /* came in at the operators' door */
    bool has_owner;                           /* false: no tokens configured, sees everything */

    struct buffer body;
    size_t body_charged;
    uint64_t body_received;
    bool drain; /* the answer is known already, the rest of the body is thrown away */
    struct upload *upload;

    unsigned status;
    struct MHD_Response *response;
    bool any_origin; /* the answer may be read by any web page */

    struct store *reader; /* of the handler thread that has the request now */
    struct request *next; /* in the handlers' queue */
    request_step *step;
    pthread_t thread; /* that the step runs on, and memory_failures() when it began */
    size_t failures;
    struct watch watch; /* while it waits for a prediction */
    int rate_remaining; /* creates left in the rate limit, when there is one */
    char prediction[PREDICTION_ID_LENGTH + 1];
    char trace[TRACE_ID_SIZE]; /* of the prediction, or "" */
    bool hide_stream;
};

struct request *request_create(struct service *service, struct MHD_Connection *connection, const char *target);
void request_free(struct request *request);
/* From here on this thread works on it. */
void request_step_begins(struct request *request);

/* This request is about that prediction: for all log lines from here on. */
void request_about(struct request *request, const struct prediction *prediction);

/* The owner to ask the store for: NULL sees everything. */
const char *request_owner(const struct request *request);
const char *request_header(const struct request *request, const char *name); /* NULL when not sent */
/* A query parameter, decoded, in a new heap string; NULL when it is not there (or out of memory). */
char *request_query(const struct request *request, const char *name);
bool request_is(const struct request *request, const char *method);

/* ---- answers: each sets status and response; the last one wins ---- */

/* Takes over `response` (NULL: the connection will be closed). */
bool answer_response(struct request *request, unsigned status, struct MHD_Response *response);
/* Takes over `body`. */
bool answer_json(struct request *request, unsigned status, json_t *body);
bool answer_text(struct request *request, unsigned status, const char *type, const char *text);
bool answer_empty(struct request *request, unsigned status);
/* RFC 9457 problem; title may be NULL. */
bool answer_problem(struct request *request, unsigned status, const char *title, const char *detail, ...)
    __attribute__((format(printf, 4, 5)));
bool answer_problem_json(struct request *request, unsigned status, json_t *body);
bool answer_not_found(struct request *request);
/* 429: come back after so many seconds. again: a client may do so by itself. */
bool answer_throttled(struct request *request, int seconds, bool again, const char *detail);
/* What went wrong in a store or blob call; logs what is our fault, and does not tell it outside. */
bool answer_error(struct request *request, const struct error *error);
/* A blob's bytes: conditional and partial requests, HEAD. */
bool answer_blob(struct request *request, const char *blob, const char *type, const char *cache);
void answer_header(struct request *request, const char *name, const char *value);

/* Type by the name's ending. */
const char *content_type_of(const char *name);

#endif
