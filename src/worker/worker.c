/* The worker's loop: wait, claim, attempt. */
#include "worker/worker.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "worker/attempt.h"
#include "worker/models.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    IDLE_MILLISECONDS = 1000, /* how often one looks for leases that ran out: nothing wakes for these */
    TROUBLE_MICROSECONDS = 1000000,
    PRESENCE_SECONDS = 60, /* it is taken for gone when it has not said for so long that it is there */
    PRESENCE_MICROSECONDS = 20000000
};

/* "host-process-random": unguessable is not needed, unique is. */
static bool make_name(char name[64], struct error *error) {
    char host[33] = "";
    unsigned char bytes[4];
    if (!random_bytes(bytes, sizeof bytes, error)) return false;
    if (gethostname(host, sizeof host - 1) != 0) snprintf(host, sizeof host, "host");
    snprintf(name, 64, "%s-%ld-%02x%02x%02x%02x", host, (long)getpid(), bytes[0], bytes[1], bytes[2], bytes[3]);
    return true;
}

/* Three quarters of the memory that this process may have. */
static size_t default_memory_budget(void) {
    size_t bytes = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    unsigned long long allowed;
    if (file) {
        if (fscanf(file, "%20llu", &allowed) == 1 && allowed < bytes) bytes = (size_t)allowed;
        fclose(file);
    }
    return bytes / 4 * 3;
}

/* One turn: true when there was something to paint. */
static bool serve_one(const struct worker *worker, const char *name) {
    struct error error = {.code = ERROR_NONE};
    struct lease lease;
    struct prediction prediction;
    bool found;
    const struct store_wish wish = {.worker = name,
                                    .lease_seconds = worker->options->lease_seconds,
                                    .models = models_names(worker->models),
                                    .prefer = models_loaded(worker->models)};
    if (!store_claim(worker->store, &wish, &lease, &prediction, &found, &error)) {
        log_error("can't look for work: %s", error.message);
        time_sleep(TROUBLE_MICROSECONDS);
        return false;
    }
    if (!found) return false;
    char trace[TRACE_ID_SIZE];
    trace_id(lease.trace, trace);
    log_about(lease.id, trace);
    log_info("prediction %s begins (attempt %d)", lease.id, lease.attempt);
    attempt_run(worker, &lease, &prediction);
    log_about(NULL, NULL);
    prediction_free(&prediction);
    return true;
}

/* For those who count workers; whoever holds a lease is seen anyway. */
static void tell_presence(const struct worker *worker, const char *name, int64_t *next) {
    struct error error = {.code = ERROR_NONE};
    int64_t now = time_monotonic();
    if (now < *next) return;
    if (!store_worker(worker->store, name, PRESENCE_SECONDS, &error)) log_debug("can't tell that I am here: %s", error.message);
    *next = now + PRESENCE_MICROSECONDS;
}

static void serve(const struct worker *worker, const char *name) {
    uint32_t seen = 0;
    int64_t next = 0;
    log_info("worker %s is ready", name);
    while (!*worker->stop) {
        tell_presence(worker, name, &next);
        if (!serve_one(worker, name) && !*worker->stop) store_wait(worker->store, &seen, IDLE_MILLISECONDS);
    }
    store_worker(worker->store, name, 0, NULL);
    log_info("worker %s stops", name);
}

bool worker_run(const struct worker_options *options, atomic_int *stop, struct error *error) {
    struct worker worker = {.options = options, .stop = stop};
    char name[64];
    size_t budget = options->memory_budget ? options->memory_budget : default_memory_budget();
    json_use_memory();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return error_set(error, ERROR_MEMORY, "can't set up downloads");
    bool ok = make_name(name, error) && models_create(options, budget, &worker.models, error) &&
              store_open(options->store_url, &worker.store, error) && blobs_open(options->blobs_url, &worker.blobs, error);
    if (ok) serve(&worker, name);
    blobs_close(worker.blobs);
    store_close(worker.store);
    models_free(worker.models);
    curl_global_cleanup();
    return ok;
}
