/* Stores that earlier versions left (versions/BACKEND-N.sql is what version N wrote): they are brought up to
 * date, nothing in them is lost, and a process of an earlier version that still runs does no harm. */
#include "fixture.h"

#include "base/file.h"

#include <sqlite3.h>

/* What is in every dump: seven predictions of alice's, of which four wait, and an upload. */
enum { DUMPED = 7, DUMPED_WAITING = 4, DUMPED_VERSIONS = 2 };

static void execute_sqlite(const char *url, const char *sql) {
    sqlite3 *database;
    char *message = NULL;
    assert_int_equal(sqlite3_open(strchr(url, ':') + 1, &database), SQLITE_OK);
    if (sqlite3_exec(database, sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s", message);
    sqlite3_close(database);
}

static void execute_postgres(const char *url, const char *sql) {
    PGconn *connection = PQconnectdb(url);
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail_msg("%s", PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
}

static void execute(const char *url, const char *sql) {
    if (test_postgres())
        execute_postgres(url, sql);
    else
        execute_sqlite(url, sql);
}

struct place {
    char folder[64], url[128];
    struct store *store;
};

static void restore(struct place *place, int version) {
    char *path = memory_format("%s/tests/store/versions/%s-%d.sql", SOURCE_DIR, test_postgres() ? "postgres" : "sqlite", version), *sql;
    size_t length;
    make_store_url(place->folder, place->url);
    ASSERT_OK(file_read(path, 1 << 20, &sql, &length, error));
    execute(place->url, sql);
    memory_free(sql);
    memory_free(path);
    ASSERT_OK(store_open(place->url, &place->store, error));
}

static void check_what_was_there(struct store *store) {
    struct store_list list = {.owner = "alice", .limit = 100};
    struct prediction *predictions;
    struct stored_file *files;
    struct token *tokens;
    size_t count, waiting = 0, succeeded = 0;
    bool more;
    ASSERT_OK(store_check(store, error));
    ASSERT_OK(store_list(store, &list, &predictions, &count, &more, error));
    assert_int_equal(count, DUMPED);
    for (size_t i = 0; i < count; i++) {
        waiting += predictions[i].status == PREDICTION_STARTING;
        succeeded += predictions[i].status == PREDICTION_SUCCEEDED && json_array_size(predictions[i].output) == 1;
    }
    assert_int_equal(waiting, DUMPED_WAITING);
    assert_int_equal(succeeded, 1);
    predictions_free(predictions, count);
    ASSERT_OK(store_file_list(store, "alice", 0, NULL, 10, &files, &count, &more, error));
    assert_int_equal(count, 1);
    stored_files_free(files, count);
    ASSERT_OK(store_token_list(store, &tokens, &count, error));
    assert_int_equal(count, 2);
    assert_true(tokens[0].priority == 0 && tokens[0].revoked == 0 && tokens[1].revoked != 0);
    memory_free(tokens);
}

static void test_earlier_stores_are_brought_up_to_date(void **state) {
    (void)state;
    for (int version = 1; version <= DUMPED_VERSIONS; version++) {
        struct place place;
        struct lease lease;
        size_t done = 0;
        make_folder(place.folder);
        restore(&place, version);
        check_what_was_there(place.store);
        for (; claim_any(place.store, "worker", 60, &lease); done++) finish_with(place.store, &lease, "a.png");
        assert_in_range(done, DUMPED_WAITING - 1, DUMPED_WAITING); /* one had a deadline */
        create_plain(place.store, NULL);
        ASSERT_OK(store_check(place.store, error));
        store_close(place.store);
        ASSERT_OK(store_open(place.url, &place.store, error)); /* and it is so the next time */
        ASSERT_OK(store_check(place.store, error));
        store_close(place.store);
        remove_folder(place.folder);
    }
}

/* What processes of version 1 send to the tables. Never to be changed. */
static const char created_by_1[] =
    "INSERT INTO predictions (id, owner, model, version, input, from_web, created, deadline, webhook, webhook_events, stream_token,"
    " public_base, data_uri_output) VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaa', 'carol', 'm', 'v', '{}', false, 1, 0, NULL, 0, 'stream-of-1',"
    " 'http://a', false)";
static const char claimed_by_1[] =
    "UPDATE predictions SET status = 1, attempt = attempt + 1, worker = 'old', claimed = 5, lease_until = 1, started = 5 WHERE number ="
    " (SELECT number FROM predictions WHERE status = 0 AND (owner = 'carol' OR 1 = 0) ORDER BY number LIMIT 1)";
static const char told_by_1_sqlite[] =
    "INSERT INTO events (prediction, created, kind, data) VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaa', 5, 0, '')";
static const char told_by_1_postgres[] =
    "WITH next AS (UPDATE event_counter SET last = last + 1 RETURNING last) INSERT INTO events (sequence, prediction, created, kind, data)"
    " SELECT last, 'aaaaaaaaaaaaaaaaaaaaaaaaaa', 5, 0, '' FROM next";

static void test_an_earlier_version_may_still_run(void **state) {
    struct place place;
    struct prediction prediction;
    struct lease lease;
    (void)state;
    make_folder(place.folder);
    restore(&place, 1);
    while (claim_any(place.store, "worker", 60, &lease)) finish_with(place.store, &lease, "a.png");
    execute(place.url, created_by_1);
    ASSERT_OK(store_get(place.store, "aaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, &prediction, error));
    assert_int_equal(prediction.status, PREDICTION_STARTING);
    prediction_free(&prediction);
    execute(place.url, claimed_by_1);
    execute(place.url, test_postgres() ? told_by_1_postgres : told_by_1_sqlite);
    ASSERT_OK(store_check(place.store, error));
    assert_true(claim_any(place.store, "worker", 60, &lease)); /* its lease has run out: taken over */
    assert_string_equal(lease.id, "aaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(lease.attempt, 2);
    finish_with(place.store, &lease, "b.png");
    ASSERT_OK(store_check(place.store, error));
    store_close(place.store);
    remove_folder(place.folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_earlier_stores_are_brought_up_to_date),
        cmocka_unit_test(test_an_earlier_version_may_still_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
