/* The one way a prediction changes after its creation: row, events and webhook rows together, as
 * prediction_transition() says. The caller holds a write transaction. */
#include "store/sqlite.h"

#include <stdio.h>
#include <string.h>

static int64_t latest(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- the row ---- */

static bool write_claim(struct sqlite_store *store, const struct state *state, const struct change *change, struct error *error) {
    struct query query = query_begin(&store->writer, "UPDATE predictions SET status = 1, attempt = attempt + 1, worker = ?2, claimed = ?3,"
                                                     " lease_until = ?4, started = iif(started = 0, max(?3, created), started)"
                                                     " WHERE number = ?1");
    query_integer(&query, state->number);
    query_text(&query, change->worker);
    query_integer(&query, change->now);
    query_integer(&query, change->lease_until);
    return query_run(&query, error);
}

static bool write_release(struct sqlite_store *store, const struct state *state, struct error *error) {
    struct query query =
        query_begin(&store->writer, "UPDATE predictions SET status = 0, released = released + 1, worker = NULL, lease_until = 0"
                                    " WHERE number = ?1");
    query_integer(&query, state->number);
    return query_run(&query, error);
}

static bool write_logs(struct sqlite_store *store, const struct state *state, const char *text, struct error *error) {
    struct query query = query_begin(&store->writer, "UPDATE predictions SET logs = logs || ?2 WHERE number = ?1");
    query_integer(&query, state->number);
    query_text(&query, text);
    return query_run(&query, error);
}

/* Only the latest preview is kept: the blob before it becomes garbage. `blob` NULL: there is none now. */
static bool write_preview(struct sqlite_store *store, const struct state *state, const char *blob, struct error *error) {
    struct query query = query_begin(&store->writer, "INSERT OR IGNORE INTO blob_garbage (blob) SELECT preview FROM predictions"
                                                     " WHERE number = ?1 AND preview IS NOT NULL AND preview IS NOT ?2");
    query_integer(&query, state->number);
    query_text(&query, blob);
    if (!query_run(&query, error)) return false;
    query = query_begin(&store->writer, "UPDATE predictions SET preview = ?2 WHERE number = ?1 AND preview IS NOT ?2");
    query_integer(&query, state->number);
    query_text(&query, blob);
    if (!query_run(&query, error)) return false;
    query = query_begin(&store->writer, "DELETE FROM events WHERE prediction = ?1 AND kind = ?2");
    query_text(&query, state->id);
    query_integer(&query, EVENT_PREVIEW);
    return query_run(&query, error);
}

static double seconds_spent(const struct state *state, const struct change *change) {
    if (change->has_seconds) return change->predict_seconds;
    if (state->status != PREDICTION_PROCESSING || change->now < state->claimed) return 0;
    return (double)(change->now - state->claimed) / 1e6;
}

static bool write_end_of_life(struct sqlite_store *store, const struct state *state, const struct change *change,
                              enum prediction_status status, struct error *error) {
    if (!write_preview(store, state, NULL, error)) return false;
    struct query query = query_begin(&store->writer, "UPDATE predictions SET status = ?2, output = ?3, error = ?4, completed = ?5,"
                                                     " predict_seconds = ?6, worker = NULL, lease_until = 0 WHERE number = ?1");
    query_integer(&query, state->number);
    query_integer(&query, status);
    query_json(&query, status == PREDICTION_SUCCEEDED ? change->output : NULL);
    query_text(&query, status == PREDICTION_FAILED ? change->text : NULL);
    query_integer(&query, latest(change->now, latest(state->created, state->started))); /* however the clock was set meanwhile */
    query_real(&query, seconds_spent(state, change));
    if (!query_run(&query, error)) return false;
    if (status != PREDICTION_SUCCEEDED) return true;
    size_t index;
    const json_t *name;
    json_array_foreach(change->output, index, name) if (!blob_use(store, json_string_value(name), state->id, error)) return false;
    return true;
}

static bool write_row(struct sqlite_store *store, const struct state *state, const struct change *change, enum prediction_status status,
                      struct error *error) {
    switch (change->action) {
    case PREDICTION_CLAIM:
        return write_claim(store, state, change, error);
    case PREDICTION_RELEASE:
        return write_release(store, state, error);
    case PREDICTION_LOG:
        return write_logs(store, state, change->text, error);
    case PREDICTION_PREVIEW:
        return write_preview(store, state, change->text, error);
    default:
        return write_end_of_life(store, state, change, status, error);
    }
}

/* ---- its events ---- */

static bool add_event(struct sqlite_store *store, const struct state *state, int64_t now, enum event_kind kind, const char *data,
                      struct error *error) {
    struct query query = query_begin(&store->writer, "INSERT INTO events (prediction, created, kind, data) VALUES (?, ?, ?, ?)");
    query_text(&query, state->id);
    query_integer(&query, now);
    query_integer(&query, kind);
    query_text(&query, data);
    return query_run(&query, error);
}

static bool add_events(struct sqlite_store *store, const struct state *state, const struct change *change,
                       const struct prediction_transition *transition, struct error *error) {
    if (transition->told & WEBHOOK_START && !add_event(store, state, change->now, EVENT_START, "", error)) return false;
    if (transition->told & WEBHOOK_OUTPUT) {
        size_t index;
        const json_t *name;
        json_array_foreach(change->output, index,
                           name) if (!add_event(store, state, change->now, EVENT_OUTPUT, json_string_value(name), error)) return false;
    }
    if (transition->told & WEBHOOK_LOGS && !add_event(store, state, change->now, EVENT_LOGS, change->text, error)) return false;
    if (change->action == PREDICTION_PREVIEW && !add_event(store, state, change->now, EVENT_PREVIEW, change->text, error)) return false;
    if (!(transition->told & WEBHOOK_COMPLETED)) return true;
    return add_event(store, state, change->now, EVENT_DONE, prediction_status_name(transition->status), error);
}

/* ---- its webhooks: rows without a body, because the body is what GET answers on delivery ---- */

/* Is one of this kind still waiting for its first delivery? It will tell the newest state anyway. */
static bool is_waiting(struct sqlite_store *store, const struct state *state, unsigned event, bool *waiting, struct error *error) {
    struct query query = query_begin(&store->writer, "SELECT 1 FROM webhooks WHERE prediction = ? AND event = ? AND tries = 0 LIMIT 1");
    query_text(&query, state->id);
    query_integer(&query, event);
    *waiting = query_row(&query);
    return query_end(&query, error);
}

/* Logs and output are told at most twice a second: the next is due half a second after the last. */
static bool throttle(struct sqlite_store *store, const struct state *state, unsigned event, int64_t now, int64_t *due,
                     struct error *error) {
    bool logs = event == WEBHOOK_LOGS;
    struct query query = query_begin(&store->writer, logs ? "SELECT logs_told FROM predictions WHERE number = ?"
                                                          : "SELECT output_told FROM predictions WHERE number = ?");
    query_integer(&query, state->number);
    int64_t told = query_row(&query) ? column_integer(&query, 0) : 0;
    if (!query_end(&query, error)) return false;
    *due = now >= told && now - told < WEBHOOK_THROTTLE ? told + WEBHOOK_THROTTLE : now;
    query = query_begin(&store->writer, logs ? "UPDATE predictions SET logs_told = ?2 WHERE number = ?1"
                                             : "UPDATE predictions SET output_told = ?2 WHERE number = ?1");
    query_integer(&query, state->number);
    query_integer(&query, *due);
    return query_run(&query, error);
}

static bool add_webhook(struct sqlite_store *store, const struct state *state, unsigned event, int64_t now, struct error *error) {
    char name[PREDICTION_ID_LENGTH + 1], id[sizeof(((struct webhook *)0)->id)];
    int64_t due = now;
    if (event & (WEBHOOK_LOGS | WEBHOOK_OUTPUT)) {
        bool waiting;
        if (!is_waiting(store, state, event, &waiting, error)) return false;
        if (waiting) return true;
        if (!throttle(store, state, event, now, &due, error)) return false;
    }
    if (!prediction_id_create(name, error)) return false;
    snprintf(id, sizeof id, "msg_%s", name);
    struct query query = query_begin(&store->writer, "INSERT INTO webhooks (id, prediction, event, created, due) VALUES (?, ?, ?, ?, ?)");
    query_text(&query, id);
    query_text(&query, state->id);
    query_integer(&query, event);
    query_integer(&query, now);
    query_integer(&query, due);
    return query_run(&query, error);
}

/* What still waits for its half second goes out before the end is told. */
static bool hurry_webhooks(struct sqlite_store *store, const struct state *state, int64_t now, struct error *error) {
    struct query query = query_begin(&store->writer, "UPDATE webhooks SET due = ?2 WHERE prediction = ?1 AND due > ?2 AND tries = 0");
    query_text(&query, state->id);
    query_integer(&query, now);
    return query_run(&query, error);
}

static bool add_webhooks(struct sqlite_store *store, const struct state *state, unsigned told, int64_t now, struct error *error) {
    static const unsigned order[] = {WEBHOOK_START, WEBHOOK_OUTPUT, WEBHOOK_LOGS, WEBHOOK_COMPLETED};
    told &= state->webhook_events;
    if (told & WEBHOOK_COMPLETED && !hurry_webhooks(store, state, now, error)) return false;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (told & order[i] && !add_webhook(store, state, order[i], now, error)) return false;
    return true;
}

static void update_state(struct state *state, const struct change *change, enum prediction_status status) {
    state->status = status;
    if (change->action == PREDICTION_RELEASE) state->released++;
    if (change->action != PREDICTION_CLAIM) return;
    state->attempt++;
    state->claimed = change->now;
    state->lease_until = change->lease_until;
    if (!state->started) state->started = latest(change->now, state->created);
    snprintf(state->worker, sizeof state->worker, "%s", change->worker);
}

bool change_prediction(struct sqlite_store *store, struct state *state, const struct change *change, struct error *error) {
    struct prediction_transition transition;
    if (!prediction_transition(state->status, state->started != 0, change->action, &transition))
        return error_set(error, ERROR_CONFLICT, "prediction %s is %s: it can't change like that", state->id,
                         prediction_status_name(state->status));
    if (!write_row(store, state, change, transition.status, error) || !add_events(store, state, change, &transition, error) ||
        !add_webhooks(store, state, transition.told, change->now, error))
        return false;
    update_state(state, change, transition.status);
    return true;
}
