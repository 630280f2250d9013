/* Events: what streams replay. */
#include "store/postgres.h"

#include "base/memory.h"

#include <string.h>

static void read_event(struct statement *row, struct event *event) {
    memset(event, 0, sizeof *event);
    event->sequence = value_integer(row, 0);
    value_array(row, 1, event->prediction, sizeof event->prediction);
    event->created = value_integer(row, 2);
    event->kind = (enum event_kind)value_integer(row, 3);
    value_string(row, 4, &event->data);
}

/* Room grows with what is found: a limit is often large, and the events few. */
static bool collect(struct statement *statement, size_t limit, struct event **events, size_t *count) {
    size_t room = 0;
    while (*count < limit && statement_row(statement)) {
        if (*count == room) {
            room = room ? room * 2 : 16;
            struct event *grown = memory_resize(*events, room * sizeof *grown);
            if (!grown) return false;
            *events = grown;
        }
        read_event(statement, &(*events)[(*count)++]);
    }
    return true;
}

struct replay {
    const char *prediction;
    int64_t sequence;
    size_t limit, count;
    struct event *events;
};

static bool replay(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct replay *replay = user;
    (void)wake;
    struct statement statement =
        statement_begin(store, replay->prediction ? "SELECT sequence, prediction, created, kind, data FROM events"
                                                    " WHERE sequence > $1 AND prediction = $3 ORDER BY sequence LIMIT $2"
                                                  : "SELECT sequence, prediction, created, kind, data FROM events"
                                                    " WHERE sequence > $1 ORDER BY sequence LIMIT $2");
    statement_integer(&statement, replay->sequence);
    statement_integer(&statement, replay->limit > INT64_MAX ? INT64_MAX : (int64_t)replay->limit);
    if (replay->prediction) statement_text(&statement, replay->prediction);
    bool room = collect(&statement, replay->limit, &replay->events, &replay->count);
    if (statement_end(&statement, error) && (room || error_set(error, ERROR_MEMORY, "out of memory for events"))) return true;
    events_free(replay->events, replay->count);
    replay->events = NULL;
    replay->count = 0;
    return false;
}

bool postgres_events(struct store *store, const char *prediction, int64_t sequence, size_t limit, struct event **events, size_t *count,
                     struct error *error) {
    struct replay wanted = {.prediction = prediction, .sequence = sequence, .limit = limit};
    bool ok = (prediction && !is_text(prediction)) || limit == 0 || postgres_read(store, replay, &wanted, error);
    *events = wanted.events;
    *count = wanted.count;
    return ok;
}

/* From the counter: events may have been removed since. */
static bool last_event(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    int64_t *sequence = user;
    (void)wake;
    struct statement statement = statement_begin(store, "SELECT last FROM event_counter");
    *sequence = statement_row(&statement) ? value_integer(&statement, 0) : 0;
    return statement_end(&statement, error);
}

bool postgres_last_event(struct store *store, int64_t *sequence, struct error *error) {
    return postgres_read(store, last_event, sequence, error);
}
