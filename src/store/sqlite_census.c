/* Figures for those who watch the queue. */
#include "store/sqlite.h"

#include "base/memory.h"
#include "base/time.h"

#include <string.h>

static const char census_sql[] =
    "SELECT (SELECT count(*) FROM predictions WHERE status = 0), (SELECT count(*) FROM predictions WHERE status = 1),"
    " (SELECT created FROM predictions WHERE status = 0 ORDER BY number LIMIT 1),"
    " (SELECT count(*) FROM (SELECT name FROM workers WHERE until > ?1 UNION"
    " SELECT worker FROM predictions WHERE status = 1 AND lease_until > ?1)),"
    " (SELECT coalesce(max(served), 0) FROM turns), (SELECT count(*) FROM webhooks), (SELECT count(*) FROM webhooks WHERE tries > 1),"
    " (SELECT count(*) FROM files), (SELECT coalesce(sum(size), 0) FROM files)";

bool sqlite_census(struct store *base, struct store_census *census, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    int64_t now = time_wall();
    memset(census, 0, sizeof *census);
    read_begin(store);
    struct query query = query_begin(&store->reader, census_sql);
    query_integer(&query, now);
    if (query_row(&query)) {
        int64_t created = column_integer(&query, 2);
        census->starting = (size_t)column_integer(&query, 0);
        census->processing = (size_t)column_integer(&query, 1);
        census->oldest_seconds = created > 0 && now > created ? (double)(now - created) / 1e6 : 0;
        census->workers = (size_t)column_integer(&query, 3);
        census->claims = column_integer(&query, 4);
        census->webhooks = (size_t)column_integer(&query, 5);
        census->webhooks_failing = (size_t)column_integer(&query, 6);
        census->files = (size_t)column_integer(&query, 7);
        census->file_bytes = column_integer(&query, 8);
    }
    bool ok = query_end(&query, error);
    read_end(store);
    return ok;
}

bool sqlite_ended(struct store *base, int64_t sequence, size_t limit, struct ended **ended, size_t *count, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    *count = 0;
    *ended = memory_array(limit ? limit : 1, sizeof **ended);
    if (!*ended) return error_set(error, ERROR_MEMORY, "out of memory");
    read_begin(store);
    struct query query = query_begin(&store->reader, "SELECT e.sequence, p.status, p.created, p.started, p.completed, p.predict_seconds"
                                                     " FROM events e JOIN predictions p ON p.id = e.prediction"
                                                     " WHERE e.sequence > ? AND e.kind = 4 ORDER BY e.sequence LIMIT ?");
    query_integer(&query, sequence);
    query_integer(&query, (int64_t)limit);
    while (*count < limit && query_row(&query))
        (*ended)[(*count)++] =
            ended_of(column_integer(&query, 0), (enum prediction_status)column_integer(&query, 1), column_integer(&query, 2),
                     column_integer(&query, 3), column_integer(&query, 4), sqlite3_column_double(query.statement, 5));
    bool ok = query_end(&query, error);
    read_end(store);
    if (ok) return true;
    memory_free(*ended);
    *ended = NULL;
    *count = 0;
    return false;
}

bool sqlite_worker(struct store *base, const char *name, int seconds, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    int64_t now = time_wall();
    if (!write_begin(store, error)) return false;
    struct query query = query_begin(&store->writer, "DELETE FROM workers WHERE until <= ?1 OR name = ?2");
    query_integer(&query, now);
    query_text(&query, name);
    bool ok = query_run(&query, error);
    if (ok && seconds > 0) {
        query = query_begin(&store->writer, "INSERT INTO workers (name, until) VALUES (?, ?)");
        query_text(&query, name);
        query_integer(&query, now + (int64_t)seconds * 1000000);
        ok = query_run(&query, error);
    }
    return write_end(store, ok, false, error);
}
