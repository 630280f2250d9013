/* The worker as a whole, with an engine of the test's own in place of the real one: what it does is
 * told by the prompt. */
#include "../store/fixture.h"
#include "server.h"
#include "worker/worker.h"

#include "image/image.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* ---- the engine ---- */

struct inpaint_model {
    const char *path;
    bool open, packed; /* packed: painted with, so that it holds its megabytes */
};
static struct inpaint_model the_models[] = {{.path = "model"}, {.path = "second"}, {.path = "third"}};
enum { MODELS = 3, MEGABYTE = 1000000 };
static char opened[200]; /* the paths in the order opened; with - closed */
static _Atomic size_t last_limit;
static atomic_int paints, canceled_paints;
static _Atomic int64_t last_seed;

inpaint_model *inpaint_open(const char *folder, const inpaint_options *options, struct inpaint_error *error) {
    (void)options;
    for (size_t i = 0; i < MODELS; i++) {
        if (strcmp(folder, the_models[i].path) != 0) continue;
        the_models[i].open = true;
        the_models[i].packed = false;
        strncat(strncat(opened, folder, 20), " ", 2);
        return &the_models[i];
    }
    error->code = INPAINT_NOT_FOUND;
    snprintf(error->message, sizeof error->message, "there is no model in %s", folder);
    return NULL;
}

void inpaint_close(inpaint_model *model) {
    if (!model) return;
    model->open = false;
    strncat(strncat(strncat(opened, "-", 2), model->path, 20), " ", 2);
}

void inpaint_describe(const inpaint_model *model, inpaint_info *info) {
    memset(info, 0, sizeof *info);
    info->weight_bytes = 10 * MEGABYTE;
    info->packed_bytes = model->packed ? 12 * MEGABYTE : 0;
    info->working_bytes = model->packed ? 8 * MEGABYTE : 0;
}

static bool preview(const void *state, int output, uint8_t *pixels) {
    (void)state;
    memset(pixels, output + 7, 3 * 2 * 2);
    return true;
}

static inpaint_result *refuse(struct inpaint_error *error, inpaint_code code, const char *message) {
    error->code = (int)code;
    snprintf(error->message, sizeof error->message, "%s", message);
    return NULL;
}

static bool tell(const inpaint_params *params, inpaint_stage stage, int step, double seconds, const char *message) {
    inpaint_progress progress = {.stage = stage,
                                 .step = step,
                                 .steps = params->steps,
                                 .seconds = seconds,
                                 .message = message,
                                 .preview = preview,
                                 .preview_width = 2,
                                 .preview_height = 2};
    return params->callback(params->user, &progress);
}

static inpaint_result *copy_of(const inpaint_image *image, int count, struct inpaint_error *error) {
    inpaint_result *result = memory_zero(sizeof *result);
    size_t size = (size_t)image->width * (size_t)image->height * 3;
    if (!result) return refuse(error, INPAINT_MEMORY, "out of memory");
    result->images = memory_zero((size_t)count * sizeof *result->images);
    for (int i = 0; result->images && i < count; i++) {
        result->images[i] = (inpaint_picture){image->width, image->height, memory_alloc(size)};
        if (!result->images[i].pixels) break;
        memcpy(result->images[i].pixels, image->pixels, size);
        result->images[i].pixels[0] = (uint8_t)i;
        result->count++;
    }
    if (result->count == count) return result;
    inpaint_result_free(result);
    return refuse(error, INPAINT_MEMORY, "out of memory");
}

/* "nsfw", "memory", "flagged", "slow" (a step takes 100 ms), "stuck" (a step takes three seconds). */
inpaint_result *inpaint_paint(inpaint_model *model, const inpaint_image *image, const inpaint_image *mask, const inpaint_params *params,
                              struct inpaint_error *error) {
    (void)mask;
    model->packed = true;
    atomic_store(&last_limit, params->memory_limit);
    if (strcmp(params->prompt, "large") == 0 && params->memory_limit < 30 * MEGABYTE)
        return refuse(error, INPAINT_MEMORY, "this needs 30 MB");
    int64_t began = time_monotonic();
    int64_t pause = strcmp(params->prompt, "slow") == 0 ? 100000 : strcmp(params->prompt, "stuck") == 0 ? 3000000 : 0;
    atomic_fetch_add(&paints, 1);
    atomic_store(&last_seed, params->seed);
    if (strcmp(params->prompt, "memory") == 0) return refuse(error, INPAINT_MEMORY, "this needs 9 GB, more than the 8 GB allowed");
    if (!tell(params, INPAINT_STAGE_PREPARE, 0, 0, "WARNING: Mask size (1, 2) is different"))
        return refuse(error, INPAINT_CANCELED, "canceled");
    for (int step = 0; step <= params->steps; step++) {
        if (step > 0) time_sleep(pause);
        if (!tell(params, INPAINT_STAGE_DENOISE, step, (double)(time_monotonic() - began) / 1e6, NULL)) {
            atomic_fetch_add(&canceled_paints, 1);
            return refuse(error, INPAINT_CANCELED, "canceled");
        }
    }
    if (strcmp(params->prompt, "nsfw") == 0) return refuse(error, INPAINT_NSFW, "NSFW content detected. Try again.");
    return copy_of(image, params->count - (strcmp(params->prompt, "flagged") == 0), error);
}

void inpaint_result_free(inpaint_result *result) {
    if (!result) return;
    for (int i = 0; i < result->count; i++) memory_free(result->images[i].pixels);
    memory_free(result->images);
    memory_free(result);
}

/* ---- a worker in a thread, stopped by a signal as the real one is ---- */

static const struct worker_model only_model[] = {{NULL, "model"}};

struct running {
    struct fixture fixture;
    char blobs_path[128];
    struct blobs *blobs;
    struct worker_options options;
    pthread_t thread;
    bool started;
};

static atomic_int stop;
static void on_signal(int number) { (void)number, stop = 1; }

static void *run_worker(void *user) {
    struct running *running = user;
    struct error error = {.code = ERROR_NONE};
    if (!worker_run(&running->options, &stop, &error)) fprintf(stderr, "worker: %s\n", error.message);
    return NULL;
}

static void start_worker(struct running *running) {
    stop = 0;
    assert_int_equal(pthread_create(&running->thread, NULL, run_worker, running), 0);
    running->started = true;
}

static void stop_worker(struct running *running) {
    if (!running->started) return;
    pthread_kill(running->thread, SIGTERM);
    pthread_join(running->thread, NULL);
    running->started = false;
}

static int begin(void **state) {
    struct running *running = memory_zero(sizeof *running);
    signal(SIGTERM, on_signal);
    opened[0] = 0;
    make_folder(running->fixture.folder);
    make_store_url(running->fixture.folder, running->fixture.url);
    snprintf(running->blobs_path, sizeof running->blobs_path, "%s/blobs", running->fixture.folder);
    ASSERT_OK(store_open(running->fixture.url, &running->fixture.store, error));
    ASSERT_OK(blobs_open(running->blobs_path, &running->blobs, error));
    running->options = (struct worker_options){.store_url = running->fixture.url,
                                               .blobs_url = running->blobs_path,
                                               .models = only_model,
                                               .model_count = 1,
                                               .lease_seconds = 15,
                                               .download_bytes = 1 << 20,
                                               .download_seconds = 5};
    *state = running;
    return 0;
}

static int end(void **state) {
    struct running *running = *state;
    stop_worker(running);
    ASSERT_OK(store_check(running->fixture.store, error));
    store_close(running->fixture.store);
    blobs_close(running->blobs);
    remove_folder(running->fixture.folder);
    memory_free(running);
    return 0;
}

/* ---- inputs ---- */

enum { SIDE = 8 };

/* A blob that holds a PNG of SIDE x SIDE pixels. */
static char *picture_blob(struct running *running) {
    struct image image = {0};
    struct buffer png;
    char name[101];
    ASSERT_OK(image_create(&image, SIDE, SIDE, IMAGE_RGB, error));
    for (size_t i = 0; i < SIDE * SIDE * 3; i++) image.pixels[i] = (uint8_t)(i * 7);
    buffer_init(&png, 100000);
    ASSERT_OK(image_encode_png(&image, NULL, &png, error));
    ASSERT_OK(blob_put(running->blobs, ".png", png.data, png.length, name, error));
    buffer_free(&png);
    image_free(&image);
    return memory_format("blob:%s", name);
}

/* A prediction of this prompt; changes (an object, its reference taken) replace inputs. */
static void ask(struct running *running, const char *prompt, json_t *changes, prediction_id id) {
    struct prediction prediction = make_prediction();
    char *blob = picture_blob(running);
    json_decref(prediction.input);
    prediction.input = json_pack("{s:s, s:s, s:s, s:i}", "prompt", prompt, "image", blob, "mask", blob, "num_inference_steps", 4);
    if (changes) json_object_update(prediction.input, changes);
    json_decref(changes);
    memory_free(blob);
    create_prediction(running->fixture.store, &prediction, id);
    prediction_free(&prediction);
}

/* Wait until it is (in) `status`, at most ten seconds. */
static void await(struct running *running, const char *id, enum prediction_status status, struct prediction *out) {
    uint32_t seen = 0;
    for (int64_t end_of_patience = time_monotonic() + 10000000; time_monotonic() < end_of_patience;) {
        ASSERT_OK(store_get(running->fixture.store, id, NULL, out, error));
        if (out->status == status) return;
        if (prediction_status_terminal(out->status))
            fail_msg("it is %s: %s", prediction_status_name(out->status), out->error ? out->error : "");
        prediction_free(out);
        store_wait(running->fixture.store, &seen, 200);
    }
    fail_msg("it never was %s", prediction_status_name(status));
}

static void expect_failure(struct running *running, const char *prompt, json_t *changes, const char *sentence) {
    prediction_id id;
    struct prediction out;
    ask(running, prompt, changes, id);
    await(running, id, PREDICTION_FAILED, &out);
    if (!strstr(out.error, sentence)) fail_msg("\"%s\" is not in \"%s\"", sentence, out.error);
    assert_null(out.output);
    prediction_free(&out);
}

static size_t count_files(const char *folder) {
    size_t count = 0;
    DIR *listing = opendir(folder);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        if (entry->d_name[0] == '.') continue;
        char *path = memory_format("%s/%s", folder, entry->d_name);
        count += entry->d_type == DT_DIR ? count_files(path) : 1;
        memory_free(path);
    }
    if (listing) closedir(listing);
    return count;
}

/* ---- tests ---- */

static void test_success(void **state) {
    struct running *running = *state;
    prediction_id id;
    struct prediction out;
    struct image image;
    char *data;
    size_t length;
    start_worker(running);
    ask(running, "a cat", json_pack("{s:i, s:i}", "seed", 4711, "num_outputs", 2), id);
    await(running, id, PREDICTION_SUCCEEDED, &out);
    assert_int_equal(json_array_size(out.output), 2);
    for (size_t i = 0; i < 2; i++) {
        ASSERT_OK(blob_read(running->blobs, json_string_value(json_array_get(out.output, i)), 100000, &data, &length, error));
        ASSERT_OK(image_decode(data, length, &image_limits_default, &image, NULL, error));
        assert_int_equal(image.width, SIDE);
        assert_int_equal(image.pixels[0], i);
        assert_int_equal(image.pixels[5], 35);
        image_free(&image);
        memory_free(data);
    }
    assert_int_equal(
        strncmp(out.logs, "Using seed: 4711\nWARNING: Mask size (1, 2) is different\n  0%|          | 0/4 [00:00<?, ?it/s]\n", 75), 0);
    assert_non_null(strstr(out.logs, "\n100%|██████████| 4/4 ["));
    assert_int_equal(out.logs[strlen(out.logs) - 1], '\n');
    assert_true(last_seed == 4711);
    assert_true(out.predict_seconds > 0 && out.started > 0);
    prediction_free(&out);
}

static void test_seed_is_two_bytes(void **state) {
    struct running *running = *state;
    prediction_id id;
    struct prediction out;
    long long seed;
    start_worker(running);
    for (int i = 0; i < 5; i++) {
        ask(running, "a cat", NULL, id);
        await(running, id, PREDICTION_SUCCEEDED, &out);
        assert_int_equal(sscanf(out.logs, "Using seed: %lld\n", &seed), 1);
        assert_true(seed >= 0 && seed <= 65535 && seed == last_seed);
        prediction_free(&out);
    }
}

static void test_bad_inputs_fail(void **state) {
    struct running *running = *state;
    char *real = picture_blob(running);
    start_worker(running);
    int before = paints;
    expect_failure(running, "x", json_pack("{s:s}", "image", "blob:gone.png"), "The image can't be used: it is no longer stored here");
    expect_failure(running, "x", json_pack("{s:s}", "mask", "blob:../../etc/passwd"),
                   "The mask can't be used: it is no longer stored here");
    expect_failure(running, "x", json_pack("{s:s}", "image", "data:image/png;base64,!!"), "The image can't be used: the base64");
    expect_failure(running, "x", json_pack("{s:s}", "mask", "data:,hello"), "The mask can't be used: ");
    expect_failure(running, "x", json_pack("{s:s}", "image", "data:,"), "The image can't be used: ");
    expect_failure(running, "x", json_pack("{s:s}", "image", "ftp://example.org/a"), "The image can't be used: its URI is not one of");
    expect_failure(running, "x", json_pack("{s:s}", "image", "http://127.0.0.1:9/a"), "private network");
    assert_int_equal(paints, before);
    memory_free(real);
}

static void test_download(void **state) {
    struct running *running = *state;
    struct server server;
    prediction_id id;
    struct prediction out;
    char url[128], *blob = picture_blob(running), *data;
    size_t length;
    ASSERT_OK(blob_read(running->blobs, blob + 5, 100000, &data, &length, error));
    server_start(&server, data, length);
    running->options.private_networks = true;
    start_worker(running);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/hop/2", server.port);
    ask(running, "a cat", json_pack("{s:s, s:s}", "image", url, "mask", url), id);
    await(running, id, PREDICTION_SUCCEEDED, &out);
    prediction_free(&out);
    server_stop(&server);
    memory_free(data);
    memory_free(blob);
}

static void test_engine_refusals(void **state) {
    struct running *running = *state;
    start_worker(running);
    expect_failure(running, "memory", NULL, "this needs 9 GB");
    expect_failure(running, "nsfw", NULL, "NSFW content detected.");
}

static void test_flagged_outputs_are_withheld(void **state) {
    struct running *running = *state;
    prediction_id id;
    struct prediction out;
    start_worker(running);
    ask(running, "flagged", json_pack("{s:i}", "num_outputs", 3), id);
    await(running, id, PREDICTION_SUCCEEDED, &out);
    assert_int_equal(json_array_size(out.output), 2);
    prediction_free(&out);
}

/* A cancel stops the engine between two steps, and nothing is left of it. */
static void test_cancel(void **state) {
    struct running *running = *state;
    prediction_id id;
    struct prediction out;
    start_worker(running);
    ask(running, "slow", json_pack("{s:i}", "num_inference_steps", 400), id);
    await(running, id, PREDICTION_PROCESSING, &out);
    prediction_free(&out);
    time_sleep(300000);
    int before = canceled_paints;
    int64_t began = time_monotonic();
    ASSERT_OK(store_cancel(running->fixture.store, id, NULL, NULL, error));
    while (canceled_paints == before && time_monotonic() - began < 5000000) time_sleep(1000);
    assert_true(time_monotonic() - began < 1000000);
    stop_worker(running);
    char **garbage;
    size_t count;
    ASSERT_OK(store_expire_data(running->fixture.store, 0, 10, &garbage, &count, error));
    for (size_t i = 0; garbage[i]; i++) {
        ASSERT_OK(blob_delete(running->blobs, garbage[i], error));
        memory_free(garbage[i]);
    }
    memory_free(garbage);
    assert_int_equal(count_files(running->blobs_path), 1); /* the input */
    assert_int_equal(status_of(running->fixture.store, id), PREDICTION_CANCELED);
}

static void test_deadline(void **state) {
    struct running *running = *state;
    struct prediction prediction = make_prediction(), out;
    char *blob = picture_blob(running);
    json_decref(prediction.input);
    prediction.input = json_pack("{s:s, s:s, s:s, s:i}", "prompt", "slow", "image", blob, "mask", blob, "num_inference_steps", 400);
    prediction.deadline = time_wall() + 1000000;
    running->options.lease_seconds = 1;
    start_worker(running);
    create_prediction(running->fixture.store, &prediction, NULL);
    await(running, prediction.id, PREDICTION_CANCELED, &out);
    assert_true(out.completed - out.deadline < 1500000);
    prediction_free(&out);
    prediction_free(&prediction);
    memory_free(blob);
}

/* Told to stop, it gives the prediction back; the next worker paints it. */
static void test_stop_gives_back(void **state) {
    struct running *running = *state;
    prediction_id id;
    struct prediction out;
    start_worker(running);
    ask(running, "slow", json_pack("{s:i, s:i}", "num_inference_steps", 20, "seed", 5), id);
    await(running, id, PREDICTION_PROCESSING, &out);
    prediction_free(&out);
    time_sleep(300000);
    int64_t began = time_monotonic();
    stop_worker(running);
    assert_true(time_monotonic() - began < 1500000);
    assert_int_equal(status_of(running->fixture.store, id), PREDICTION_STARTING);
    start_worker(running);
    await(running, id, PREDICTION_SUCCEEDED, &out);
    assert_int_equal(out.attempt, 2);
    assert_non_null(strstr(strstr(out.logs, "Using seed: 5\n") + 1, "Using seed: 5\n")); /* told again by the second attempt */
    prediction_free(&out);
}

/* A step of three seconds does not cost a lease of one. */
static void test_long_steps_keep_the_lease(void **state) {
    struct running *running = *state;
    prediction_id id;
    struct prediction out;
    struct lease lease;
    running->options.lease_seconds = 1;
    start_worker(running);
    ask(running, "stuck", json_pack("{s:i}", "num_inference_steps", 1), id);
    await(running, id, PREDICTION_PROCESSING, &out);
    prediction_free(&out);
    for (int i = 0; i < 20; i++) {
        time_sleep(100000);
        assert_false(claim_any(running->fixture.store, "thief", 60, &lease));
    }
    await(running, id, PREDICTION_SUCCEEDED, &out);
    assert_int_equal(out.attempt, 1);
    prediction_free(&out);
}

/* Another worker's prediction whose lease ran out is painted here. */
static void test_takes_over(void **state) {
    struct running *running = *state;
    prediction_id id;
    struct prediction out;
    ask(running, "a cat", NULL, id);
    struct lease dead = claim_this(running->fixture.store, id, 1);
    start_worker(running);
    await(running, id, PREDICTION_SUCCEEDED, &out);
    assert_int_equal(out.attempt, 2);
    prediction_free(&out);
    ASSERT_ERROR(ERROR_CONFLICT, store_log(running->fixture.store, &dead, "x\n", error));
}

static void test_previews(void **state) {
    struct running *running = *state;
    prediction_id id;
    struct prediction out;
    char kinds[64], *data;
    size_t count, length, seen = 0;
    struct event *events;
    start_worker(running);
    ask(running, "slow", json_pack("{s:i}", "num_inference_steps", 20), id);
    for (int64_t began = time_monotonic(); time_monotonic() - began < 1700000; time_sleep(20000)) {
        ASSERT_OK(store_events(running->fixture.store, id, 0, 63, &events, &count, error));
        for (size_t i = 0; i < count; i++) {
            if (events[i].kind != EVENT_PREVIEW || (size_t)events[i].sequence == seen) continue;
            seen = (size_t)events[i].sequence;
            ASSERT_OK(blob_read(running->blobs, events[i].data, 100000, &data, &length, error));
            assert_int_equal(image_sniff(data, length), IMAGE_PNG);
            memory_free(data);
        }
        events_free(events, count);
    }
    assert_true(seen > 0);
    await(running, id, PREDICTION_SUCCEEDED, &out);
    prediction_free(&out);
    event_kinds(running->fixture.store, id, kinds);
    assert_null(strchr(kinds, 'p'));
}

/* Logs come in batches while it runs, never once a line. */
static void test_logs_are_batched(void **state) {
    struct running *running = *state;
    prediction_id id;
    struct prediction out;
    struct event *events;
    size_t count, logs = 0;
    start_worker(running);
    ask(running, "slow", json_pack("{s:i}", "num_inference_steps", 15), id);
    await(running, id, PREDICTION_SUCCEEDED, &out);
    prediction_free(&out);
    ASSERT_OK(store_events(running->fixture.store, id, 0, 1000, &events, &count, error));
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind != EVENT_LOGS) continue;
        logs++;
        assert_int_equal(events[i].data[strlen(events[i].data) - 1], '\n'); /* whole lines */
    }
    events_free(events, count);
    assert_in_range(logs, 3, 12);
}

static void test_no_model(void **state) {
    struct running *running = *state;
    stop = 0;
    const struct worker_model nowhere = {NULL, "nowhere"};
    running->options.models = &nowhere;
    ASSERT_ERROR(ERROR_NOT_FOUND, worker_run(&running->options, &stop, error));
}

/* ---- several models ---- */

/* Of the model `name`. */
static void ask_model(struct running *running, const char *name, const char *prompt, enum prediction_status status, const char *message) {
    prediction_id id;
    struct prediction prediction = make_prediction(), out;
    char *blob = picture_blob(running);
    json_decref(prediction.input);
    prediction.input = json_pack("{s:s, s:s, s:s, s:i}", "prompt", prompt, "image", blob, "mask", blob, "num_inference_steps", 1);
    memory_free(prediction.model);
    prediction.model = memory_string(name);
    memory_free(blob);
    create_prediction(running->fixture.store, &prediction, id);
    prediction_free(&prediction);
    await(running, id, status, &out);
    if (message) assert_non_null(strstr(out.error, message));
    prediction_free(&out);
}

static const struct worker_model several[] = {
    {"a/first", "model"}, {"a/second", "second"}, {"a/third", "third"}, {"a/alias", "second"}, {"a/broken", "nowhere"}};

/* Each packs 12 MB and works in 8: two fit into 45 MB, three do not. */
static void test_models(void **state) {
    struct running *running = *state;
    running->options.models = several;
    running->options.model_count = 5;
    running->options.memory_budget = 45 * MEGABYTE;
    start_worker(running);
    ask_model(running, "a/first", "a cat", PREDICTION_SUCCEEDED, NULL);
    ask_model(running, "a/second", "a cat", PREDICTION_SUCCEEDED, NULL);
    assert_string_equal(opened, "model second ");
    ask_model(running, "a/alias", "a cat", PREDICTION_SUCCEEDED, NULL); /* the same checkpoint */
    ask_model(running, "a/first", "a cat", PREDICTION_SUCCEEDED, NULL);
    assert_string_equal(opened, "model second ");
    ask_model(running, "a/third", "a cat", PREDICTION_SUCCEEDED, NULL); /* the second was not used for longest */
    assert_string_equal(opened, "model second third -second ");
    ask_model(running, "a/broken", "a cat", PREDICTION_FAILED, "The model a/broken can't be opened: there is no model in nowhere");
    ask_model(running, "a/first", "a cat", PREDICTION_SUCCEEDED, NULL);
    assert_string_equal(opened, "model second third -second ");
    assert_int_equal(last_limit, (45 - 12 - 20) * MEGABYTE);            /* what its weights and the third leave */
    ask_model(running, "a/first", "large", PREDICTION_SUCCEEDED, NULL); /* the third makes room */
    assert_string_equal(opened, "model second third -second -third ");
    ask_model(running, "a/first", "memory", PREDICTION_FAILED, "9 GB"); /* nobody else is left to */
    stop_worker(running);
    for (size_t i = 0; i < MODELS; i++) assert_false(the_models[i].open);
}

/* What a worker can't run stays for others. */
static void test_models_claim(void **state) {
    struct running *running = *state;
    prediction_id id;
    struct prediction prediction = make_prediction(), out;
    running->options.models = several;
    running->options.model_count = 1;
    memory_free(prediction.model);
    prediction.model = memory_string("a/second");
    create_prediction(running->fixture.store, &prediction, id);
    prediction_free(&prediction);
    start_worker(running);
    ask_model(running, "a/first", "a cat", PREDICTION_SUCCEEDED, NULL);
    ASSERT_OK(store_get(running->fixture.store, id, NULL, &out, error));
    assert_int_equal(out.status, PREDICTION_STARTING);
    prediction_free(&out);
}

/* Each allocation fails once: the prediction ends all the same, if need be by another attempt. */
static void test_out_of_memory(void **state) {
    struct running *running = *state;
    prediction_id id;
    struct prediction out;
    running->options.lease_seconds = 1;
    start_worker(running);
    ask(running, "a cat", NULL, id);
    await(running, id, PREDICTION_SUCCEEDED, &out);
    prediction_free(&out);
    for (size_t n = 1; n <= 60; n += 3) {
        uint32_t seen = 0;
        bool ended = false;
        ask(running, "a cat", NULL, id);
        memory_fail_at(n, 0);
        for (int64_t began = time_monotonic(); !ended && time_monotonic() - began < 10000000;) {
            if (!store_get(running->fixture.store, id, NULL, &out, NULL)) continue;
            ended = out.status == PREDICTION_SUCCEEDED || out.status == PREDICTION_FAILED;
            prediction_free(&out);
            if (!ended) store_wait(running->fixture.store, &seen, 100);
        }
        memory_fail_at(0, 0);
        if (!ended) fail_msg("with allocation %zu failing it never ended", n);
    }
}

#define WORKED(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        WORKED(test_success),          WORKED(test_seed_is_two_bytes),
        WORKED(test_bad_inputs_fail),  WORKED(test_download),
        WORKED(test_engine_refusals),  WORKED(test_flagged_outputs_are_withheld),
        WORKED(test_cancel),           WORKED(test_deadline),
        WORKED(test_stop_gives_back),  WORKED(test_long_steps_keep_the_lease),
        WORKED(test_takes_over),       WORKED(test_previews),
        WORKED(test_logs_are_batched), WORKED(test_no_model),
        WORKED(test_models),           WORKED(test_models_claim),
        WORKED(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
