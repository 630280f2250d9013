/* Retention: what predictions held is removed, their record stays; files go altogether. What another
 * process is just sweeping is passed over. */
#include "store/postgres.h"

#include "base/memory.h"

#include <string.h>

/* A blob's name is handed out for deletion twice, the second time at least so much later: whoever
 * was to delete it the first time may have died before. */
enum { HANDED_OUT_AGAIN = 60000000 /* microseconds */, IDS_MAX = 100, NAMES_MAX = 1000 };

typedef char identifier[64];

static bool select_ids(struct postgres_store *store, const char *sql, int64_t bound, size_t limit, identifier ids[IDS_MAX], size_t *count,
                       struct error *error) {
    struct statement statement = statement_begin(store, sql);
    statement_integer(&statement, bound);
    statement_integer(&statement, (int64_t)(limit < IDS_MAX ? limit : IDS_MAX));
    *count = 0;
    while (*count < IDS_MAX && statement_row(&statement)) value_array(&statement, 0, ids[(*count)++], sizeof ids[0]);
    return statement_end(&statement, error);
}

/* One statement about one id or name. */
static bool run_with(struct postgres_store *store, const char *sql, const char *text, size_t *changed, struct error *error) {
    struct statement statement = statement_begin(store, sql);
    statement_text(&statement, text);
    return statement_run(&statement, changed, error);
}

/* The texts go, and the events that repeat them. Start and done stay: streams still end rightly. */
static bool strip_prediction(struct postgres_store *store, const char *id, struct error *error) {
    return run_with(store, "UPDATE predictions SET data_removed = true, input = '{}', logs = '', output = NULL WHERE id = $1", id, NULL,
                    error) &&
           run_with(store, "DELETE FROM events WHERE prediction = $1 AND kind IN (1, 2, 3)", id, NULL, error) &&
           let_blobs_go(store, id, error);
}

static bool remove_file(struct postgres_store *store, const char *id, struct error *error) {
    return run_with(store, "DELETE FROM files WHERE id = $1", id, NULL, error) && let_blobs_go(store, id, error);
}

static bool strip(struct postgres_store *store, int64_t before, size_t limit, size_t *changed, struct error *error) {
    identifier ids[IDS_MAX];
    size_t count;
    if (!select_ids(store,
                    "SELECT id FROM predictions WHERE status >= 2 AND NOT data_removed AND completed < $1 ORDER BY completed LIMIT $2"
                    " FOR UPDATE SKIP LOCKED",
                    before, limit, ids, &count, error))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!strip_prediction(store, ids[i], error)) return false;
    *changed = count;
    if (!select_ids(store, "SELECT id FROM files WHERE expires > 0 AND expires <= $1 ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED",
                    store->now, limit - count, ids, &count, error))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!remove_file(store, ids[i], error)) return false;
    *changed += count;
    return true;
}

/* Names for the caller; one that is handed out for the second time is forgotten. */
static bool hand_out_garbage(struct postgres_store *store, char **names, struct error *error) {
    size_t count = 0;
    struct statement statement =
        statement_begin(store, "SELECT blob FROM blob_garbage WHERE handed_out = 0 OR handed_out < $1 ORDER BY handed_out LIMIT $2"
                               " FOR UPDATE SKIP LOCKED");
    statement_integer(&statement, store->now - HANDED_OUT_AGAIN);
    statement_integer(&statement, NAMES_MAX);
    while (count < NAMES_MAX && statement_row(&statement)) value_string(&statement, 0, &names[count++]);
    if (!statement_end(&statement, error)) return false;
    for (size_t i = 0; i < count; i++) {
        size_t forgotten;
        if (!run_with(store, "DELETE FROM blob_garbage WHERE blob = $1 AND handed_out > 0", names[i], &forgotten, error)) return false;
        if (forgotten > 0) continue;
        statement = statement_begin(store, "UPDATE blob_garbage SET handed_out = $2 WHERE blob = $1");
        statement_text(&statement, names[i]);
        statement_integer(&statement, store->now);
        if (!statement_run(&statement, NULL, error)) return false;
    }
    return true;
}

struct sweep {
    int64_t before;
    size_t limit, count;
    char **names; /* NAMES_MAX of them, and a NULL */
};

static void free_names(char **names) {
    for (size_t i = 0; i < NAMES_MAX; i++) memory_free(names[i]);
    memset(names, 0, NAMES_MAX * sizeof *names);
}

static bool sweep(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct sweep *sweep = user;
    sweep->count = 0;
    free_names(sweep->names);
    bool ok = strip(store, sweep->before, sweep->limit, &sweep->count, error) && hand_out_garbage(store, sweep->names, error);
    *wake = sweep->count > 0;
    return ok;
}

bool postgres_expire_data(struct store *store, int64_t before, size_t limit, char ***blobs, size_t *count, struct error *error) {
    struct sweep wanted = {.before = before, .limit = limit, .names = memory_zero((NAMES_MAX + 1) * sizeof *wanted.names)};
    *blobs = NULL;
    *count = 0;
    if (!wanted.names) return error_set(error, ERROR_MEMORY, "out of memory");
    if (postgres_write(store, sweep, &wanted, error)) {
        *blobs = wanted.names;
        *count = wanted.count;
        return true;
    }
    free_names(wanted.names);
    memory_free(wanted.names);
    return false;
}

/* The server's autovacuum does it. */
bool postgres_tidy(struct store *store, struct error *error) {
    (void)store, (void)error;
    return true;
}

/* ---- the records themselves ---- */

static bool forget(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct sweep *sweep = user;
    identifier ids[IDS_MAX];
    (void)wake;
    sweep->count = 0;
    if (!select_ids(store,
                    "SELECT id FROM predictions WHERE status >= 2 AND data_removed AND completed < $1 ORDER BY completed LIMIT $2"
                    " FOR UPDATE SKIP LOCKED",
                    sweep->before, sweep->limit, ids, &sweep->count, error))
        return false;
    for (size_t i = 0; i < sweep->count; i++)
        if (!run_with(store, "DELETE FROM webhooks WHERE prediction = $1", ids[i], NULL, error) ||
            !run_with(store, "DELETE FROM events WHERE prediction = $1", ids[i], NULL, error) ||
            !run_with(store, "DELETE FROM predictions WHERE id = $1", ids[i], NULL, error))
            return false;
    return true;
}

bool postgres_forget(struct store *store, int64_t before, size_t limit, size_t *count, struct error *error) {
    struct sweep wanted = {.before = before, .limit = limit};
    bool ok = postgres_write(store, forget, &wanted, error);
    *count = ok ? wanted.count : 0;
    return ok;
}
