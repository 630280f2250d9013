/* What the tests of the store share: a new store in a folder of its own, and predictions to put
 * into it. Backend by name only: the same tests run against whatever make_store_url() names. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "../store/postgres_fixture.h"
#include "base/memory.h"
#include "base/time.h"
#include "store/store.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ASSERT_OK(call)                                                                                                                    \
    do {                                                                                                                                   \
        struct error asserted = {.code = ERROR_NONE};                                                                                      \
        struct error *error = &asserted;                                                                                                   \
        if (!(call)) fail_msg("%s: %s: %s", #call, error_name(asserted.code), asserted.message);                                           \
    } while (0)

#define ASSERT_ERROR(expected, call)                                                                                                       \
    do {                                                                                                                                   \
        struct error asserted = {.code = ERROR_NONE};                                                                                      \
        struct error *error = &asserted;                                                                                                   \
        if (call) fail_msg("%s succeeded, expected %s", #call, error_name(expected));                                                      \
        if (asserted.code != (expected))                                                                                                   \
            fail_msg("%s: %s (%s), expected %s", #call, error_name(asserted.code), asserted.message, error_name(expected));                \
        assert_true(strlen(asserted.message) > 0);                                                                                         \
    } while (0)

/* A new empty folder, in memory where there is such a place: the tests of durability choose their own. */
static inline void make_folder(char folder[64]) {
    snprintf(folder, 64, "%s/inpaintd-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder)) fail_msg("no folder to test in");
}

static inline void remove_folder(const char *folder) {
    DIR *listing = opendir(folder);
    if (!listing) return;
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char *path = memory_format("%s/%s", folder, entry->d_name);
        if (unlink(path) != 0) remove_folder(path);
        memory_free(path);
    }
    closedir(listing);
    rmdir(folder);
}

/* Against PostgreSQL when INPAINT_TEST_POSTGRES names one (postgres_fixture.h). */
static inline void make_store_url(const char *folder, char url[128]) {
    if (test_postgres())
        make_postgres_url(url);
    else
        snprintf(url, 128, "sqlite:%s/store.db", folder);
}

struct fixture {
    char folder[64], url[128];
    struct store *store;
};

static inline int set_up(void **state) {
    struct fixture *fixture = memory_zero(sizeof *fixture);
    struct error error = {.code = ERROR_NONE};
    make_folder(fixture->folder);
    make_store_url(fixture->folder, fixture->url);
    if (!store_open(fixture->url, &fixture->store, &error)) fail_msg("%s", error.message);
    *state = fixture;
    return 0;
}

/* Every test ends with the store's own checks. */
static inline int tear_down(void **state) {
    struct fixture *fixture = *state;
    ASSERT_OK(store_check(fixture->store, error));
    store_close(fixture->store);
    remove_folder(fixture->folder);
    memory_free(fixture);
    return 0;
}

/* A prediction as the service would fill it in; change what the test is about, then prediction_free(). */
static inline struct prediction make_prediction(void) {
    struct prediction prediction;
    memset(&prediction, 0, sizeof prediction);
    ASSERT_OK(prediction_id_create(prediction.id, error));
    prediction.owner = memory_string("");
    prediction.model = memory_string("andreasjansson/stable-diffusion-inpainting");
    prediction.version = memory_string("e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180");
    prediction.input = json_pack("{s:s, s:s, s:s}", "prompt", "a cat", "image", "https://a/i.png", "mask", "https://a/m.png");
    prediction.created = time_wall();
    prediction.stream_token = memory_format("stream-%s", prediction.id);
    prediction.public_base = memory_string("http://127.0.0.1:8080");
    return prediction;
}

typedef char prediction_id[PREDICTION_ID_LENGTH + 1];

static inline void create_prediction(struct store *store, const struct prediction *prediction, prediction_id id) {
    ASSERT_OK(store_create(store, prediction, error));
    if (id) memcpy(id, prediction->id, sizeof(prediction_id));
}

static inline void create_plain(struct store *store, prediction_id id) {
    struct prediction prediction = make_prediction();
    create_prediction(store, &prediction, id);
    prediction_free(&prediction);
}

static inline void create_with_webhook(struct store *store, unsigned events, prediction_id id) {
    struct prediction prediction = make_prediction();
    prediction.webhook = memory_string("https://example.org/hook");
    prediction.webhook_events = events;
    create_prediction(store, &prediction, id);
    prediction_free(&prediction);
}

/* Claim something; false when there is nothing. */
static inline bool claim_any(struct store *store, const char *worker, int lease_seconds, struct lease *lease) {
    struct prediction prediction;
    bool found;
    const struct store_wish wish = {.worker = worker, .lease_seconds = lease_seconds};
    ASSERT_OK(store_claim(store, &wish, lease, &prediction, &found, error));
    if (found) {
        assert_string_equal(prediction.id, lease->id);
        assert_int_equal(prediction.attempt, lease->attempt);
        assert_int_equal(prediction.status, PREDICTION_PROCESSING);
        assert_string_equal(lease->worker, worker);
    }
    prediction_free(&prediction);
    return found;
}

/* Claim, and expect this one. */
static inline struct lease claim_this(struct store *store, const char *id, int lease_seconds) {
    struct lease lease;
    assert_true(claim_any(store, "worker", lease_seconds, &lease));
    assert_string_equal(lease.id, id);
    return lease;
}

static inline void finish_with(struct store *store, const struct lease *lease, const char *blob) {
    json_t *output = json_pack("[s]", blob);
    ASSERT_OK(store_finish(store, lease, PREDICTION_SUCCEEDED, output, NULL, 1.25, error));
    json_decref(output);
}

static inline enum prediction_status status_of(struct store *store, const char *id) {
    struct prediction prediction;
    ASSERT_OK(store_get(store, id, NULL, &prediction, error));
    enum prediction_status status = prediction.status;
    prediction_free(&prediction);
    return status;
}

/* The kinds of a prediction's events as letters: s start, o output, l logs, p preview, d done. */
static inline void event_kinds(struct store *store, const char *id, char kinds[64]) {
    struct event *events;
    size_t count;
    ASSERT_OK(store_events(store, id, 0, 63, &events, &count, error));
    for (size_t i = 0; i < count; i++) {
        kinds[i] = "solpd"[events[i].kind];
        if (i > 0) assert_true(events[i].sequence > events[i - 1].sequence);
        assert_string_equal(events[i].prediction, id);
    }
    kinds[count] = 0;
    events_free(events, count);
}

static inline void assert_events(struct store *store, const char *id, const char *expected) {
    char kinds[64];
    event_kinds(store, id, kinds);
    assert_string_equal(kinds, expected);
}

#endif
