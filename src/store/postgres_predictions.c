/* Predictions as their owners see them: get, list, cancel, and the queue's length. */
#include "store/postgres.h"

#include "base/memory.h"

#include <string.h>

struct wanted {
    const char *id, *owner, *stream_token;
    struct prediction *prediction; /* may be NULL for a cancellation */
};

static bool get(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct wanted *wanted = user;
    (void)wake;
    return find_prediction(store, wanted->id, wanted->owner, wanted->prediction, error);
}

bool postgres_get(struct store *store, const char *id, const char *owner, struct prediction *prediction, struct error *error) {
    struct wanted wanted = {.id = id, .owner = owner, .prediction = prediction};
    memset(prediction, 0, sizeof *prediction);
    return postgres_read(store, get, &wanted, error);
}

static bool get_by_stream(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct wanted *wanted = user;
    char id[PREDICTION_ID_LENGTH + 1] = "";
    (void)wake;
    struct statement statement = statement_begin(store, "SELECT id FROM predictions WHERE stream_token = $1");
    statement_text(&statement, is_text(wanted->stream_token) ? wanted->stream_token : NULL);
    if (statement_row(&statement)) value_array(&statement, 0, id, sizeof id);
    return statement_end(&statement, error) && find_prediction(store, id, NULL, wanted->prediction, error);
}

bool postgres_get_by_stream(struct store *store, const char *stream_token, struct prediction *prediction, struct error *error) {
    struct wanted wanted = {.stream_token = stream_token, .prediction = prediction};
    memset(prediction, 0, sizeof *prediction);
    return postgres_read(store, get_by_stream, &wanted, error);
}

/* ---- lists ---- */

/* A list is a stretch of an index: from a key (created, id), exclusive, to a time. */
struct stretch {
    int64_t from, to;
    const char *from_id;
};

/* `before` is the key (before, ""), and so is `after`: no id is empty. */
static struct stretch stretch_of(const struct store_list *list) {
    int64_t after = list->after ? list->after : INT64_MIN, before = list->before ? list->before : INT64_MAX;
    bool cursor = list->cursor_created != 0;
    if (list->ascending) {
        cursor = cursor && list->cursor_created >= after;
        return (struct stretch){cursor ? list->cursor_created : after, before, cursor && list->cursor_id ? list->cursor_id : ""};
    }
    cursor = cursor && list->cursor_created < before;
    return (struct stretch){cursor ? list->cursor_created : before, after, cursor && list->cursor_id ? list->cursor_id : ""};
}

/* Put together from our own words only. */
static char *list_sql(const struct store_list *list) {
    const char *order = list->ascending ? "ASC" : "DESC";
    return memory_format("SELECT " PREDICTION_COLUMNS " FROM predictions WHERE (created, id) %s ($1, $2) AND created %s $3%s%s"
                         " ORDER BY created %s, id %s LIMIT $4",
                         list->ascending ? ">" : "<", list->ascending ? "<" : ">=", list->owner ? " AND owner = $5" : "",
                         list->web_only ? " AND from_web" : "", order, order);
}

static void reverse(struct prediction *predictions, size_t count) {
    for (size_t i = 0; i < count / 2; i++) {
        struct prediction swapped = predictions[i];
        predictions[i] = predictions[count - 1 - i];
        predictions[count - 1 - i] = swapped;
    }
}

struct listing {
    const struct store_list *list;
    const char *sql;
    struct prediction *predictions; /* room for limit + 1 */
    size_t count;
    bool more;
};

static bool read_list(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct listing *listing = user;
    struct stretch stretch = stretch_of(listing->list);
    (void)wake;
    listing->more = false;
    struct statement statement = statement_begin(store, listing->sql);
    statement_integer(&statement, stretch.from);
    statement_text(&statement, stretch.from_id);
    statement_integer(&statement, stretch.to);
    statement_integer(&statement, (int64_t)listing->list->limit + 1);
    if (listing->list->owner) statement_text(&statement, listing->list->owner);
    while (!listing->more && statement_row(&statement)) {
        listing->more = listing->count == listing->list->limit;
        if (!listing->more) read_row(&statement, &listing->predictions[listing->count++]);
    }
    if (statement_end(&statement, error)) return true;
    for (size_t i = 0; i < listing->count; i++) prediction_free(&listing->predictions[i]);
    listing->count = 0;
    return false;
}

bool postgres_list(struct store *store, const struct store_list *list, struct prediction **predictions, size_t *count, bool *more,
                   struct error *error) {
    struct listing listing = {.list = list, .predictions = memory_array(list->limit + 1, sizeof **predictions)};
    char *sql = list_sql(list);
    *predictions = NULL;
    *count = 0;
    *more = false;
    listing.sql = sql;
    bool ok = (listing.predictions && sql) || error_set(error, ERROR_MEMORY, "out of memory for a list of predictions");
    ok = ok && (!list->cursor_id || is_text(list->cursor_id) || error_set(error, ERROR_ARGUMENT, "a list's cursor is not UTF-8"));
    ok = ok && postgres_read(store, read_list, &listing, error);
    memory_free(sql);
    if (!ok) {
        memory_free(listing.predictions);
        return false;
    }
    if (list->ascending) reverse(listing.predictions, listing.count);
    *predictions = listing.predictions;
    *count = listing.count;
    *more = listing.more;
    return true;
}

/* ---- cancel, queue ---- */

static bool cancel(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct wanted *wanted = user;
    const struct alteration alteration = {.action = PREDICTION_CANCEL};
    struct standing standing;
    if (wanted->prediction) prediction_free(wanted->prediction);
    if (!lock_standing(store, wanted->id, wanted->owner, &standing, error)) return false;
    *wake = !prediction_status_terminal(standing.status);
    if (*wake && !alter_prediction(store, &standing, &alteration, error)) return false;
    return !wanted->prediction || find_prediction(store, wanted->id, wanted->owner, wanted->prediction, error);
}

bool postgres_cancel(struct store *store, const char *id, const char *owner, struct prediction *prediction, struct error *error) {
    struct wanted wanted = {.id = id, .owner = owner, .prediction = prediction};
    if (prediction) memset(prediction, 0, sizeof *prediction);
    bool ok = postgres_write(store, cancel, &wanted, error);
    if (!ok && prediction) prediction_free(prediction);
    return ok;
}

struct lengths {
    const char *id;
    size_t starting, processing, before;
};

static bool count_queue(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct lengths *lengths = user;
    (void)wake;
    struct statement statement = statement_begin(
        store, "SELECT (SELECT count(*) FROM predictions WHERE status = 0), (SELECT count(*) FROM predictions WHERE status = 1),"
               " (SELECT count(*) FROM predictions WHERE status = 0 AND number <"
               " (SELECT number FROM predictions WHERE id = $1 AND status = 0))");
    statement_text(&statement, lengths->id && is_text(lengths->id) ? lengths->id : NULL);
    if (statement_row(&statement)) {
        lengths->starting = (size_t)value_integer(&statement, 0);
        lengths->processing = (size_t)value_integer(&statement, 1);
        lengths->before = (size_t)value_integer(&statement, 2);
    }
    return statement_end(&statement, error);
}

bool postgres_queue(struct store *store, const char *id, size_t *starting, size_t *processing, size_t *before, struct error *error) {
    struct lengths lengths = {.id = id};
    if (!postgres_read(store, count_queue, &lengths, error)) return false;
    *starting = lengths.starting;
    *processing = lengths.processing;
    *before = lengths.before;
    return true;
}

struct line {
    const char *owner;
    size_t limit, count;
};

static bool count_line(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct line *line = user;
    (void)wake;
    struct statement statement =
        statement_begin(store, "SELECT count(*) FROM (SELECT 1 FROM predictions WHERE status = 0 AND owner = $1 LIMIT $2) line");
    statement_text(&statement, line->owner);
    statement_integer(&statement, (int64_t)line->limit);
    line->count = statement_row(&statement) ? (size_t)value_integer(&statement, 0) : 0;
    return statement_end(&statement, error);
}

bool postgres_waiting(struct store *store, const char *owner, size_t limit, size_t *count, struct error *error) {
    struct line line = {owner, limit, 0};
    bool ok = postgres_read(store, count_line, &line, error);
    *count = ok ? line.count : 0;
    return ok;
}
