/* Events: what streams replay. */
#include "store/sqlite.h"

#include "base/memory.h"

#include <string.h>

static void read_event(struct query *query, struct event *event) {
    memset(event, 0, sizeof *event);
    event->sequence = column_integer(query, 0);
    column_array(query, 1, event->prediction, sizeof event->prediction);
    event->created = column_integer(query, 2);
    event->kind = (enum event_kind)column_integer(query, 3);
    column_string(query, 4, &event->data);
}

/* Room grows with what is found: a limit is often large, and the events few. */
static bool collect(struct query *query, size_t limit, struct event **events, size_t *count) {
    size_t room = 0;
    while (*count < limit && query_row(query)) {
        if (*count == room) {
            room = room ? room * 2 : 16;
            struct event *grown = memory_resize(*events, room * sizeof *grown);
            if (!grown) return false;
            *events = grown;
        }
        read_event(query, &(*events)[(*count)++]);
    }
    return true;
}

bool sqlite_events(struct store *base, const char *prediction, int64_t sequence, size_t limit, struct event **events, size_t *count,
                   struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    *events = NULL;
    *count = 0;
    read_begin(store);
    struct query query = query_begin(&store->reader, prediction ? "SELECT sequence, prediction, created, kind, data FROM events"
                                                                  " WHERE sequence > ? AND prediction = ? ORDER BY sequence LIMIT ?"
                                                                : "SELECT sequence, prediction, created, kind, data FROM events"
                                                                  " WHERE sequence > ? ORDER BY sequence LIMIT ?");
    query_integer(&query, sequence);
    if (prediction) query_text(&query, prediction);
    query_integer(&query, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    bool room = collect(&query, limit, events, count);
    bool ok = query_end(&query, error) && (room || error_set(error, ERROR_MEMORY, "out of memory for events"));
    read_end(store);
    if (ok) return true;
    events_free(*events, *count);
    *events = NULL;
    *count = 0;
    return false;
}

/* From the sequence's own counter: events may have been removed since. */
bool sqlite_last_event(struct store *base, int64_t *sequence, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    read_begin(store);
    struct query query = query_begin(&store->reader, "SELECT seq FROM sqlite_sequence WHERE name = 'events'");
    *sequence = query_row(&query) ? column_integer(&query, 0) : 0;
    bool ok = query_end(&query, error);
    read_end(store);
    return ok;
}
