/* Conformance of a store, 3: whose turn it is. Written against store.h alone, but for the look at how many rows a
 * claim reads. */
#include "fixture.h"

#include <sqlite3.h>
#include <time.h>

static void create_for(struct store *store, const char *owner, const char *model, prediction_id id) {
    struct prediction prediction = make_prediction();
    memory_free(prediction.owner);
    memory_free(prediction.model);
    prediction.owner = memory_string(owner);
    prediction.model = memory_string(model);
    create_prediction(store, &prediction, id);
    prediction_free(&prediction);
}

static void create_many(struct store *store, const char *owner, size_t count) {
    for (size_t i = 0; i < count; i++) create_for(store, owner, "m", NULL);
}

/* Claim one; whose it was, by the first letter of the owner's name, or '-'. The lease goes to *lease. */
static char claim_whose(struct store *store, const char *const *models, struct lease *lease) {
    const struct store_wish wish = {.worker = "worker", .lease_seconds = 60, .models = models};
    struct prediction prediction;
    bool found;
    ASSERT_OK(store_claim(store, &wish, lease, &prediction, &found, error));
    char whose = found ? prediction.owner[0] : '-';
    prediction_free(&prediction);
    return whose;
}

/* Claim and finish `count`, one after the other: whose they were. */
static void work(struct store *store, size_t count, char *whose) {
    for (size_t i = 0; i < count; i++) {
        struct lease lease;
        whose[i] = claim_whose(store, NULL, &lease);
        if (whose[i] != '-') finish_with(store, &lease, "a.png");
    }
    whose[count] = 0;
}

static void test_tokens_take_turns(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    char whose[16];
    create_many(store, "alice", 100);
    work(store, 3, whose);
    assert_string_equal(whose, "aaa");
    create_many(store, "bob", 2);
    create_many(store, "carol", 3);
    work(store, 9, whose);
    assert_string_equal(whose, "bcabcacaa"); /* who was never served comes first, of these the older */
    create_many(store, "bob", 1);
    work(store, 2, whose);
    assert_string_equal(whose, "ba");
}

/* With many workers each token gets its share of them, however long its predictions run. */
static void test_workers_are_shared(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct lease leases[8], bobs;
    create_many(store, "alice", 100);
    for (size_t i = 0; i < 4; i++) assert_int_equal(claim_whose(store, NULL, &leases[i]), 'a');
    create_many(store, "bob", 100);
    for (size_t i = 0; i < 4; i++) assert_int_equal(claim_whose(store, NULL, &leases[4 + i]), 'b');
    finish_with(store, &leases[4], "a.png"); /* bob's are quick, alice's are not */
    assert_int_equal(claim_whose(store, NULL, &bobs), 'b');
    finish_with(store, &leases[0], "a.png");
    assert_int_equal(claim_whose(store, NULL, &bobs), 'a');
}

static void test_priority(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    char whose[16];
    struct token *tokens;
    size_t count;
    ASSERT_OK(store_token_create(store, "alice", "1", 0, error));
    ASSERT_OK(store_token_create(store, "bob", "2", 5, error));
    ASSERT_OK(store_token_create(store, "carol", "3", -5, error));
    ASSERT_ERROR(ERROR_ARGUMENT, store_token_create(store, "dave", "4", PRIORITY_MAX + 1, error));
    ASSERT_ERROR(ERROR_ARGUMENT, store_token_priority(store, "alice", -PRIORITY_MAX - 1, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_token_priority(store, "nobody", 1, error));
    create_many(store, "carol", 3);
    create_many(store, "alice", 3);
    create_many(store, "bob", 3);
    work(store, 4, whose);
    assert_string_equal(whose, "bbba");
    ASSERT_OK(store_token_priority(store, "carol", 7, error)); /* of what waits already */
    work(store, 2, whose);
    assert_string_equal(whose, "cc");
    ASSERT_OK(store_token_revoke(store, "carol", error)); /* what it asked for is painted, without its priority */
    work(store, 4, whose);
    assert_string_equal(whose, "aca-");
    ASSERT_OK(store_token_list(store, &tokens, &count, error));
    assert_int_equal(count, 3);
    assert_int_equal(tokens[1].priority, 5);
    memory_free(tokens);
}

/* A line that the worker can't serve costs nobody a turn. */
static void test_turns_and_models(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    static const char *const large[] = {"large", NULL}, *const none[] = {"none", NULL};
    struct lease lease;
    create_for(store, "alice", "small", NULL);
    create_for(store, "alice", "large", NULL);
    create_for(store, "bob", "small", NULL);
    create_for(store, "bob", "large", NULL);
    assert_int_equal(claim_whose(store, none, &lease), '-');
    assert_int_equal(claim_whose(store, large, &lease), 'a');
    assert_int_equal(claim_whose(store, large, &lease), 'b');
    assert_int_equal(claim_whose(store, large, &lease), '-');
    assert_int_equal(claim_whose(store, NULL, &lease), 'a');
    assert_int_equal(claim_whose(store, NULL, &lease), 'b');
}

static void test_waiting(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct lease lease;
    size_t count;
    create_many(store, "alice", 5);
    create_many(store, "bob", 1);
    ASSERT_OK(store_waiting(store, "alice", 100, &count, error));
    assert_int_equal(count, 5);
    ASSERT_OK(store_waiting(store, "alice", 3, &count, error));
    assert_int_equal(count, 3);
    ASSERT_OK(store_waiting(store, "nobody", 3, &count, error));
    assert_int_equal(count, 0);
    claim_whose(store, NULL, &lease);
    ASSERT_OK(store_waiting(store, "alice", 100, &count, error));
    assert_int_equal(count, 4);
}

/* ---- a hundred thousand of them ---- */

static const char columns[] = "INSERT INTO predictions (id, owner, model, version, input, from_web, created, deadline, webhook_events,"
                              " data_uri_output)";

static void execute_sqlite(const char *url, const char *sql) {
    sqlite3 *database;
    assert_int_equal(sqlite3_open(strchr(url, ':') + 1, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static long execute_postgres(const char *url, const char *sql) {
    PGconn *connection = PQconnectdb(url);
    PGresult *result = PQexec(connection, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) fail_msg("%s", PQerrorMessage(connection));
    long answer = PQntuples(result) > 0 ? strtol(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    PQfinish(connection);
    return answer;
}

/* Rows from .. to that wait: every tenth of the owners o0 .. o9, and half of them for a model that nobody runs. */
static void insert_waiting(const char *url, long from, long to) {
    char sql[1024];
    if (test_postgres()) {
        snprintf(
            sql, sizeof sql,
            "%s SELECT 'p' || lpad(i::text, 25, '0'), 'o' || i %% 10, CASE i %% 2 WHEN 0 THEN 'm' ELSE 'x' END, 'v', '{}', false, i, 0,"
            " 0, false FROM generate_series(%ld, %ld) i",
            columns, from, to);
        execute_postgres(url, sql);
    } else {
        snprintf(sql, sizeof sql,
                 "WITH RECURSIVE n(i) AS (SELECT %ld UNION ALL SELECT i + 1 FROM n WHERE i < %ld) %s SELECT printf('p%%025d', i), 'o' ||"
                 " (i %% 10), iif(i %% 2 = 0, 'm', 'x'), 'v', '{}', 0, i, 0, 0, 0 FROM n",
                 from, to, columns);
        execute_sqlite(url, sql);
    }
}

static double processor_seconds(void) {
    struct timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (double)spent.tv_sec + (double)spent.tv_nsec / 1e9;
}

/* The best of some claims, given back so that the queue stays as long as it was. */
static double seconds_of_a_claim(struct store *store) {
    static const char *const models[] = {"m", NULL};
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        struct lease lease;
        double began = processor_seconds();
        assert_int_equal(claim_whose(store, models, &lease), 'o');
        double seconds = processor_seconds() - began;
        if (seconds < best) best = seconds;
        ASSERT_OK(store_release(store, &lease, error));
    }
    return best;
}

/* SQLite works in this process: its time tells. PostgreSQL counts the rows that it reads. */
static void test_a_long_queue_stays_quick(void **state) {
    struct fixture *fixture = *state;
    insert_waiting(fixture->url, 1, 100);
    double before = seconds_of_a_claim(fixture->store);
    insert_waiting(fixture->url, 101, 100000);
    if (!test_postgres()) {
        double after = seconds_of_a_claim(fixture->store);
        if (after > 4 * before + 0.002) fail_msg("a claim of %g s became one of %g s", before, after);
        return;
    }
    struct store *store;
    execute_postgres(fixture->url, "ANALYZE predictions");
    execute_postgres(fixture->url, "SELECT pg_stat_reset()");
    ASSERT_OK(store_open(fixture->url, &store, error));
    seconds_of_a_claim(store);
    store_close(store); /* now it has told what it read */
    long rows = 0;
    for (int i = 0; i < 100 && rows == 0; i++) {
        rows = execute_postgres(fixture->url, "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables WHERE relid ="
                                              " 'predictions'::regclass");
        usleep(50000);
    }
    if (rows == 0 || rows > 20 * 500) fail_msg("20 claims have read %ld rows of 100000", rows);
}

#define FAIRNESS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        FAIRNESS_TEST(test_tokens_take_turns), FAIRNESS_TEST(test_workers_are_shared),
        FAIRNESS_TEST(test_priority),          FAIRNESS_TEST(test_turns_and_models),
        FAIRNESS_TEST(test_waiting),           FAIRNESS_TEST(test_a_long_queue_stays_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
