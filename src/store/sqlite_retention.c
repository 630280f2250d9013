/* Retention: what predictions held is removed, their record stays; files go altogether. */
#include "store/sqlite.h"

#include "base/memory.h"
#include "base/time.h"

#include <string.h>

/* A blob's name is handed out for deletion twice, the second time at least so much later: whoever
 * was to delete it the first time may have died before. */
enum { HANDED_OUT_AGAIN = 60000000 /* microseconds */, IDS_MAX = 100 };

typedef char identifier[64];

static bool select_ids(struct sqlite_store *store, const char *sql, int64_t bound, size_t limit, identifier ids[IDS_MAX], size_t *count,
                       struct error *error) {
    struct query query = query_begin(&store->writer, sql);
    query_integer(&query, bound);
    query_integer(&query, (int64_t)(limit < IDS_MAX ? limit : IDS_MAX));
    *count = 0;
    while (*count < IDS_MAX && query_row(&query)) column_array(&query, 0, ids[(*count)++], sizeof ids[0]);
    return query_end(&query, error);
}

/* The texts go, and the events that repeat them. Start and done stay: streams still end rightly. */
static bool strip_prediction(struct sqlite_store *store, const char *id, struct error *error) {
    struct query query =
        query_begin(&store->writer, "UPDATE predictions SET data_removed = 1, input = '{}', logs = '', output = NULL WHERE id = ?");
    query_text(&query, id);
    if (!query_run(&query, error)) return false;
    query = query_begin(&store->writer, "DELETE FROM events WHERE prediction = ? AND kind IN (1, 2, 3)");
    query_text(&query, id);
    return query_run(&query, error) && blob_unuse(store, id, error);
}

static bool remove_file(struct sqlite_store *store, const char *id, struct error *error) {
    struct query query = query_begin(&store->writer, "DELETE FROM files WHERE id = ?");
    query_text(&query, id);
    return query_run(&query, error) && blob_unuse(store, id, error);
}

static bool strip(struct sqlite_store *store, int64_t before, size_t limit, size_t *changed, struct error *error) {
    identifier ids[IDS_MAX];
    size_t count;
    if (!select_ids(store, "SELECT id FROM predictions WHERE status >= 2 AND NOT data_removed AND completed < ? ORDER BY completed LIMIT ?",
                    before, limit, ids, &count, error))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!strip_prediction(store, ids[i], error)) return false;
    *changed = count;
    if (!select_ids(store, "SELECT id FROM files WHERE expires > 0 AND expires <= ? ORDER BY expires LIMIT ?", time_wall(), limit - count,
                    ids, &count, error))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!remove_file(store, ids[i], error)) return false;
    *changed += count;
    return true;
}

/* Names for the caller; one that is handed out for the second time is forgotten. */
static bool hand_out_garbage(struct sqlite_store *store, size_t limit, char **names, struct error *error) {
    int64_t now = time_wall();
    size_t count = 0;
    struct query query =
        query_begin(&store->writer, "SELECT blob FROM blob_garbage WHERE handed_out = 0 OR handed_out < ? ORDER BY handed_out LIMIT ?");
    query_integer(&query, now - HANDED_OUT_AGAIN);
    query_integer(&query, (int64_t)limit);
    while (count < limit && query_row(&query)) column_string(&query, 0, &names[count++]);
    if (!query_end(&query, error)) return false;
    for (size_t i = 0; i < count; i++) {
        query = query_begin(&store->writer, "DELETE FROM blob_garbage WHERE blob = ? AND handed_out > 0");
        query_text(&query, names[i]);
        if (!query_run(&query, error)) return false;
        if (sqlite3_changes(store->writer.database) > 0) continue;
        query = query_begin(&store->writer, "UPDATE blob_garbage SET handed_out = ?2 WHERE blob = ?1");
        query_text(&query, names[i]);
        query_integer(&query, now);
        if (!query_run(&query, error)) return false;
    }
    return true;
}

bool sqlite_expire_data(struct store *base, int64_t before, size_t limit, char ***blobs, size_t *count, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    enum { NAMES_MAX = 1000 };
    char **names = memory_zero((NAMES_MAX + 1) * sizeof *names);
    *blobs = NULL;
    *count = 0;
    if (!names) return error_set(error, ERROR_MEMORY, "out of memory");
    bool ok = write_begin(store, error);
    if (ok) {
        ok = strip(store, before, limit, count, error) && hand_out_garbage(store, NAMES_MAX, names, error);
        ok = write_end(store, ok, *count > 0, error);
    }
    if (ok) {
        *blobs = names;
        return true;
    }
    for (size_t i = 0; i < NAMES_MAX; i++) memory_free(names[i]);
    memory_free(names);
    *count = 0;
    return false;
}

/* ---- the records themselves ---- */

static bool delete_with(struct sqlite_store *store, const char *sql, const char *id, struct error *error) {
    struct query query = query_begin(&store->writer, sql);
    query_text(&query, id);
    return query_run(&query, error);
}

static bool forget(struct sqlite_store *store, int64_t before, size_t limit, size_t *count, struct error *error) {
    identifier ids[IDS_MAX];
    if (!select_ids(store, "SELECT id FROM predictions WHERE status >= 2 AND data_removed AND completed < ? ORDER BY completed LIMIT ?",
                    before, limit, ids, count, error))
        return false;
    for (size_t i = 0; i < *count; i++)
        if (!delete_with(store, "DELETE FROM webhooks WHERE prediction = ?", ids[i], error) ||
            !delete_with(store, "DELETE FROM events WHERE prediction = ?", ids[i], error) ||
            !delete_with(store, "DELETE FROM predictions WHERE id = ?", ids[i], error))
            return false;
    return true;
}

bool sqlite_forget(struct store *base, int64_t before, size_t limit, size_t *count, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    *count = 0;
    if (!write_begin(store, error)) return false;
    bool ok = forget(store, before, limit, count, error);
    ok = write_end(store, ok, false, error);
    if (!ok) *count = 0;
    return ok;
}
