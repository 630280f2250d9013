/* kill -9 at random instants of a process that writes: what it was told is done is done, and the
 * store is sound. One store for all rounds, so that recovery follows recovery. */
#include "../store/fixture.h"

#include "store/blob.h"

#include <signal.h>
#include <sys/wait.h>

enum { REPORT_CREATED = 'c', REPORT_FINISHED = 'f', REPORT_CANCELED = 'x', REPORT_BLOB = 'b', REPORT_READY = 'r' };

/* One acknowledgement: written to the parent only after the call has returned. */
struct report {
    char what, name[103];
};

struct place {
    char folder[64], url[128], blobs[128];
};

static uint64_t next(uint64_t *random, uint64_t bound) {
    uint64_t z = *random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % bound;
}

/* ---- the child ---- */

static void tell(int channel, char what, const char *name) {
    struct report report = {.what = what};
    snprintf(report.name, sizeof report.name, "%s", name);
    if (write(channel, &report, sizeof report) != sizeof report) _exit(9);
}

static void child_create(struct store *store, uint64_t *random, int channel) {
    struct prediction prediction = make_prediction();
    prediction.webhook = next(random, 2) ? memory_string("https://example.org/") : NULL;
    prediction.webhook_events = WEBHOOK_ALL;
    if (store_create(store, &prediction, NULL)) tell(channel, REPORT_CREATED, prediction.id);
    prediction_free(&prediction);
}

static void child_work(struct store *store, struct blobs *blobs, uint64_t *random, int channel) {
    struct lease lease;
    struct prediction prediction;
    bool found;
    char name[101], content[64];
    if (!store_claim(store, &(struct store_wish){.worker = "worker"}, &lease, &prediction, &found, NULL) || !found) return;
    prediction_free(&prediction);
    for (uint64_t lines = next(random, 3); lines > 0; lines--) store_log(store, &lease, "a line of the log\n", NULL);
    snprintf(content, sizeof content, "the picture of %s", lease.id);
    if (!blob_put(blobs, ".png", content, strlen(content), name, NULL)) return;
    tell(channel, REPORT_BLOB, name);
    json_t *output = json_pack("[s]", name);
    if (store_finish(store, &lease, PREDICTION_SUCCEEDED, output, NULL, 1, NULL)) tell(channel, REPORT_FINISHED, lease.id);
    json_decref(output);
}

static void child_cancel(struct store *store, int channel) {
    struct prediction *predictions;
    size_t count;
    bool more;
    if (!store_list(store, &(struct store_list){.limit = 1}, &predictions, &count, &more, NULL)) return;
    bool open = count > 0 && !prediction_status_terminal(predictions[0].status);
    if (open && store_cancel(store, predictions[0].id, NULL, NULL, NULL)) tell(channel, REPORT_CANCELED, predictions[0].id);
    predictions_free(predictions, count);
}

static void child_main(const struct place *place, uint64_t seed, int channel) {
    struct store *store;
    struct blobs *blobs;
    uint64_t random = seed;
    if (!store_open(place->url, &store, NULL) || !blobs_open(place->blobs, &blobs, NULL)) _exit(8);
    tell(channel, REPORT_READY, "");
    for (;;) {
        uint64_t dice = next(&random, 10);
        if (dice < 4)
            child_create(store, &random, channel);
        else if (dice < 9)
            child_work(store, blobs, &random, channel);
        else
            child_cancel(store, channel);
    }
}

/* ---- the parent ---- */

/* Kill it `microseconds` after it has begun; all its reports until then. */
static size_t run_and_kill(const struct place *place, uint64_t seed, int64_t microseconds, struct report *reports, size_t room) {
    int channel[2], result;
    size_t count = 0;
    assert_int_equal(pipe(channel), 0);
    pid_t child = fork();
    if (child == 0) {
        close(channel[0]);
        child_main(place, seed, channel[1]);
    }
    assert_true(child > 0);
    close(channel[1]);
    struct report ready;
    assert_int_equal(read(channel[0], &ready, sizeof ready), sizeof ready);
    assert_int_equal(ready.what, REPORT_READY);
    time_sleep(microseconds);
    kill(child, SIGKILL);
    while (count < room && read(channel[0], &reports[count], sizeof reports[0]) == sizeof reports[0]) count++;
    assert_true(count < room);
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL);
    close(channel[0]);
    return count;
}

static void verify(const struct place *place, const struct report *reports, size_t count) {
    struct store *store;
    struct blobs *blobs;
    char *data;
    size_t length;
    ASSERT_OK(store_open(place->url, &store, error));
    ASSERT_OK(blobs_open(place->blobs, &blobs, error));
    ASSERT_OK(store_check(store, error));
    for (size_t i = 0; i < count; i++) {
        switch (reports[i].what) {
        case REPORT_CREATED:
            status_of(store, reports[i].name);
            break;
        case REPORT_FINISHED:
            assert_int_equal(status_of(store, reports[i].name), PREDICTION_SUCCEEDED);
            break;
        case REPORT_CANCELED:
            assert_int_equal(status_of(store, reports[i].name), PREDICTION_CANCELED);
            break;
        default:
            ASSERT_OK(blob_read(blobs, reports[i].name, 1000, &data, &length, error));
            assert_int_equal(strncmp(data, "the picture of ", 15), 0);
            memory_free(data);
        }
    }
    store_close(store);
    blobs_close(blobs);
}

/* Every success has its picture, whole. */
static void verify_outputs(const struct place *place) {
    struct store *store;
    struct blobs *blobs;
    struct prediction *predictions;
    size_t count, length, successes = 0;
    bool more;
    char *data;
    ASSERT_OK(store_open(place->url, &store, error));
    ASSERT_OK(blobs_open(place->blobs, &blobs, error));
    ASSERT_OK(store_list(store, &(struct store_list){.limit = 100000}, &predictions, &count, &more, error));
    for (size_t i = 0; i < count; i++) {
        if (predictions[i].status != PREDICTION_SUCCEEDED) continue;
        ASSERT_OK(blob_read(blobs, json_string_value(json_array_get(predictions[i].output, 0)), 1000, &data, &length, error));
        assert_non_null(strstr(data, predictions[i].id));
        memory_free(data);
        successes++;
    }
    assert_true(count > 50 && successes > 10); /* the rounds did something */
    predictions_free(predictions, count);
    store_close(store);
    blobs_close(blobs);
}

static void test_killed_at_random(void **state) {
    (void)state;
    enum { ROOM = 100000 };
    static struct report reports[ROOM];
    const char *given = getenv("INPAINT_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 1, random = seed;
    int rounds = getenv("INPAINT_SOAK") ? 1000 : 100, created = 0, finished = 0;
    struct place place;
    make_folder(place.folder);
    make_store_url(place.folder, place.url);
    snprintf(place.blobs, sizeof place.blobs, "%s/blobs", place.folder);
    /* A slow machine gets less done before each kill, and so more of them. */
    for (int round = 0; round < rounds || ((created < 60 || finished < 15) && round < 100 * rounds); round++) {
        size_t count = run_and_kill(&place, next(&random, UINT64_MAX), (int64_t)next(&random, 30000), reports, ROOM);
        verify(&place, reports, count);
        for (size_t i = 0; i < count; i++) {
            created += reports[i].what == REPORT_CREATED;
            finished += reports[i].what == REPORT_FINISHED;
        }
    }
    verify_outputs(&place);
    remove_folder(place.folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed_at_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
