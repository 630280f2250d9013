/* Random sequences of operations, by a seed, on two handles at one store, beside a model in memory
 * that says what each must answer and what must be there afterwards. */
#include "fixture.h"

#include <stdint.h>

enum { PREDICTIONS_MAX = 64, LEASES_MAX = 512, LOGS_SIZE = 4096 };

/* What the model knows of a prediction. */
struct known {
    prediction_id id;
    enum prediction_status status;
    int attempt, released;
    bool lease_out; /* its lease has no seconds left */
    long lease_set; /* when, in operations: leases that ran out earlier go first */
    bool overdue;   /* its deadline has passed */
    bool webhooks;
    bool data_removed;
    char worker[32], logs[LOGS_SIZE], events[256];
    int outputs;
};

struct world {
    struct store *handles[2];
    struct known known[PREDICTIONS_MAX];
    size_t count;
    struct lease leases[LEASES_MAX]; /* all that were ever handed out, stale ones too */
    size_t leases_count;
    uint64_t random;
    long operation;
};

/* splitmix64 */
static uint64_t next(struct world *world, uint64_t bound) {
    uint64_t z = world->random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % bound;
}

static struct store *any_handle(struct world *world) { return world->handles[next(world, 2)]; }

static struct known *find(struct world *world, const char *id) {
    for (size_t i = 0; i < world->count; i++)
        if (strcmp(world->known[i].id, id) == 0) return &world->known[i];
    fail_msg("an unknown prediction %s", id);
    return NULL;
}

static void add_events(struct known *known, const char *kinds) {
    size_t length = strlen(known->events);
    snprintf(known->events + length, sizeof known->events - length, "%s", kinds);
}

static void end(struct known *known, enum prediction_status status) {
    char *preview = strchr(known->events, 'p');
    known->status = status;
    if (preview) memmove(preview, preview + 1, strlen(preview));
    add_events(known, "d");
}

/* ---- operations: each does the same to store and model ---- */

static void create(struct world *world) {
    if (world->count == PREDICTIONS_MAX) return;
    struct prediction prediction = make_prediction();
    struct known *known = &world->known[world->count++];
    memset(known, 0, sizeof *known);
    known->overdue = next(world, 10) == 0;
    known->webhooks = next(world, 2) == 0;
    if (known->overdue) prediction.deadline = prediction.created - 1;
    if (known->webhooks) prediction.webhook = memory_string("https://example.org/");
    prediction.webhook_events = WEBHOOK_ALL;
    create_prediction(any_handle(world), &prediction, known->id);
    prediction_free(&prediction);
}

/* What a claim must do: leases that ran out first, by their time, then by arrival. */
static struct known *expect_claim(struct world *world) {
    for (;;) {
        struct known *chosen = NULL;
        for (size_t i = 0; i < world->count; i++) {
            struct known *known = &world->known[i];
            bool out = known->status == PREDICTION_PROCESSING && known->lease_out;
            if (out && (!chosen || known->lease_set < chosen->lease_set)) chosen = known;
        }
        for (size_t i = 0; !chosen && i < world->count; i++)
            if (world->known[i].status == PREDICTION_STARTING) chosen = &world->known[i];
        if (!chosen) return NULL;
        if (chosen->overdue)
            end(chosen, PREDICTION_CANCELED);
        else if (chosen->status == PREDICTION_PROCESSING && chosen->attempt - chosen->released >= ATTEMPTS_MAX)
            end(chosen, PREDICTION_FAILED);
        else
            return chosen;
    }
}

static void claim(struct world *world) {
    struct lease lease;
    char worker[32];
    bool out = next(world, 3) == 0;
    if (world->leases_count == LEASES_MAX) return;
    snprintf(worker, sizeof worker, "worker%d", (int)next(world, 3));
    struct known *expected = expect_claim(world);
    bool found = claim_any(any_handle(world), worker, out ? 0 : 3600, &lease);
    assert_int_equal(found, expected != NULL);
    if (!found) return;
    assert_string_equal(lease.id, expected->id);
    expected->attempt++;
    assert_int_equal(lease.attempt, expected->attempt);
    if (!strchr(expected->events, 's')) add_events(expected, "s");
    expected->status = PREDICTION_PROCESSING;
    expected->lease_out = out;
    expected->lease_set = world->operation;
    snprintf(expected->worker, sizeof expected->worker, "%s", worker);
    world->leases[world->leases_count++] = lease;
}

/* What the fence must answer to this lease. */
static enum error_code expect_fence(const struct known *known, const struct lease *lease) {
    if (known->attempt != lease->attempt) return ERROR_CONFLICT;
    if (known->status == PREDICTION_CANCELED) return ERROR_CANCELED;
    if (known->status != PREDICTION_PROCESSING || strcmp(known->worker, lease->worker) != 0) return ERROR_CONFLICT;
    return ERROR_NONE;
}

static void expect(bool ok, const struct error *problem, enum error_code expected) {
    if (ok != (expected == ERROR_NONE) || (!ok && problem->code != expected))
        fail_msg("%s: %s, expected %s", error_name(ok ? ERROR_NONE : problem->code), ok ? "" : problem->message, error_name(expected));
}

static void write_log(struct world *world, struct known *known, const struct lease *lease, enum error_code expected) {
    struct error problem = {.code = ERROR_NONE};
    char line[64];
    if (strlen(known->logs) > LOGS_SIZE - 100 || strlen(known->events) > 200) return;
    snprintf(line, sizeof line, "operation %ld ▏\n", world->operation);
    expect(store_log(any_handle(world), lease, line, &problem), &problem, expected);
    if (expected != ERROR_NONE) return;
    strcat(known->logs, line);
    add_events(known, "l");
}

static void show_preview(struct world *world, struct known *known, const struct lease *lease, enum error_code expected) {
    struct error problem = {.code = ERROR_NONE};
    char blob[64];
    snprintf(blob, sizeof blob, "preview%ld.png", world->operation);
    if (strlen(known->events) > 200) return;
    expect(store_preview(any_handle(world), lease, blob, &problem), &problem, expected);
    if (expected != ERROR_NONE) return;
    char *before = strchr(known->events, 'p');
    if (before) memmove(before, before + 1, strlen(before));
    add_events(known, "p");
}

static void finish(struct world *world, struct known *known, const struct lease *lease, enum error_code expected) {
    struct error problem = {.code = ERROR_NONE};
    bool success = next(world, 3) > 0;
    int outputs = (int)next(world, 4);
    json_t *output = json_array();
    for (int i = 0; i < outputs; i++) json_array_append_new(output, json_sprintf("output%ld.%d.png", world->operation, i));
    bool ok = store_finish(any_handle(world), lease, success ? PREDICTION_SUCCEEDED : PREDICTION_FAILED, output,
                           success ? NULL : "It failed.", 0.5, &problem);
    expect(ok, &problem, expected);
    json_decref(output);
    if (expected != ERROR_NONE) return;
    known->outputs = success ? outputs : 0;
    char *preview = strchr(known->events, 'p');
    if (preview) memmove(preview, preview + 1, strlen(preview));
    for (int i = 0; i < known->outputs; i++) add_events(known, "o");
    end(known, success ? PREDICTION_SUCCEEDED : PREDICTION_FAILED);
}

/* With any lease ever handed out, most of them stale. */
static void use_lease(struct world *world) {
    struct error problem = {.code = ERROR_NONE};
    if (world->leases_count == 0) return;
    size_t recent = world->leases_count < 6 ? world->leases_count : 6;
    size_t index = next(world, 2) ? world->leases_count - 1 - next(world, recent) : next(world, world->leases_count);
    struct lease lease = world->leases[index];
    struct known *known = find(world, lease.id);
    enum error_code expected = expect_fence(known, &lease);
    switch (next(world, 6)) {
    case 0:
    case 1:
        write_log(world, known, &lease, expected);
        break;
    case 2:
        show_preview(world, known, &lease, expected);
        break;
    case 3: {
        bool out = next(world, 2);
        expect(store_heartbeat(any_handle(world), &lease, out ? 0 : 3600, &problem), &problem, expected);
        if (expected != ERROR_NONE) break;
        known->lease_out = out;
        known->lease_set = world->operation;
        break;
    }
    case 4:
        expect(store_release(any_handle(world), &lease, &problem), &problem, expected);
        if (expected != ERROR_NONE) break;
        known->status = PREDICTION_STARTING;
        known->released++;
        break;
    default:
        finish(world, known, &lease, expected);
    }
}

static void cancel(struct world *world) {
    struct prediction prediction;
    if (world->count == 0) return;
    struct known *known = &world->known[next(world, world->count)];
    if (!prediction_status_terminal(known->status)) end(known, PREDICTION_CANCELED);
    ASSERT_OK(store_cancel(any_handle(world), known->id, NULL, &prediction, error));
    assert_int_equal(prediction.status, known->status);
    prediction_free(&prediction);
}

static void expire(struct world *world) {
    size_t changed, expected = 0;
    for (size_t i = 0; i < world->count; i++) {
        struct known *known = &world->known[i];
        if (prediction_status_terminal(known->status)) continue;
        bool spent = known->status == PREDICTION_PROCESSING && known->lease_out && known->attempt - known->released >= ATTEMPTS_MAX;
        if (known->overdue || spent) {
            end(known, known->overdue ? PREDICTION_CANCELED : PREDICTION_FAILED);
            expected++;
        }
    }
    ASSERT_OK(store_expire(any_handle(world), 0, &changed, error));
    assert_int_equal(changed, expected);
}

static void remove_data(struct world *world) {
    char **blobs;
    size_t changed, expected = 0;
    time_sleep(10);
    for (size_t i = 0; i < world->count; i++) {
        struct known *known = &world->known[i];
        if (!prediction_status_terminal(known->status) || known->data_removed) continue;
        expected++;
        known->data_removed = true;
        known->logs[0] = 0;
        known->outputs = 0;
        snprintf(known->events, sizeof known->events, "%s", strchr(known->events, 's') ? "sd" : "d");
    }
    ASSERT_OK(store_expire_data(any_handle(world), time_wall(), 100, &blobs, &changed, error));
    assert_int_equal(changed, expected);
    for (size_t i = 0; blobs[i]; i++) memory_free(blobs[i]);
    memory_free(blobs);
}

static void deliver(struct world *world) {
    struct webhook *webhooks;
    size_t count;
    ASSERT_OK(store_webhooks_claim(any_handle(world), 60, next(world, 5), &webhooks, &count, error));
    for (size_t i = 0; i < count; i++) {
        assert_true(find(world, webhooks[i].prediction)->webhooks);
        if (next(world, 4))
            ASSERT_OK(store_webhook_done(any_handle(world), webhooks[i].row, error));
        else
            ASSERT_OK(store_webhook_retry(any_handle(world), webhooks[i].row, time_wall(), error));
    }
    webhooks_free(webhooks, count);
}

/* ---- comparing ---- */

static void compare(struct world *world, const struct known *known) {
    struct prediction out;
    struct event *events;
    size_t count;
    ASSERT_OK(store_get(any_handle(world), known->id, NULL, &out, error));
    assert_int_equal(out.status, known->status);
    assert_int_equal(out.attempt, known->attempt);
    assert_string_equal(out.logs, known->logs);
    assert_int_equal(out.data_removed, known->data_removed);
    assert_int_equal(json_array_size(out.output), known->outputs);
    assert_int_equal(out.started > 0, strchr(known->events, 's') != NULL);
    assert_int_equal(out.completed > 0, prediction_status_terminal(known->status));
    prediction_free(&out);
    ASSERT_OK(store_events(any_handle(world), known->id, 0, 1000, &events, &count, error));
    assert_int_equal(count, strlen(known->events));
    for (size_t i = 0; i < count; i++) assert_int_equal("solpd"[events[i].kind], known -> events[i]);
    events_free(events, count);
}

static void step(struct world *world) {
    uint64_t dice = next(world, 100);
    if (dice < 14)
        create(world);
    else if (dice < 36)
        claim(world);
    else if (dice < 86)
        use_lease(world);
    else if (dice < 91)
        cancel(world);
    else if (dice < 94)
        expire(world);
    else if (dice < 95)
        remove_data(world);
    else
        deliver(world);
}

static void run(uint64_t seed, long operations) {
    static struct world world;
    char folder[64], url[128];
    memset(&world, 0, sizeof world);
    world.random = seed;
    make_folder(folder);
    make_store_url(folder, url);
    for (size_t i = 0; i < 2; i++) ASSERT_OK(store_open(url, &world.handles[i], error));
    for (world.operation = 1; world.operation <= operations; world.operation++) {
        step(&world);
        if (world.count > 0) compare(&world, &world.known[next(&world, world.count)]);
        if (world.operation % 50 == 0) ASSERT_OK(store_check(any_handle(&world), error));
    }
    for (size_t i = 0; i < world.count; i++) compare(&world, &world.known[i]);
    ASSERT_OK(store_check(world.handles[0], error));
    for (size_t i = 0; i < 2; i++) store_close(world.handles[i]);
    remove_folder(folder);
}

/* INPAINT_SEED repeats one run; INPAINT_SOAK makes many. */
static void test_random_sequences(void **state) {
    (void)state;
    const char *seed = getenv("INPAINT_SEED");
    uint64_t first = seed ? strtoull(seed, NULL, 10) : 1, last = seed ? first : getenv("INPAINT_SOAK") ? 2000 : 25;
    for (uint64_t i = first; i <= last; i++) {
        print_message("seed %llu\n", (unsigned long long)i);
        run(i, 400);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_sequences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
