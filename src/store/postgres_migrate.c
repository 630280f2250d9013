/* The tables, and how older ones become newer ones: forward only, all steps in one transaction. The
 * version is in a table of its own. Several processes may open a new database at once: an advisory
 * lock is taken before the version is read. */
#include "store/postgres.h"

#include <stdio.h>
#include <stdlib.h>

/* Step n brings tables of version n to version n + 1. Never edit one that was released: add one.
 *
 * status is enum prediction_status: 0 starting, 1 processing, 2 succeeded, 3 failed, 4 canceled.
 * Times are microseconds since 1970, 0 for none. Keys sort by byte, whatever the database's language.
 *
 * event_counter is the last event's sequence. A sequence of PostgreSQL's hands its numbers out before
 * the commit, so that a reader might see 6 before 5 is there, and pass 5 over for ever. Counting in a
 * row keeps that row locked until the commit: numbers appear in their order, and the row as a reader
 * sees it is the last that is there. */
static const char *const steps[] = {
    "CREATE TABLE predictions ("
    " number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY," /* order of arrival: the queue's */
    " id TEXT COLLATE \"C\" NOT NULL UNIQUE,"
    " owner TEXT COLLATE \"C\" NOT NULL,"
    " model TEXT NOT NULL,"
    " version TEXT NOT NULL,"
    " input TEXT NOT NULL," /* JSON as we wrote it: jsonb knows no \\u0000 */
    " logs TEXT NOT NULL DEFAULT '',"
    " output TEXT,"
    " error TEXT,"
    " status INTEGER NOT NULL DEFAULT 0,"
    " data_removed BOOLEAN NOT NULL DEFAULT false,"
    " from_web BOOLEAN NOT NULL,"
    " created BIGINT NOT NULL,"
    " started BIGINT NOT NULL DEFAULT 0,"
    " completed BIGINT NOT NULL DEFAULT 0,"
    " deadline BIGINT NOT NULL,"
    " predict_seconds DOUBLE PRECISION NOT NULL DEFAULT 0,"
    " webhook TEXT,"
    " webhook_events INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL DEFAULT 0,"  /* leases handed out: the fence */
    " released INTEGER NOT NULL DEFAULT 0," /* of these, given back undone */
    " stream_token TEXT COLLATE \"C\" UNIQUE,"
    " public_base TEXT,"
    " data_uri_output BOOLEAN NOT NULL,"
    " worker TEXT,"
    " claimed BIGINT NOT NULL DEFAULT 0,"
    " lease_until BIGINT NOT NULL DEFAULT 0,"
    " preview TEXT,"
    " logs_told BIGINT NOT NULL DEFAULT 0," /* when the last webhook of this kind was or will be due */
    " output_told BIGINT NOT NULL DEFAULT 0);"
    "CREATE INDEX predictions_created ON predictions (created, id);"
    "CREATE INDEX predictions_owner ON predictions (owner, created, id);"
    "CREATE INDEX predictions_web ON predictions (created, id) WHERE from_web;"
    "CREATE INDEX predictions_starting ON predictions (number) WHERE status = 0;"
    "CREATE INDEX predictions_processing ON predictions (lease_until) WHERE status = 1;"
    "CREATE INDEX predictions_deadline ON predictions (deadline) WHERE status < 2 AND deadline > 0;"
    "CREATE INDEX predictions_completed ON predictions (completed) WHERE status >= 2 AND NOT data_removed;"
    "CREATE INDEX predictions_preview ON predictions (preview) WHERE status = 1 AND preview IS NOT NULL;"

    "CREATE TABLE event_counter ("
    " one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),"
    " last BIGINT NOT NULL) WITH (fillfactor = 10);"
    "INSERT INTO event_counter (last) VALUES (0);"
    "CREATE TABLE events ("
    " sequence BIGINT PRIMARY KEY,"
    " prediction TEXT COLLATE \"C\" NOT NULL,"
    " created BIGINT NOT NULL,"
    " kind INTEGER NOT NULL," /* enum event_kind */
    " data TEXT NOT NULL);"
    "CREATE INDEX events_prediction ON events (prediction, sequence);"

    "CREATE TABLE webhooks ("
    " number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " prediction TEXT COLLATE \"C\" NOT NULL,"
    " event INTEGER NOT NULL," /* one WEBHOOK_... bit */
    " tries INTEGER NOT NULL DEFAULT 0,"
    " created BIGINT NOT NULL,"
    " due BIGINT NOT NULL);" /* while one is being delivered: when its lease runs out */
    "CREATE INDEX webhooks_due ON webhooks (due, number);"
    "CREATE INDEX webhooks_prediction ON webhooks (prediction, event);"

    "CREATE TABLE files ("
    " id TEXT COLLATE \"C\" PRIMARY KEY,"
    " owner TEXT COLLATE \"C\" NOT NULL,"
    " name TEXT NOT NULL,"
    " content_type TEXT NOT NULL,"
    " blob TEXT NOT NULL,"
    " size BIGINT NOT NULL,"
    " md5 TEXT NOT NULL,"
    " sha256 TEXT NOT NULL,"
    " metadata TEXT,"
    " created BIGINT NOT NULL,"
    " expires BIGINT NOT NULL);"
    "CREATE INDEX files_created ON files (created, id);"
    "CREATE INDEX files_owner ON files (owner, created, id);"
    "CREATE INDEX files_expires ON files (expires) WHERE expires > 0;"

    "CREATE TABLE blob_uses ("
    " blob TEXT COLLATE \"C\" NOT NULL,"
    " holder TEXT COLLATE \"C\" NOT NULL," /* the id of a prediction or a file */
    " PRIMARY KEY (blob, holder));"
    "CREATE INDEX blob_uses_holder ON blob_uses (holder);"
    "CREATE TABLE blob_garbage ("
    " blob TEXT COLLATE \"C\" PRIMARY KEY,"
    " handed_out BIGINT NOT NULL DEFAULT 0);"
    "CREATE INDEX blob_garbage_handed_out ON blob_garbage (handed_out);"

    "CREATE TABLE tokens ("
    " number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " name TEXT NOT NULL,"
    " hash TEXT NOT NULL UNIQUE,"
    " created BIGINT NOT NULL,"
    " revoked BIGINT NOT NULL DEFAULT 0);"
    "CREATE UNIQUE INDEX tokens_live ON tokens (name) WHERE revoked = 0;"

    "CREATE TABLE settings ("
    " name TEXT PRIMARY KEY,"
    " value TEXT NOT NULL);",

    /* 2: fairness, priorities, traces, who works */
    "ALTER TABLE predictions ADD COLUMN trace TEXT;" /* W3C traceparent */
    "ALTER TABLE tokens ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE turns ("
    " owner TEXT COLLATE \"C\" PRIMARY KEY,"
    " served BIGINT NOT NULL);" /* the higher, the later: counts claims */
    "CREATE INDEX turns_served ON turns (served);"
    "CREATE INDEX predictions_lines ON predictions (owner, model, version, number) WHERE status = 0;"
    "CREATE INDEX predictions_running ON predictions (owner) WHERE status = 1;"
    "CREATE TABLE workers ("
    " name TEXT COLLATE \"C\" PRIMARY KEY,"
    " until BIGINT NOT NULL);", /* it is taken for gone then */

    /* 3: records that go altogether */
    "CREATE INDEX predictions_removed ON predictions (completed) WHERE status >= 2 AND data_removed;",
};
enum { VERSION = sizeof steps / sizeof steps[0] };

static bool execute(PGconn *connection, const char *sql, struct error *error) {
    enum fault fault;
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || postgres_error(connection, result, &fault, error);
    PQclear(result);
    return ok;
}

static bool read_number(PGconn *connection, const char *sql, long *number, struct error *error) {
    enum fault fault;
    PGresult *result = PQexec(connection, sql);
    bool ok = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
    if (ok)
        *number = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    else
        postgres_error(connection, result, &fault, error);
    PQclear(result);
    return ok;
}

/* 0: there is nothing yet. Where nothing is to be done, no right to do it is needed. */
static bool read_version(PGconn *connection, long *version, struct error *error) {
    long exists;
    *version = 0;
    if (!read_number(connection, "SELECT (to_regclass('store_versions') IS NOT NULL)::int", &exists, error)) return false;
    if (exists && !read_number(connection, "SELECT coalesce(max(version), 0) FROM store_versions", version, error)) return false;
    return *version <= VERSION ||
           error_set(error, ERROR_UNSUPPORTED, "the database was written by a newer version of this program (format %ld, known up to %d)",
                     *version, VERSION);
}

/* Tables of these names that no version of ours has made are somebody else's. */
static bool check_ours(PGconn *connection, struct error *error) {
    long taken;
    if (!read_number(connection, "SELECT (to_regclass('predictions') IS NOT NULL OR to_regclass('events') IS NOT NULL)::int", &taken,
                     error))
        return false;
    return !taken || error_set(error, ERROR_FORMAT,
                               "the database holds tables of another program: create a database, or a schema, for this one alone");
}

static bool apply_steps(PGconn *connection, struct error *error) {
    long version;
    if (!read_version(connection, &version, error)) return false;
    if (version == 0 &&
        (!check_ours(connection, error) ||
         !execute(connection, "CREATE TABLE store_versions (version INTEGER PRIMARY KEY, made TIMESTAMPTZ NOT NULL DEFAULT now())", error)))
        return false;
    for (; version < VERSION; version++) {
        char mark[80];
        snprintf(mark, sizeof mark, "INSERT INTO store_versions (version) VALUES (%ld)", version + 1);
        if (!execute(connection, steps[version], error) || !execute(connection, mark, error)) return false;
    }
    return true;
}

static bool migrate_locked(PGconn *connection, struct error *error) {
    if (!execute(connection, "BEGIN", error)) return false;
    if (apply_steps(connection, error)) return execute(connection, "COMMIT", error);
    execute(connection, "ROLLBACK", NULL);
    return false;
}

/* The lock is taken before the transaction begins: one that began earlier might still hold for true that
 * there are no tables yet. It goes with the connection when it is not given back. */
bool postgres_migrate(PGconn *connection, struct error *error) {
    long version;
    if (!read_version(connection, &version, error)) return false;
    if (version == VERSION) return true;
    return execute(connection, "SET statement_timeout = 0; SET lock_timeout = 0; SELECT pg_advisory_lock(1768845412)", error) &&
           migrate_locked(connection, error) &&
           execute(connection, "SELECT pg_advisory_unlock(1768845412); SET lock_timeout = '30s'; SET statement_timeout = '60s'", error);
}
