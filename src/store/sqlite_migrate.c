/* The tables, and how an older file becomes a newer one: forward only, one transaction a step. The
 * file's version is its user_version; its application_id says that it is ours. */
#include "store/sqlite.h"

#define APPLICATION    0x696e7064 /* "inpd" */
#define AS_TEXT(token) #token
#define AS_SQL(macro)  AS_TEXT(macro)

/* Step n brings a file of version n to version n + 1. Never edit one that was released: add one.
 *
 * status is enum prediction_status: 0 starting, 1 processing, 2 succeeded, 3 failed, 4 canceled.
 * Times are microseconds since 1970, 0 for none. */
static const char *const steps[] = {
    "CREATE TABLE predictions ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT," /* order of arrival: the queue's */
    " id TEXT NOT NULL UNIQUE,"
    " owner TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " version TEXT NOT NULL,"
    " input TEXT NOT NULL,"
    " logs TEXT NOT NULL DEFAULT '',"
    " output TEXT,"
    " error TEXT,"
    " status INTEGER NOT NULL DEFAULT 0,"
    " data_removed INTEGER NOT NULL DEFAULT 0,"
    " from_web INTEGER NOT NULL,"
    " created INTEGER NOT NULL,"
    " started INTEGER NOT NULL DEFAULT 0,"
    " completed INTEGER NOT NULL DEFAULT 0,"
    " deadline INTEGER NOT NULL,"
    " predict_seconds REAL NOT NULL DEFAULT 0,"
    " webhook TEXT,"
    " webhook_events INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL DEFAULT 0,"  /* leases handed out: the fence */
    " released INTEGER NOT NULL DEFAULT 0," /* of these, given back undone */
    " stream_token TEXT UNIQUE,"
    " public_base TEXT,"
    " data_uri_output INTEGER NOT NULL,"
    " worker TEXT,"
    " claimed INTEGER NOT NULL DEFAULT 0,"
    " lease_until INTEGER NOT NULL DEFAULT 0,"
    " preview TEXT,"
    " logs_told INTEGER NOT NULL DEFAULT 0," /* when the last webhook of this kind was or will be due */
    " output_told INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX predictions_created ON predictions (created, id);"
    "CREATE INDEX predictions_owner ON predictions (owner, created, id);"
    "CREATE INDEX predictions_web ON predictions (created, id) WHERE from_web;"
    "CREATE INDEX predictions_starting ON predictions (number) WHERE status = 0;"
    "CREATE INDEX predictions_processing ON predictions (lease_until) WHERE status = 1;"
    "CREATE INDEX predictions_deadline ON predictions (deadline) WHERE status < 2 AND deadline > 0;"
    "CREATE INDEX predictions_completed ON predictions (completed) WHERE status >= 2 AND NOT data_removed;"

    "CREATE TABLE events ("
    " sequence INTEGER PRIMARY KEY AUTOINCREMENT,"
    " prediction TEXT NOT NULL,"
    " created INTEGER NOT NULL,"
    " kind INTEGER NOT NULL," /* enum event_kind */
    " data TEXT NOT NULL);"
    "CREATE INDEX events_prediction ON events (prediction, sequence);"

    "CREATE TABLE webhooks ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " prediction TEXT NOT NULL,"
    " event INTEGER NOT NULL," /* one WEBHOOK_... bit */
    " tries INTEGER NOT NULL DEFAULT 0,"
    " created INTEGER NOT NULL,"
    " due INTEGER NOT NULL);" /* while one is being delivered: when its lease runs out */
    "CREATE INDEX webhooks_due ON webhooks (due, number);"
    "CREATE INDEX webhooks_prediction ON webhooks (prediction, event);"

    "CREATE TABLE files ("
    " id TEXT PRIMARY KEY,"
    " owner TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " content_type TEXT NOT NULL,"
    " blob TEXT NOT NULL,"
    " size INTEGER NOT NULL,"
    " md5 TEXT NOT NULL,"
    " sha256 TEXT NOT NULL,"
    " metadata TEXT,"
    " created INTEGER NOT NULL,"
    " expires INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX files_created ON files (created, id);"
    "CREATE INDEX files_owner ON files (owner, created, id);"
    "CREATE INDEX files_expires ON files (expires) WHERE expires > 0;"

    "CREATE TABLE blob_uses ("
    " blob TEXT NOT NULL,"
    " user TEXT NOT NULL," /* the id of a prediction or a file */
    " PRIMARY KEY (blob, user)) WITHOUT ROWID;"
    "CREATE INDEX blob_uses_user ON blob_uses (user);"
    "CREATE TABLE blob_garbage ("
    " blob TEXT PRIMARY KEY,"
    " handed_out INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"

    "CREATE TABLE tokens ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " name TEXT NOT NULL,"
    " hash TEXT NOT NULL UNIQUE,"
    " created INTEGER NOT NULL,"
    " revoked INTEGER NOT NULL DEFAULT 0);"
    "CREATE UNIQUE INDEX tokens_live ON tokens (name) WHERE revoked = 0;"

    "CREATE TABLE settings ("
    " name TEXT PRIMARY KEY,"
    " value TEXT NOT NULL) WITHOUT ROWID;",

    /* 2: fairness, priorities, traces, who works */
    "ALTER TABLE predictions ADD COLUMN trace TEXT;" /* W3C traceparent */
    "ALTER TABLE tokens ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE turns ("
    " owner TEXT PRIMARY KEY,"
    " served INTEGER NOT NULL) WITHOUT ROWID;" /* the higher, the later: counts claims */
    "CREATE INDEX turns_served ON turns (served);"
    "CREATE INDEX predictions_lines ON predictions (owner, model, version, number) WHERE status = 0;"
    "CREATE INDEX predictions_running ON predictions (owner) WHERE status = 1;"
    "CREATE TABLE workers ("
    " name TEXT PRIMARY KEY,"
    " until INTEGER NOT NULL) WITHOUT ROWID;", /* it is taken for gone then */

    /* 3: records that go altogether */
    "CREATE INDEX predictions_removed ON predictions (completed) WHERE status >= 2 AND data_removed;",
};
enum { VERSION = sizeof steps / sizeof steps[0] };

static int read_number(sqlite3 *database, const char *sql, int64_t *value) {
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
    if (result != SQLITE_OK) return result;
    result = sqlite3_step(statement);
    *value = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return result == SQLITE_ROW ? SQLITE_OK : result;
}

/* A file with tables but without our mark is somebody else's. */
static bool check_ours(sqlite3 *database, struct error *error) {
    int64_t application, tables;
    int result = read_number(database, "PRAGMA application_id", &application);
    if (result == SQLITE_OK) result = read_number(database, "SELECT count(*) FROM sqlite_schema", &tables);
    if (result != SQLITE_OK) return sqlite_error(database, result, error);
    if (application == APPLICATION || (application == 0 && tables == 0)) return true;
    return error_set(error, ERROR_FORMAT, "the store's file is the database of another program");
}

static bool apply_steps(sqlite3 *database, struct error *error) {
    int64_t version;
    int result = read_number(database, "PRAGMA user_version", &version);
    if (result != SQLITE_OK) return sqlite_error(database, result, error);
    if (version > VERSION)
        return error_set(error, ERROR_UNSUPPORTED, "the store was written by a newer version of this program (format %lld, known up to %d)",
                         (long long)version, VERSION);
    for (; version < VERSION && result == SQLITE_OK; version++) {
        char mark[64];
        result = sqlite3_exec(database, steps[version], NULL, NULL, NULL);
        sqlite3_snprintf(sizeof mark, mark, "PRAGMA user_version = %d", (int)version + 1);
        if (result == SQLITE_OK) result = sqlite3_exec(database, mark, NULL, NULL, NULL);
    }
    if (result == SQLITE_OK) result = sqlite3_exec(database, "PRAGMA application_id = " AS_SQL(APPLICATION), NULL, NULL, NULL);
    return result == SQLITE_OK || sqlite_error(database, result, error);
}

/* Several processes may open a new file at once: the lock is taken before the version is read. */
bool sqlite_migrate(sqlite3 *database, struct error *error) {
    int result = sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (result != SQLITE_OK) return sqlite_error(database, result, error);
    if (check_ours(database, error) && apply_steps(database, error)) {
        result = sqlite3_exec(database, "COMMIT", NULL, NULL, NULL);
        if (result == SQLITE_OK || sqlite_error(database, result, error)) return result == SQLITE_OK;
    }
    if (!sqlite3_get_autocommit(database)) sqlite3_exec(database, "ROLLBACK", NULL, NULL, NULL);
    return false;
}
