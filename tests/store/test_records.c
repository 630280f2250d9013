/* Conformance of a store, 2: lists, events, webhooks, files, tokens, settings, retention. Written
 * against store.h alone. */
#include "fixture.h"

/* ---- lists ---- */

enum { LISTED = 23 };

/* Predictions whose times repeat, so that ids must decide; every third is bob's, every fifth from the web. */
static void fill(struct store *store, prediction_id ids[LISTED]) {
    for (size_t i = 0; i < LISTED; i++) {
        struct prediction prediction = make_prediction();
        prediction.created = 1700000000000000 + (int64_t)(i / 4) * 1000;
        if (i % 3 == 0) {
            memory_free(prediction.owner);
            prediction.owner = memory_string("bob");
        }
        prediction.from_web = i % 5 == 0;
        create_prediction(store, &prediction, ids[i]);
        prediction_free(&prediction);
    }
}

static bool is_newer(const struct prediction *a, const struct prediction *b) {
    return a->created > b->created || (a->created == b->created && strcmp(a->id, b->id) > 0);
}

/* Walk through pages of `limit` and count what comes; every page newest first, each after the other. */
static size_t walk(struct store *store, struct store_list list) {
    size_t total = 0;
    bool more = true;
    char cursor[PREDICTION_ID_LENGTH + 1];
    struct prediction edge = {.created = list.ascending ? INT64_MIN : INT64_MAX};
    while (more) {
        struct prediction *page;
        size_t count;
        ASSERT_OK(store_list(store, &list, &page, &count, &more, error));
        assert_true(count <= list.limit && (!more || count == list.limit));
        for (size_t i = 1; i < count; i++) assert_true(is_newer(&page[i - 1], &page[i]));
        if (count > 0) {
            const struct prediction *first = &page[list.ascending ? count - 1 : 0], *last = &page[list.ascending ? 0 : count - 1];
            assert_true(list.ascending ? is_newer(last, &edge) : is_newer(&edge, first));
            const struct prediction *next = list.ascending ? &page[0] : &page[count - 1];
            memcpy(cursor, next->id, sizeof cursor);
            list.cursor_created = next->created;
            list.cursor_id = cursor;
            memcpy(edge.id, next->id, sizeof edge.id);
            edge.created = next->created;
        }
        total += count;
        predictions_free(page, count);
    }
    return total;
}

static void test_lists(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id ids[LISTED];
    fill(store, ids);
    for (size_t limit = 1; limit <= 25; limit += 4) {
        for (int ascending = 0; ascending < 2; ascending++) {
            assert_int_equal(walk(store, (struct store_list){.limit = limit, .ascending = ascending}), LISTED);
            assert_int_equal(walk(store, (struct store_list){.limit = limit, .ascending = ascending, .owner = "bob"}), 8);
            assert_int_equal(walk(store, (struct store_list){.limit = limit, .ascending = ascending, .owner = ""}), 15);
            assert_int_equal(walk(store, (struct store_list){.limit = limit, .ascending = ascending, .owner = "eve"}), 0);
            assert_int_equal(walk(store, (struct store_list){.limit = limit, .ascending = ascending, .web_only = true}), 5);
            assert_int_equal(walk(store, (struct store_list){.limit = limit, .ascending = ascending, .web_only = true, .owner = "bob"}), 2);
            assert_int_equal(walk(store, (struct store_list){.limit = limit, .ascending = ascending, .after = 1700000000001000}), 19);
            assert_int_equal(walk(store, (struct store_list){.limit = limit, .ascending = ascending, .before = 1700000000001000}), 4);
            assert_int_equal(
                walk(store,
                     (struct store_list){.limit = limit, .ascending = ascending, .after = 1700000000001000, .before = 1700000000003000}),
                8);
        }
    }
}

static void test_previous_page_is_the_one_before(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id ids[LISTED];
    struct prediction *first, *second, *back;
    size_t count;
    bool more;
    fill(store, ids);
    ASSERT_OK(store_list(store, &(struct store_list){.limit = 5}, &first, &count, &more, error));
    struct store_list list = {.limit = 5, .cursor_created = first[4].created, .cursor_id = first[4].id};
    ASSERT_OK(store_list(store, &list, &second, &count, &more, error));
    list = (struct store_list){.limit = 5, .ascending = true, .cursor_created = second[0].created, .cursor_id = second[0].id};
    ASSERT_OK(store_list(store, &list, &back, &count, &more, error));
    assert_int_equal(count, 5);
    assert_false(more);
    for (size_t i = 0; i < 5; i++) assert_string_equal(back[i].id, first[i].id);
    predictions_free(first, 5);
    predictions_free(second, 5);
    predictions_free(back, 5);
}

/* ---- events ---- */

static void test_events_of_all(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id a, b;
    struct event *events;
    size_t count;
    int64_t last;
    ASSERT_OK(store_last_event(store, &last, error));
    assert_int_equal(last, 0);
    create_plain(store, a);
    create_plain(store, b);
    struct lease first = claim_this(store, a, 60), second = claim_this(store, b, 60);
    ASSERT_OK(store_log(store, &second, "b\n", error));
    ASSERT_OK(store_log(store, &first, "a\n", error));
    ASSERT_OK(store_events(store, NULL, 0, 100, &events, &count, error));
    assert_int_equal(count, 4);
    assert_string_equal(events[2].prediction, b);
    assert_string_equal(events[2].data, "b\n");
    assert_string_equal(events[3].data, "a\n");
    assert_int_equal(events[3].kind, EVENT_LOGS);
    int64_t third = events[2].sequence, fourth = events[3].sequence;
    events_free(events, count);
    ASSERT_OK(store_last_event(store, &last, error));
    assert_true(last == fourth);
    ASSERT_OK(store_events(store, NULL, third, 100, &events, &count, error));
    assert_int_equal(count, 1);
    events_free(events, count);
    ASSERT_OK(store_events(store, NULL, 0, 2, &events, &count, error));
    assert_int_equal(count, 2);
    events_free(events, count);
    ASSERT_OK(store_events(store, a, third, 100, &events, &count, error));
    assert_int_equal(count, 1);
    events_free(events, count);
    ASSERT_OK(store_events(store, NULL, last, 100, &events, &count, error));
    assert_int_equal(count, 0);
    events_free(events, count);
}

/* ---- webhooks ---- */

static size_t take_webhooks(struct store *store, struct webhook **webhooks) {
    size_t count;
    ASSERT_OK(store_webhooks_claim(store, 60, 100, webhooks, &count, error));
    return count;
}

static void deliver_all(struct store *store) {
    struct webhook *webhooks;
    size_t count = take_webhooks(store, &webhooks);
    for (size_t i = 0; i < count; i++) ASSERT_OK(store_webhook_done(store, webhooks[i].row, error));
    webhooks_free(webhooks, count);
}

static void test_webhooks_of_a_life(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    struct webhook *webhooks;
    create_with_webhook(store, WEBHOOK_ALL, id);
    assert_int_equal(take_webhooks(store, &webhooks), 0);
    webhooks_free(webhooks, 0);
    struct lease lease = claim_this(store, id, 60);
    ASSERT_OK(store_log(store, &lease, "x\n", error));
    finish_with(store, &lease, "aaaa.png");
    assert_int_equal(take_webhooks(store, &webhooks), 4);
    static const unsigned expected[] = {WEBHOOK_START, WEBHOOK_LOGS, WEBHOOK_OUTPUT, WEBHOOK_COMPLETED};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(webhooks[i].event, expected[i]);
        assert_string_equal(webhooks[i].prediction, id);
        assert_string_equal(webhooks[i].url, "https://example.org/hook");
        assert_int_equal(strncmp(webhooks[i].id, "msg_", 4), 0);
        assert_int_equal(webhooks[i].tries, 0);
        for (size_t j = 0; j < i; j++) assert_string_not_equal(webhooks[i].id, webhooks[j].id);
    }
    webhooks_free(webhooks, 4);
    assert_int_equal(take_webhooks(store, &webhooks), 0); /* hidden while they are being delivered */
    webhooks_free(webhooks, 0);
}

static void test_webhooks_are_filtered(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    for (unsigned events = 0; events <= WEBHOOK_ALL; events++) {
        prediction_id id;
        struct webhook *webhooks;
        unsigned told = 0;
        create_with_webhook(store, events, id);
        struct lease lease = claim_this(store, id, 60);
        ASSERT_OK(store_log(store, &lease, "x\n", error));
        finish_with(store, &lease, "aaaa.png");
        size_t count = take_webhooks(store, &webhooks);
        for (size_t i = 0; i < count; i++) told |= webhooks[i].event;
        assert_int_equal(told, events);
        webhooks_free(webhooks, count);
    }
}

static void test_no_webhook_without_an_address(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct prediction prediction = make_prediction();
    struct webhook *webhooks;
    prediction.webhook_events = WEBHOOK_ALL;
    create_prediction(store, &prediction, NULL);
    ASSERT_OK(store_cancel(store, prediction.id, NULL, NULL, error));
    assert_int_equal(take_webhooks(store, &webhooks), 0);
    webhooks_free(webhooks, 0);
    prediction_free(&prediction);
}

static void test_logs_are_told_twice_a_second(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    struct webhook *webhooks;
    int64_t due;
    create_with_webhook(store, WEBHOOK_LOGS, id);
    struct lease lease = claim_this(store, id, 60);
    ASSERT_OK(store_webhooks_due(store, &due, error));
    assert_int_equal(due, 0);
    int64_t began = time_wall();
    for (int i = 0; i < 5; i++) ASSERT_OK(store_log(store, &lease, "x\n", error));
    ASSERT_OK(store_webhooks_due(store, &due, error));
    assert_true(due >= began && due <= time_wall());
    assert_int_equal(take_webhooks(store, &webhooks), 1); /* five lines, one message */
    int64_t row = webhooks[0].row;
    webhooks_free(webhooks, 1);
    ASSERT_OK(store_log(store, &lease, "y\n", error)); /* the first is under way with an older body: this needs its own */
    ASSERT_OK(store_log(store, &lease, "z\n", error));
    ASSERT_OK(store_webhook_done(store, row, error));
    ASSERT_OK(store_webhooks_due(store, &due, error));
    assert_true(due >= began + 500000 && due <= time_wall() + 500000);
    assert_int_equal(take_webhooks(store, &webhooks), 0);
    webhooks_free(webhooks, 0);
    time_sleep(due - time_wall() + 10000);
    assert_int_equal(take_webhooks(store, &webhooks), 1);
    webhooks_free(webhooks, 1);
}

static void test_clock(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    int64_t first, second;
    ASSERT_OK(store_clock(store, &first, error));
    assert_true(llabs(first - time_wall()) < 5000000); /* the database's machine is this one */
    ASSERT_OK(store_clock(store, &second, error));
    assert_true(second >= first);
}

/* What waits for its half second is due at once when the end is. */
static void test_end_hurries_the_logs(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    struct webhook *webhooks;
    create_with_webhook(store, WEBHOOK_LOGS | WEBHOOK_COMPLETED, id);
    struct lease lease = claim_this(store, id, 60);
    ASSERT_OK(store_log(store, &lease, "x\n", error));
    deliver_all(store);
    ASSERT_OK(store_log(store, &lease, "y\n", error));
    ASSERT_OK(store_finish(store, &lease, PREDICTION_FAILED, NULL, "no", 1, error));
    assert_int_equal(take_webhooks(store, &webhooks), 2);
    assert_int_equal(webhooks[0].event, WEBHOOK_LOGS);
    assert_int_equal(webhooks[1].event, WEBHOOK_COMPLETED);
    webhooks_free(webhooks, 2);
}

static void test_webhook_retries(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    struct webhook *webhooks;
    size_t count;
    int64_t due;
    char message[40];
    create_with_webhook(store, WEBHOOK_COMPLETED, id);
    ASSERT_OK(store_cancel(store, id, NULL, NULL, error));
    assert_int_equal(take_webhooks(store, &webhooks), 1);
    int64_t row = webhooks[0].row;
    memcpy(message, webhooks[0].id, sizeof message);
    webhooks_free(webhooks, 1);
    ASSERT_OK(store_webhook_retry(store, row, time_wall() + 100000, error));
    assert_int_equal(take_webhooks(store, &webhooks), 0);
    webhooks_free(webhooks, 0);
    ASSERT_OK(store_webhooks_due(store, &due, error));
    assert_true(due > time_wall());
    time_sleep(120000);
    ASSERT_OK(store_webhooks_claim(store, 0, 100, &webhooks, &count, error)); /* whoever took it dies at once */
    assert_int_equal(count, 1);
    assert_string_equal(webhooks[0].id, message);
    assert_int_equal(webhooks[0].tries, 1);
    webhooks_free(webhooks, 1);
    assert_int_equal(take_webhooks(store, &webhooks), 1); /* so it is due again */
    assert_string_equal(webhooks[0].id, message);
    assert_int_equal(webhooks[0].tries, 2);
    webhooks_free(webhooks, 1);
    ASSERT_OK(store_webhook_done(store, row, error));
    ASSERT_OK(store_webhooks_due(store, &due, error));
    assert_int_equal(due, 0);
}

/* ---- files ---- */

static struct stored_file make_file(const char *id, const char *owner, const char *blob, int64_t created, int64_t expires) {
    struct stored_file file = {
        .size = 3, .md5 = "900150983cd24fb0d6963f7d28e17f72", .sha256 = "ab", .created = created, .expires = expires};
    snprintf(file.id, sizeof file.id, "%s", id);
    file.owner = memory_string(owner);
    file.name = memory_string("photo \xc3\xa9.png");
    file.content_type = memory_string("image/png");
    file.blob = memory_string(blob);
    file.metadata = json_pack("{s:i}", "a", 1);
    return file;
}

static void store_file(struct store *store, const char *id, const char *owner, const char *blob, int64_t created, int64_t expires) {
    struct stored_file file = make_file(id, owner, blob, created, expires);
    ASSERT_OK(store_file_create(store, &file, error));
    stored_file_free(&file);
}

static void test_files(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct stored_file out, in = make_file("f1", "alice", "aaaa.png", 1000, 0);
    ASSERT_OK(store_file_create(store, &in, error));
    ASSERT_ERROR(ERROR_CONFLICT, store_file_create(store, &in, error));
    ASSERT_OK(store_file_get(store, "f1", "alice", &out, error));
    assert_string_equal(out.name, in.name);
    assert_string_equal(out.content_type, in.content_type);
    assert_string_equal(out.blob, in.blob);
    assert_string_equal(out.md5, in.md5);
    assert_string_equal(out.sha256, in.sha256);
    assert_int_equal(out.size, 3);
    assert_true(json_equal(out.metadata, in.metadata));
    assert_true(out.created == 1000 && out.expires == 0);
    stored_file_free(&out);
    ASSERT_ERROR(ERROR_NOT_FOUND, store_file_get(store, "f1", "bob", &out, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_file_get(store, "f2", NULL, &out, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_file_delete(store, "f1", "bob", error));
    ASSERT_OK(store_file_delete(store, "f1", "alice", error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_file_delete(store, "f1", NULL, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_file_get(store, "f1", NULL, &out, error));
    stored_file_free(&in);
}

static void test_file_lists(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    size_t total = 0, count;
    bool more = true;
    int64_t created = 0;
    char id[64] = "";
    for (int i = 0; i < 11; i++) {
        char name[32];
        snprintf(name, sizeof name, "file%02d", i);
        store_file(store, name, i % 2 ? "odd" : "even", "aaaa.png", 1000 + i / 3, 0);
    }
    while (more) {
        struct stored_file *files;
        ASSERT_OK(store_file_list(store, NULL, created, id, 4, &files, &count, &more, error));
        for (size_t i = 0; i < count; i++) {
            assert_true(created == 0 || files[i].created < created || (files[i].created == created && strcmp(files[i].id, id) < 0));
            created = files[i].created;
            memcpy(id, files[i].id, sizeof id);
        }
        total += count;
        stored_files_free(files, count);
    }
    assert_int_equal(total, 11);
    struct stored_file *files;
    ASSERT_OK(store_file_list(store, "odd", 0, NULL, 100, &files, &count, &more, error));
    assert_int_equal(count, 5);
    assert_false(more);
    stored_files_free(files, count);
}

/* ---- tokens and settings ---- */

static void test_tokens(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct token found, *tokens;
    size_t count;
    ASSERT_OK(store_token_create(store, "laptop", "1111", 0, error));
    ASSERT_ERROR(ERROR_CONFLICT, store_token_create(store, "laptop", "2222", 0, error));
    ASSERT_ERROR(ERROR_CONFLICT, store_token_create(store, "other", "1111", 0, error));
    ASSERT_ERROR(ERROR_ARGUMENT, store_token_create(store, "", "3333", 0, error));
    ASSERT_OK(store_token_find(store, "1111", &found, error));
    assert_string_equal(found.name, "laptop");
    ASSERT_ERROR(ERROR_NOT_FOUND, store_token_find(store, "2222", &found, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_token_revoke(store, "nobody", error));
    ASSERT_OK(store_token_revoke(store, "laptop", error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_token_find(store, "1111", &found, error));
    ASSERT_ERROR(ERROR_NOT_FOUND, store_token_revoke(store, "laptop", error));
    ASSERT_OK(store_token_create(store, "laptop", "2222", 0, error));                  /* the same name, a new secret */
    ASSERT_ERROR(ERROR_CONFLICT, store_token_create(store, "desk", "1111", 0, error)); /* a secret that was revoked stays so */
    ASSERT_OK(store_token_list(store, &tokens, &count, error));
    assert_int_equal(count, 2);
    assert_true(tokens[0].revoked > 0 && tokens[1].revoked == 0);
    memory_free(tokens);
}

static void test_settings(void **state) {
    struct fixture *fixture = *state;
    struct store *other;
    char *value;
    ASSERT_OK(store_setting(fixture->store, "secret", "first", &value, error));
    assert_string_equal(value, "first");
    memory_free(value);
    ASSERT_OK(store_open(fixture->url, &other, error));
    ASSERT_OK(store_setting(other, "secret", "second", &value, error));
    assert_string_equal(value, "first");
    memory_free(value);
    ASSERT_OK(store_setting(other, "another", "third", &value, error));
    assert_string_equal(value, "third");
    memory_free(value);
    store_close(other);
}

/* ---- figures ---- */

static void test_census(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct store_census census;
    prediction_id ids[3];
    struct webhook *webhooks;
    size_t count;
    ASSERT_OK(store_census(store, &census, error));
    assert_true(census.starting == 0 && census.processing == 0 && census.oldest_seconds == 0 && census.workers == 0 && census.claims == 0 &&
                census.webhooks == 0 && census.webhooks_failing == 0 && census.files == 0 && census.file_bytes == 0);
    for (size_t i = 0; i < 3; i++) {
        struct prediction prediction = make_prediction();
        prediction.created -= (int64_t)(3 - i) * 100000000; /* 300, 200, 100 seconds ago */
        prediction.webhook = memory_string("https://example.org/hook");
        prediction.webhook_events = WEBHOOK_ALL;
        create_prediction(store, &prediction, ids[i]);
        prediction_free(&prediction);
    }
    ASSERT_OK(store_worker(store, "one", 60, error));
    ASSERT_OK(store_worker(store, "one", 60, error));
    ASSERT_OK(store_worker(store, "two", 60, error));
    claim_this(store, ids[0], 60); /* by "worker" */
    store_file(store, "f1", "alice", "a.bin", time_wall(), 0);
    ASSERT_OK(store_census(store, &census, error));
    assert_true(census.starting == 2 && census.processing == 1 && census.workers == 3 && census.claims == 1 && census.webhooks == 1);
    assert_true(census.oldest_seconds >= 200 && census.oldest_seconds < 290);
    assert_int_equal(census.files, 1);
    assert_true(census.file_bytes > 0);
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(store_webhooks_claim(store, 0, 10, &webhooks, &count, error));
        assert_int_equal(count, 1);
        webhooks_free(webhooks, count);
    }
    ASSERT_OK(store_worker(store, "two", 0, error));
    ASSERT_OK(store_census(store, &census, error));
    assert_true(census.webhooks_failing == 1 && census.workers == 2);
}

static void test_ends_are_told_in_order(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id ids[3];
    struct ended *ended;
    size_t count;
    int64_t before;
    create_plain(store, NULL);
    struct lease first;
    assert_true(claim_any(store, "worker", 60, &first));
    finish_with(store, &first, "a.png");
    ASSERT_OK(store_last_event(store, &before, error));
    for (size_t i = 0; i < 3; i++) create_plain(store, ids[i]);
    struct lease lease = claim_this(store, ids[0], 60);
    ASSERT_OK(store_cancel(store, ids[2], NULL, NULL, error));
    finish_with(store, &lease, "b.png"); /* in 1.25 seconds */
    ASSERT_OK(store_ended(store, before, 10, &ended, &count, error));
    assert_int_equal(count, 2);
    assert_true(ended[0].status == PREDICTION_CANCELED && !ended[0].started);
    assert_true(ended[1].status == PREDICTION_SUCCEEDED && ended[1].started && ended[1].ran == 1.25);
    assert_true(ended[0].sequence > before && ended[1].sequence > ended[0].sequence && ended[1].total >= ended[1].waited);
    before = ended[0].sequence;
    memory_free(ended);
    ASSERT_OK(store_ended(store, before, 10, &ended, &count, error));
    assert_int_equal(count, 1);
    memory_free(ended);
    ASSERT_OK(store_ended(store, 0, 2, &ended, &count, error));
    assert_int_equal(count, 2);
    memory_free(ended);
}

/* ---- retention ---- */

/* One call, its blobs joined by blanks in alphabetical order. */
static size_t expire(struct store *store, int64_t before, size_t limit, char text[1024]) {
    char **blobs;
    size_t count, names = 0;
    ASSERT_OK(store_expire_data(store, before, limit, &blobs, &count, error));
    while (blobs[names]) names++;
    for (size_t i = 0; i < names; i++)
        for (size_t j = i + 1; j < names; j++)
            if (strcmp(blobs[i], blobs[j]) > 0) {
                char *swapped = blobs[i];
                blobs[i] = blobs[j];
                blobs[j] = swapped;
            }
    text[0] = 0;
    for (size_t i = 0; i < names; i++) {
        snprintf(text + strlen(text), 1024 - strlen(text), "%s%s", i ? " " : "", blobs[i]);
        memory_free(blobs[i]);
    }
    memory_free(blobs);
    return count;
}

static void create_from_blob(struct store *store, const char *blob, prediction_id id) {
    struct prediction prediction = make_prediction();
    json_object_set_new(prediction.input, "image", json_sprintf("blob:%s", blob));
    create_prediction(store, &prediction, id);
    prediction_free(&prediction);
}

static void test_retention(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id done, running;
    struct prediction out;
    char blobs[1024];
    create_from_blob(store, "input.png", done);
    struct lease lease = claim_this(store, done, 60);
    ASSERT_OK(store_log(store, &lease, "x\n", error));
    ASSERT_OK(store_preview(store, &lease, "preview.png", error));
    finish_with(store, &lease, "output.png");
    create_from_blob(store, "wanted.png", running);
    claim_this(store, running, 60);

    assert_int_equal(expire(store, 1, 100, blobs), 0); /* nothing is that old; the preview is nobody's any more */
    assert_string_equal(blobs, "preview.png");
    assert_int_equal(expire(store, time_wall() + 1000000, 100, blobs), 1);
    assert_string_equal(blobs, "input.png output.png");
    ASSERT_OK(store_get(store, done, NULL, &out, error));
    assert_true(out.data_removed);
    assert_null(out.output);
    assert_string_equal(out.logs, "");
    assert_int_equal(json_object_size(out.input), 0);
    assert_int_equal(out.status, PREDICTION_SUCCEEDED);
    assert_true(out.predict_seconds == 1.25);
    prediction_free(&out);
    assert_events(store, done, "sd");
    assert_int_equal(expire(store, time_wall() + 1000000, 100, blobs), 0);
    assert_string_equal(blobs, "");
    ASSERT_OK(store_get(store, running, NULL, &out, error));
    assert_false(out.data_removed);
    prediction_free(&out);
}

static void test_retention_by_portions(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    char blobs[1024];
    for (int i = 0; i < 7; i++) {
        prediction_id id;
        create_plain(store, id);
        ASSERT_OK(store_cancel(store, id, NULL, NULL, error));
    }
    int64_t before = time_wall() + 1000000;
    assert_int_equal(expire(store, before, 3, blobs), 3);
    assert_int_equal(expire(store, before, 3, blobs), 3);
    assert_int_equal(expire(store, before, 3, blobs), 1);
    assert_int_equal(expire(store, before, 3, blobs), 0);
}

/* First emptied, then gone; what has not ended, or not long ago, or still holds something stays. */
static void test_forgotten(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id ids[3];
    struct prediction prediction;
    struct webhook *webhooks;
    struct event *events;
    char **blobs;
    size_t count;
    create_with_webhook(store, WEBHOOK_ALL, ids[0]);
    struct lease lease = claim_this(store, ids[0], 60);
    ASSERT_OK(store_log(store, &lease, "a line\n", error));
    finish_with(store, &lease, "out.png");
    create_plain(store, ids[1]);
    create_plain(store, ids[2]);
    ASSERT_OK(store_cancel(store, ids[2], NULL, NULL, error));
    ASSERT_OK(store_forget(store, time_wall() + 1000000, 10, &count, error));
    assert_int_equal(count, 0);
    ASSERT_OK(store_expire_data(store, time_wall() + 1000000, 10, &blobs, &count, error));
    for (size_t i = 0; blobs[i]; i++) memory_free(blobs[i]);
    memory_free(blobs);
    ASSERT_OK(store_forget(store, time_wall() - 60000000, 10, &count, error));
    assert_int_equal(count, 0);
    ASSERT_OK(store_forget(store, time_wall() + 1000000, 1, &count, error));
    assert_int_equal(count, 1);
    ASSERT_ERROR(ERROR_NOT_FOUND, store_get(store, ids[0], NULL, &prediction, error));
    ASSERT_OK(store_forget(store, time_wall() + 1000000, 10, &count, error));
    assert_int_equal(count, 1);
    ASSERT_ERROR(ERROR_NOT_FOUND, store_get(store, ids[2], NULL, &prediction, error));
    assert_int_equal(status_of(store, ids[1]), PREDICTION_STARTING);
    ASSERT_OK(store_events(store, NULL, 0, 10, &events, &count, error));
    assert_int_equal(count, 0);
    events_free(events, count);
    ASSERT_OK(store_webhooks_claim(store, 60, 10, &webhooks, &count, error));
    assert_int_equal(count, 0);
    webhooks_free(webhooks, count);
}

static void test_files_expire(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    struct stored_file out;
    char blobs[1024];
    store_file(store, "old", "", "old.png", 1, time_wall() - 1);
    store_file(store, "new", "", "new.png", 1, time_wall() + 60000000);
    store_file(store, "ever", "", "ever.png", 1, 0);
    assert_int_equal(expire(store, 0, 100, blobs), 1);
    assert_string_equal(blobs, "old.png");
    ASSERT_ERROR(ERROR_NOT_FOUND, store_file_get(store, "old", NULL, &out, error));
    ASSERT_OK(store_file_get(store, "new", NULL, &out, error));
    stored_file_free(&out);
}

/* A blob goes with its last user, whoever that is. */
static void test_shared_blobs(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id first, second;
    char blobs[1024];
    store_file(store, "upload", "", "shared.png", 1, 0);
    create_from_blob(store, "shared.png", first);
    create_from_blob(store, "shared.png", second);
    ASSERT_OK(store_cancel(store, first, NULL, NULL, error));
    int64_t before = time_wall() + 1;
    while (time_wall() <= before) {
    }
    assert_int_equal(expire(store, before, 100, blobs), 1);
    assert_string_equal(blobs, "");
    ASSERT_OK(store_file_delete(store, "upload", NULL, error));
    expire(store, 0, 100, blobs);
    assert_string_equal(blobs, "");
    ASSERT_OK(store_cancel(store, second, NULL, NULL, error));
    assert_int_equal(expire(store, time_wall() + 1000000, 100, blobs), 1);
    assert_string_equal(blobs, "shared.png");
}

/* A file is deleted, and in the same moment a prediction with it is created. */
static void test_garbage_that_is_wanted_again(void **state) {
    struct store *store = ((struct fixture *)*state)->store;
    prediction_id id;
    char blobs[1024];
    store_file(store, "upload", "", "again.png", 1, 0);
    ASSERT_OK(store_file_delete(store, "upload", NULL, error));
    create_from_blob(store, "again.png", id);
    expire(store, 0, 100, blobs);
    assert_string_equal(blobs, "");
}

#define RECORD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        RECORD_TEST(test_lists),
        RECORD_TEST(test_previous_page_is_the_one_before),
        RECORD_TEST(test_events_of_all),
        RECORD_TEST(test_webhooks_of_a_life),
        RECORD_TEST(test_webhooks_are_filtered),
        RECORD_TEST(test_no_webhook_without_an_address),
        RECORD_TEST(test_logs_are_told_twice_a_second),
        RECORD_TEST(test_end_hurries_the_logs),
        RECORD_TEST(test_clock),
        RECORD_TEST(test_webhook_retries),
        RECORD_TEST(test_files),
        RECORD_TEST(test_file_lists),
        RECORD_TEST(test_tokens),
        RECORD_TEST(test_settings),
        RECORD_TEST(test_census),
        RECORD_TEST(test_ends_are_told_in_order),
        RECORD_TEST(test_retention),
        RECORD_TEST(test_retention_by_portions),
        RECORD_TEST(test_forgotten),
        RECORD_TEST(test_files_expire),
        RECORD_TEST(test_shared_blobs),
        RECORD_TEST(test_garbage_that_is_wanted_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
