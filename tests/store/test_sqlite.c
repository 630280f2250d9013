/* What only the SQLite backend has: its file, its versions, and several processes and threads at it. */
#include "fixture.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static void execute(const char *folder, const char *sql) {
    sqlite3 *database;
    char *path = memory_format("%s/store.db", folder);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
    memory_free(path);
}

struct place {
    char folder[64], url[128];
};

static int make_place(void **state) {
    struct place *place = memory_zero(sizeof *place);
    make_folder(place->folder);
    make_store_url(place->folder, place->url);
    *state = place;
    return 0;
}

static int remove_place(void **state) {
    remove_folder(((struct place *)*state)->folder);
    memory_free(*state);
    return 0;
}

static void test_urls(void **state) {
    struct place *place = *state;
    struct store *store;
    ASSERT_ERROR(ERROR_IO, store_open("postgres://127.0.0.1:1/nobody?connect_timeout=2", &store, error)); /* nothing listens there */
    ASSERT_ERROR(ERROR_ARGUMENT, store_open("", &store, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_open("/nowhere/at/all/store.db", &store, error));
    ASSERT_OK(store_open(place->url + strlen("sqlite:"), &store, error));
    store_close(store);
    store_close(NULL);
}

static void test_only_its_owner_reads_it(void **state) {
    struct place *place = *state;
    struct store *store;
    struct stat status;
    static const char *const suffixes[] = {"", "-wal", "-shm", "-wake"};
    ASSERT_OK(store_open(place->url, &store, error));
    for (size_t i = 0; i < 4; i++) {
        char *path = memory_format("%s/store.db%s", place->folder, suffixes[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
        memory_free(path);
    }
    store_close(store);
}

static void test_foreign_files_are_refused(void **state) {
    struct place *place = *state;
    struct store *store;
    execute(place->folder, "CREATE TABLE recipes (name TEXT)");
    ASSERT_ERROR(ERROR_FORMAT, store_open(place->url, &store, error));
    assert_null(store);
    char *path = memory_format("%s/store.db", place->folder);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 2000; i++) fputs("this is no database ", file);
    fclose(file);
    ASSERT_ERROR(ERROR_FORMAT, store_open(place->url, &store, error));
    memory_free(path);
}

static void test_newer_files_are_refused(void **state) {
    struct place *place = *state;
    struct store *store;
    ASSERT_OK(store_open(place->url, &store, error));
    store_close(store);
    execute(place->folder, "PRAGMA user_version = 999");
    ASSERT_ERROR(ERROR_UNSUPPORTED, store_open(place->url, &store, error));
}

static void test_damage_is_noticed(void **state) {
    struct place *place = *state;
    struct store *store;
    prediction_id id;
    ASSERT_OK(store_open(place->url, &store, error));
    for (int i = 0; i < 50; i++) create_plain(store, id);
    store_close(store);
    char *path = memory_format("%s/store.db", place->folder);
    FILE *file = fopen(path, "r+");
    for (long offset = 3 * 4096; offset < 12 * 4096; offset += 4096) {
        fseek(file, offset, SEEK_SET);
        for (int i = 0; i < 512; i++) fputs("xyz", file);
    }
    fclose(file);
    memory_free(path);
    struct error problem = {.code = ERROR_NONE};
    if (store_open(place->url, &store, &problem)) {
        assert_false(store_check(store, &problem));
        store_close(store);
    }
    assert_true(strlen(problem.message) > 0);
}

/* Each invariant is broken by hand, and found. */
static void test_checks_find_what_is_broken(void **state) {
    static const char *const damage[] = {
        "UPDATE predictions SET status = 7",
        "UPDATE predictions SET status = 2 WHERE status = 1",
        "UPDATE predictions SET completed = 0 WHERE status = 2",
        "UPDATE predictions SET output = NULL WHERE status = 2",
        "UPDATE predictions SET error = 'x' WHERE status = 2",
        "UPDATE predictions SET attempt = 9 WHERE status = 1",
        "UPDATE predictions SET worker = NULL WHERE status = 1",
        "UPDATE predictions SET preview = 'x' WHERE status = 2",
        "UPDATE predictions SET logs = logs || 'more'",
        "DELETE FROM events WHERE kind = 0",
        "DELETE FROM events WHERE kind = 1",
        "DELETE FROM events WHERE kind = 4",
        "UPDATE events SET data = 'failed' WHERE kind = 4",
        "INSERT INTO events (prediction, created, kind, data) SELECT id, 1, 2, '' FROM predictions WHERE status = 2",
        "INSERT INTO events (prediction, created, kind, data) SELECT id, 1, 4, 'succeeded' FROM predictions WHERE status = 2",
        "INSERT INTO events (prediction, created, kind, data) VALUES ('nobody', 1, 4, '')",
        "WITH k(i) AS (VALUES (1), (2)) INSERT INTO events (prediction, created, kind, data) SELECT id, 1, 3, 'x' FROM predictions, k",
        "UPDATE predictions SET webhook_events = 1",
        "INSERT INTO webhooks (id, prediction, event, created, due) SELECT 'again' || event, prediction, event, 1, 1 FROM webhooks",
        "DELETE FROM blob_uses",
        "INSERT INTO blob_garbage (blob) SELECT blob FROM blob_uses",
        "INSERT INTO blob_uses (blob, user) VALUES ('x', 'nobody')",
    };
    struct place *place = *state;
    char *path = memory_format("%s/store.db", place->folder);
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        struct store *store;
        prediction_id done, running;
        ASSERT_OK(store_open(place->url, &store, error));
        create_with_webhook(store, WEBHOOK_ALL, done);
        struct lease lease = claim_this(store, done, 60);
        ASSERT_OK(store_log(store, &lease, "line\n", error));
        finish_with(store, &lease, "outp.png");
        create_plain(store, running);
        claim_this(store, running, 60);
        ASSERT_OK(store_check(store, error));
        execute(place->folder, damage[i]);
        struct error problem = {.code = ERROR_NONE};
        if (store_check(store, &problem)) fail_msg("not noticed: %s", damage[i]);
        assert_int_equal(problem.code, ERROR_INTERNAL);
        store_close(store);
        unlink(path);
    }
    memory_free(path);
}

/* ---- several at once ---- */

enum { CREATORS = 3, WORKERS = 3, EACH = 40 };

struct crew {
    struct store *store;
    pthread_mutex_t lock;
    int claimed;
};

static void *create_many(void *user) {
    struct crew *crew = user;
    for (int i = 0; i < EACH; i++) {
        prediction_id id;
        create_plain(crew->store, id);
    }
    return NULL;
}

static bool is_over(struct crew *crew, int more) {
    pthread_mutex_lock(&crew->lock);
    crew->claimed += more;
    bool over = crew->claimed == CREATORS * EACH;
    pthread_mutex_unlock(&crew->lock);
    return over;
}

static void *work_many(void *user) {
    struct crew *crew = user;
    uint32_t seen = 0;
    struct lease lease;
    while (!is_over(crew, 0)) {
        if (!claim_any(crew->store, "thread", 60, &lease)) {
            store_wait(crew->store, &seen, 100);
            continue;
        }
        ASSERT_OK(store_log(crew->store, &lease, "a line\n", error));
        finish_with(crew->store, &lease, "aaaa.png");
        is_over(crew, 1);
    }
    return NULL;
}

static void test_threads_share_a_handle(void **state) {
    struct fixture *fixture = *state;
    struct crew crew = {.store = fixture->store, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[CREATORS + WORKERS];
    size_t starting, processing, before;
    for (size_t i = 0; i < CREATORS + WORKERS; i++) pthread_create(&threads[i], NULL, i < CREATORS ? create_many : work_many, &crew);
    for (size_t i = 0; i < CREATORS + WORKERS; i++) pthread_join(threads[i], NULL);
    ASSERT_OK(store_queue(fixture->store, NULL, &starting, &processing, &before, error));
    assert_true(starting == 0 && processing == 0);
}

/* A process of its own: opens the store and finishes what it can get, telling each id on `pipe`. */
static int work_alone(const char *url, int channel) {
    struct store *store;
    struct error problem;
    uint32_t seen = 0;
    char name[64];
    json_t *output = json_pack("[s]", "aaaa.png");
    snprintf(name, sizeof name, "process-%ld", (long)getpid());
    if (!store_open(url, &store, &problem)) return 1;
    for (int idle = 0; idle < 20;) {
        struct lease lease;
        struct prediction prediction;
        bool found;
        if (!store_claim(store, &(struct store_wish){.worker = name, .lease_seconds = 60}, &lease, &prediction, &found, &problem)) return 2;
        prediction_free(&prediction);
        if (!found) {
            idle += !store_wait(store, &seen, 50);
            continue;
        }
        idle = 0;
        if (!store_log(store, &lease, "a line\n", &problem) ||
            !store_finish(store, &lease, PREDICTION_SUCCEEDED, output, NULL, 1, &problem))
            return 3;
        if (write(channel, lease.id, sizeof lease.id) != sizeof lease.id) return 4;
    }
    store_close(store);
    json_decref(output);
    return 0;
}

static void test_processes_share_a_store(void **state) {
    struct place *place = *state;
    enum { PROCESSES = 3, COUNT = 100 };
    int channel[2], result;
    pid_t children[PROCESSES];
    static prediction_id ids[COUNT], done[COUNT + 1];
    struct store *store;
    assert_int_equal(pipe(channel), 0);
    for (size_t i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) _exit(work_alone(place->url, channel[1]));
        assert_true(children[i] > 0);
    }
    close(channel[1]);
    ASSERT_OK(store_open(place->url, &store, error)); /* all four make the file at once */
    for (size_t i = 0; i < COUNT; i++) create_plain(store, ids[i]);
    size_t count = 0;
    while (count <= COUNT && read(channel[0], done[count], sizeof done[0]) == sizeof done[0]) count++;
    assert_int_equal(count, COUNT);
    for (size_t i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(children[i], &result, 0), children[i]);
        assert_int_equal(result, 0);
    }
    for (size_t i = 0; i < COUNT; i++) { /* each by one of them, once */
        assert_int_equal(status_of(store, ids[i]), PREDICTION_SUCCEEDED);
        for (size_t j = 0; j < i; j++) assert_string_not_equal(done[i], done[j]);
    }
    ASSERT_OK(store_check(store, error));
    store_close(store);
    close(channel[0]);
}

/* ---- size ---- */

/* Processor time: what else the machine does must not matter. */
static double processor_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The best of five. */
static double seconds_of_a_page(struct store *store, const struct store_list *list) {
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        struct prediction *page;
        size_t count;
        bool more;
        double began = processor_seconds();
        ASSERT_OK(store_list(store, list, &page, &count, &more, error));
        double seconds = processor_seconds() - began;
        if (seconds < best) best = seconds;
        predictions_free(page, count);
    }
    return best;
}

static double seconds_of_work(struct store *store) {
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        struct lease lease;
        struct prediction prediction;
        size_t changed;
        double began = processor_seconds();
        assert_false(claim_any(store, "worker", 60, &lease));
        ASSERT_OK(store_get(store, "p0000000000000000000000500", NULL, &prediction, error));
        ASSERT_OK(store_expire(store, 60, &changed, error));
        double seconds = processor_seconds() - began;
        if (seconds < best) best = seconds;
        prediction_free(&prediction);
    }
    return best;
}

/* Finished predictions `from` .. `to`; one in a thousand is of "rare", one from the web. */
static void insert_finished(const char *folder, long from, long to) {
    char sql[1024];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT %ld UNION ALL SELECT i + 1 FROM n WHERE i < %ld) INSERT INTO predictions (id, owner, model,"
             " version, input, from_web, created, deadline, webhook_events, data_uri_output, status, completed)"
             " SELECT printf('p%%025d', i), iif(i %% 1000 = 0, 'rare', ''), 'm', 'v', '{}', i %% 1000 = 1, 1000000 + i, 0, 0, 0, 4,"
             " 1000000 + i FROM n",
             from, to);
    execute(folder, sql);
}

/* What one looks at is found by an index: a long history costs no more than a short one. */
static void test_a_long_history_stays_quick(void **state) {
    struct place *place = *state;
    struct store *store;
    const struct store_list lists[] = {{.limit = 20},
                                       {.limit = 20, .owner = "rare"},
                                       {.limit = 20, .owner = "nobody"},
                                       {.limit = 20, .web_only = true},
                                       {.limit = 20, .after = 1000100, .before = 1000400},
                                       {.limit = 20, .cursor_created = 1000500, .cursor_id = "p"},
                                       {.limit = 20, .ascending = true, .cursor_created = 1000500, .cursor_id = "p"}};
    enum { LISTS = sizeof lists / sizeof lists[0] };
    double before[LISTS], work_before;
    long rows = getenv("INPAINT_SOAK") ? 1000000 : 100000;
    ASSERT_OK(store_open(place->url, &store, error));
    insert_finished(place->folder, 1, 1000);
    for (size_t i = 0; i < LISTS; i++) before[i] = seconds_of_a_page(store, &lists[i]);
    work_before = seconds_of_work(store);
    insert_finished(place->folder, 1001, rows);
    for (size_t i = 0; i < LISTS; i++) {
        double after = seconds_of_a_page(store, &lists[i]);
        if (after > 4 * before[i] + 0.002) fail_msg("list %zu: %g s became %g s", i, before[i], after);
    }
    assert_true(seconds_of_work(store) < 4 * work_before + 0.002);
    store_close(store);
}

/* ---- space ---- */

static long file_bytes(const char *folder) {
    struct stat status;
    char *path = memory_format("%s/store.db", folder);
    assert_int_equal(stat(path, &status), 0);
    memory_free(path);
    return (long)status.st_size;
}

/* What retention frees goes back to the disk, of a new file and of one that an earlier version made. */
static void shrinks(struct place *place) {
    struct store *store;
    char **blobs;
    size_t count;
    ASSERT_OK(store_open(place->url, &store, error));
    execute(place->folder,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO predictions (id, owner,"
            " model, version, input, from_web, created, deadline, webhook_events, data_uri_output, status, completed)"
            " SELECT printf('q%025d', i), '', 'm', 'v', json_object('image', hex(zeroblob(40000))), 0, i, 0, 0, 0, 4, i FROM n");
    execute(place->folder, "INSERT INTO events (prediction, created, kind, data) SELECT id, 1, 4, 'canceled' FROM predictions");
    ASSERT_OK(store_tidy(store, error));
    long full = file_bytes(place->folder);
    assert_true(full > 30000000);
    do {
        ASSERT_OK(store_expire_data(store, 1000, 200, &blobs, &count, error));
        memory_free(blobs);
    } while (count > 0);
    for (int i = 0; i < 3; i++) ASSERT_OK(store_tidy(store, error));
    long left = file_bytes(place->folder);
    if (left > full / 2) fail_msg("%ld bytes of %ld are left", left, full);
    ASSERT_OK(store_check(store, error));
    store_close(store);
}

static void test_a_new_file_shrinks(void **state) { shrinks(*state); }

static void test_an_older_file_shrinks(void **state) {
    struct place *place = *state;
    struct store *store;
    ASSERT_OK(store_open(place->url, &store, error));
    store_close(store);
    execute(place->folder, "PRAGMA auto_vacuum = NONE; VACUUM"); /* as version 1 made it */
    shrinks(place);
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void) {
    const struct CMUnitTest tests[] = {
        PLACED(test_processes_share_a_store), /* first: it forks, and there are no threads yet */
        PLACED(test_urls),
        PLACED(test_only_its_owner_reads_it),
        PLACED(test_foreign_files_are_refused),
        PLACED(test_newer_files_are_refused),
        PLACED(test_damage_is_noticed),
        PLACED(test_checks_find_what_is_broken),
        cmocka_unit_test_setup_teardown(test_threads_share_a_handle, set_up, tear_down),
        PLACED(test_a_long_history_stays_quick),
        PLACED(test_a_new_file_shrinks),
        PLACED(test_an_older_file_shrinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
