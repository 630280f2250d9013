/* Creating predictions. A commit waits for the disk, some milliseconds; threads that create at the same
 * time share it: whoever finds nobody writing takes all that have queued up by then. */
#include "store/sqlite.h"

#include "predict/input.h"

#include <stdio.h>
#include <string.h>

/* One that waits to be written; lives on its thread's stack. */
struct creation {
    const struct prediction *prediction;
    struct error *error;
    bool ok, done;
    struct creation *next;
};

static bool use_input(struct sqlite_store *store, const struct prediction *prediction, const char *key, struct error *error) {
    const char *text = json_string_value(json_object_get(prediction->input, key));
    return !text || strncmp(text, "blob:", 5) != 0 || blob_use(store, text + 5, prediction->id, error);
}

/* A file that we hold is "blob:NAME", under the field's name or the name with '_' before it. */
static bool use_inputs(struct sqlite_store *store, const struct prediction *prediction, struct error *error) {
    for (size_t i = 0; i < input_fields_count; i++) {
        char held[64];
        if (input_fields[i].type != INPUT_FILE) continue;
        snprintf(held, sizeof held, "_%s", input_fields[i].name);
        if (!use_input(store, prediction, input_fields[i].name, error) || !use_input(store, prediction, held, error)) return false;
    }
    return true;
}

static bool insert_prediction(struct sqlite_store *store, const struct prediction *prediction, struct error *error) {
    struct query query =
        query_begin(&store->writer, "INSERT INTO predictions (id, owner, model, version, input, logs, from_web, created, deadline, webhook,"
                                    " webhook_events, stream_token, public_base, data_uri_output, trace)"
                                    " VALUES (?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_text(&query, prediction->id);
    query_text(&query, prediction->owner ? prediction->owner : "");
    query_text(&query, prediction->model);
    query_text(&query, prediction->version);
    query_json(&query, prediction->input);
    query_integer(&query, prediction->from_web);
    query_integer(&query, prediction->created);
    query_integer(&query, prediction->deadline);
    query_text(&query, prediction->webhook);
    query_integer(&query, prediction->webhook_events);
    query_text(&query, prediction->stream_token);
    query_text(&query, prediction->public_base);
    query_integer(&query, prediction->data_uri_output);
    query_text(&query, prediction->trace[0] ? prediction->trace : NULL);
    while (query_row(&query)) {
    }
    if (query.result == SQLITE_CONSTRAINT_UNIQUE) {
        query_end(&query, NULL);
        return error_set(error, ERROR_CONFLICT, "there is a prediction %s already", prediction->id);
    }
    return query_end(&query, error);
}

/* All or nothing of one, whatever becomes of the others. */
static bool write_one(struct sqlite_store *store, const struct creation *creation) {
    struct query query = query_begin(&store->writer, "SAVEPOINT creation");
    if (!query_run(&query, creation->error)) return false;
    bool ok = insert_prediction(store, creation->prediction, creation->error) && use_inputs(store, creation->prediction, creation->error);
    if (!ok) {
        query = query_begin(&store->writer, "ROLLBACK TO creation");
        query_run(&query, NULL);
    }
    query = query_begin(&store->writer, "RELEASE creation");
    return query_run(&query, ok ? creation->error : NULL) && ok;
}

static struct creation *take_all(struct creations *creations) {
    pthread_mutex_lock(&creations->lock);
    struct creation *all = creations->first;
    creations->first = NULL;
    creations->last = &creations->first;
    pthread_mutex_unlock(&creations->lock);
    return all;
}

/* False when SQLite has rolled the whole transaction back because of one (a full disk, no memory). */
static bool write_each(struct sqlite_store *store, struct creation *all, bool *any, struct error *error) {
    for (struct creation *creation = all; creation; creation = creation->next) {
        creation->ok = write_one(store, creation);
        *any = *any || creation->ok;
        if (!sqlite3_get_autocommit(store->writer.database)) continue;
        if (creation->error) *error = *creation->error;
        return false;
    }
    return true;
}

/* Every creation that has queued up when the lock is ours; the caller's own is among them. Failing to
 * begin or to commit is everybody's failure. */
static struct creation *write_all(struct sqlite_store *store) {
    struct error error = {.code = ERROR_IO, .message = "the store can't be written"};
    bool any = false, ok = write_begin(store, &error);
    struct creation *all = take_all(&store->creations);
    if (ok) {
        ok = write_each(store, all, &any, &error);
        ok = write_end(store, ok, any, &error);
    }
    for (struct creation *creation = all; !ok && creation; creation = creation->next) {
        error_set(creation->error, error.code, "%s", error.message);
        creation->ok = false;
    }
    return all;
}

static bool create(struct sqlite_store *store, struct creation *mine) {
    struct creations *creations = &store->creations;
    pthread_mutex_lock(&creations->lock);
    *creations->last = mine;
    creations->last = &mine->next;
    while (creations->busy && !mine->done) pthread_cond_wait(&creations->changed, &creations->lock);
    if (!mine->done) {
        creations->busy = true;
        pthread_mutex_unlock(&creations->lock);
        struct creation *written = write_all(store);
        pthread_mutex_lock(&creations->lock);
        creations->busy = false;
        for (struct creation *next; written; written = next) {
            next = written->next; /* its thread goes on, and its stack with it, once it is done */
            written->done = true;
        }
        pthread_cond_broadcast(&creations->changed);
    }
    pthread_mutex_unlock(&creations->lock);
    return mine->ok;
}

bool sqlite_create(struct store *base, const struct prediction *prediction, struct error *error) {
    struct creation mine = {.prediction = prediction, .error = error};
    if (strlen(prediction->id) != PREDICTION_ID_LENGTH || !prediction->model || !prediction->version || !json_is_object(prediction->input))
        return error_set(error, ERROR_INTERNAL, "a prediction was to be stored that isn't filled in");
    return create(sqlite_of(base), &mine);
}
