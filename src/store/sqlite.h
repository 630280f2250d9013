/* The SQLite backend's own header: connections, statements, transactions and the one function that
 * changes a prediction.
 *
 * Two connections a handle: `writer` for everything that changes (it waits for the disk at each
 * commit) and `reader` for what only looks (and so never waits for the disk). Each is used by one
 * thread at a time, under its own lock. Write-ahead logging lets both go on at once. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "predict/transition.h"
#include "store/backend.h"
#include "store/wake.h"

#include <pthread.h>
#include <sqlite3.h>

enum { STATEMENTS_MAX = 96, BUSY_MILLISECONDS = 30000, WEBHOOK_THROTTLE = 500000 /* microseconds */ };

struct connection {
    sqlite3 *database;
    pthread_mutex_t lock;
    sqlite3_stmt *statements[STATEMENTS_MAX]; /* prepared once, found again by their text */
    size_t statement_count;
};

/* Predictions that threads want to create at the same time: one of them writes them all, in one
 * transaction, and so for one wait for the disk (sqlite_create.c). */
struct creations {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct creation *first, **last;
    bool busy; /* somebody is writing */
};

struct sqlite_store {
    struct store base;
    struct connection writer, reader;
    struct creations creations;
    struct wake *wake;
};

static inline struct sqlite_store *sqlite_of(struct store *store) { return (struct sqlite_store *)store; }

/* ---- open (sqlite_open.c), migrate (sqlite_migrate.c) ---- */

extern const struct store_backend sqlite_backend;
bool sqlite_migrate(sqlite3 *database, struct error *error);
/* Fill in `error` for a result code of SQLite's on `database`; returns false. */
bool sqlite_error(sqlite3 *database, int result, struct error *error);

/* ---- statements (sqlite_query.c): begin, bind in order, then query_row() until false, then end.
 * The first failure sticks, so that only query_end() needs checking. ---- */

struct query {
    struct connection *connection;
    sqlite3_stmt *statement;
    int bound, result;
};
struct query query_begin(struct connection *connection, const char *sql);
void query_text(struct query *query, const char *text); /* NULL binds NULL; must live until query_end() */
void query_integer(struct query *query, int64_t value);
void query_real(struct query *query, double value);
void query_json(struct query *query, const json_t *json); /* NULL binds NULL */
bool query_row(struct query *query);
bool query_end(struct query *query, struct error *error);
/* begin .. end of a statement without rows and parameters still to come */
bool query_run(struct query *query, struct error *error);
int64_t column_integer(struct query *query, int column);
bool column_null(struct query *query, int column);
/* A copy of the column (NULL for NULL), in place of what *text held. */
void column_string(struct query *query, int column, char **text);
void column_array(struct query *query, int column, char *text, size_t size);
void column_json(struct query *query, int column, json_t **json);

/* ---- transactions (sqlite_query.c) ---- */

/* At the beginning, so that a rollback needs no memory that may not be there. */
bool prepare_transactions(struct connection *connection, struct error *error);
bool write_begin(struct sqlite_store *store, struct error *error); /* locks the writer */
/* Commit when `ok`, else roll back; unlocks. `wake`: tell the waiting, once it is durable. */
bool write_end(struct sqlite_store *store, bool ok, bool wake, struct error *error);
void read_begin(struct sqlite_store *store); /* locks the reader */
void read_end(struct sqlite_store *store);

/* ---- rows (sqlite_row.c) ---- */

#define PREDICTION_COLUMNS                                                                                                                 \
    "id, owner, model, version, input, logs, output, error, status, data_removed, from_web, created, started, completed, deadline, "       \
    "predict_seconds, webhook, webhook_events, attempt, stream_token, public_base, data_uri_output, coalesce(trace, '')"
/* Read the row that `query`, a SELECT of PREDICTION_COLUMNS, stands on. */
void read_prediction(struct query *query, struct prediction *prediction);
bool get_prediction(struct connection *connection, const char *id, const char *owner, struct prediction *prediction, struct error *error);

/* What deciding needs of a prediction: small, and without its texts. */
struct state {
    int64_t number; /* row, in order of arrival */
    char id[PREDICTION_ID_LENGTH + 1];
    enum prediction_status status;
    int attempt, released;
    char worker[64];
    int64_t created, started, claimed, lease_until, deadline;
    unsigned webhook_events; /* 0 without a webhook */
};
#define STATE_COLUMNS                                                                                                                      \
    "number, id, status, attempt, released, coalesce(worker, ''), created, started, claimed, lease_until, deadline, "                      \
    "iif(webhook IS NULL, 0, webhook_events)"
void read_state(struct query *query, struct state *state);
bool get_state(struct sqlite_store *store, const char *id, const char *owner, struct state *state, struct error *error);

/* ---- the one way a prediction changes (sqlite_change.c) ---- */

struct change {
    enum prediction_action action;
    int64_t now;
    const char *worker;   /* CLAIM */
    int64_t lease_until;  /* CLAIM */
    const char *text;     /* LOG: lines; PREVIEW: blob; FAIL: sentence */
    const json_t *output; /* SUCCEED */
    bool has_seconds;     /* predict_seconds is given; else it is the time since the claim */
    double predict_seconds;
};
/* Inside a write transaction: writes the row, its events and its webhook rows, as
 * prediction_transition() says, and brings *state up to date. ERROR_CONFLICT when it may not be. */
bool change_prediction(struct sqlite_store *store, struct state *state, const struct change *change, struct error *error);

/* ---- blobs in use (sqlite_blobs.c), inside a write transaction ---- */

/* `user` (a prediction's or file's id) uses `blob`. */
bool blob_use(struct sqlite_store *store, const char *blob, const char *user, struct error *error);
/* It uses nothing any more; blobs without a user become garbage. */
bool blob_unuse(struct sqlite_store *store, const char *user, struct error *error);

/* ---- the backend's functions, by file as named ---- */
#define OPERATION(name, parameters, arguments) bool sqlite_##name parameters;
#include "store/operations.def"
#undef OPERATION

#endif
