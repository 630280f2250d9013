/* Predictions as workers see them: leases, and what a lease's holder writes. */
#include "store/sqlite.h"
#include "store/turns.h"

#include "base/memory.h"
#include "base/time.h"

#include <stdio.h>
#include <string.h>

/* How many overdue predictions one transaction clears away: it holds the lock meanwhile. */
enum { SWEEP = 100 };

static bool cancel(struct sqlite_store *store, struct state *state, struct error *error) {
    struct change change = {.action = PREDICTION_CANCEL, .now = time_wall()};
    return change_prediction(store, state, &change, error);
}

static bool fail(struct sqlite_store *store, struct state *state, const char *sentence, struct error *error) {
    struct change change = {.action = PREDICTION_FAIL, .now = time_wall(), .text = sentence};
    return change_prediction(store, state, &change, error);
}

static bool past_deadline(const struct state *state, int64_t now) { return state->deadline > 0 && now >= state->deadline; }

static bool attempts_spent(const struct state *state) { return prediction_attempts_spent(state->attempt - state->released); }

static const char spent_sentence[] = "The worker stopped unexpectedly while painting this, and so did the one that tried again. "
                                     "The picture may be too large for this machine's memory: see the worker's log.";

/* ---- claim ---- */

/* ?1 is the JSON array of what can be run; NULL: everything. */
#define RUNNABLE "(?1 IS NULL OR model IN (SELECT value FROM json_each(?1)) OR version IN (SELECT value FROM json_each(?1)))"

/* What may be taken next: first a lease that ran out (it has waited longest), else the oldest of whose
 * turn it is. */
static bool next_candidate(struct sqlite_store *store, const json_t *models, int64_t now, struct state *state, bool *found,
                           struct error *error) {
    struct query query = query_begin(&store->writer, "SELECT " STATE_COLUMNS " FROM predictions WHERE status = 1 AND lease_until <= ?2"
                                                     " AND " RUNNABLE " ORDER BY lease_until LIMIT 1");
    query_json(&query, models);
    query_integer(&query, now);
    *found = query_row(&query);
    if (*found) read_state(&query, state);
    if (!query_end(&query, error) || *found) return *found;
    query =
        query_begin(&store->writer, HEADS "SELECT " STATE_COLUMNS
                                          " FROM predictions WHERE number IN (SELECT head FROM heads) AND " RUNNABLE BY_TURN " LIMIT 1");
    query_json(&query, models);
    *found = query_row(&query);
    if (*found) read_state(&query, state);
    return query_end(&query, error);
}

/* Find one to hand out; what is overdue on the way ends there. *changed: something ended. */
static bool find_work(struct sqlite_store *store, const json_t *models, int64_t now, struct state *state, bool *found, bool *changed,
                      struct error *error) {
    for (int swept = 0; swept < SWEEP; swept++) {
        if (!next_candidate(store, models, now, state, found, error)) return false;
        if (!*found) return true;
        bool ok;
        if (past_deadline(state, now))
            ok = cancel(store, state, error);
        else if (state->status == PREDICTION_PROCESSING && attempts_spent(state))
            ok = fail(store, state, spent_sentence, error);
        else
            return true;
        if (!ok) return false;
        *changed = true;
    }
    *found = false;
    return true;
}

/* Its owner comes last from now on. */
static bool end_turn(struct sqlite_store *store, const struct state *state, struct error *error) {
    struct query query = query_begin(&store->writer, "INSERT INTO turns (owner, served) SELECT owner, (SELECT coalesce(max(served), 0) + 1"
                                                     " FROM turns) FROM predictions WHERE number = ?"
                                                     " ON CONFLICT (owner) DO UPDATE SET served = excluded.served");
    query_integer(&query, state->number);
    return query_run(&query, error);
}

static bool hand_out(struct sqlite_store *store, struct state *state, const struct store_wish *wish, int64_t now, struct lease *lease,
                     struct prediction *prediction, struct error *error) {
    struct change change = {
        .action = PREDICTION_CLAIM, .now = now, .worker = wish->worker, .lease_until = now + (int64_t)wish->lease_seconds * 1000000};
    if (!end_turn(store, state, error) || !change_prediction(store, state, &change, error) ||
        !get_prediction(&store->writer, state->id, NULL, prediction, error))
        return false;
    memset(lease, 0, sizeof *lease);
    memcpy(lease->id, state->id, sizeof lease->id);
    memcpy(lease->worker, state->worker, sizeof lease->worker);
    memcpy(lease->trace, prediction->trace, sizeof lease->trace);
    lease->attempt = state->attempt;
    return true;
}

static bool claim(struct sqlite_store *store, const struct store_wish *wish, const json_t *models, struct lease *lease,
                  struct prediction *prediction, bool *found, struct error *error) {
    struct state state;
    bool changed = false;
    if (!write_begin(store, error)) return false;
    int64_t now = time_wall();
    bool ok = find_work(store, models, now, &state, found, &changed, error);
    if (ok && *found) ok = hand_out(store, &state, wish, now, lease, prediction, error);
    return write_end(store, ok, changed || *found, error);
}

bool sqlite_claim(struct store *base, const struct store_wish *wish, struct lease *lease, struct prediction *prediction, bool *found,
                  struct error *error) {
    json_t *models;
    *found = false;
    memset(prediction, 0, sizeof *prediction);
    if (!wish_models(wish, &models, error)) return false;
    bool done = claim(sqlite_of(base), wish, models, lease, prediction, found, error);
    json_decref(models);
    if (!done) {
        prediction_free(prediction);
        *found = false;
    }
    return done;
}

/* ---- what only the holder of the current lease may do ---- */

/* The fence. A prediction past its deadline is canceled by whoever notices: *canceled. */
static bool check_lease(struct sqlite_store *store, const struct lease *lease, struct state *state, bool *canceled, struct error *error) {
    *canceled = false;
    if (!get_state(store, lease->id, NULL, state, error)) return false;
    bool current = state->attempt == lease->attempt;
    if (current && state->status == PREDICTION_CANCELED) return error_set(error, ERROR_CANCELED, "prediction %s was canceled", lease->id);
    if (!current || state->status != PREDICTION_PROCESSING || strcmp(state->worker, lease->worker) != 0)
        return error_set(error, ERROR_CONFLICT, "prediction %s is no longer this worker's", lease->id);
    if (!past_deadline(state, time_wall())) return true;
    *canceled = cancel(store, state, error);
    return *canceled;
}

/* One change by a lease's holder, in a transaction of its own. */
static bool change_leased(struct store *base, const struct lease *lease, const struct change *change, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    struct state state;
    bool canceled;
    if (!write_begin(store, error)) return false;
    bool ok = check_lease(store, lease, &state, &canceled, error);
    if (ok && !canceled) ok = change_prediction(store, &state, change, error);
    if (!write_end(store, ok, true, error)) return false;
    return !canceled || error_set(error, ERROR_CANCELED, "prediction %s has passed its deadline", lease->id);
}

bool sqlite_heartbeat(struct store *base, const struct lease *lease, int lease_seconds, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    struct state state;
    bool canceled;
    if (!write_begin(store, error)) return false;
    bool ok = check_lease(store, lease, &state, &canceled, error);
    if (ok && !canceled) {
        struct query query = query_begin(&store->writer, "UPDATE predictions SET lease_until = ?2 WHERE number = ?1");
        query_integer(&query, state.number);
        query_integer(&query, time_wall() + (int64_t)lease_seconds * 1000000);
        ok = query_run(&query, error);
    }
    if (!write_end(store, ok, ok && canceled, error)) return false;
    return !canceled || error_set(error, ERROR_CANCELED, "prediction %s has passed its deadline", lease->id);
}

bool sqlite_release(struct store *store, const struct lease *lease, struct error *error) {
    struct change change = {.action = PREDICTION_RELEASE, .now = time_wall()};
    return change_leased(store, lease, &change, error);
}

bool sqlite_log(struct store *store, const struct lease *lease, const char *text, struct error *error) {
    struct change change = {.action = PREDICTION_LOG, .now = time_wall(), .text = text};
    return change_leased(store, lease, &change, error);
}

bool sqlite_preview(struct store *store, const struct lease *lease, const char *blob, struct error *error) {
    struct change change = {.action = PREDICTION_PREVIEW, .now = time_wall(), .text = blob};
    return change_leased(store, lease, &change, error);
}

static bool is_array_of_strings(const json_t *output) {
    size_t index;
    const json_t *name;
    if (!json_is_array(output)) return false;
    json_array_foreach(output, index, name) if (!json_is_string(name)) return false;
    return true;
}

bool sqlite_finish(struct store *store, const struct lease *lease, enum prediction_status status, const json_t *output, const char *message,
                   double predict_seconds, struct error *error) {
    struct change change = {.action = status == PREDICTION_SUCCEEDED ? PREDICTION_SUCCEED : PREDICTION_FAIL,
                            .now = time_wall(),
                            .text = message,
                            .output = output,
                            .has_seconds = true,
                            .predict_seconds = predict_seconds};
    bool fits = status == PREDICTION_SUCCEEDED ? is_array_of_strings(output) : status == PREDICTION_FAILED && message;
    if (!fits) return error_set(error, ERROR_INTERNAL, "prediction %s was to end without its output or its sentence", lease->id);
    return change_leased(store, lease, &change, error);
}

/* ---- what is overdue, though nobody asks for it ---- */

struct overdue {
    struct state states[SWEEP];
    size_t count;
};

/* Those that `condition` selects: ?1 is a time, ?2 a number of attempts. */
#define OVERDUE(condition) "SELECT " STATE_COLUMNS " FROM predictions WHERE " condition " AND attempt - released >= ?2 LIMIT ?3"

static bool find_overdue(struct sqlite_store *store, const char *sql, int64_t time, int attempts, struct overdue *overdue,
                         struct error *error) {
    struct query query = query_begin(&store->writer, sql);
    query_integer(&query, time);
    query_integer(&query, attempts);
    query_integer(&query, SWEEP);
    overdue->count = 0;
    while (overdue->count < SWEEP && query_row(&query)) read_state(&query, &overdue->states[overdue->count++]);
    return query_end(&query, error);
}

/* sentence NULL: they are canceled, else failed with it. */
static bool end_overdue(struct sqlite_store *store, struct overdue *overdue, const char *sentence, size_t *changed, struct error *error) {
    for (size_t i = 0; i < overdue->count; i++) {
        struct state *state = &overdue->states[i];
        if (!(sentence ? fail(store, state, sentence, error) : cancel(store, state, error))) return false;
        ++*changed;
    }
    return true;
}

static bool expire_batch(struct sqlite_store *store, int run_seconds, struct overdue *overdue, size_t *changed, struct error *error) {
    int64_t now = time_wall();
    *changed = 0;
    if (!find_overdue(store, OVERDUE("status < 2 AND deadline > 0 AND deadline <= ?1"), now, 0, overdue, error) ||
        !end_overdue(store, overdue, NULL, changed, error))
        return false;
    if (!find_overdue(store, OVERDUE("status = 1 AND lease_until <= ?1"), now, ATTEMPTS_MAX, overdue, error) ||
        !end_overdue(store, overdue, spent_sentence, changed, error))
        return false;
    if (run_seconds <= 0) return true;
    char sentence[128];
    snprintf(sentence, sizeof sentence, "The prediction ran for longer than the %d seconds that this server allows.", run_seconds);
    return find_overdue(store, OVERDUE("status = 1 AND claimed <= ?1"), now - (int64_t)run_seconds * 1000000, 0, overdue, error) &&
           end_overdue(store, overdue, sentence, changed, error);
}

bool sqlite_expire(struct store *base, int run_seconds, size_t *changed, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    struct overdue *found = memory_alloc(sizeof *found);
    size_t batch = 1, total = 0;
    bool ok = found || error_set(error, ERROR_MEMORY, "out of memory");
    while (ok && batch > 0) {
        ok = write_begin(store, error);
        if (!ok) break;
        ok = expire_batch(store, run_seconds, found, &batch, error);
        ok = write_end(store, ok, batch > 0, error);
        if (ok) total += batch;
    }
    memory_free(found);
    if (changed) *changed = total;
    return ok;
}
