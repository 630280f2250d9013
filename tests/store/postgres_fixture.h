/* A new store in the PostgreSQL that INPAINT_TEST_POSTGRES names (tests/store/run_postgres.sh starts
 * one): a schema of its own. */
#ifndef TESTS_STORE_POSTGRES_FIXTURE_H
#define TESTS_STORE_POSTGRES_FIXTURE_H

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static inline const char *test_postgres(void) { return getenv("INPAINT_TEST_POSTGRES"); }

/* Run a statement as an administrator would; the first value of its answer goes to `answer`, if there is one. */
static inline void administer(const char *sql, char answer[64]) {
    PGconn *connection = PQconnectdb(test_postgres());
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail_msg("%s: %s", sql, PQerrorMessage(connection));
    if (answer) snprintf(answer, 64, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(connection);
}

static inline void make_postgres_url(char url[128]) {
    static int made;
    char sql[64];
    made++;
    snprintf(sql, sizeof sql, "CREATE SCHEMA test_%d_%d", (int)getpid(), made);
    administer(sql, NULL);
    int length = snprintf(url, 128, "%s&options=-csearch_path%%3Dtest_%d_%d", test_postgres(), (int)getpid(), made);
    assert_in_range(length, 1, 127);
}

#endif
