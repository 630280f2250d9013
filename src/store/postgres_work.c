/* Predictions as workers see them: leases, and what a lease's holder writes. */
#include "store/postgres.h"
#include "store/turns.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* How many overdue predictions one transaction clears away: it keeps them locked meanwhile. */
enum { SWEEP = 100 };

static bool cancel(struct postgres_store *store, struct standing *standing, struct error *error) {
    const struct alteration alteration = {.action = PREDICTION_CANCEL};
    return alter_prediction(store, standing, &alteration, error);
}

static bool fail(struct postgres_store *store, struct standing *standing, const char *sentence, struct error *error) {
    const struct alteration alteration = {.action = PREDICTION_FAIL, .text = sentence};
    return alter_prediction(store, standing, &alteration, error);
}

static bool past_deadline(const struct postgres_store *store, const struct standing *standing) {
    return standing->deadline > 0 && store->now >= standing->deadline;
}

static bool attempts_spent(const struct standing *standing) { return prediction_attempts_spent(standing->attempt - standing->released); }

static const char spent_sentence[] = "The worker stopped unexpectedly while painting this, and so did the one that tried again. "
                                     "The picture may be too large for this machine's memory: see the worker's log.";

static int64_t after_seconds(const struct postgres_store *store, int seconds) { return store->now + (int64_t)seconds * 1000000; }

/* ---- claim ---- */

struct claim {
    const struct store_wish *wish;
    json_t *models; /* that it can run; NULL: any */
    struct prediction *prediction;
    bool found;
};

static bool read_first(struct statement *statement, struct standing *standing, bool *found, struct error *error) {
    *found = statement_row(statement);
    if (*found) read_standing(statement, standing);
    return statement_end(statement, error);
}

/* $1 is the JSON array of what can be run; NULL: everything. */
#define RUNNABLE                                                                                                                           \
    "($1::json IS NULL OR model IN (SELECT json_array_elements_text($1::json)) OR version IN (SELECT json_array_elements_text($1::json)))"

enum { LINES_MAX = 32 }; /* looked at in one claim: more only matter when others are just taking from all of these */

/* The heads of the lines that may be taken from, in the order of their turns. */
static bool find_lines(struct postgres_store *store, const json_t *models, int64_t heads[LINES_MAX], size_t *count, struct error *error) {
    struct statement statement = statement_begin(
        store, HEADS "SELECT number FROM predictions WHERE number IN (SELECT head FROM heads) AND " RUNNABLE BY_TURN " LIMIT $2");
    statement_json(&statement, models);
    statement_integer(&statement, LINES_MAX);
    *count = 0;
    while (*count < LINES_MAX && statement_row(&statement)) heads[(*count)++] = value_integer(&statement, 0);
    return statement_end(&statement, error);
}

static bool take_from(struct postgres_store *store, int64_t head, struct standing *standing, bool *found, struct error *error) {
    struct statement statement =
        statement_begin(store, "SELECT " STANDING_COLUMNS " FROM predictions WHERE status = 0 AND (owner, model, version) ="
                               " (SELECT owner, model, version FROM predictions WHERE number = $1)"
                               " ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED");
    statement_integer(&statement, head);
    return read_first(&statement, standing, found, error);
}

/* What may be taken next: first a lease that ran out (it has waited longest), else the oldest of whose
 * turn it is. One that somebody else is just taking or changing is passed over. */
static bool next_candidate(struct postgres_store *store, const json_t *models, struct standing *standing, bool *found,
                           struct error *error) {
    struct statement statement =
        statement_begin(store, "SELECT " STANDING_COLUMNS " FROM predictions WHERE status = 1 AND lease_until <= $2 AND " RUNNABLE
                               " ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED");
    statement_json(&statement, models);
    statement_integer(&statement, store->now);
    if (!read_first(&statement, standing, found, error)) return false;
    if (*found) return true;
    int64_t heads[LINES_MAX];
    size_t count;
    if (!find_lines(store, models, heads, &count, error)) return false;
    for (size_t i = 0; i < count && !*found; i++)
        if (!take_from(store, heads[i], standing, found, error)) return false;
    return true;
}

/* Its owner comes last from now on. */
static bool end_turn(struct postgres_store *store, const struct standing *standing, struct error *error) {
    struct statement statement =
        statement_begin(store, "INSERT INTO turns (owner, served) SELECT owner, (SELECT coalesce(max(served), 0) + 1 FROM turns)"
                               " FROM predictions WHERE number = $1 ON CONFLICT (owner) DO UPDATE SET served = excluded.served");
    statement_integer(&statement, standing->number);
    return statement_run(&statement, NULL, error);
}

/* Find one to hand out; what is overdue on the way ends there. *changed: something ended. */
static bool find_work(struct postgres_store *store, const json_t *models, struct standing *standing, bool *found, bool *changed,
                      struct error *error) {
    for (int swept = 0; swept < SWEEP; swept++) {
        if (!next_candidate(store, models, standing, found, error)) return false;
        if (!*found) return true;
        bool ok;
        if (past_deadline(store, standing))
            ok = cancel(store, standing, error);
        else if (standing->status == PREDICTION_PROCESSING && attempts_spent(standing))
            ok = fail(store, standing, spent_sentence, error);
        else
            return true;
        if (!ok) return false;
        *changed = true;
    }
    *found = false;
    return true;
}

static bool claim(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct claim *claim = user;
    struct standing standing;
    claim->found = false;
    prediction_free(claim->prediction);
    if (!find_work(store, claim->models, &standing, &claim->found, wake, error)) return false;
    if (!claim->found) return true;
    const struct alteration alteration = {
        .action = PREDICTION_CLAIM, .worker = claim->wish->worker, .lease_until = after_seconds(store, claim->wish->lease_seconds)};
    *wake = true;
    return end_turn(store, &standing, error) && alter_prediction(store, &standing, &alteration, error) &&
           find_prediction(store, standing.id, NULL, claim->prediction, error);
}

bool postgres_claim(struct store *store, const struct store_wish *wish, struct lease *lease, struct prediction *prediction, bool *found,
                    struct error *error) {
    struct claim wanted = {.wish = wish, .prediction = prediction};
    *found = false;
    memset(prediction, 0, sizeof *prediction);
    if (!wish_models(wish, &wanted.models, error)) return false;
    bool done = postgres_write(store, claim, &wanted, error);
    json_decref(wanted.models);
    if (!done) {
        prediction_free(prediction);
        return false;
    }
    *found = wanted.found;
    if (!*found) return true;
    memset(lease, 0, sizeof *lease);
    memcpy(lease->id, prediction->id, sizeof lease->id);
    snprintf(lease->worker, sizeof lease->worker, "%s", wish->worker);
    memcpy(lease->trace, prediction->trace, sizeof lease->trace);
    lease->attempt = prediction->attempt;
    return true;
}

/* ---- what only the holder of the current lease may do ---- */

struct leased {
    const struct lease *lease;
    const struct alteration *alteration; /* NULL: a heartbeat */
    int lease_seconds;
    bool canceled; /* it had passed its deadline */
};

/* The fence. A prediction past its deadline is canceled by whoever notices: *canceled. */
static bool check_lease(struct postgres_store *store, const struct lease *lease, struct standing *standing, bool *canceled,
                        struct error *error) {
    *canceled = false;
    if (!lock_standing(store, lease->id, NULL, standing, error)) return false;
    bool current = standing->attempt == lease->attempt;
    if (current && standing->status == PREDICTION_CANCELED)
        return error_set(error, ERROR_CANCELED, "prediction %s was canceled", lease->id);
    if (!current || standing->status != PREDICTION_PROCESSING || strcmp(standing->worker, lease->worker) != 0)
        return error_set(error, ERROR_CONFLICT, "prediction %s is no longer this worker's", lease->id);
    if (!past_deadline(store, standing)) return true;
    *canceled = cancel(store, standing, error);
    return *canceled;
}

static bool extend(struct postgres_store *store, const struct standing *standing, int lease_seconds, struct error *error) {
    struct statement statement = statement_begin(store, "UPDATE predictions SET lease_until = $2 WHERE number = $1");
    statement_integer(&statement, standing->number);
    statement_integer(&statement, after_seconds(store, lease_seconds));
    return statement_run(&statement, NULL, error);
}

static bool write_leased(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct leased *leased = user;
    struct standing standing;
    if (!check_lease(store, leased->lease, &standing, &leased->canceled, error)) return false;
    *wake = leased->canceled || leased->alteration;
    if (leased->canceled) return true;
    return leased->alteration ? alter_prediction(store, &standing, leased->alteration, error)
                              : extend(store, &standing, leased->lease_seconds, error);
}

static bool change_leased(struct store *store, const struct lease *lease, const struct alteration *alteration, int lease_seconds,
                          struct error *error) {
    struct leased leased = {.lease = lease, .alteration = alteration, .lease_seconds = lease_seconds};
    if (!postgres_write(store, write_leased, &leased, error)) return false;
    return !leased.canceled || error_set(error, ERROR_CANCELED, "prediction %s has passed its deadline", lease->id);
}

bool postgres_heartbeat(struct store *store, const struct lease *lease, int lease_seconds, struct error *error) {
    return change_leased(store, lease, NULL, lease_seconds, error);
}

bool postgres_release(struct store *store, const struct lease *lease, struct error *error) {
    const struct alteration alteration = {.action = PREDICTION_RELEASE};
    return change_leased(store, lease, &alteration, 0, error);
}

bool postgres_log(struct store *store, const struct lease *lease, const char *text, struct error *error) {
    const struct alteration alteration = {.action = PREDICTION_LOG, .text = text};
    return change_leased(store, lease, &alteration, 0, error);
}

bool postgres_preview(struct store *store, const struct lease *lease, const char *blob, struct error *error) {
    const struct alteration alteration = {.action = PREDICTION_PREVIEW, .text = blob};
    return change_leased(store, lease, &alteration, 0, error);
}

static bool is_array_of_strings(const json_t *output) {
    size_t index;
    const json_t *name;
    if (!json_is_array(output)) return false;
    json_array_foreach(output, index, name) if (!json_is_string(name)) return false;
    return true;
}

bool postgres_finish(struct store *store, const struct lease *lease, enum prediction_status status, const json_t *output,
                     const char *message, double predict_seconds, struct error *error) {
    const struct alteration alteration = {.action = status == PREDICTION_SUCCEEDED ? PREDICTION_SUCCEED : PREDICTION_FAIL,
                                          .text = message,
                                          .output = output,
                                          .has_seconds = true,
                                          .predict_seconds = predict_seconds};
    bool fits = status == PREDICTION_SUCCEEDED ? is_array_of_strings(output) : status == PREDICTION_FAILED && message;
    if (!fits) return error_set(error, ERROR_INTERNAL, "prediction %s was to end without its output or its sentence", lease->id);
    return change_leased(store, lease, &alteration, 0, error);
}

/* ---- what is overdue, though nobody asks for it ---- */

struct overdue {
    int run_seconds;
    struct standing standings[SWEEP];
    size_t count, changed;
};

/* Those that `condition` selects: $1 is a time, $2 a number of attempts. */
#define OVERDUE(condition)                                                                                                                 \
    "SELECT " STANDING_COLUMNS " FROM predictions WHERE " condition " AND attempt - released >= $2 LIMIT $3 FOR UPDATE SKIP LOCKED"

static bool find_overdue(struct postgres_store *store, const char *sql, int64_t time, int attempts, struct overdue *overdue,
                         struct error *error) {
    struct statement statement = statement_begin(store, sql);
    statement_integer(&statement, time);
    statement_integer(&statement, attempts);
    statement_integer(&statement, SWEEP);
    overdue->count = 0;
    while (overdue->count < SWEEP && statement_row(&statement)) read_standing(&statement, &overdue->standings[overdue->count++]);
    return statement_end(&statement, error);
}

/* sentence NULL: they are canceled, else failed with it. */
static bool end_overdue(struct postgres_store *store, struct overdue *overdue, const char *sentence, struct error *error) {
    for (size_t i = 0; i < overdue->count; i++) {
        struct standing *standing = &overdue->standings[i];
        if (!(sentence ? fail(store, standing, sentence, error) : cancel(store, standing, error))) return false;
        overdue->changed++;
    }
    return true;
}

static bool expire_batch(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct overdue *overdue = user;
    char sentence[128];
    overdue->changed = 0;
    if (!find_overdue(store, OVERDUE("status < 2 AND deadline > 0 AND deadline <= $1"), store->now, 0, overdue, error) ||
        !end_overdue(store, overdue, NULL, error))
        return false;
    if (!find_overdue(store, OVERDUE("status = 1 AND lease_until <= $1"), store->now, ATTEMPTS_MAX, overdue, error) ||
        !end_overdue(store, overdue, spent_sentence, error))
        return false;
    int seconds = overdue->run_seconds;
    snprintf(sentence, sizeof sentence, "The prediction ran for longer than the %d seconds that this server allows.", seconds);
    if (seconds > 0 && (!find_overdue(store, OVERDUE("status = 1 AND claimed <= $1"), after_seconds(store, -seconds), 0, overdue, error) ||
                        !end_overdue(store, overdue, sentence, error)))
        return false;
    *wake = overdue->changed > 0;
    return true;
}

bool postgres_expire(struct store *store, int run_seconds, size_t *changed, struct error *error) {
    struct overdue *overdue = memory_alloc(sizeof *overdue);
    size_t total = 0;
    bool ok = overdue || error_set(error, ERROR_MEMORY, "out of memory");
    if (overdue) *overdue = (struct overdue){.run_seconds = run_seconds, .changed = 1};
    while (ok && overdue->changed > 0) {
        ok = postgres_write(store, expire_batch, overdue, error);
        if (ok) total += overdue->changed;
    }
    memory_free(overdue);
    if (changed) *changed = total;
    return ok;
}
