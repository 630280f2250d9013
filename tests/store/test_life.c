/* Conformance of a store, 1: the life of a prediction. Written against store.h alone. */
#include "fixture.h"

static void test_round_trip(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct prediction in = make_prediction(), out;
    memory_free(in.owner);
    in.owner = memory_string("alice");
    json_object_set_new(in.input, "prompt", json_string("żółw \xf0\x9f\x90\xa2 \"quoted\"\n"));
    json_object_set_new(in.input, "guidance_scale", json_real(7.25));
    in.from_web = true;
    in.data_uri_output = true;
    in.webhook = memory_string("https://example.org/hook?a=b");
    in.webhook_events = WEBHOOK_START | WEBHOOK_COMPLETED;
    in.deadline = in.created + 3600000000;
    strcpy(in.trace, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    create_prediction(store, &in, NULL);
    ASSERT_OK(store_get(store, in.id, NULL, &out, error));
    assert_string_equal(out.id, in.id);
    assert_string_equal(out.owner, "alice");
    assert_string_equal(out.model, in.model);
    assert_string_equal(out.version, in.version);
    assert_true(json_equal(out.input, in.input));
    assert_string_equal(out.logs, "");
    assert_null(out.output);
    assert_null(out.error);
    assert_int_equal(out.status, PREDICTION_STARTING);
    assert_true(out.from_web && out.data_uri_output && !out.data_removed);
    assert_true(out.created == in.created && out.deadline == in.deadline && out.started == 0 && out.completed == 0);
    assert_string_equal(out.webhook, in.webhook);
    assert_int_equal(out.webhook_events, in.webhook_events);
    assert_int_equal(out.attempt, 0);
    assert_string_equal(out.stream_token, in.stream_token);
    assert_string_equal(out.public_base, in.public_base);
    assert_string_equal(out.trace, in.trace);
    assert_string_equal(claim_this(store, in.id, 60).trace, in.trace);
    struct webhook *webhooks;
    size_t count;
    ASSERT_OK(store_webhooks_claim(store, 60, 10, &webhooks, &count, error));
    assert_int_equal(count, 1);
    assert_string_equal(webhooks[0].trace, in.trace);
    webhooks_free(webhooks, count);
    prediction_free(&out);
    ASSERT_OK(store_get_by_stream(store, in.stream_token, &out, error));
    assert_string_equal(out.id, in.id);
    prediction_free(&out);
    assert_events(store, in.id, "s");
    prediction_free(&in);
}

static void test_who_may_see_it(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct prediction in = make_prediction(), out;
    memory_free(in.owner);
    in.owner = memory_string("alice");
    create_prediction(store, &in, NULL);
    ASSERT_OK(store_get(store, in.id, "alice", &out, error));
    prediction_free(&out);
    ASSERT_ERROR(ERROR_NOT_FOUND, store_get(store, in.id, "bob", &out, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_get(store, in.id, "", &out, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_get(store, "nothing", NULL, &out, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_get_by_stream(store, "nothing", &out, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_cancel(store, in.id, "bob", &out, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_cancel(store, "nothing", NULL, NULL, error));
    assert_int_equal(status_of(store, in.id), PREDICTION_STARTING);
    prediction_free(&in);
}

static void test_same_id_twice(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct prediction prediction = make_prediction();
    create_prediction(store, &prediction, NULL);
    ASSERT_ERROR(ERROR_CONFLICT, store_create(store, &prediction, error));
    prediction.id[3] = prediction.id[3] == 'a' ? 'b' : 'a'; /* the stream's token is still the same */
    ASSERT_ERROR(ERROR_CONFLICT, store_create(store, &prediction, error));
    prediction_free(&prediction);
}

static void test_success(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    struct prediction out;
    create_plain(store, id);
    int64_t before = time_wall();
    struct lease lease = claim_this(store, id, 60);
    assert_int_equal(lease.attempt, 1);
    ASSERT_OK(store_log(store, &lease, "Using seed: 1\n", error));
    ASSERT_OK(store_log(store, &lease, "  2%|▏         | 1/50\n", error));
    ASSERT_OK(store_heartbeat(store, &lease, 60, error));
    json_t *output = json_pack("[s, s]", "aaaa.png", "bbbb.png");
    ASSERT_OK(store_finish(store, &lease, PREDICTION_SUCCEEDED, output, NULL, 4.5, error));
    ASSERT_OK(store_get(store, id, NULL, &out, error));
    assert_int_equal(out.status, PREDICTION_SUCCEEDED);
    assert_true(json_equal(out.output, output));
    assert_null(out.error);
    assert_string_equal(out.logs, "Using seed: 1\n  2%|▏         | 1/50\n");
    assert_true(out.predict_seconds == 4.5);
    assert_true(out.started >= before && out.completed >= out.started && out.completed <= time_wall());
    assert_events(store, id, "sllood");
    prediction_free(&out);
    json_decref(output);
}

static void test_failure(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    struct prediction out;
    create_plain(store, id);
    struct lease lease = claim_this(store, id, 60);
    ASSERT_OK(store_finish(store, &lease, PREDICTION_FAILED, NULL, "The image can't be used.", 0.5, error));
    ASSERT_OK(store_get(store, id, NULL, &out, error));
    assert_int_equal(out.status, PREDICTION_FAILED);
    assert_string_equal(out.error, "The image can't be used.");
    assert_null(out.output);
    prediction_free(&out);
    assert_events(store, id, "sd");
}

static void test_an_end_needs_its_reason(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    create_plain(store, id);
    struct lease lease = claim_this(store, id, 60);
    json_t *numbers = json_pack("[i]", 1);
    ASSERT_ERROR(ERROR_INTERNAL, store_finish(store, &lease, PREDICTION_SUCCEEDED, NULL, NULL, 1, error));
    ASSERT_ERROR(ERROR_INTERNAL, store_finish(store, &lease, PREDICTION_SUCCEEDED, numbers, NULL, 1, error));
    ASSERT_ERROR(ERROR_INTERNAL, store_finish(store, &lease, PREDICTION_FAILED, NULL, NULL, 1, error));
    ASSERT_ERROR(ERROR_INTERNAL, store_finish(store, &lease, PREDICTION_PROCESSING, NULL, "x", 1, error));
    json_decref(numbers);
    assert_int_equal(status_of(store, id), PREDICTION_PROCESSING);
}

static void test_oldest_first(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id ids[5];
    struct lease lease;
    for (size_t i = 0; i < 5; i++) create_plain(store, ids[i]);
    for (size_t i = 0; i < 5; i++) claim_this(store, ids[i], 60);
    assert_false(claim_any(store, "worker", 60, &lease));
}

/* A lease of no seconds has run out at once. */
static void test_takeover_and_fence(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    struct prediction out;
    json_t *output = json_pack("[s]", "aaaa.png");
    create_plain(store, id);
    struct lease first = claim_this(store, id, 0);
    ASSERT_OK(store_log(store, &first, "first\n", error)); /* late, but nobody has taken it yet */
    ASSERT_OK(store_get(store, id, NULL, &out, error));
    int64_t started = out.started;
    prediction_free(&out);
    struct lease second = claim_this(store, id, 60);
    assert_int_equal(second.attempt, 2);
    ASSERT_ERROR(ERROR_CONFLICT, store_log(store, &first, "x\n", error));
    ASSERT_ERROR(ERROR_CONFLICT, store_heartbeat(store, &first, 60, error));
    ASSERT_ERROR(ERROR_CONFLICT, store_preview(store, &first, "pppp.png", error));
    ASSERT_ERROR(ERROR_CONFLICT, store_release(store, &first, error));
    ASSERT_ERROR(ERROR_CONFLICT, store_finish(store, &first, PREDICTION_SUCCEEDED, output, NULL, 1, error));
    struct lease forged = second;
    snprintf(forged.worker, sizeof forged.worker, "somebody");
    ASSERT_ERROR(ERROR_CONFLICT, store_log(store, &forged, "x\n", error));
    ASSERT_OK(store_log(store, &second, "second\n", error));
    ASSERT_OK(store_finish(store, &second, PREDICTION_SUCCEEDED, output, NULL, 1, error));
    ASSERT_ERROR(ERROR_CONFLICT, store_finish(store, &second, PREDICTION_FAILED, NULL, "again", 1, error));
    ASSERT_ERROR(ERROR_CONFLICT, store_finish(store, &first, PREDICTION_FAILED, NULL, "again", 1, error));
    ASSERT_OK(store_get(store, id, NULL, &out, error));
    assert_string_equal(out.logs, "first\nsecond\n");
    assert_int_equal(out.status, PREDICTION_SUCCEEDED);
    assert_true(out.started == started);
    prediction_free(&out);
    assert_events(store, id, "sllod"); /* the start is told once */
    json_decref(output);
}

static void test_heartbeat_keeps_the_lease(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    struct lease other;
    create_plain(store, id);
    struct lease lease = claim_this(store, id, 0);
    ASSERT_OK(store_heartbeat(store, &lease, 60, error));
    assert_false(claim_any(store, "other", 60, &other));
    ASSERT_OK(store_heartbeat(store, &lease, 0, error));
    assert_true(claim_any(store, "other", 60, &other));
}

static void test_attempts_are_limited(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id, next;
    struct lease lease;
    struct prediction out;
    create_plain(store, id);
    for (int attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) assert_int_equal(claim_this(store, id, 0).attempt, attempt);
    create_plain(store, next);
    assert_true(claim_any(store, "worker", 60, &lease)); /* fails the first on its way to the next */
    assert_string_equal(lease.id, next);
    ASSERT_OK(store_get(store, id, NULL, &out, error));
    assert_int_equal(out.status, PREDICTION_FAILED);
    assert_true(strlen(out.error) > 20);
    assert_int_equal(out.attempt, ATTEMPTS_MAX);
    prediction_free(&out);
    assert_events(store, id, "sd");
}

static void test_release_costs_no_attempt(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    struct lease lease, before;
    create_plain(store, id);
    for (int i = 0; i < 3 * ATTEMPTS_MAX; i++) {
        lease = claim_this(store, id, 60);
        if (i > 0) { /* the lease that was given back is worth nothing, though the worker is the same */
            ASSERT_ERROR(ERROR_CONFLICT, store_log(store, &before, "x\n", error));
            assert_true(lease.attempt > before.attempt);
        }
        ASSERT_OK(store_release(store, &lease, error));
        assert_int_equal(status_of(store, id), PREDICTION_STARTING);
        ASSERT_ERROR(ERROR_CONFLICT, store_log(store, &lease, "x\n", error));
        before = lease;
    }
    lease = claim_this(store, id, 60);
    finish_with(store, &lease, "aaaa.png");
    assert_events(store, id, "sod");
}

static void test_cancel(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id waiting, running, ended;
    struct prediction out;
    struct lease lease;
    create_plain(store, ended);
    lease = claim_this(store, ended, 60);
    finish_with(store, &lease, "aaaa.png");
    create_plain(store, running);
    lease = claim_this(store, running, 60);
    create_plain(store, waiting);

    ASSERT_OK(store_cancel(store, waiting, "", &out, error));
    assert_int_equal(out.status, PREDICTION_CANCELED);
    assert_true(out.completed >= out.created && out.started == 0 && out.predict_seconds == 0);
    prediction_free(&out);
    assert_events(store, waiting, "d");

    ASSERT_OK(store_log(store, &lease, "line\n", error));
    ASSERT_OK(store_cancel(store, running, NULL, &out, error));
    assert_int_equal(out.status, PREDICTION_CANCELED);
    assert_null(out.output);
    assert_string_equal(out.logs, "line\n");
    assert_true(out.predict_seconds > 0);
    int64_t completed = out.completed;
    prediction_free(&out);
    ASSERT_ERROR(ERROR_CANCELED, store_heartbeat(store, &lease, 60, error));
    ASSERT_ERROR(ERROR_CANCELED, store_log(store, &lease, "x\n", error));
    ASSERT_ERROR(ERROR_CANCELED, store_preview(store, &lease, "pppp.png", error));
    ASSERT_ERROR(ERROR_CANCELED, store_release(store, &lease, error));
    ASSERT_ERROR(ERROR_CANCELED, store_finish(store, &lease, PREDICTION_FAILED, NULL, "x", 1, error));
    assert_events(store, running, "sld");

    ASSERT_OK(store_cancel(store, running, NULL, &out, error)); /* again: nothing changes */
    assert_true(out.completed == completed);
    prediction_free(&out);
    ASSERT_OK(store_cancel(store, ended, NULL, &out, error));
    assert_int_equal(out.status, PREDICTION_SUCCEEDED);
    prediction_free(&out);
    assert_false(claim_any(store, "worker", 60, &lease));
}

static void test_deadline_before_the_start(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct prediction late = make_prediction(), early = make_prediction();
    prediction_id next;
    size_t changed;
    late.deadline = late.created - 1;
    early.deadline = early.created - 1;
    create_prediction(store, &late, NULL);
    create_plain(store, next);
    claim_this(store, next, 60);
    assert_int_equal(status_of(store, late.id), PREDICTION_CANCELED);
    assert_events(store, late.id, "d");
    create_prediction(store, &early, NULL);
    ASSERT_OK(store_expire(store, 0, &changed, error));
    assert_int_equal(changed, 1);
    assert_int_equal(status_of(store, early.id), PREDICTION_CANCELED);
    ASSERT_OK(store_expire(store, 0, &changed, error));
    assert_int_equal(changed, 0);
    prediction_free(&late);
    prediction_free(&early);
}

static struct lease claim_with_deadline(struct store *store, int64_t microseconds) {
    struct prediction prediction = make_prediction();
    prediction.deadline = time_wall() + microseconds;
    create_prediction(store, &prediction, NULL);
    struct lease lease = claim_this(store, prediction.id, 60);
    prediction_free(&prediction);
    return lease;
}

static void test_deadline_while_processing(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct lease beating = claim_with_deadline(store, 100000), finishing = claim_with_deadline(store, 100000),
                 silent = claim_with_deadline(store, 100000), in_time = claim_with_deadline(store, 60000000);
    json_t *output = json_pack("[s]", "aaaa.png");
    size_t changed;
    time_sleep(150000);
    ASSERT_ERROR(ERROR_CANCELED, store_heartbeat(store, &beating, 60, error));
    assert_int_equal(status_of(store, beating.id), PREDICTION_CANCELED);
    ASSERT_ERROR(ERROR_CANCELED, store_finish(store, &finishing, PREDICTION_SUCCEEDED, output, NULL, 1, error));
    assert_int_equal(status_of(store, finishing.id), PREDICTION_CANCELED);
    ASSERT_OK(store_expire(store, 0, &changed, error));
    assert_int_equal(changed, 1);
    assert_int_equal(status_of(store, silent.id), PREDICTION_CANCELED);
    ASSERT_OK(store_finish(store, &in_time, PREDICTION_SUCCEEDED, output, NULL, 1, error));
    json_decref(output);
}

static void test_running_too_long(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id slow, quick;
    struct prediction out;
    size_t changed;
    create_plain(store, slow);
    claim_this(store, slow, 60);
    time_sleep(1100000);
    create_plain(store, quick);
    claim_this(store, quick, 60);
    ASSERT_OK(store_expire(store, 0, &changed, error));
    assert_int_equal(changed, 0);
    ASSERT_OK(store_expire(store, 1, &changed, error));
    assert_int_equal(changed, 1);
    ASSERT_OK(store_get(store, slow, NULL, &out, error));
    assert_int_equal(out.status, PREDICTION_FAILED);
    assert_non_null(strstr(out.error, "1 seconds"));
    assert_true(out.predict_seconds >= 1);
    prediction_free(&out);
    assert_int_equal(status_of(store, quick), PREDICTION_PROCESSING);
}

static void drop_leases(struct store *store, prediction_id *ids, size_t count, int attempt) {
    for (size_t i = 0; i < count; i++) {
        struct lease lease = {.attempt = attempt, .worker = "worker"};
        memcpy(lease.id, ids[i], sizeof lease.id);
        ASSERT_OK(store_heartbeat(store, &lease, 0, error));
    }
}

static void test_expire_fails_what_has_no_attempts_left(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    enum { COUNT = 250 }; /* more than one transaction's worth */
    static prediction_id ids[COUNT];
    size_t changed;
    struct lease lease;
    for (size_t i = 0; i < COUNT; i++) create_plain(store, ids[i]);
    for (int attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
        for (size_t i = 0; i < COUNT; i++) assert_true(claim_any(store, "worker", 60, &lease));
        ASSERT_OK(store_expire(store, 0, &changed, error));
        assert_int_equal(changed, 0);
        drop_leases(store, ids, COUNT, attempt);
    }
    ASSERT_OK(store_expire(store, 0, &changed, error));
    assert_int_equal(changed, COUNT);
    for (size_t i = 0; i < COUNT; i++) assert_int_equal(status_of(store, ids[i]), PREDICTION_FAILED);
}

static void test_previews(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    struct event *events;
    size_t count;
    create_plain(store, id);
    struct lease lease = claim_this(store, id, 60);
    ASSERT_OK(store_preview(store, &lease, "preview1.png", error));
    ASSERT_OK(store_log(store, &lease, "x\n", error));
    ASSERT_OK(store_preview(store, &lease, "preview2.png", error));
    assert_events(store, id, "slp");
    ASSERT_OK(store_events(store, id, 0, 10, &events, &count, error));
    assert_string_equal(events[2].data, "preview2.png");
    events_free(events, count);
    finish_with(store, &lease, "aaaa.png");
    assert_events(store, id, "slod");
}

static void test_queue_counts(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id ids[4];
    size_t starting, processing, before;
    for (size_t i = 0; i < 4; i++) create_plain(store, ids[i]);
    claim_this(store, ids[0], 60);
    ASSERT_OK(store_queue(store, ids[3], &starting, &processing, &before, error));
    assert_int_equal(starting, 3);
    assert_int_equal(processing, 1);
    assert_int_equal(before, 2);
    ASSERT_OK(store_queue(store, ids[1], &starting, &processing, &before, error));
    assert_int_equal(before, 0);
    ASSERT_OK(store_queue(store, NULL, &starting, &processing, &before, error));
    assert_int_equal(starting, 3);
    assert_int_equal(before, 0);
}

/* What a worker can't run waits for one that can, also when its lease ran out. */
static void test_workers_take_only_their_models(void **state) {
    struct fixture *fixture = *state;
    prediction_id ids[3];
    static const char *const models[] = {"a/small", "a/large", "a/large"}, *const versions[] = {"one", "two", "three"};
    for (size_t i = 0; i < 3; i++) {
        struct prediction prediction = make_prediction();
        memory_free(prediction.model);
        memory_free(prediction.version);
        prediction.model = memory_string(models[i]);
        prediction.version = memory_string(versions[i]);
        create_prediction(fixture->store, &prediction, ids[i]);
        prediction_free(&prediction);
    }
    static const struct {
        const char *models[3];
        int takes, lease_seconds; /* takes -1: nothing */
    } steps[] = {{{"a/medium", "four"}, -1, 60}, {{"three"}, 2, 60}, {{"four", "a/large"}, 1, 0}, {{"a/small"}, 0, 60},
                 {{"a/small"}, -1, 60},          {{NULL}, -1, 60},   {{"a/large"}, 1, 60}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const struct store_wish wish = {.worker = "worker", .lease_seconds = steps[i].lease_seconds, .models = steps[i].models};
        struct lease lease;
        struct prediction prediction;
        bool found;
        ASSERT_OK(store_claim(fixture->store, &wish, &lease, &prediction, &found, error));
        assert_int_equal(found, steps[i].takes >= 0);
        if (found) assert_string_equal(prediction.id, ids[steps[i].takes]);
        prediction_free(&prediction);
    }
}

static void test_worker_names_are_bounded(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    char name[65];
    struct lease lease;
    struct prediction prediction;
    bool found;
    memset(name, 'x', sizeof name - 1);
    name[64] = 0;
    ASSERT_ERROR(ERROR_ARGUMENT,
                 store_claim(store, &(struct store_wish){.worker = name, .lease_seconds = 1}, &lease, &prediction, &found, error));
}

#define LIFE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        LIFE_TEST(test_round_trip),
        LIFE_TEST(test_who_may_see_it),
        LIFE_TEST(test_same_id_twice),
        LIFE_TEST(test_success),
        LIFE_TEST(test_failure),
        LIFE_TEST(test_an_end_needs_its_reason),
        LIFE_TEST(test_oldest_first),
        LIFE_TEST(test_takeover_and_fence),
        LIFE_TEST(test_heartbeat_keeps_the_lease),
        LIFE_TEST(test_attempts_are_limited),
        LIFE_TEST(test_release_costs_no_attempt),
        LIFE_TEST(test_cancel),
        LIFE_TEST(test_deadline_before_the_start),
        LIFE_TEST(test_deadline_while_processing),
        LIFE_TEST(test_running_too_long),
        LIFE_TEST(test_expire_fails_what_has_no_attempts_left),
        LIFE_TEST(test_previews),
        LIFE_TEST(test_queue_counts),
        LIFE_TEST(test_workers_take_only_their_models),
        LIFE_TEST(test_worker_names_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
