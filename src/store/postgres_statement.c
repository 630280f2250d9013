/* Statements, and what their failures mean. */
#include "store/postgres.h"

#include "base/json.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- failures ---- */

/* By SQLSTATE, the first that fits the beginning (PostgreSQL's manual, appendix A). */
static const struct {
    const char *state;
    enum error_code code;
    enum fault fault;
    const char *sentence; /* NULL: the server's own */
} meanings[] = {
    {"40001", ERROR_IO, FAULT_COLLISION, "the database refused a change again and again, because of others at the same time"},
    {"40P01", ERROR_IO, FAULT_COLLISION, "the database refused a change again and again, because of others at the same time"},
    {"53100", ERROR_FULL, FAULT_NONE, "the disk that holds the database is full"},
    {"53200", ERROR_MEMORY, FAULT_NONE, "the database is out of memory"},
    {"53300", ERROR_IO, FAULT_LOST, "the database has too many connections"},
    {"57P", ERROR_IO, FAULT_LOST, "the database has shut down or dropped the connection"},
    {"08", ERROR_IO, FAULT_LOST, "the connection to the database was lost"},
    {"25P03", ERROR_IO, FAULT_LOST, "the database dropped the connection because a change took too long"},
    {"25006", ERROR_IO, FAULT_LOST, "the database can't be written: it is a standby, or set to be read-only"},
    {"57014", ERROR_IO, FAULT_NONE, "the database took too long, or its administrator stopped the statement"},
    {"55P03", ERROR_IO, FAULT_NONE, "the database has been locked by somebody else for too long"},
    {"22021", ERROR_ARGUMENT, FAULT_NONE, "a text is not UTF-8"},
    {"54000", ERROR_LIMIT, FAULT_NONE, "a value is too long for the store"},
    {"42501", ERROR_IO, FAULT_NONE, "the database's user lacks a right: it must be able to create tables in its schema, and own them"},
    {"58", ERROR_IO, FAULT_NONE, NULL},
    {"XX", ERROR_IO, FAULT_NONE, NULL},
};

bool postgres_error(PGconn *connection, const PGresult *result, enum fault *fault, struct error *error) {
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *message = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    *fault = FAULT_NONE;
    for (size_t i = 0; state && i < sizeof meanings / sizeof meanings[0]; i++) {
        if (strncmp(state, meanings[i].state, strlen(meanings[i].state)) != 0) continue;
        *fault = meanings[i].fault;
        return error_set(error, meanings[i].code, "%s",
                         meanings[i].sentence ? meanings[i].sentence
                         : message            ? message
                                              : "the database failed");
    }
    if (!connection || PQstatus(connection) == CONNECTION_BAD) {
        *fault = FAULT_LOST;
        return error_set(error, ERROR_IO, "the connection to the database was lost");
    }
    if (!result || strstr(PQresultErrorMessage(result), "out of memory"))
        return error_set(error, ERROR_MEMORY, "out of memory in the store");
    /* Without a state it is not the server's but libpq's own. It could not write to a server that has gone, and
     * holds the connection for good as long as there is something left to read from it. */
    if (!state && PQresultStatus(result) == PGRES_FATAL_ERROR) {
        *fault = FAULT_LOST;
        return error_set(error, ERROR_IO, "the connection to the database was lost");
    }
    return error_set(error, ERROR_INTERNAL, "the database failed: %s", message ? message : "it does not say why");
}

/* ---- binding ---- */

struct statement statement_begin(struct postgres_store *store, const char *sql) {
    return (struct statement){.link = &store->link, .sql = sql, .row = -1};
}

/* Where the number goes that is about to be bound. */
static char *place(struct statement *statement) {
    char *number = statement->numbers[statement->bound];
    statement->values[statement->bound++] = number;
    return number;
}

void statement_text(struct statement *statement, const char *text) { statement->values[statement->bound++] = text; }

void statement_integer(struct statement *statement, int64_t value) { snprintf(place(statement), NUMBER_SIZE, "%" PRId64, value); }

void statement_boolean(struct statement *statement, bool value) { statement_text(statement, value ? "t" : "f"); }

void statement_real(struct statement *statement, double value) { snprintf(place(statement), NUMBER_SIZE, "%.17g", value); }

void statement_json(struct statement *statement, const json_t *json) {
    statement->json = json ? json_text(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (json && !statement->json) statement->memory = true;
    statement_text(statement, statement->json);
}

/* ---- running ---- */

static bool succeeded(const PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

static void execute(struct statement *statement) {
    statement->row = 0;
    if (statement->memory || !statement->link->connection) return;
    statement->result = PQexecParams(statement->link->connection, statement->sql, statement->bound, NULL, statement->values, NULL, NULL, 0);
}

bool statement_row(struct statement *statement) {
    if (statement->row < 0)
        execute(statement);
    else
        statement->row++;
    return !statement->memory && succeeded(statement->result) && statement->row < PQntuples(statement->result);
}

bool statement_end(struct statement *statement, struct error *error) {
    bool ok = !statement->memory && succeeded(statement->result);
    if (statement->memory)
        error_set(error, ERROR_MEMORY, "out of memory in the store");
    else if (!ok)
        postgres_error(statement->link->connection, statement->result, &statement->link->fault, error);
    PQclear(statement->result);
    memory_free(statement->json);
    statement->result = NULL;
    statement->json = NULL;
    return ok;
}

bool statement_run(struct statement *statement, size_t *changed, struct error *error) {
    if (statement->row < 0) execute(statement);
    if (changed) *changed = succeeded(statement->result) ? (size_t)strtoull(PQcmdTuples(statement->result), NULL, 10) : 0;
    return statement_end(statement, error);
}

/* ---- values ---- */

static const char *value(struct statement *statement, int column) {
    return PQgetisnull(statement->result, statement->row, column) ? NULL : PQgetvalue(statement->result, statement->row, column);
}

int64_t value_integer(struct statement *statement, int column) {
    const char *text = value(statement, column);
    return text ? strtoll(text, NULL, 10) : 0;
}

double value_real(struct statement *statement, int column) {
    const char *text = value(statement, column);
    return text ? strtod(text, NULL) : 0;
}

bool value_boolean(struct statement *statement, int column) {
    const char *text = value(statement, column);
    return text && *text == 't';
}

void value_string(struct statement *statement, int column, char **text) {
    const char *found = value(statement, column);
    memory_free(*text);
    *text = found ? memory_string(found) : NULL;
    if (found && !*text) statement->memory = true;
}

void value_array(struct statement *statement, int column, char *text, size_t size) {
    const char *found = value(statement, column);
    snprintf(text, size, "%s", found ? found : "");
}

/* Only what we wrote is there, so that text that can't be read means no memory. */
void value_json(struct statement *statement, int column, json_t **json) {
    const char *found = value(statement, column);
    json_decref(*json);
    *json = found ? json_loads(found, JSON_DECODE_ANY, NULL) : NULL;
    if (found && !*json) statement->memory = true;
}
