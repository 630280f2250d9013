/* Connecting to the server, and again when the connection was lost. */
#include "store/postgres.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"

#include <stdio.h>
#include <string.h>

/* How long a server that has just gone is waited for (it may only be starting again), how often it is
 * tried meanwhile, and how often after that. */
enum { PATIENCE = 8000000, PAUSE = 100000, HOLD_OFF = 1000000 /* microseconds */ };

/* ---- the URL: an unescaped '@', '/' or '?' in a password would make part of it a host's or a
 * database's name, and names do get into messages ---- */

bool postgres_check_url(const char *url, struct error *error) {
    const char *authority = strstr(url, "://") + 3, *at = strchr(url, '@');
    bool plain = !at || (at < authority + strcspn(authority, "/?#") && !strchr(at + 1, '@'));
    PQconninfoOption *options = plain ? PQconninfoParse(url, NULL) : NULL; /* its message would show the URL */
    if (!options)
        return error_set(error, ERROR_ARGUMENT,
                         "that is no PostgreSQL URL: postgres://user:password@host:port/database, where %%40 stands "
                         "for @ in a name or password, %%2F for /, %%3F for ? and %%25 for %%");
    PQconninfoFree(options);
    return true;
}

/* The password that this connection was given, out of a message that might hold it. */
static void hide_password(PGconn *connection, char *message) {
    const char *password = PQpass(connection);
    size_t length = password ? strlen(password) : 0;
    for (char *found; length > 0 && (found = strstr(message, password));) memset(found, length == 1 && *found == '*' ? '?' : '*', length);
}

static void connect_error(PGconn *connection, struct error *error) {
    char message[400];
    snprintf(message, sizeof message, "%.399s", PQerrorMessage(connection));
    for (char *end = message + strlen(message); end > message && (end[-1] == '\n' || end[-1] == ' ');) *--end = 0;
    for (char *line = message; (line = strchr(line, '\n'));) *line = ' ';
    const char *password = PQpass(connection);
    if (password && strspn(password, "*?") == strlen(password) && *password)
        snprintf(message, sizeof message, "the server refused or can't be reached");
    else
        hide_password(connection, message);
    error_set(error, ERROR_IO, "can't connect to the database: %s", message);
}

/* ---- the session ---- */

static void ignore_notice(void *user, const char *message) {
    (void)user;
    (void)message;
}

/* A commit is answered when it is on the disk, whatever the server's default; a client that hangs or is
 * cut off in mid-transaction loses its locks soon. */
static const char settings[] = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';"
                               "SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '30s'; SET statement_timeout = '60s';"
                               "SET client_min_messages = warning; SET DateStyle = ISO; SET extra_float_digits = 1";

static bool set_up(PGconn *connection, struct error *error) {
    const char *encoding = PQparameterStatus(connection, "server_encoding");
    enum fault fault;
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return error_set(error, ERROR_UNSUPPORTED, "the database's encoding is %s: create it with ENCODING 'UTF8'",
                         encoding ? encoding : "unknown");
    PGresult *result = PQexec(connection, settings);
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK || postgres_error(connection, result, &fault, error);
    PQclear(result);
    return ok;
}

/* Before the URL, so that it can say otherwise: keepalives find out within half a minute that the
 * other end is gone without a word. */
PGconn *postgres_connect(const char *url, struct error *error) {
    static const char *const names[] = {"connect_timeout",
                                        "fallback_application_name",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "keepalives_count",
                                        "tcp_user_timeout",
                                        "dbname",
                                        "client_encoding",
                                        NULL};
    const char *const values[] = {"5", "inpaintd", "10", "5", "3", "25000", url, "UTF8", NULL};
    PGconn *connection = PQconnectdbParams(names, values, 1);
    if (!connection) {
        error_set(error, ERROR_MEMORY, "out of memory");
        return NULL;
    }
    PQsetNoticeProcessor(connection, ignore_notice, NULL);
    if (PQstatus(connection) != CONNECTION_OK)
        connect_error(connection, error);
    else if (set_up(connection, error))
        return connection;
    PQfinish(connection);
    return NULL;
}

/* ---- again and again ---- */

void link_drop(struct link *link) {
    if (!link->connection) return;
    log_warning("the connection to the database was lost");
    PQfinish(link->connection);
    link->connection = NULL;
    link->lost = time_monotonic();
    link->tried = 0;
}

bool link_connect(struct link *link, struct error *error) {
    if (link->connection && PQstatus(link->connection) == CONNECTION_OK) return true;
    link_drop(link);
    if (link->tried && time_monotonic() - link->lost > PATIENCE && time_monotonic() - link->tried < HOLD_OFF)
        return error_set(error, ERROR_IO, "the database can't be reached");
    for (;;) {
        link->connection = postgres_connect(link->url, error);
        if (link->connection) break;
        link->tried = time_monotonic();
        if (link->tried - link->lost > PATIENCE) return false;
        time_sleep(PAUSE);
    }
    log_info("connected to the database again");
    link->lost = link->tried = 0;
    return true;
}
