/* Which blobs are in use by whom; what nobody uses becomes garbage, to be deleted by whoever calls
 * store_expire_data(). So a file that was uploaded once and used by three predictions goes when the
 * last of the four does. */
#include "store/sqlite.h"

bool blob_use(struct sqlite_store *store, const char *blob, const char *user, struct error *error) {
    struct query query = query_begin(&store->writer, "INSERT OR IGNORE INTO blob_uses (blob, user) VALUES (?, ?)");
    query_text(&query, blob);
    query_text(&query, user);
    if (!query_run(&query, error)) return false;
    query = query_begin(&store->writer, "DELETE FROM blob_garbage WHERE blob = ? AND handed_out = 0");
    query_text(&query, blob);
    return query_run(&query, error);
}

bool blob_unuse(struct sqlite_store *store, const char *user, struct error *error) {
    struct query query =
        query_begin(&store->writer, "INSERT OR IGNORE INTO blob_garbage (blob) SELECT blob FROM blob_uses mine WHERE user = ?1"
                                    " AND NOT EXISTS (SELECT 1 FROM blob_uses other WHERE other.blob = mine.blob AND other.user <> ?1)");
    query_text(&query, user);
    if (!query_run(&query, error)) return false;
    query = query_begin(&store->writer, "DELETE FROM blob_uses WHERE user = ?");
    query_text(&query, user);
    return query_run(&query, error);
}

bool sqlite_blob_used(struct store *base, const char *blob, bool *used, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    read_begin(store);
    struct query query = query_begin(&store->reader, "SELECT EXISTS (SELECT 1 FROM blob_uses WHERE blob = ?1)"
                                                     " OR EXISTS (SELECT 1 FROM predictions WHERE status = 1 AND preview = ?1)");
    query_text(&query, blob);
    *used = query_row(&query) && column_integer(&query, 0) != 0;
    bool ok = query_end(&query, error);
    read_end(store);
    return ok;
}
