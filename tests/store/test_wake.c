/* Sleeping and waking, across threads and processes, and when the file is taken away. */
#include "fixture.h"
#include "store/wake.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

struct sleeper {
    struct store *store;
    uint32_t seen;
    int milliseconds;
    atomic_bool asleep;
    bool changed;
    int64_t slept;
    pthread_t thread;
};

static void *sleep_there(void *user) {
    struct sleeper *sleeper = user;
    int64_t began = time_monotonic();
    atomic_store(&sleeper->asleep, true);
    sleeper->changed = store_wait(sleeper->store, &sleeper->seen, sleeper->milliseconds);
    sleeper->slept = time_monotonic() - began;
    return NULL;
}

/* Asleep when this returns, as far as one can tell. */
static void start_sleeper(struct sleeper *sleeper, struct store *store, int milliseconds) {
    memset(sleeper, 0, sizeof *sleeper);
    sleeper->store = store;
    sleeper->milliseconds = milliseconds;
    store_wait(store, &sleeper->seen, 0);
    pthread_create(&sleeper->thread, NULL, sleep_there, sleeper);
    while (!atomic_load(&sleeper->asleep)) {
    }
    time_sleep(30000);
}

static void expect_woken(struct sleeper *sleeper, int64_t within) {
    pthread_join(sleeper->thread, NULL);
    assert_true(sleeper->changed);
    assert_true(sleeper->slept < within);
}

static void test_change_wakes(void **state) {
    struct fixture *fixture = *state;
    struct sleeper sleeper;
    prediction_id id;
    start_sleeper(&sleeper, fixture->store, 20000);
    create_plain(fixture->store, id);
    expect_woken(&sleeper, 2000000);
    start_sleeper(&sleeper, fixture->store, 20000);
    store_wake(fixture->store);
    expect_woken(&sleeper, 2000000);
}

static void test_time_is_up(void **state) {
    struct fixture *fixture = *state;
    uint32_t seen = 0;
    store_wait(fixture->store, &seen, 0);
    int64_t began = time_monotonic();
    assert_false(store_wait(fixture->store, &seen, 150));
    assert_in_range(time_monotonic() - began, 140000, 2000000);
    assert_false(store_wait(fixture->store, &seen, 0));
    assert_false(store_wait(fixture->store, &seen, -5));
}

/* What happened before one went to sleep is not slept through. */
static void test_nothing_is_missed(void **state) {
    struct fixture *fixture = *state;
    uint32_t seen = 0;
    prediction_id id;
    store_wait(fixture->store, &seen, 0);
    create_plain(fixture->store, id);
    int64_t began = time_monotonic();
    assert_true(store_wait(fixture->store, &seen, 20000));
    assert_true(time_monotonic() - began < 1000000);
    assert_false(store_wait(fixture->store, &seen, 0));
}

static void test_many_sleepers(void **state) {
    struct fixture *fixture = *state;
    enum { SLEEPERS = 50 };
    static struct sleeper sleepers[SLEEPERS];
    for (size_t i = 0; i < SLEEPERS; i++) {
        memset(&sleepers[i], 0, sizeof sleepers[i]);
        sleepers[i].store = fixture->store;
        sleepers[i].milliseconds = 20000;
        store_wait(fixture->store, &sleepers[i].seen, 0);
        pthread_create(&sleepers[i].thread, NULL, sleep_there, &sleepers[i]);
    }
    time_sleep(50000);
    store_wake(fixture->store);
    for (size_t i = 0; i < SLEEPERS; i++) expect_woken(&sleepers[i], 3000000);
}

static void test_another_process_wakes(void **state) {
    struct fixture *fixture = *state;
    struct sleeper sleeper;
    start_sleeper(&sleeper, fixture->store, 20000);
    pid_t child = fork();
    if (child == 0) {
        struct store *store;
        if (store_open(fixture->url, &store, NULL)) store_wake(store);
        _exit(0);
    }
    assert_true(child > 0);
    expect_woken(&sleeper, 5000000);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* The file is removed: sleepers come over to the new one within a second or so. */
static void test_file_removed(void **state) {
    if (test_postgres()) skip();
    struct fixture *fixture = *state;
    struct sleeper sleeper;
    struct store *other;
    prediction_id id;
    char *path = memory_format("%s/store.db-wake", fixture->folder);
    start_sleeper(&sleeper, fixture->store, 20000);
    assert_int_equal(unlink(path), 0);
    ASSERT_OK(store_open(fixture->url, &other, error));
    time_sleep(1500000);
    create_plain(other, id);
    expect_woken(&sleeper, 5000000);
    start_sleeper(&sleeper, fixture->store, 20000);
    create_plain(other, id);
    expect_woken(&sleeper, 2000000);
    store_close(other);
    memory_free(path);
}

static void test_file_cut(void **state) {
    if (test_postgres()) skip();
    struct fixture *fixture = *state;
    uint32_t seen = 0;
    prediction_id id;
    char *path = memory_format("%s/store.db-wake", fixture->folder);
    assert_int_equal(unlink(path), 0);
    FILE *file = fopen(path, "w");
    fclose(file);
    create_plain(fixture->store, id);
    store_wait(fixture->store, &seen, 0);
    create_plain(fixture->store, id);
    assert_true(store_wait(fixture->store, &seen, 1000));
    memory_free(path);
}

/* Where there can be no file one looks every half second. */
static void test_without_a_file(void **state) {
    (void)state;
    struct wake *wake = wake_open("/nowhere/at/all");
    uint32_t seen = 0;
    assert_non_null(wake);
    wake_all(wake);
    int64_t began = time_monotonic();
    assert_true(wake_wait(wake, &seen, 20000));
    assert_in_range(time_monotonic() - began, 400000, 3000000);
    assert_true(wake_wait(wake, &seen, 10));
    wake_close(wake);
    wake_close(NULL);
}

#define WAKE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WAKE_TEST(test_change_wakes),
        WAKE_TEST(test_time_is_up),
        WAKE_TEST(test_nothing_is_missed),
        WAKE_TEST(test_many_sleepers),
        WAKE_TEST(test_another_process_wakes),
        WAKE_TEST(test_file_removed),
        WAKE_TEST(test_file_cut),
        cmocka_unit_test(test_without_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
