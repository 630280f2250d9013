/* The one way a prediction changes after its creation: row, events and webhook rows together, as
 * prediction_transition() says. The caller holds a transaction that has locked the row. */
#include "store/postgres.h"

#include <stdio.h>

static int64_t latest(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- the row ---- */

static bool write_claim(struct postgres_store *store, const struct standing *standing, const struct alteration *alteration,
                        struct error *error) {
    struct statement statement =
        statement_begin(store, "UPDATE predictions SET status = 1, attempt = attempt + 1, worker = $2, claimed = $3, lease_until = $4,"
                               " started = CASE WHEN started = 0 THEN greatest($3, created) ELSE started END WHERE number = $1");
    statement_integer(&statement, standing->number);
    statement_text(&statement, alteration->worker);
    statement_integer(&statement, store->now);
    statement_integer(&statement, alteration->lease_until);
    return statement_run(&statement, NULL, error);
}

static bool write_release(struct postgres_store *store, const struct standing *standing, struct error *error) {
    struct statement statement =
        statement_begin(store, "UPDATE predictions SET status = 0, released = released + 1, worker = NULL, lease_until = 0"
                               " WHERE number = $1");
    statement_integer(&statement, standing->number);
    return statement_run(&statement, NULL, error);
}

static bool write_logs(struct postgres_store *store, const struct standing *standing, const char *text, struct error *error) {
    struct statement statement = statement_begin(store, "UPDATE predictions SET logs = logs || $2 WHERE number = $1");
    statement_integer(&statement, standing->number);
    statement_text(&statement, text);
    return statement_run(&statement, NULL, error);
}

/* Only the latest preview is kept: the blob before it becomes garbage. `blob` NULL: there is none now. */
static bool write_preview(struct postgres_store *store, const struct standing *standing, const char *blob, struct error *error) {
    struct statement statement =
        statement_begin(store, "INSERT INTO blob_garbage (blob) SELECT preview FROM predictions WHERE number = $1"
                               " AND preview IS NOT NULL AND preview IS DISTINCT FROM $2::text ON CONFLICT DO NOTHING");
    statement_integer(&statement, standing->number);
    statement_text(&statement, blob);
    if (!statement_run(&statement, NULL, error)) return false;
    statement = statement_begin(store, "UPDATE predictions SET preview = $2 WHERE number = $1 AND preview IS DISTINCT FROM $2");
    statement_integer(&statement, standing->number);
    statement_text(&statement, blob);
    if (!statement_run(&statement, NULL, error)) return false;
    statement = statement_begin(store, "DELETE FROM events WHERE prediction = $1 AND kind = $2");
    statement_text(&statement, standing->id);
    statement_integer(&statement, EVENT_PREVIEW);
    return statement_run(&statement, NULL, error);
}

static double seconds_spent(const struct postgres_store *store, const struct standing *standing, const struct alteration *alteration) {
    if (alteration->has_seconds) return alteration->predict_seconds;
    if (standing->status != PREDICTION_PROCESSING || store->now < standing->claimed) return 0;
    return (double)(store->now - standing->claimed) / 1e6;
}

static bool write_end_of_life(struct postgres_store *store, const struct standing *standing, const struct alteration *alteration,
                              enum prediction_status status, struct error *error) {
    if (!write_preview(store, standing, NULL, error)) return false;
    struct statement statement = statement_begin(store, "UPDATE predictions SET status = $2, output = $3, error = $4, completed = $5,"
                                                        " predict_seconds = $6, worker = NULL, lease_until = 0 WHERE number = $1");
    statement_integer(&statement, standing->number);
    statement_integer(&statement, status);
    statement_json(&statement, status == PREDICTION_SUCCEEDED ? alteration->output : NULL);
    statement_text(&statement, status == PREDICTION_FAILED ? alteration->text : NULL);
    statement_integer(&statement, latest(store->now, latest(standing->created, standing->started))); /* whatever the clocks say */
    statement_real(&statement, seconds_spent(store, standing, alteration));
    if (!statement_run(&statement, NULL, error)) return false;
    if (status != PREDICTION_SUCCEEDED) return true;
    size_t index;
    const json_t *name;
    json_array_foreach(alteration->output, index, name) if (!hold_blob(store, json_string_value(name), standing->id, error)) return false;
    return true;
}

static bool write_row(struct postgres_store *store, const struct standing *standing, const struct alteration *alteration,
                      enum prediction_status status, struct error *error) {
    switch (alteration->action) {
    case PREDICTION_CLAIM:
        return write_claim(store, standing, alteration, error);
    case PREDICTION_RELEASE:
        return write_release(store, standing, error);
    case PREDICTION_LOG:
        return write_logs(store, standing, alteration->text, error);
    case PREDICTION_PREVIEW:
        return write_preview(store, standing, alteration->text, error);
    default:
        return write_end_of_life(store, standing, alteration, status, error);
    }
}

/* ---- its webhooks: rows without a body, because the body is what GET answers on delivery ---- */

/* Is one of this kind still waiting for its first delivery? It will tell the newest state anyway. The
 * row is locked: who is just taking it for delivery, unseen yet, reads a state older than ours. */
static bool is_waiting(struct postgres_store *store, const struct standing *standing, unsigned event, bool *waiting, struct error *error) {
    struct statement statement =
        statement_begin(store, "SELECT 1 FROM webhooks WHERE prediction = $1 AND event = $2 AND tries = 0 LIMIT 1 FOR UPDATE");
    statement_text(&statement, standing->id);
    statement_integer(&statement, event);
    *waiting = statement_row(&statement);
    return statement_end(&statement, error);
}

/* Logs and output are told at most twice a second: the next is due half a second after the last. */
static bool throttle(struct postgres_store *store, const struct standing *standing, unsigned event, int64_t *due, struct error *error) {
    bool logs = event == WEBHOOK_LOGS;
    int64_t now = store->now;
    struct statement statement = statement_begin(store, logs ? "SELECT logs_told FROM predictions WHERE number = $1"
                                                             : "SELECT output_told FROM predictions WHERE number = $1");
    statement_integer(&statement, standing->number);
    int64_t told = statement_row(&statement) ? value_integer(&statement, 0) : 0;
    if (!statement_end(&statement, error)) return false;
    *due = now >= told && now - told < WEBHOOK_THROTTLE ? told + WEBHOOK_THROTTLE : now;
    statement = statement_begin(store, logs ? "UPDATE predictions SET logs_told = $2 WHERE number = $1"
                                            : "UPDATE predictions SET output_told = $2 WHERE number = $1");
    statement_integer(&statement, standing->number);
    statement_integer(&statement, *due);
    return statement_run(&statement, NULL, error);
}

static bool add_webhook(struct postgres_store *store, const struct standing *standing, unsigned event, struct error *error) {
    char name[PREDICTION_ID_LENGTH + 1], id[sizeof(((struct webhook *)0)->id)];
    int64_t due = store->now;
    if (event & (WEBHOOK_LOGS | WEBHOOK_OUTPUT)) {
        bool waiting;
        if (!is_waiting(store, standing, event, &waiting, error)) return false;
        if (waiting) return true;
        if (!throttle(store, standing, event, &due, error)) return false;
    }
    if (!prediction_id_create(name, error)) return false;
    snprintf(id, sizeof id, "msg_%s", name);
    struct statement statement =
        statement_begin(store, "INSERT INTO webhooks (id, prediction, event, created, due) VALUES ($1, $2, $3, $4, $5)");
    statement_text(&statement, id);
    statement_text(&statement, standing->id);
    statement_integer(&statement, event);
    statement_integer(&statement, store->now);
    statement_integer(&statement, due);
    return statement_run(&statement, NULL, error);
}

/* What still waits for its half second goes out before the end is told. */
static bool hurry_webhooks(struct postgres_store *store, const struct standing *standing, struct error *error) {
    struct statement statement = statement_begin(store, "UPDATE webhooks SET due = $2 WHERE prediction = $1 AND due > $2 AND tries = 0");
    statement_text(&statement, standing->id);
    statement_integer(&statement, store->now);
    return statement_run(&statement, NULL, error);
}

static bool add_webhooks(struct postgres_store *store, const struct standing *standing, unsigned told, struct error *error) {
    static const unsigned order[] = {WEBHOOK_START, WEBHOOK_OUTPUT, WEBHOOK_LOGS, WEBHOOK_COMPLETED};
    told &= standing->webhook_events;
    if (told & WEBHOOK_COMPLETED && !hurry_webhooks(store, standing, error)) return false;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (told & order[i] && !add_webhook(store, standing, order[i], error)) return false;
    return true;
}

/* ---- its events: the counter's row stays locked until the commit (postgres_migrate.c), so they come last ---- */

static bool add_event(struct postgres_store *store, const struct standing *standing, enum event_kind kind, const char *data,
                      struct error *error) {
    struct statement statement = statement_begin(store, "WITH next AS (UPDATE event_counter SET last = last + 1 RETURNING last)"
                                                        " INSERT INTO events (sequence, prediction, created, kind, data)"
                                                        " SELECT last, $1, $2, $3, $4 FROM next");
    statement_text(&statement, standing->id);
    statement_integer(&statement, store->now);
    statement_integer(&statement, kind);
    statement_text(&statement, data);
    return statement_run(&statement, NULL, error);
}

static bool add_events(struct postgres_store *store, const struct standing *standing, const struct alteration *alteration,
                       const struct prediction_transition *transition, struct error *error) {
    if (transition->told & WEBHOOK_START && !add_event(store, standing, EVENT_START, "", error)) return false;
    if (transition->told & WEBHOOK_OUTPUT) {
        size_t index;
        const json_t *name;
        json_array_foreach(alteration->output, index,
                           name) if (!add_event(store, standing, EVENT_OUTPUT, json_string_value(name), error)) return false;
    }
    if (transition->told & WEBHOOK_LOGS && !add_event(store, standing, EVENT_LOGS, alteration->text, error)) return false;
    if (alteration->action == PREDICTION_PREVIEW && !add_event(store, standing, EVENT_PREVIEW, alteration->text, error)) return false;
    if (!(transition->told & WEBHOOK_COMPLETED)) return true;
    return add_event(store, standing, EVENT_DONE, prediction_status_name(transition->status), error);
}

static void update_standing(const struct postgres_store *store, struct standing *standing, const struct alteration *alteration,
                            enum prediction_status status) {
    standing->status = status;
    if (alteration->action == PREDICTION_RELEASE) standing->released++;
    if (alteration->action != PREDICTION_CLAIM) return;
    standing->attempt++;
    standing->claimed = store->now;
    standing->lease_until = alteration->lease_until;
    if (!standing->started) standing->started = latest(store->now, standing->created);
    snprintf(standing->worker, sizeof standing->worker, "%s", alteration->worker);
}

bool alter_prediction(struct postgres_store *store, struct standing *standing, const struct alteration *alteration, struct error *error) {
    struct prediction_transition transition;
    if (!prediction_transition(standing->status, standing->started != 0, alteration->action, &transition))
        return error_set(error, ERROR_CONFLICT, "prediction %s is %s: it can't change like that", standing->id,
                         prediction_status_name(standing->status));
    if (!write_row(store, standing, alteration, transition.status, error) || !add_webhooks(store, standing, transition.told, error) ||
        !add_events(store, standing, alteration, &transition, error))
        return false;
    update_standing(store, standing, alteration, transition.status);
    return true;
}
