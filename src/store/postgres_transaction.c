/* Transactions: begun, committed, and run again where that can do no harm. */
#include "store/postgres.h"

#include "base/time.h"

#include <string.h>

/* How often a transaction is run again: collisions end by chance, and a server that loses one of its processes
 * may take new connections for an instant before it drops them all. */
enum { COLLISIONS_MAX = 10, LOSSES_MAX = 5, LOSS_PAUSE = 20000 /* microseconds, growing */ };

#define CLOCK "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
static const char begin_sql[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;" CLOCK;

static bool begin(struct postgres_store *store, struct error *error) {
    PGconn *connection = store->link.connection;
    PGresult *result = PQexec(connection, begin_sql);
    bool ok = PQresultStatus(result) == PGRES_TUPLES_OK;
    if (ok) {
        struct statement clock = {.link = &store->link, .result = result};
        store->now = value_integer(&clock, 0);
    } else {
        postgres_error(connection, result, &store->link.fault, error);
    }
    PQclear(result);
    return ok;
}

static bool commit(struct postgres_store *store, struct error *error) {
    PGconn *connection = store->link.connection;
    PGresult *result = PQexec(connection, "COMMIT");
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!ok) {
        postgres_error(connection, result, &store->link.fault, error);
    } else if (strcmp(PQcmdStatus(result), "COMMIT") != 0) {
        ok = error_set(error, ERROR_INTERNAL, "the database did not commit a change");
    }
    PQclear(result);
    if (!ok && store->link.fault == FAULT_LOST)
        error_set(error, ERROR_IO, "the connection to the database was lost while a change was committed: it may have been made or not");
    return ok;
}

static void roll_back(struct postgres_store *store) {
    PGconn *connection = store->link.connection;
    if (PQtransactionStatus(connection) == PQTRANS_IDLE) return;
    PGresult *result = PQexec(connection, "ROLLBACK");
    if (PQresultStatus(result) != PGRES_COMMAND_OK) link_drop(&store->link);
    PQclear(result);
}

bool postgres_notify(struct postgres_store *store, struct error *error) {
    listener_ignore(store->listener, PQbackendPID(store->link.connection));
    listener_wake(store->listener);
    struct statement statement = statement_begin(store, "SELECT pg_notify('inpaintd', 'events'::regclass::oid::text)");
    return statement_run(&statement, NULL, error);
}

/* One time through. *unknown: lost while committing, so that it must not be run again. */
static bool run_once(struct postgres_store *store, transaction run, void *user, bool *unknown, struct error *error) {
    bool wake = false;
    *unknown = false;
    if (!link_connect(&store->link, error)) return false;
    store->link.fault = FAULT_NONE;
    if (!begin(store, error)) return false;
    if (!run(store, user, &wake, error)) return false;
    if (!commit(store, error)) {
        *unknown = store->link.fault == FAULT_LOST;
        return false;
    }
    /* After the commit and not in it: commits that notify wait for each other, and so for each other's
     * disk. Should we die in between, sleepers look by themselves some seconds later. */
    if (wake) postgres_notify(store, NULL);
    return true;
}

bool postgres_write(struct store *base, transaction run, void *user, struct error *error) {
    struct postgres_store *store = postgres_of(base);
    int collisions = 0, losses = 0;
    bool ok;
    pthread_mutex_lock(&store->lock);
    for (;;) {
        bool unknown;
        ok = run_once(store, run, user, &unknown, error);
        if (ok) break;
        bool connected = store->link.connection != NULL;
        enum fault fault = store->link.fault;
        if (connected && fault == FAULT_LOST)
            link_drop(&store->link);
        else if (connected)
            roll_back(store);
        bool again = connected && !unknown &&
                     ((fault == FAULT_COLLISION && ++collisions <= COLLISIONS_MAX) || (fault == FAULT_LOST && ++losses <= LOSSES_MAX));
        if (!again) break;
        time_sleep(fault == FAULT_COLLISION ? 1000 * collisions : LOSS_PAUSE * (losses - 1));
    }
    pthread_mutex_unlock(&store->lock);
    return ok;
}

bool postgres_read(struct store *base, transaction run, void *user, struct error *error) {
    struct postgres_store *store = postgres_of(base);
    bool ok = false, wake;
    pthread_mutex_lock(&store->lock);
    for (int losses = 0; losses <= LOSSES_MAX && !ok; losses++) {
        if (losses > 1) time_sleep(LOSS_PAUSE * (losses - 1));
        if (!link_connect(&store->link, error)) break;
        store->link.fault = FAULT_NONE;
        ok = run(store, user, &wake, error);
        if (ok || store->link.fault != FAULT_LOST) break;
        link_drop(&store->link);
    }
    pthread_mutex_unlock(&store->lock);
    return ok;
}

static bool read_clock(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    int64_t *now = user;
    (void)wake;
    struct statement statement = statement_begin(store, CLOCK);
    *now = statement_row(&statement) ? value_integer(&statement, 0) : 0;
    return statement_end(&statement, error);
}

bool postgres_clock(struct store *store, int64_t *now, struct error *error) { return postgres_read(store, read_clock, now, error); }
