/* Predictions as their owners see them: get, list, cancel, and the queue's length. */
#include "store/sqlite.h"

#include "base/memory.h"
#include "base/time.h"

#include <string.h>

bool sqlite_get(struct store *base, const char *id, const char *owner, struct prediction *prediction, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    read_begin(store);
    bool ok = get_prediction(&store->reader, id, owner, prediction, error);
    read_end(store);
    return ok;
}

bool sqlite_get_by_stream(struct store *base, const char *stream_token, struct prediction *prediction, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    char id[PREDICTION_ID_LENGTH + 1] = "";
    read_begin(store);
    struct query query = query_begin(&store->reader, "SELECT id FROM predictions WHERE stream_token = ?");
    query_text(&query, stream_token);
    if (query_row(&query)) column_array(&query, 0, id, sizeof id);
    bool ok = query_end(&query, error) && get_prediction(&store->reader, id, NULL, prediction, error);
    read_end(store);
    return ok;
}

/* ---- lists ---- */

/* A list is a stretch of an index: from a key (created, id), exclusive, to a time. One bound at either
 * end and no more, because only one at either end is looked up; any other would be tried row by row. */
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

static char *list_sql(const struct store_list *list) {
    const char *order = list->ascending ? "ASC" : "DESC";
    return memory_format("SELECT " PREDICTION_COLUMNS " FROM predictions WHERE (created, id) %s (?1, ?2) AND created %s ?3%s%s"
                         " ORDER BY created %s, id %s LIMIT ?4",
                         list->ascending ? ">" : "<", list->ascending ? "<" : ">=", list->owner ? " AND owner = ?5" : "",
                         list->web_only ? " AND from_web" : "", order, order);
}

static void bind_list(struct query *query, const struct store_list *list) {
    struct stretch stretch = stretch_of(list);
    query_integer(query, stretch.from);
    query_text(query, stretch.from_id);
    query_integer(query, stretch.to);
    query_integer(query, (int64_t)list->limit + 1);
    if (list->owner) query_text(query, list->owner);
}

static void reverse(struct prediction *predictions, size_t count) {
    for (size_t i = 0; i < count / 2; i++) {
        struct prediction swapped = predictions[i];
        predictions[i] = predictions[count - 1 - i];
        predictions[count - 1 - i] = swapped;
    }
}

bool sqlite_list(struct store *base, const struct store_list *list, struct prediction **predictions, size_t *count, bool *more,
                 struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    *count = 0;
    *more = false;
    *predictions = memory_array(list->limit + 1, sizeof **predictions);
    char *sql = list_sql(list);
    if (!*predictions || !sql) {
        memory_free(sql);
        memory_free(*predictions);
        *predictions = NULL;
        return error_set(error, ERROR_MEMORY, "out of memory for a list of predictions");
    }
    read_begin(store);
    struct query query = query_begin(&store->reader, sql);
    bind_list(&query, list);
    while (query_row(&query)) {
        if (*count == list->limit) {
            *more = true;
            break;
        }
        read_prediction(&query, &(*predictions)[(*count)++]);
    }
    bool ok = query_end(&query, error);
    read_end(store);
    memory_free(sql);
    if (!ok) {
        predictions_free(*predictions, *count);
        *predictions = NULL;
        *count = 0;
        return false;
    }
    if (list->ascending) reverse(*predictions, *count);
    return true;
}

bool sqlite_cancel(struct store *base, const char *id, const char *owner, struct prediction *prediction, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    struct state state;
    struct change change = {.action = PREDICTION_CANCEL, .now = time_wall()};
    if (!write_begin(store, error)) return false;
    bool ok = get_state(store, id, owner, &state, error);
    bool canceled = ok && !prediction_status_terminal(state.status);
    if (canceled) ok = change_prediction(store, &state, &change, error);
    if (ok && prediction) ok = get_prediction(&store->writer, id, owner, prediction, error);
    bool done = write_end(store, ok, canceled, error);
    if (ok && !done && prediction) prediction_free(prediction);
    return done;
}

bool sqlite_queue(struct store *base, const char *id, size_t *starting, size_t *processing, size_t *before, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    read_begin(store);
    struct query query = query_begin(
        &store->reader, "SELECT (SELECT count(*) FROM predictions WHERE status = 0), (SELECT count(*) FROM predictions WHERE status = 1),"
                        " (SELECT count(*) FROM predictions WHERE status = 0 AND number <"
                        " (SELECT number FROM predictions WHERE id = ? AND status = 0))");
    query_text(&query, id);
    if (query_row(&query)) {
        *starting = (size_t)column_integer(&query, 0);
        *processing = (size_t)column_integer(&query, 1);
        *before = (size_t)column_integer(&query, 2);
    }
    bool ok = query_end(&query, error);
    read_end(store);
    return ok;
}

bool sqlite_waiting(struct store *base, const char *owner, size_t limit, size_t *count, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    *count = 0;
    read_begin(store);
    struct query query =
        query_begin(&store->reader, "SELECT count(*) FROM (SELECT 1 FROM predictions WHERE status = 0 AND owner = ? LIMIT ?)");
    query_text(&query, owner);
    query_integer(&query, (int64_t)limit);
    if (query_row(&query)) *count = (size_t)column_integer(&query, 0);
    bool ok = query_end(&query, error);
    read_end(store);
    return ok;
}
