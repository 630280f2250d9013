/* Statements and transactions. */
#include "store/sqlite.h"

#include "base/json.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

static bool is_disk_full(sqlite3 *database, int result) {
    enum { NO_SPACE = 28, QUOTA = 122 }; /* ENOSPC, EDQUOT */
    if ((result & 0xff) == SQLITE_FULL) return true;
    if ((result & 0xff) != SQLITE_IOERR || !database) return false;
    int number = sqlite3_system_errno(database);
    return number == NO_SPACE || number == QUOTA;
}

bool sqlite_error(sqlite3 *database, int result, struct error *error) {
    if (is_disk_full(database, result)) return error_set(error, ERROR_FULL, "the disk that holds the store is full");
    if (result == SQLITE_IOERR_NOMEM) return error_set(error, ERROR_MEMORY, "out of memory in the store");
    switch (result & 0xff) {
    case SQLITE_NOMEM:
        return error_set(error, ERROR_MEMORY, "out of memory in the store");
    case SQLITE_TOOBIG:
        return error_set(error, ERROR_LIMIT, "a value is too long for the store");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(error, ERROR_IO, "the store has been locked by another process for too long");
    case SQLITE_READONLY:
        return error_set(error, ERROR_IO, "the store's file can't be written");
    case SQLITE_CANTOPEN:
        return error_set(error, ERROR_IO, "the store's file can't be opened: see that its folder exists and can be written");
    case SQLITE_NOTADB:
        return error_set(error, ERROR_FORMAT, "the store's file is not a SQLite database");
    case SQLITE_CORRUPT:
        return error_set(error, ERROR_IO, "the store's file is damaged: %s", sqlite3_errstr(result));
    case SQLITE_IOERR:
        return error_set(error, ERROR_IO, "the store's file can't be read or written: %s", sqlite3_errstr(result));
    default:
        return error_set(error, ERROR_INTERNAL, "the store failed: %s", database ? sqlite3_errmsg(database) : sqlite3_errstr(result));
    }
}

static int find_statement(struct connection *connection, const char *sql, sqlite3_stmt **statement) {
    for (size_t i = 0; i < connection->statement_count; i++) {
        *statement = connection->statements[i];
        if (strcmp(sqlite3_sql(*statement), sql) == 0) return SQLITE_OK;
    }
    *statement = NULL;
    if (connection->statement_count == STATEMENTS_MAX) return SQLITE_INTERNAL;
    int result = sqlite3_prepare_v3(connection->database, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    if (result == SQLITE_OK) connection->statements[connection->statement_count++] = *statement;
    return result;
}

struct query query_begin(struct connection *connection, const char *sql) {
    struct query query = {.connection = connection};
    query.result = find_statement(connection, sql, &query.statement);
    return query;
}

void query_text(struct query *query, const char *text) {
    if (query->result == SQLITE_OK) query->result = sqlite3_bind_text(query->statement, ++query->bound, text, -1, SQLITE_STATIC);
}

void query_integer(struct query *query, int64_t value) {
    if (query->result == SQLITE_OK) query->result = sqlite3_bind_int64(query->statement, ++query->bound, value);
}

void query_real(struct query *query, double value) {
    if (query->result == SQLITE_OK) query->result = sqlite3_bind_double(query->statement, ++query->bound, value);
}

void query_json(struct query *query, const json_t *json) {
    if (query->result != SQLITE_OK) return;
    if (!json) {
        query_text(query, NULL);
        return;
    }
    char *text = json_text(json, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text) {
        query->result = SQLITE_NOMEM;
        return;
    }
    query->result = sqlite3_bind_text(query->statement, ++query->bound, text, -1, SQLITE_TRANSIENT);
    memory_free(text);
}

bool query_row(struct query *query) {
    if (query->result != SQLITE_OK) return false;
    int result = sqlite3_step(query->statement);
    if (result == SQLITE_ROW) return true;
    query->result = result == SQLITE_DONE ? SQLITE_OK : result;
    return false;
}

bool query_end(struct query *query, struct error *error) {
    bool ok = query->result == SQLITE_OK || sqlite_error(query->connection->database, query->result, error);
    if (query->statement) {
        sqlite3_reset(query->statement);
        sqlite3_clear_bindings(query->statement);
    }
    return ok && query->result == SQLITE_OK;
}

bool query_run(struct query *query, struct error *error) {
    while (query_row(query)) {
    }
    return query_end(query, error);
}

int64_t column_integer(struct query *query, int column) { return sqlite3_column_int64(query->statement, column); }

bool column_null(struct query *query, int column) { return sqlite3_column_type(query->statement, column) == SQLITE_NULL; }

void column_string(struct query *query, int column, char **text) {
    memory_free(*text);
    *text = NULL;
    if (column_null(query, column)) return;
    const char *value = (const char *)sqlite3_column_text(query->statement, column);
    *text = value ? memory_string(value) : NULL;
    if (!*text) query->result = SQLITE_NOMEM;
}

void column_array(struct query *query, int column, char *text, size_t size) {
    const char *value = (const char *)sqlite3_column_text(query->statement, column);
    snprintf(text, size, "%s", value ? value : "");
}

void column_json(struct query *query, int column, json_t **json) {
    size_t failures = memory_failures();
    json_decref(*json);
    *json = NULL;
    if (column_null(query, column)) return;
    const char *value = (const char *)sqlite3_column_text(query->statement, column);
    *json = value ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
    if (*json) return;
    bool memory = !value || memory_failures() != failures; /* the parser itself does not always know */
    query->result = memory ? SQLITE_NOMEM : SQLITE_CORRUPT;
}

/* A rollback can fail, too: then the transaction is still there, and with it the lock that all processes wait for. */
static bool roll_back(struct sqlite_store *store, struct error *error) {
    if (sqlite3_get_autocommit(store->writer.database)) return true; /* some failures have rolled back already */
    struct query query = query_begin(&store->writer, "ROLLBACK");
    return query_run(&query, error);
}

bool prepare_transactions(struct connection *connection, struct error *error) {
    static const char *const texts[] = {"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof texts / sizeof *texts; i++) {
        struct query query = query_begin(connection, texts[i]);
        ok = query_end(&query, error);
    }
    return ok;
}

bool write_begin(struct sqlite_store *store, struct error *error) {
    pthread_mutex_lock(&store->writer.lock);
    if (roll_back(store, error)) {
        struct query query = query_begin(&store->writer, "BEGIN IMMEDIATE");
        if (query_run(&query, error)) return true;
    }
    pthread_mutex_unlock(&store->writer.lock);
    return false;
}

bool write_end(struct sqlite_store *store, bool ok, bool wake, struct error *error) {
    if (ok) {
        struct query query = query_begin(&store->writer, "COMMIT");
        ok = query_run(&query, error);
    }
    if (!ok) roll_back(store, NULL);
    pthread_mutex_unlock(&store->writer.lock);
    if (ok && wake) wake_all(store->wake);
    return ok;
}

void read_begin(struct sqlite_store *store) { pthread_mutex_lock(&store->reader.lock); }

void read_end(struct sqlite_store *store) { pthread_mutex_unlock(&store->reader.lock); }
