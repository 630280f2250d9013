/* The webhook outbox. */
#include "store/postgres.h"

#include "base/memory.h"

#include <string.h>

static void read_webhook(struct statement *row, struct webhook *webhook) {
    memset(webhook, 0, sizeof *webhook);
    webhook->row = value_integer(row, 0);
    value_array(row, 1, webhook->id, sizeof webhook->id);
    value_array(row, 2, webhook->prediction, sizeof webhook->prediction);
    value_string(row, 3, &webhook->url);
    webhook->event = (unsigned)value_integer(row, 4);
    webhook->tries = (int)value_integer(row, 5);
    webhook->created = value_integer(row, 6);
    value_array(row, 7, webhook->trace, sizeof webhook->trace);
}

struct claim {
    int lease_seconds;
    size_t limit, count;
    struct webhook *webhooks; /* room for limit */
};

/* As they were before they were taken. Those that another sender is just taking are passed over. */
static const char claim_sql[] =
    "WITH due AS (SELECT number, due, tries FROM webhooks WHERE due <= $1 ORDER BY due, number LIMIT $2 FOR UPDATE SKIP LOCKED),"
    " taken AS (UPDATE webhooks w SET tries = w.tries + 1, due = $3 FROM due WHERE w.number = due.number"
    " RETURNING w.number, w.id, w.prediction, w.event, w.created, due.tries, due.due)"
    " SELECT t.number, t.id, t.prediction, coalesce(p.webhook, ''), t.event, t.tries, t.created, coalesce(p.trace, '')"
    " FROM taken t JOIN predictions p ON p.id = t.prediction ORDER BY t.due, t.number";

static void free_all(struct claim *claim) {
    for (size_t i = 0; i < claim->count; i++) memory_free(claim->webhooks[i].url);
    claim->count = 0;
}

static bool claim(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct claim *claim = user;
    (void)wake;
    free_all(claim);
    struct statement statement = statement_begin(store, claim_sql);
    statement_integer(&statement, store->now);
    statement_integer(&statement, (int64_t)claim->limit);
    statement_integer(&statement, store->now + (int64_t)claim->lease_seconds * 1000000);
    while (claim->count < claim->limit && statement_row(&statement)) read_webhook(&statement, &claim->webhooks[claim->count++]);
    return statement_end(&statement, error);
}

bool postgres_webhooks_claim(struct store *store, int lease_seconds, size_t limit, struct webhook **webhooks, size_t *count,
                             struct error *error) {
    struct claim wanted = {.lease_seconds = lease_seconds, .limit = limit};
    *count = 0;
    *webhooks = wanted.webhooks = memory_array(limit ? limit : 1, sizeof **webhooks);
    if (!*webhooks) return error_set(error, ERROR_MEMORY, "out of memory for webhooks");
    if (limit == 0 || postgres_write(store, claim, &wanted, error)) {
        *count = wanted.count;
        return true;
    }
    free_all(&wanted);
    memory_free(*webhooks);
    *webhooks = NULL;
    return false;
}

struct delivery {
    int64_t row, retry;
};

static bool forget(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct delivery *delivery = user;
    (void)wake;
    struct statement statement = statement_begin(store, "DELETE FROM webhooks WHERE number = $1");
    statement_integer(&statement, delivery->row);
    return statement_run(&statement, NULL, error);
}

bool postgres_webhook_done(struct store *store, int64_t row, struct error *error) {
    struct delivery delivery = {.row = row};
    return postgres_write(store, forget, &delivery, error);
}

static bool postpone(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct delivery *delivery = user;
    (void)wake;
    struct statement statement = statement_begin(store, "UPDATE webhooks SET due = $2 WHERE number = $1");
    statement_integer(&statement, delivery->row);
    statement_integer(&statement, delivery->retry);
    return statement_run(&statement, NULL, error);
}

bool postgres_webhook_retry(struct store *store, int64_t row, int64_t retry, struct error *error) {
    struct delivery delivery = {row, retry};
    return postgres_write(store, postpone, &delivery, error);
}

static bool next_due(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    int64_t *due = user;
    (void)wake;
    struct statement statement = statement_begin(store, "SELECT due FROM webhooks ORDER BY due LIMIT 1");
    *due = statement_row(&statement) ? value_integer(&statement, 0) : 0;
    return statement_end(&statement, error);
}

bool postgres_webhooks_due(struct store *store, int64_t *due, struct error *error) { return postgres_read(store, next_due, due, error); }
