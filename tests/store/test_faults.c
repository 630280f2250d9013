/* A script over the whole store, in which each system call, each allocation of ours and each of
 * SQLite's fails once and then for ever. Whatever fails: no crash, no leak, the file is sound and what
 * was acknowledged is there. */
#include "fixture.h"

#include "faults.h"

#include <pthread.h>
#include <sqlite3.h>

/* ---- SQLite's memory ---- */

static sqlite3_mem_methods original;
static atomic_long memory_countdown;
static atomic_bool memory_lasting, memory_armed;

static bool memory_fails(void) {
    if (!atomic_load(&memory_armed)) return false;
    long left = atomic_fetch_sub(&memory_countdown, 1);
    return left == 1 || (left < 1 && atomic_load(&memory_lasting));
}
static void *failing_malloc(int size) { return memory_fails() ? NULL : original.xMalloc(size); }
static void *failing_realloc(void *old, int size) { return memory_fails() ? NULL : original.xRealloc(old, size); }

static void install_failing_memory(void) {
    sqlite3_mem_methods mine;
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &original);
    mine = original;
    mine.xMalloc = failing_malloc;
    mine.xRealloc = failing_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &mine);
}

/* ---- the script ---- */

enum { CREATED = 4 };

/* What the store has promised. */
struct promised {
    prediction_id created[CREATED];
    bool is_created[CREATED], canceled, finished, failed, file, file_deleted, token;
    char setting[32];
    size_t successes;
};

#define STEP(call) (problem = (struct error){.code = ERROR_NONE}, succeeded((call), &problem, promised))

static bool succeeded(bool ok, const struct error *problem, struct promised *promised) {
    if (ok) {
        promised->successes++;
        return true;
    }
    switch (problem->code) {
    case ERROR_MEMORY:
    case ERROR_IO:
    case ERROR_FULL:
        return false;
    case ERROR_NOT_FOUND: /* because something before failed */
    case ERROR_CONFLICT:
        return false;
    default:
        fail_msg("%s is no way to fail: %s", error_name(problem->code), problem->message);
    }
    return false;
}

static void create_some(struct store *store, const struct prediction *predictions, struct promised *promised) {
    struct error problem;
    for (size_t i = 0; i < CREATED; i++) {
        memcpy(promised->created[i], predictions[i].id, sizeof predictions[i].id);
        promised->is_created[i] = STEP(store_create(store, &predictions[i], &problem));
    }
}

static void work(struct store *store, struct promised *promised) {
    struct error problem;
    struct prediction prediction;
    struct lease first, second;
    bool found;
    json_t *output = json_pack("[s]", "outp.png");
    if (STEP(store_claim(store, &(struct store_wish){.worker = "worker", .lease_seconds = 60}, &first, &prediction, &found, &problem)) &&
        found) {
        STEP(store_log(store, &first, "line\n", &problem));
        STEP(store_preview(store, &first, "prev.png", &problem));
        STEP(store_heartbeat(store, &first, 60, &problem));
        if (strcmp(first.id, promised->created[0]) == 0 && output)
            promised->finished = STEP(store_finish(store, &first, PREDICTION_SUCCEEDED, output, NULL, 1, &problem));
        prediction_free(&prediction);
    }
    if (STEP(store_claim(store, &(struct store_wish){.worker = "worker", .lease_seconds = 60}, &second, &prediction, &found, &problem)) &&
        found) {
        STEP(store_release(store, &second, &problem));
        prediction_free(&prediction);
    }
    promised->canceled = STEP(store_cancel(store, promised->created[3], NULL, &prediction, &problem));
    if (promised->canceled) prediction_free(&prediction);
    json_decref(output);
}

static void keep_records(struct store *store, const struct stored_file *file, struct promised *promised) {
    struct error problem;
    char *value, **blobs;
    size_t count;
    promised->file = STEP(store_file_create(store, file, &problem));
    promised->file_deleted = STEP(store_file_delete(store, file->id, NULL, &problem));
    promised->token = STEP(store_token_create(store, "laptop", "1234", 0, &problem));
    if (STEP(store_setting(store, "secret", "value", &value, &problem))) {
        snprintf(promised->setting, sizeof promised->setting, "%s", value);
        memory_free(value);
    }
    STEP(store_expire(store, 0, &count, &problem));
    if (STEP(store_expire_data(store, 1, 10, &blobs, &count, &problem))) {
        for (size_t i = 0; blobs[i]; i++) memory_free(blobs[i]);
        memory_free(blobs);
    }
}

static void look_around(struct store *store, struct promised *promised) {
    struct error problem;
    struct prediction prediction, *predictions;
    struct event *events;
    struct webhook *webhooks;
    struct token *tokens, token;
    struct stored_file *files;
    size_t count, starting, processing, before;
    int64_t number;
    bool more;
    if (STEP(store_get(store, promised->created[0], NULL, &prediction, &problem))) prediction_free(&prediction);
    if (STEP(store_list(store, &(struct store_list){.limit = 3}, &predictions, &count, &more, &problem)))
        predictions_free(predictions, count);
    if (STEP(store_events(store, NULL, 0, 100, &events, &count, &problem))) events_free(events, count);
    STEP(store_last_event(store, &number, &problem));
    STEP(store_queue(store, promised->created[1], &starting, &processing, &before, &problem));
    STEP(store_webhooks_due(store, &number, &problem));
    if (STEP(store_webhooks_claim(store, 60, 2, &webhooks, &count, &problem))) {
        if (count > 0) STEP(store_webhook_retry(store, webhooks[0].row, 1, &problem));
        if (count > 1) STEP(store_webhook_done(store, webhooks[1].row, &problem));
        webhooks_free(webhooks, count);
    }
    if (STEP(store_token_list(store, &tokens, &count, &problem))) memory_free(tokens);
    STEP(store_token_find(store, "1234", &token, &problem));
    if (STEP(store_file_list(store, NULL, 0, NULL, 10, &files, &count, &more, &problem))) stored_files_free(files, count);
}

struct script {
    char folder[64], url[128];
    struct prediction predictions[CREATED];
    struct stored_file file;
};

static void prepare(struct script *script) {
    memset(script, 0, sizeof *script);
    make_folder(script->folder);
    make_store_url(script->folder, script->url);
    for (size_t i = 0; i < CREATED; i++) {
        script->predictions[i] = make_prediction();
        script->predictions[i].webhook = memory_string("https://example.org/");
        script->predictions[i].webhook_events = WEBHOOK_ALL;
        json_object_set_new(script->predictions[i].input, "image", json_string("blob:inpu.png"));
    }
    script->file = (struct stored_file){.id = "file", .md5 = "1", .sha256 = "2", .created = 1};
    script->file.owner = memory_string("");
    script->file.name = memory_string("x.png");
    script->file.content_type = memory_string("image/png");
    script->file.blob = memory_string("uplo.png");
}

static void clean(struct script *script) {
    for (size_t i = 0; i < CREATED; i++) prediction_free(&script->predictions[i]);
    stored_file_free(&script->file);
    remove_folder(script->folder);
}

/* Run it all; what fails, fails. */
static void run(struct script *script, struct promised *promised) {
    struct error problem;
    struct store *store;
    memset(promised, 0, sizeof *promised);
    if (!STEP(store_open(script->url, &store, &problem))) return;
    create_some(store, script->predictions, promised);
    work(store, promised);
    keep_records(store, &script->file, promised);
    look_around(store, promised);
    store_close(store);
}

/* With nothing failing any more: the file is sound, and every promise is kept. */
static void verify(struct script *script, const struct promised *promised) {
    struct store *store;
    struct stored_file file;
    struct token token;
    ASSERT_OK(store_open(script->url, &store, error));
    ASSERT_OK(store_check(store, error));
    for (size_t i = 0; i < CREATED; i++)
        if (promised->is_created[i]) status_of(store, promised->created[i]);
    if (promised->finished) assert_int_equal(status_of(store, promised->created[0]), PREDICTION_SUCCEEDED);
    if (promised->canceled) assert_int_equal(status_of(store, promised->created[3]), PREDICTION_CANCELED);
    if (promised->file_deleted) ASSERT_ERROR(ERROR_NOT_FOUND, store_file_get(store, "file", NULL, &file, error));
    if (promised->token) ASSERT_OK(store_token_find(store, "1234", &token, error));
    if (promised->setting[0]) {
        char *value;
        ASSERT_OK(store_setting(store, "secret", "other", &value, error));
        assert_string_equal(value, promised->setting);
        memory_free(value);
    }
    store_close(store);
}

/* ---- the loops ---- */

static size_t all_successes;

static void test_nothing_fails(void **state) {
    (void)state;
    struct script script;
    struct promised promised;
    prepare(&script);
    run(&script, &promised);
    assert_true(promised.finished && promised.canceled && promised.file_deleted && promised.token);
    all_successes = promised.successes;
    verify(&script, &promised);
    clean(&script);
}

/* stride: every so-manieth call only, so that the quick test stays quick; a different phase each time
 * would find no more than the whole does. INPAINT_SOAK runs the whole. */
static long stride(long quick) { return getenv("INPAINT_SOAK") ? 1 : quick; }

static void fail_calls(int number, bool for_ever) {
    bool hit = true;
    long n = 1, step = stride(3);
    for (; hit; n += step) {
        struct script script;
        struct promised promised;
        prepare(&script);
        fault_at(n, number, for_ever);
        run(&script, &promised);
        hit = fault_hit();
        fault_off();
        if (!hit) assert_int_equal(promised.successes, all_successes);
        if (number == FAULT_SHORT && promised.successes != all_successes) fail_msg("a short write at call %ld was not continued", n);
        verify(&script, &promised);
        clean(&script);
    }
    assert_true(n > 100); /* the calls were seen at all */
}

static void test_io_errors(void **state) {
    (void)state;
    fail_calls(EIO, false);
    fail_calls(EIO, true);
}

static void test_full_disk(void **state) {
    (void)state;
    fail_calls(ENOSPC, false);
    fail_calls(ENOSPC, true);
}

static void test_short_writes(void **state) {
    (void)state;
    fail_calls(FAULT_SHORT, false);
    fail_calls(FAULT_SHORT, true);
}

static void fail_allocations(bool for_ever) {
    bool hit = true;
    for (size_t n = 1; hit; n++) {
        struct script script;
        struct promised promised;
        prepare(&script);
        memory_fail_at(n, for_ever);
        run(&script, &promised);
        hit = memory_calls() >= n;
        memory_fail_at(0, 0);
        if (!hit) assert_int_equal(promised.successes, all_successes);
        verify(&script, &promised);
        clean(&script);
    }
}

static void test_no_memory(void **state) {
    (void)state;
    json_set_alloc_funcs(memory_alloc, memory_free);
    fail_allocations(false);
    fail_allocations(true);
}

static void fail_sqlite_allocations(bool for_ever) {
    bool hit = true;
    for (long n = 1, step = stride(17); hit; n += step) {
        struct script script;
        struct promised promised;
        prepare(&script);
        atomic_store(&memory_countdown, n);
        atomic_store(&memory_lasting, for_ever);
        atomic_store(&memory_armed, true);
        run(&script, &promised);
        atomic_store(&memory_armed, false);
        hit = atomic_load(&memory_countdown) <= 0;
        verify(&script, &promised);
        clean(&script);
    }
}

static void test_no_memory_in_sqlite(void **state) {
    (void)state;
    fail_sqlite_allocations(false);
    fail_sqlite_allocations(true);
    assert_true(sqlite3_memory_used() == 0); /* nothing was leaked on the way */
}

/* ---- threads that create at the same time share a transaction: one's failure is not another's lie ---- */

enum { CROWD = 6, CROWD_EACH = 3 };

struct crowd {
    struct store *store;
    struct prediction *predictions;
    bool created[CROWD_EACH];
};

static void *create_in_a_crowd(void *user) {
    struct crowd *crowd = user;
    for (size_t i = 0; i < CROWD_EACH; i++) crowd->created[i] = store_create(crowd->store, &crowd->predictions[i], NULL);
    return NULL;
}

/* What each fails with is decided by what fails: a call, or an allocation of SQLite's. */
static bool crowd_fails(struct store *store, struct prediction *predictions, struct crowd crowds[CROWD], long n, int number) {
    pthread_t threads[CROWD];
    if (number) {
        fault_at(n, number, false);
    } else {
        atomic_store(&memory_countdown, n);
        atomic_store(&memory_lasting, false);
        atomic_store(&memory_armed, true);
    }
    for (size_t i = 0; i < CROWD; i++) {
        crowds[i] = (struct crowd){.store = store, .predictions = predictions + i * CROWD_EACH};
        pthread_create(&threads[i], NULL, create_in_a_crowd, &crowds[i]);
    }
    for (size_t i = 0; i < CROWD; i++) pthread_join(threads[i], NULL);
    bool hit = number ? fault_hit() : atomic_load(&memory_countdown) <= 0;
    fault_off();
    atomic_store(&memory_armed, false);
    return hit;
}

static void fail_in_a_crowd(int number) {
    char folder[64], url[128];
    struct crowd crowds[CROWD];
    bool hit = true;
    make_folder(folder);
    make_store_url(folder, url);
    for (long n = 1; hit && n < 200; n += stride(2)) {
        struct prediction predictions[CROWD * CROWD_EACH];
        struct store *store;
        for (size_t i = 0; i < CROWD * CROWD_EACH; i++) predictions[i] = make_prediction();
        prediction_id twice;
        memcpy(twice, predictions[0].id, sizeof twice);
        memcpy(predictions[CROWD_EACH].id, twice, sizeof twice); /* two want the same id: one gets it */
        ASSERT_OK(store_open(url, &store, error));
        hit = crowd_fails(store, predictions, crowds, n, number);
        store_close(store);
        ASSERT_OK(store_open(url, &store, error));
        ASSERT_OK(store_check(store, error));
        assert_false(crowds[0].created[0] && crowds[1].created[0]);
        for (size_t i = 0; i < CROWD * CROWD_EACH; i++) {
            if (crowds[i / CROWD_EACH].created[i % CROWD_EACH])
                status_of(store, predictions[i].id);
            else
                assert_true(hit || strcmp(predictions[i].id, twice) == 0);
        }
        store_close(store);
        for (size_t i = 0; i < CROWD * CROWD_EACH; i++) prediction_free(&predictions[i]);
    }
    remove_folder(folder);
}

static void test_failures_in_a_crowd(void **state) {
    (void)state;
    fail_in_a_crowd(EIO);
    fail_in_a_crowd(ENOSPC);
    fail_in_a_crowd(0);
}

int main(void) {
    install_failing_memory();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_fails),       cmocka_unit_test(test_io_errors), cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_short_writes),        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_failures_in_a_crowd),
        cmocka_unit_test(test_no_memory_in_sqlite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
