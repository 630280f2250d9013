/* Space that was freed in the middle of the file is used again; this gives the rest of it back to the disk. */
#include "store/sqlite.h"

enum {
    SPARE_PAGES = 2048,         /* 8 MB of free pages are kept for what comes next */
    PORTION = 512,              /* pages moved in one transaction: some milliseconds */
    PORTIONS_MAX = 64,          /* a call */
    REBUILD_PAGES_MAX = 1 << 18 /* a file of an older kind is only rebuilt up to 1 GB: others wait meanwhile */
};

struct sizes {
    int64_t pages, free, incremental;
};

static bool read_pragma(struct sqlite_store *store, const char *sql, int64_t *value, struct error *error) {
    struct query query = query_begin(&store->writer, sql);
    *value = query_row(&query) ? column_integer(&query, 0) : 0;
    return query_end(&query, error);
}

static bool read_sizes(struct sqlite_store *store, struct sizes *sizes, struct error *error) {
    int64_t mode;
    bool ok = read_pragma(store, "PRAGMA page_count", &sizes->pages, error) &&
              read_pragma(store, "PRAGMA freelist_count", &sizes->free, error) && read_pragma(store, "PRAGMA auto_vacuum", &mode, error);
    sizes->incremental = ok && mode == 2;
    return ok;
}

static bool execute(struct sqlite_store *store, const char *sql, struct error *error) {
    int result = sqlite3_exec(store->writer.database, sql, NULL, NULL, NULL);
    return result == SQLITE_OK || sqlite_error(store->writer.database, result, error);
}

/* Files made by version 1 can't shrink by portions before they are rebuilt once: when that is worth it. */
static bool rebuild(struct sqlite_store *store, const struct sizes *sizes, struct error *error) {
    if (sizes->free < SPARE_PAGES || sizes->free < sizes->pages / 4 || sizes->pages > REBUILD_PAGES_MAX) return true;
    return execute(store, "PRAGMA auto_vacuum = INCREMENTAL; VACUUM", error);
}

static bool shrink(struct sqlite_store *store, struct sizes *sizes, struct error *error) {
    char sql[64];
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA incremental_vacuum(%d)", PORTION);
    for (int i = 0; i < PORTIONS_MAX && sizes->free > SPARE_PAGES; i++) {
        pthread_mutex_lock(&store->writer.lock);
        bool ok = execute(store, sql, error) && read_sizes(store, sizes, error);
        pthread_mutex_unlock(&store->writer.lock);
        if (!ok) return false;
    }
    return true;
}

/* The log of a store at rest: its pages go to the file, so that it begins anew with the next change. A log that has
 * grown beyond journal_size_limit is cut then. */
static bool empty_log(struct sqlite_store *store, struct error *error) {
    int result = sqlite3_wal_checkpoint_v2(store->writer.database, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return result == SQLITE_OK || result == SQLITE_BUSY || result == SQLITE_LOCKED || sqlite_error(store->writer.database, result, error);
}

bool sqlite_tidy(struct store *base, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    struct sizes sizes = {0};
    pthread_mutex_lock(&store->writer.lock);
    bool ok = read_sizes(store, &sizes, error) && (sizes.incremental || rebuild(store, &sizes, error));
    pthread_mutex_unlock(&store->writer.lock);
    if (!ok || (sizes.incremental && !shrink(store, &sizes, error))) return false;
    pthread_mutex_lock(&store->writer.lock);
    ok = empty_log(store, error);
    pthread_mutex_unlock(&store->writer.lock);
    return ok;
}
