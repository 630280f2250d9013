/* The store's public functions: which backend a URL means, and calls through its table. */
#include "store/store.h"

#include "base/memory.h"
#include "store/backend.h"

#include <string.h>

bool store_open(const char *url, struct store **store, struct error *error) {
    *store = NULL;
    if (!url || !*url)
        return error_set(error, ERROR_ARGUMENT, "no store was named: give the path of a database file, or a postgres:// URL");
    if (strncmp(url, "sqlite:", 7) == 0) return sqlite_store_open(url + 7, store, error);
    if (strncmp(url, "postgres://", 11) == 0 || strncmp(url, "postgresql://", 13) == 0) return postgres_store_open(url, store, error);
    return sqlite_store_open(url, store, error);
}

void store_close(struct store *store) {
    if (store) store->backend->close(store);
}

void store_wake(struct store *store) { store->backend->wake(store); }

#define OPERATION(name, parameters, arguments)                                                                                             \
    bool store_##name parameters { return store->backend->name arguments; }
#include "store/operations.def"
#undef OPERATION

bool wish_models(const struct store_wish *wish, json_t **models, struct error *error) {
    const size_t longest = sizeof((struct lease *)0)->worker - 1;
    *models = NULL;
    if (strlen(wish->worker) > longest) return error_set(error, ERROR_ARGUMENT, "a worker's name is at most %zu bytes", longest);
    if (!wish->models) return true;
    *models = json_array();
    bool ok = *models != NULL;
    for (const char *const *model = wish->models; ok && *model; model++) ok = json_array_append_new(*models, json_string(*model)) == 0;
    if (ok) return true;
    json_decref(*models);
    *models = NULL;
    return error_set(error, ERROR_MEMORY, "out of memory");
}

static double seconds_between(int64_t from, int64_t to) { return to > from ? (double)(to - from) / 1e6 : 0; }

struct ended ended_of(int64_t sequence, enum prediction_status status, int64_t created, int64_t started, int64_t completed, double ran) {
    return (struct ended){.sequence = sequence,
                          .status = status,
                          .started = started != 0,
                          .waited = seconds_between(created, started),
                          .ran = ran,
                          .total = seconds_between(created, completed)};
}

bool priority_fits(int priority, struct error *error) {
    return (priority >= -PRIORITY_MAX && priority <= PRIORITY_MAX) ||
           error_set(error, ERROR_ARGUMENT, "a priority is a whole number from %d to %d", -PRIORITY_MAX, PRIORITY_MAX);
}

void predictions_free(struct prediction *predictions, size_t count) {
    if (!predictions) return;
    for (size_t i = 0; i < count; i++) prediction_free(&predictions[i]);
    memory_free(predictions);
}

void events_free(struct event *events, size_t count) {
    if (!events) return;
    for (size_t i = 0; i < count; i++) memory_free(events[i].data);
    memory_free(events);
}

void webhooks_free(struct webhook *webhooks, size_t count) {
    if (!webhooks) return;
    for (size_t i = 0; i < count; i++) memory_free(webhooks[i].url);
    memory_free(webhooks);
}

void stored_file_free(struct stored_file *file) {
    memory_free(file->owner);
    memory_free(file->name);
    memory_free(file->content_type);
    memory_free(file->blob);
    json_decref(file->metadata);
    memset(file, 0, sizeof *file);
}

void stored_files_free(struct stored_file *files, size_t count) {
    if (!files) return;
    for (size_t i = 0; i < count; i++) stored_file_free(&files[i]);
    memory_free(files);
}
