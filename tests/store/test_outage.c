/* What only a PostgreSQL store has to stand: several handles at the same time, connections that are
 * dropped, a server that is restarted, URLs with secrets. Run by run_postgres.sh. */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

enum { WORKERS = 4, ACKNOWLEDGED_MAX = 20000 };

/* ---- several handles at the same time ---- */

struct crew {
    const char *url;
    atomic_bool stop;
    atomic_int refused;                      /* answers that something failed */
    pthread_mutex_t lock;                    /* over the rest */
    prediction_id created[ACKNOWLEDGED_MAX]; /* what was acknowledged */
    prediction_id finished[ACKNOWLEDGED_MAX];
    size_t created_count, finished_count;
};

static void acknowledge(struct crew *crew, prediction_id *list, size_t *count, const char *id) {
    pthread_mutex_lock(&crew->lock);
    assert_true(*count < ACKNOWLEDGED_MAX);
    memcpy(list[(*count)++], id, sizeof list[0]);
    pthread_mutex_unlock(&crew->lock);
}

/* An outage may be answered with ERROR_IO and nothing else; a later call may find what an unknown one did. */
static bool allowed(struct crew *crew, bool ok, const struct error *problem) {
    if (ok) return true;
    if (problem->code != ERROR_IO && problem->code != ERROR_CONFLICT) {
        print_error("%s: %s\n", error_name(problem->code), problem->message);
        abort();
    }
    atomic_fetch_add(&crew->refused, 1);
    return false;
}

static void do_some_work(struct crew *crew, struct store *store) {
    struct error problem = {.code = ERROR_NONE};
    struct prediction prediction = make_prediction(), claimed;
    struct lease lease;
    bool found;
    if (allowed(crew, store_create(store, &prediction, &problem), &problem))
        acknowledge(crew, crew->created, &crew->created_count, prediction.id);
    prediction_free(&prediction);
    if (!allowed(crew,
                 store_claim(store, &(struct store_wish){.worker = "worker", .lease_seconds = 60}, &lease, &claimed, &found, &problem),
                 &problem) ||
        !found)
        return;
    prediction_free(&claimed);
    allowed(crew, store_log(store, &lease, "a line\n", &problem), &problem);
    json_t *output = json_pack("[s]", "aaaa.png");
    if (allowed(crew, store_finish(store, &lease, PREDICTION_SUCCEEDED, output, NULL, 1, &problem), &problem))
        acknowledge(crew, crew->finished, &crew->finished_count, lease.id);
    json_decref(output);
}

static void *work(void *user) {
    struct crew *crew = user;
    struct store *store;
    if (!store_open(crew->url, &store, NULL)) abort();
    while (!atomic_load(&crew->stop)) do_some_work(crew, store);
    store_close(store);
    return NULL;
}

/* Let the crew work while `disturb` happens over and over; nothing acknowledged is lost, nobody else
 * works on what somebody has claimed, and no event is passed over. */
static void run_crew(void (*disturb)(int round), int rounds, int64_t pause) {
    static struct crew crew;
    char url[128];
    struct store *store;
    pthread_t threads[WORKERS];
    memset(&crew, 0, sizeof crew);
    make_postgres_url(url);
    crew.url = url;
    pthread_mutex_init(&crew.lock, NULL);
    ASSERT_OK(store_open(url, &store, error));
    for (size_t i = 0; i < WORKERS; i++) pthread_create(&threads[i], NULL, work, &crew);
    struct event *events;
    size_t seen = 0, count;
    int64_t last = 0;
    for (int round = 0; round < rounds; round++) {
        for (int64_t end = time_monotonic() + pause; time_monotonic() < end;) {
            if (!store_events(store, NULL, last, 100, &events, &count, NULL)) continue;
            if (count > 0) last = events[count - 1].sequence;
            seen += count;
            events_free(events, count);
        }
        if (disturb) disturb(round);
    }
    atomic_store(&crew.stop, true);
    for (size_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    do {
        ASSERT_OK(store_events(store, NULL, last, 100, &events, &count, error));
        if (count > 0) last = events[count - 1].sequence;
        seen += count;
        events_free(events, count);
    } while (count > 0);
    int64_t all;
    ASSERT_OK(store_last_event(store, &all, error));
    assert_true(all == last && (int64_t)seen == all); /* the counter has no gaps: none was passed over */
    ASSERT_OK(store_check(store, error));
    for (size_t i = 0; i < crew.created_count; i++) status_of(store, crew.created[i]);
    for (size_t i = 0; i < crew.finished_count; i++) assert_int_equal(status_of(store, crew.finished[i]), PREDICTION_SUCCEEDED);
    print_message("%zu created, %zu finished, %d refused\n", crew.created_count, crew.finished_count, atomic_load(&crew.refused));
    assert_true(crew.created_count > 20 && crew.finished_count > 20);
    if (!disturb) assert_int_equal(crew.refused, 0);
    store_close(store);
    pthread_mutex_destroy(&crew.lock);
}

static void test_many_at_once(void **state) {
    (void)state;
    run_crew(NULL, 1, 3000000);
}

/* ---- connections dropped ---- */

static void terminate(int round) {
    (void)round;
    administer("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'inpaintd'", NULL);
}

static void test_connections_dropped(void **state) {
    (void)state;
    run_crew(terminate, 40, 100000);
}

/* While idle: neither a look nor a change notices. */
static void test_dropped_while_idle(void **state) {
    struct fixture *fixture = *state;
    prediction_id id;
    create_plain(fixture->store, id);
    terminate(0);
    assert_int_equal(status_of(fixture->store, id), PREDICTION_STARTING);
    terminate(0);
    create_plain(fixture->store, NULL);
    claim_this(fixture->store, id, 60);
}

/* The listener comes back: changes elsewhere are heard again, soon and not by the slow poll alone. */
static void test_listener_comes_back(void **state) {
    struct fixture *fixture = *state;
    struct store *other;
    uint32_t seen = 0;
    terminate(0);
    time_sleep(1500000);
    ASSERT_OK(store_open(fixture->url, &other, error));
    while (store_wait(fixture->store, &seen, 0)) {
    }
    int64_t began = time_monotonic();
    create_plain(other, NULL);
    assert_true(store_wait(fixture->store, &seen, 20000));
    assert_true(time_monotonic() - began < 2000000);
    store_close(other);
}

/* ---- the server restarted ---- */

static void restart(int round) {
    char command[256];
    const char *script = getenv("INPAINT_TEST_POSTGRES_RESTART");
    if (!script) fail_msg("INPAINT_TEST_POSTGRES_RESTART is not set");
    snprintf(command, sizeof command, "%s %s", script, round % 2 ? "fast" : "immediate");
    assert_int_equal(system(command), 0);
}

static void test_server_restarted(void **state) {
    (void)state;
    run_crew(restart, getenv("INPAINT_SOAK") ? 100 : 4, 700000);
}

/* ---- opening ---- */

static void test_secrets_stay_secret(void **state) {
    (void)state;
    static const char *const urls[] = {
        "postgres://user:hunter2@/nothing?host=/nowhere",     "postgres://user:hunter2@127.0.0.1:1/nothing",
        "postgres://user:pa@hunter2@127.0.0.1:1/nothing",     "postgres://user:hun/hunter2@127.0.0.1:1/nothing",
        "postgres://user:hun?hunter2@127.0.0.1:1/nothing",    "postgres://user:hunter2@[::1/nothing",
        "postgres://user:hunter2@127.0.0.1:x/nothing",        "postgresql://127.0.0.1:1/x?password=hunter2&user=u",
        "postgres://user:hunter2@127.0.0.1:1/nothing?none=1", "postgres://user:%zzhunter2@127.0.0.1:1/nothing",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct store *store;
        struct error problem = {.code = ERROR_NONE};
        assert_false(store_open(urls[i], &store, &problem));
        assert_null(store);
        assert_true(problem.code == ERROR_IO || problem.code == ERROR_ARGUMENT);
        if (strstr(problem.message, "hunter2")) fail_msg("%s", problem.message);
    }
}

static void test_newer_and_foreign_tables(void **state) {
    struct fixture *fixture = *state;
    struct store *store;
    char sql[160], foreign[128];
    const char *schema = strstr(fixture->url, "%3D") + 3;
    snprintf(sql, sizeof sql, "INSERT INTO %s.store_versions (version) VALUES (1000)", schema);
    administer(sql, NULL);
    ASSERT_ERROR(ERROR_UNSUPPORTED, store_open(fixture->url, &store, error));
    make_postgres_url(foreign);
    snprintf(sql, sizeof sql, "CREATE TABLE %s.events (mine INTEGER)", strstr(foreign, "%3D") + 3);
    administer(sql, NULL);
    ASSERT_ERROR(ERROR_FORMAT, store_open(foreign, &store, error));
}

static void *open_and_close(void *user) {
    struct store *store;
    struct error *problem = user;
    if (store_open(problem->message, &store, problem)) store_close(store);
    return NULL;
}

static void test_opened_at_once(void **state) {
    (void)state;
    pthread_t threads[8];
    struct error errors[8];
    char url[128];
    make_postgres_url(url);
    for (size_t i = 0; i < 8; i++) {
        errors[i].code = ERROR_NONE;
        snprintf(errors[i].message, sizeof errors[i].message, "%s", url);
        pthread_create(&threads[i], NULL, open_and_close, &errors[i]);
    }
    for (size_t i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 8; i++)
        if (errors[i].code != ERROR_NONE) fail_msg("%s", errors[i].message);
}

/* What is no UTF-8 is not in the store; it is no error of the database's. */
static void test_not_utf8(void **state) {
    struct fixture *fixture = *state;
    struct prediction prediction;
    struct stored_file file;
    ASSERT_ERROR(ERROR_NOT_FOUND, store_get(fixture->store, "\xff\xfe", NULL, &prediction, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_get_by_stream(fixture->store, "\xff\xfe", &prediction, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_cancel(fixture->store, "\xff\xfe", NULL, NULL, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_file_get(fixture->store, "\xff\xfe", NULL, &file, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_file_delete(fixture->store, "\xff\xfe", NULL, error));
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static int close_only(void **state) {
    struct fixture *fixture = *state;
    store_close(fixture->store);
    remove_folder(fixture->folder);
    memory_free(fixture);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_connections_dropped),
        WITH_STORE(test_dropped_while_idle),
        WITH_STORE(test_listener_comes_back),
        cmocka_unit_test(test_server_restarted),
        cmocka_unit_test(test_secrets_stay_secret),
        cmocka_unit_test_setup_teardown(test_newer_and_foreign_tables, set_up, close_only),
        cmocka_unit_test(test_opened_at_once),
        WITH_STORE(test_not_utf8),
    };
    if (!test_postgres()) {
        print_message("skipped: INPAINT_TEST_POSTGRES names no server (run_postgres.sh starts one)\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
