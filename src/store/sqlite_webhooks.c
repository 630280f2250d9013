/* The webhook outbox. */
#include "store/sqlite.h"

#include "base/memory.h"
#include "base/time.h"

#include <string.h>

static void read_webhook(struct query *query, struct webhook *webhook) {
    memset(webhook, 0, sizeof *webhook);
    webhook->row = column_integer(query, 0);
    column_array(query, 1, webhook->id, sizeof webhook->id);
    column_array(query, 2, webhook->prediction, sizeof webhook->prediction);
    column_string(query, 3, &webhook->url);
    webhook->event = (unsigned)column_integer(query, 4);
    webhook->tries = (int)column_integer(query, 5);
    webhook->created = column_integer(query, 6);
    column_array(query, 7, webhook->trace, sizeof webhook->trace);
}

static bool take(struct sqlite_store *store, int64_t row, int64_t until, struct error *error) {
    struct query query = query_begin(&store->writer, "UPDATE webhooks SET tries = tries + 1, due = ?2 WHERE number = ?1");
    query_integer(&query, row);
    query_integer(&query, until);
    return query_run(&query, error);
}

static bool claim(struct sqlite_store *store, int lease_seconds, size_t limit, struct webhook *webhooks, size_t *count,
                  struct error *error) {
    int64_t now = time_wall();
    struct query query =
        query_begin(&store->writer, "SELECT w.number, w.id, w.prediction, coalesce(p.webhook, ''), w.event, w.tries, w.created,"
                                    " coalesce(p.trace, '')"
                                    " FROM webhooks w JOIN predictions p ON p.id = w.prediction"
                                    " WHERE w.due <= ? ORDER BY w.due, w.number LIMIT ?");
    query_integer(&query, now);
    query_integer(&query, (int64_t)limit);
    while (*count < limit && query_row(&query)) read_webhook(&query, &webhooks[(*count)++]);
    if (!query_end(&query, error)) return false;
    for (size_t i = 0; i < *count; i++)
        if (!take(store, webhooks[i].row, now + (int64_t)lease_seconds * 1000000, error)) return false;
    return true;
}

bool sqlite_webhooks_claim(struct store *base, int lease_seconds, size_t limit, struct webhook **webhooks, size_t *count,
                           struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    *count = 0;
    *webhooks = memory_array(limit ? limit : 1, sizeof **webhooks);
    if (!*webhooks) return error_set(error, ERROR_MEMORY, "out of memory for webhooks");
    bool ok = write_begin(store, error);
    if (ok) {
        ok = claim(store, lease_seconds, limit, *webhooks, count, error);
        ok = write_end(store, ok, false, error);
    }
    if (ok) return true;
    webhooks_free(*webhooks, *count);
    *webhooks = NULL;
    *count = 0;
    return false;
}

bool sqlite_webhook_done(struct store *base, int64_t row, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    if (!write_begin(store, error)) return false;
    struct query query = query_begin(&store->writer, "DELETE FROM webhooks WHERE number = ?");
    query_integer(&query, row);
    return write_end(store, query_run(&query, error), false, error);
}

bool sqlite_webhook_retry(struct store *base, int64_t row, int64_t retry, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    if (!write_begin(store, error)) return false;
    struct query query = query_begin(&store->writer, "UPDATE webhooks SET due = ?2 WHERE number = ?1");
    query_integer(&query, row);
    query_integer(&query, retry);
    return write_end(store, query_run(&query, error), false, error);
}

bool sqlite_webhooks_due(struct store *base, int64_t *due, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    read_begin(store);
    struct query query = query_begin(&store->reader, "SELECT due FROM webhooks ORDER BY due LIMIT 1");
    *due = query_row(&query) ? column_integer(&query, 0) : 0;
    bool ok = query_end(&query, error);
    read_end(store);
    return ok;
}
