/* The PostgreSQL backend's own header: the connection, statements, transactions and the one function
 * that changes a prediction.
 *
 * A handle has one connection for reading and writing, used by one thread at a time under the
 * handle's lock, and one that only listens (postgres_wait.c). The clock is the database's.
 *
 * What may be locked at the same time, and in which order, so that transactions do not wait for each
 * other in a circle: rows of predictions (several only with SKIP LOCKED), turns, rows of webhooks, blobs (an
 * advisory lock each), and last the counter of events. A circle that comes about all the same (blobs
 * that two want in different order) is broken by the server, and the loser is run again. */
#ifndef STORE_POSTGRES_H
#define STORE_POSTGRES_H

#include "predict/transition.h"
#include "store/backend.h"

#include <libpq-fe.h>
#include <pthread.h>

enum { PARAMETERS_MAX = 16, NUMBER_SIZE = 32, WEBHOOK_THROTTLE = 500000 /* microseconds */ };

/* Why the last statement failed, where the answer to it is to try again. */
enum fault {
    FAULT_NONE,
    FAULT_LOST,     /* the connection is gone: what was not committed never was */
    FAULT_COLLISION /* the server broke a deadlock or refused the order of two transactions */
};

struct link {
    char *url;           /* holds the password: never in a log, never in an error */
    PGconn *connection;  /* NULL: lost */
    enum fault fault;    /* of the last statement that failed */
    int64_t lost, tried; /* monotonic: since when it is gone, and when it was last tried; 0 while it works */
};

struct listener;

struct postgres_store {
    struct store base;
    pthread_mutex_t lock; /* over link and now */
    struct link link;
    int64_t now; /* the database's clock at the beginning of the transaction, wall microseconds */
    struct listener *listener;
};

static inline struct postgres_store *postgres_of(struct store *store) { return (struct postgres_store *)store; }

extern const struct store_backend postgres_backend; /* postgres_open.c */

/* ---- connecting (postgres_connect.c) ---- */

/* ERROR_ARGUMENT when `url` can't be one, or its parts could be mistaken for one another. */
bool postgres_check_url(const char *url, struct error *error);
/* A new connection with our settings; NULL: `error` says why. */
PGconn *postgres_connect(const char *url, struct error *error);
/* Connect if there is no connection. A server that has just gone is waited for some seconds; while it
 * stays away, callers are told at once. */
bool link_connect(struct link *link, struct error *error);
void link_drop(struct link *link);

/* ---- tables (postgres_migrate.c) ---- */

bool postgres_migrate(PGconn *connection, struct error *error);

/* ---- statements (postgres_statement.c): begin, bind in order, then statement_row() until false,
 * then end. The first failure sticks, so that only statement_end() needs checking. Values never
 * become part of the text. ---- */

struct statement {
    struct link *link;
    const char *sql;
    const char *values[PARAMETERS_MAX];
    char numbers[PARAMETERS_MAX][NUMBER_SIZE];
    char *json; /* at most one a statement */
    int bound, row;
    bool memory; /* out of it */
    PGresult *result;
};
struct statement statement_begin(struct postgres_store *store, const char *sql);
void statement_text(struct statement *statement, const char *text); /* NULL binds NULL; must live until the end */
void statement_integer(struct statement *statement, int64_t value);
void statement_boolean(struct statement *statement, bool value);
void statement_real(struct statement *statement, double value);
void statement_json(struct statement *statement, const json_t *json); /* NULL binds NULL */
bool statement_row(struct statement *statement);
bool statement_end(struct statement *statement, struct error *error);
/* What is left of it, rows ignored; *changed (may be NULL): how many rows it wrote. */
bool statement_run(struct statement *statement, size_t *changed, struct error *error);
int64_t value_integer(struct statement *statement, int column);
double value_real(struct statement *statement, int column);
bool value_boolean(struct statement *statement, int column);
/* A copy of the value (NULL for NULL), in place of what *text held. */
void value_string(struct statement *statement, int column, char **text);
void value_array(struct statement *statement, int column, char *text, size_t size);
void value_json(struct statement *statement, int column, json_t **json);

/* Fill in `error` for a result that is no success; returns false. *fault: is it worth trying again? */
bool postgres_error(PGconn *connection, const PGresult *result, enum fault *fault, struct error *error);

/* ---- transactions (postgres_transaction.c) ---- */

/* What a transaction does. It may be run several times, each time from the beginning, and so begins
 * with making its results empty. It sets *wake when the waiting are to be told of it. */
typedef bool (*transaction)(struct postgres_store *store, void *user, bool *wake, struct error *error);
/* Run it and commit. ERROR_IO when the connection was lost while it committed: nobody knows then. */
bool postgres_write(struct store *store, transaction run, void *user, struct error *error);
/* Tell the sleepers of all processes on this store. Call with a connection, under the lock. */
bool postgres_notify(struct postgres_store *store, struct error *error);
/* The same as postgres_write() for what only looks: no transaction around it, run again when the connection was lost. */
bool postgres_read(struct store *store, transaction run, void *user, struct error *error);

/* ---- waiting (postgres_wait.c) ---- */

struct listener *listener_open(const char *url, struct error *error);
void listener_close(struct listener *listener);
/* Something changed: end the sleeps in this process. */
void listener_wake(struct listener *listener);
/* Notifications from this backend are our own: they were told here already. */
void listener_ignore(struct listener *listener, int backend);

/* ---- rows (postgres_row.c) ---- */

#define PREDICTION_COLUMNS                                                                                                                 \
    "id, owner, model, version, input, logs, output, error, status, data_removed, from_web, created, started, completed, deadline, "       \
    "predict_seconds, webhook, webhook_events, attempt, stream_token, public_base, data_uri_output, coalesce(trace, '')"
/* Read the row that `statement`, a SELECT of PREDICTION_COLUMNS, stands on. */
void read_row(struct statement *statement, struct prediction *prediction);
bool find_prediction(struct postgres_store *store, const char *id, const char *owner, struct prediction *prediction, struct error *error);
/* What is no UTF-8 names nothing that is in the store, and must not be sent. */
bool is_text(const char *text);

/* What deciding needs of a prediction: small, and without its texts. */
struct standing {
    int64_t number; /* row, in order of arrival */
    char id[PREDICTION_ID_LENGTH + 1];
    enum prediction_status status;
    int attempt, released;
    char worker[64];
    int64_t created, started, claimed, lease_until, deadline;
    unsigned webhook_events; /* 0 without a webhook */
};
#define STANDING_COLUMNS                                                                                                                   \
    "number, id, status, attempt, released, coalesce(worker, ''), created, started, claimed, lease_until, deadline, "                      \
    "CASE WHEN webhook IS NULL THEN 0 ELSE webhook_events END"
void read_standing(struct statement *statement, struct standing *standing);
/* Inside a transaction: locks the row until its end. */
bool lock_standing(struct postgres_store *store, const char *id, const char *owner, struct standing *standing, struct error *error);

/* ---- the one way a prediction changes (postgres_change.c) ---- */

struct alteration {
    enum prediction_action action;
    const char *worker;   /* CLAIM */
    int64_t lease_until;  /* CLAIM */
    const char *text;     /* LOG: lines; PREVIEW: blob; FAIL: sentence */
    const json_t *output; /* SUCCEED */
    bool has_seconds;     /* predict_seconds is given; else it is the time since the claim */
    double predict_seconds;
};
/* Inside a transaction that has locked the row: writes it, its events and its webhook rows, as
 * prediction_transition() says, and brings *standing up to date. ERROR_CONFLICT when it may not be. */
bool alter_prediction(struct postgres_store *store, struct standing *standing, const struct alteration *alteration, struct error *error);

/* ---- blobs in use (postgres_blobs.c), inside a transaction ---- */

/* `holder` (a prediction's or file's id) uses `blob`. */
bool hold_blob(struct postgres_store *store, const char *blob, const char *holder, struct error *error);
/* It uses nothing any more; blobs without a holder become garbage. */
bool let_blobs_go(struct postgres_store *store, const char *holder, struct error *error);

/* ---- the backend's functions, by file as named ---- */
#define OPERATION(name, parameters, arguments) bool postgres_##name parameters;
#include "store/operations.def"
#undef OPERATION

#endif
