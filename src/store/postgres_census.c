/* Figures for those who watch the queue. */
#include "store/postgres.h"

#include "base/memory.h"

#include <string.h>

#define NOW "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

static const char census_sql[] =
    "SELECT (SELECT count(*) FROM predictions WHERE status = 0), (SELECT count(*) FROM predictions WHERE status = 1),"
    " coalesce((SELECT greatest(" NOW " - created, 0)::double precision / 1000000 FROM predictions WHERE status = 0"
    " ORDER BY number LIMIT 1), 0),"
    " (SELECT count(*) FROM (SELECT name FROM workers WHERE until > " NOW " UNION"
    " SELECT worker FROM predictions WHERE status = 1 AND lease_until > " NOW ") workers),"
    " (SELECT coalesce(max(served), 0) FROM turns), (SELECT count(*) FROM webhooks), (SELECT count(*) FROM webhooks WHERE tries > 1),"
    " (SELECT count(*) FROM files), (SELECT coalesce(sum(size), 0)::bigint FROM files)";

static bool read_census(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct store_census *census = user;
    (void)wake;
    memset(census, 0, sizeof *census);
    struct statement statement = statement_begin(store, census_sql);
    if (statement_row(&statement)) {
        census->starting = (size_t)value_integer(&statement, 0);
        census->processing = (size_t)value_integer(&statement, 1);
        census->oldest_seconds = value_real(&statement, 2);
        census->workers = (size_t)value_integer(&statement, 3);
        census->claims = value_integer(&statement, 4);
        census->webhooks = (size_t)value_integer(&statement, 5);
        census->webhooks_failing = (size_t)value_integer(&statement, 6);
        census->files = (size_t)value_integer(&statement, 7);
        census->file_bytes = value_integer(&statement, 8);
    }
    return statement_end(&statement, error);
}

bool postgres_census(struct store *store, struct store_census *census, struct error *error) {
    return postgres_read(store, read_census, census, error);
}

struct endings {
    int64_t sequence;
    size_t limit, count;
    struct ended *ended; /* room for limit */
};

static bool read_endings(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct endings *endings = user;
    (void)wake;
    endings->count = 0;
    struct statement statement = statement_begin(store, "SELECT e.sequence, p.status, p.created, p.started, p.completed, p.predict_seconds"
                                                        " FROM events e JOIN predictions p ON p.id = e.prediction"
                                                        " WHERE e.sequence > $1 AND e.kind = 4 ORDER BY e.sequence LIMIT $2");
    statement_integer(&statement, endings->sequence);
    statement_integer(&statement, (int64_t)endings->limit);
    while (endings->count < endings->limit && statement_row(&statement))
        endings->ended[endings->count++] =
            ended_of(value_integer(&statement, 0), (enum prediction_status)value_integer(&statement, 1), value_integer(&statement, 2),
                     value_integer(&statement, 3), value_integer(&statement, 4), value_real(&statement, 5));
    return statement_end(&statement, error);
}

bool postgres_ended(struct store *store, int64_t sequence, size_t limit, struct ended **ended, size_t *count, struct error *error) {
    struct endings endings = {.sequence = sequence, .limit = limit, .ended = memory_array(limit ? limit : 1, sizeof **ended)};
    bool ok = endings.ended ? postgres_read(store, read_endings, &endings, error) : error_set(error, ERROR_MEMORY, "out of memory");
    if (!ok) memory_free(endings.ended);
    *ended = ok ? endings.ended : NULL;
    *count = ok ? endings.count : 0;
    return ok;
}

struct presence {
    const char *name;
    int seconds;
};

static bool note_worker(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct presence *presence = user;
    (void)wake;
    struct statement statement =
        statement_begin(store, "DELETE FROM workers WHERE name IN (SELECT name FROM workers WHERE until <= $1 FOR UPDATE SKIP LOCKED)");
    statement_integer(&statement, store->now);
    if (!statement_run(&statement, NULL, error)) return false;
    if (presence->seconds <= 0) {
        statement = statement_begin(store, "DELETE FROM workers WHERE name = $1");
        statement_text(&statement, presence->name);
        return statement_run(&statement, NULL, error);
    }
    statement = statement_begin(store, "INSERT INTO workers (name, until) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET until ="
                                       " excluded.until");
    statement_text(&statement, presence->name);
    statement_integer(&statement, store->now + (int64_t)presence->seconds * 1000000);
    return statement_run(&statement, NULL, error);
}

bool postgres_worker(struct store *store, const char *name, int seconds, struct error *error) {
    struct presence presence = {name, seconds};
    return postgres_write(store, note_worker, &presence, error);
}
