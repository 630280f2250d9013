/* The store: queue, predictions, events, files, tokens and the webhook outbox. All that must
 * survive a crash is here and in blobs (blob.h); the processes above hold nothing.
 *
 * Every function that changes something returns only after the change is durable (committed with
 * fsync), and does it in one transaction. Functions return false and fill in `error` on failure:
 * ERROR_NOT_FOUND, ERROR_CONFLICT (lease lost), ERROR_FULL (disk), ERROR_IO, ERROR_MEMORY.
 *
 * A store handle may be used by several threads at once (calls are serialised inside). Several
 * processes open the same store. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "predict/prediction.h"

struct store;

/* url: "sqlite:PATH" or a plain path of the database file (created when missing); or libpq's
 * "postgres://user:password@host:port/database?option=value" of a database that is there. Applies
 * pending migrations. */
bool store_open(const char *url, struct store **store, struct error *error);
void store_close(struct store *store);
/* The store's own checks: every invariant of prediction.h, as one sentence each broken. For tests. */
bool store_check(struct store *store, struct error *error);
/* The clock that leases, deadlines and the outbox go by: of all machines on one database the same one,
 * whatever their own say. Wall microseconds. */
bool store_clock(struct store *store, int64_t *now, struct error *error);

/* ---- predictions ---- */

/* Insert with status starting. The caller has filled in id, owner, model, version, input, webhook*,
 * deadline (by store_clock()), created, stream_token, public_base. */
bool store_create(struct store *store, const struct prediction *prediction, struct error *error);
/* owner NULL: any. */
bool store_get(struct store *store, const char *id, const char *owner, struct prediction *prediction, struct error *error);
bool store_get_by_stream(struct store *store, const char *stream_token, struct prediction *prediction, struct error *error);

struct store_list {
    const char *owner;     /* NULL: any */
    int64_t after, before; /* created >= after, < before; 0 = no bound */
    bool web_only;
    bool ascending;         /* walk towards newer ones (for `previous`) */
    int64_t cursor_created; /* start strictly beyond this (created, id); 0 = from the newest */
    const char *cursor_id;
    size_t limit;
};
/* *predictions: new array (predictions_free), newest first also when ascending; *more: there are
 * others beyond the last in walking direction. */
bool store_list(struct store *store, const struct store_list *list, struct prediction **predictions, size_t *count, bool *more,
                struct error *error);
void predictions_free(struct prediction *predictions, size_t count);

/* Cancel: starting or processing becomes canceled at once (its worker finds out at its next
 * heartbeat or progress write, which fails with ERROR_CANCELED). Terminal: unchanged. *prediction,
 * when not NULL, is the state after. */
bool store_cancel(struct store *store, const char *id, const char *owner, struct prediction *prediction, struct error *error);

/* ---- work ---- */

struct lease {
    char id[PREDICTION_ID_LENGTH + 1];
    int attempt; /* the fence: later writes must carry it */
    char worker[64];
    char trace[TRACE_SIZE]; /* the prediction's, for what is written about it */
};
/* Who asks for work, and what it can do. */
struct store_wish {
    const char *worker;
    int lease_seconds; /* from the store's clock */
    /* Models ("owner/name") and versions that it can run, NULL at the end; NULL: any. One that fits by
     * its model or by its version is taken. */
    const char *const *models;
    /* The model or version that is loaded now; NULL: none. A hint: no order follows from it yet. */
    const char *prefer;
};
/* Take one whose lease ran out (if its attempts are spent, it is failed on the way), else a starting one
 * that the wish allows. Whose? Of the owners with something to do: those of the highest priority first
 * (struct token), of these the one with the fewest that are processing, then the one that was served
 * least recently; and of its own the oldest. So who has a thousand waiting delays another by one at
 * most. *found false: nothing to do. */
bool store_claim(struct store *store, const struct store_wish *wish, struct lease *lease, struct prediction *prediction, bool *found,
                 struct error *error);
/* Extend. ERROR_CANCELED: canceled meanwhile (or past its deadline, which this call then records);
 * ERROR_CONFLICT: another worker has it. */
bool store_heartbeat(struct store *store, const struct lease *lease, int lease_seconds, struct error *error);
/* Give a lease back undone (shutdown): starting again, the attempt not counted. */
bool store_release(struct store *store, const struct lease *lease, struct error *error);
/* Append to the logs (whole lines) and set progress; same errors as store_heartbeat. */
bool store_log(struct store *store, const struct lease *lease, const char *text, struct error *error);
/* A preview picture (PNG or JPEG bytes held as blob `name`); only the latest is kept. */
bool store_preview(struct store *store, const struct lease *lease, const char *blob, struct error *error);
/* End it: status succeeded with output (array of blob names), or failed with a sentence. */
bool store_finish(struct store *store, const struct lease *lease, enum prediction_status status, const json_t *output, const char *message,
                  double predict_seconds, struct error *error);
/* Fail or cancel what is overdue: deadlines passed, leases out with no attempts left, running longer
 * than run_seconds (0 = no bound). Called now and then by any process. *changed may be NULL. */
bool store_expire(struct store *store, int run_seconds, size_t *changed, struct error *error);
/* How many are starting / processing, and how many starting ones are older than `id` (may be NULL). */
bool store_queue(struct store *store, const char *id, size_t *starting, size_t *processing, size_t *before, struct error *error);

/* How many of the owner's are starting, counted up to `limit`. */
bool store_waiting(struct store *store, const char *owner, size_t limit, size_t *count, struct error *error);

/* ---- figures ---- */

struct store_census {
    size_t starting, processing;
    double oldest_seconds;             /* how long the oldest starting one has waited; 0: there is none */
    size_t workers;                    /* that store_worker() told of, or that hold a lease */
    int64_t claims;                    /* ever; a few less where several databases' clients claimed at the same instant */
    size_t webhooks, webhooks_failing; /* in the outbox; of these, tried and refused before */
    size_t files;
    int64_t file_bytes;
};
bool store_census(struct store *store, struct store_census *census, struct error *error);

/* How one came to its end, in seconds. */
struct ended {
    int64_t sequence; /* of the event that told it */
    enum prediction_status status;
    bool started;
    double waited, ran, total; /* to its start, in its last attempt, from creation to end */
};
/* Those whose end was told after event `sequence`, in order. *ended: memory_free(). */
bool store_ended(struct store *store, int64_t sequence, size_t limit, struct ended **ended, size_t *count, struct error *error);

/* A worker of this name is there, and will say so again before `seconds` are over; 0: it goes. */
bool store_worker(struct store *store, const char *name, int seconds, struct error *error);

/* ---- events: what streams replay ---- */

enum event_kind { EVENT_START, EVENT_OUTPUT, EVENT_LOGS, EVENT_PREVIEW, EVENT_DONE };
struct event {
    int64_t sequence; /* over the whole store, increasing */
    char prediction[PREDICTION_ID_LENGTH + 1];
    int64_t created;
    enum event_kind kind;
    char *data; /* output: blob name; logs: the new text; preview: blob name; done: final status name; else "" */
};
/* Events after `sequence`, oldest first, of one prediction or (NULL) of all. *events: events_free(). */
bool store_events(struct store *store, const char *prediction, int64_t sequence, size_t limit, struct event **events, size_t *count,
                  struct error *error);
void events_free(struct event *events, size_t count);
bool store_last_event(struct store *store, int64_t *sequence, struct error *error);

/* Sleep until somebody (any process on this store) changed something, or the time is up. `seen` is
 * the caller's memory of the last change it knew of; start with 0. Costs no polling. Returns true
 * when there was a change. store_wake() ends everybody's sleep. */
bool store_wait(struct store *store, uint32_t *seen, int milliseconds);
void store_wake(struct store *store);

/* ---- webhooks: an outbox, filled by the transitions above ---- */

struct webhook {
    int64_t row;
    char id[40]; /* msg_..., the same on retries */
    char prediction[PREDICTION_ID_LENGTH + 1];
    char *url;
    unsigned event; /* WEBHOOK_... */
    int tries;
    int64_t created;
    char trace[TRACE_SIZE]; /* the prediction's, or "" */
};
/* Take up to `limit` that are due, hidden from others for lease_seconds. *webhooks: webhooks_free(). */
bool store_webhooks_claim(struct store *store, int lease_seconds, size_t limit, struct webhook **webhooks, size_t *count,
                          struct error *error);
void webhooks_free(struct webhook *webhooks, size_t count);
/* Delivered, or given up: gone. Else due again at `retry` (by store_clock()). */
bool store_webhook_done(struct store *store, int64_t row, struct error *error);
bool store_webhook_retry(struct store *store, int64_t row, int64_t retry, struct error *error);
/* When the next one is due (by store_clock(); 0 = none). */
bool store_webhooks_due(struct store *store, int64_t *due, struct error *error);

/* ---- uploaded files ---- */

struct stored_file {
    char id[64];
    char *owner, *name, *content_type, *blob;
    size_t size;
    char md5[33], sha256[65];
    json_t *metadata;
    int64_t created, expires; /* expires 0 = never */
};
void stored_file_free(struct stored_file *file);
bool store_file_create(struct store *store, const struct stored_file *file, struct error *error);
bool store_file_get(struct store *store, const char *id, const char *owner, struct stored_file *file, struct error *error);
bool store_file_list(struct store *store, const char *owner, int64_t cursor_created, const char *cursor_id, size_t limit,
                     struct stored_file **files, size_t *count, bool *more, struct error *error);
void stored_files_free(struct stored_file *files, size_t count);
bool store_file_delete(struct store *store, const char *id, const char *owner, struct error *error);

/* ---- tokens and settings ---- */

struct token {
    char name[64];
    char hash[65]; /* hex SHA-256 of the secret; the secret itself is never stored */
    int64_t created, revoked;
    int priority; /* of its predictions in the queue: the higher one's go first, whoever waits; 0 unless set */
};
enum { PRIORITY_MAX = 100 }; /* from -PRIORITY_MAX */
bool store_token_create(struct store *store, const char *name, const char *hash, int priority, struct error *error);
/* ERROR_NOT_FOUND when there is no live token of this name. Holds for what waits already. */
bool store_token_priority(struct store *store, const char *name, int priority, struct error *error);
bool store_token_list(struct store *store, struct token **tokens, size_t *count, struct error *error); /* memory_free() */
bool store_token_revoke(struct store *store, const char *name, struct error *error);
/* ERROR_NOT_FOUND when no live token has this hash. */
bool store_token_find(struct store *store, const char *hash, struct token *token, struct error *error);

/* A named setting, created with `fallback` when missing (atomically: all processes see the same). *value: memory_free(). */
bool store_setting(struct store *store, const char *name, const char *fallback, char **value, struct error *error);

/* ---- retention ---- */

/* Remove inputs, outputs and logs of terminal predictions completed before `before`, and files past
 * their expiry; *blobs: names now unreferenced, to be deleted by the caller (NULL-terminated, each and
 * the array memory_free()). At most `limit` rows a call; *count: rows changed. */
bool store_expire_data(struct store *store, int64_t before, size_t limit, char ***blobs, size_t *count, struct error *error);

/* Remove what is left of predictions that store_expire_data() has emptied and that completed before `before`: record,
 * events, webhooks still to be sent. At most `limit` a call; *count: how many went. */
bool store_forget(struct store *store, int64_t before, size_t limit, size_t *count, struct error *error);

/* Give space that retention freed back to the disk, and empty the log, in portions that nobody waits long for.
 * Called now and then by any process. */
bool store_tidy(struct store *store, struct error *error);

/* Does anything refer to this blob: an input, an output, a running preview, a file? */
bool store_blob_used(struct store *store, const char *blob, bool *used, struct error *error);

#endif
