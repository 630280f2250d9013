#include "service/stream.h"
#include "base/memory.h"
#include "base/time.h"

#include <string.h>

struct stream {
    struct hub *hub;
    struct MHD_Connection *connection;
    struct watch watch;
    struct sse_view view;
    char *base;
    struct buffer pending; /* text not yet taken by the connection, from `taken` on */
    size_t taken;
    size_t outputs;
    int64_t sequence; /* the last event that was looked at */
    bool live;        /* what happened before is in; the hub may deliver */
    bool missed;      /* the hub had something while we were not live */
    bool finished, suspended;
};

enum { STREAM_PENDING_MAX = 4 * 1024 * 1024, STREAM_DATA_PENDING_MAX = 256 * 1024 * 1024, REPLAY_EVENTS = 500, TEXT_KEPT = 16384 };

static void wake(struct stream *stream) {
    if (!stream->suspended) return;
    stream->suspended = false;
    MHD_resume_connection(stream->connection);
}

void stream_deliver(struct stream *stream, const struct event *event, const char *failure) {
    if (!stream->live) {
        stream->missed = true;
        return;
    }
    if (event->sequence <= stream->sequence || stream->finished) return;
    stream->sequence = event->sequence;
    size_t before = stream->pending.length;
    if (sse_event(&stream->pending, &stream->view, event, failure, &stream->outputs)) stream->finished = true;
    /* A client that does not read what it asked for is let go; it can come back with Last-Event-ID. */
    if (stream->pending.failed) stream->finished = true;
    if (stream->finished || stream->pending.length != before) wake(stream);
}

void stream_keep_alive(struct stream *stream) {
    if (!stream->live || stream->finished) return;
    /* Only when the connection waits: text that is still pending keeps it alive by itself. No blank
     * line after it, because one client takes every blank line for an event. */
    if (stream->suspended) {
        buffer_text(&stream->pending, ": hi\n");
        wake(stream);
    }
}

void stream_end(struct stream *stream) {
    stream->finished = true;
    wake(stream);
}

static ssize_t read_stream(void *argument, uint64_t position, char *out, size_t maximum) {
    (void)position;
    struct stream *stream = argument;
    ssize_t result = 0;
    hub_lock(stream->hub);
    size_t length = stream->pending.length - stream->taken;
    if (stream->pending.failed) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (length > 0) {
        if (length > maximum) length = maximum;
        memcpy(out, stream->pending.data + stream->taken, length);
        stream->taken += length;
        if (stream->taken == stream->pending.length) {
            stream->taken = 0;
            if (stream->pending.capacity > TEXT_KEPT) {
                size_t limit = stream->pending.maximum;
                buffer_free(&stream->pending);
                buffer_init(&stream->pending, limit);
            } else {
                buffer_clear(&stream->pending);
            }
        }
        result = (ssize_t)length;
    } else if (stream->finished) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    hub_unlock(stream->hub);
    return result;
}

static void free_stream(void *argument) {
    struct stream *stream = argument;
    hub_lock(stream->hub);
    hub_unlink(stream->hub, &stream->watch);
    hub_unlock(stream->hub);
    buffer_free(&stream->pending);
    memory_free(stream->base);
    memory_free(stream);
}

/* The error text of a prediction that failed. */
static char *failure_text(struct store *reader, const char *id) {
    struct prediction prediction;
    if (!store_get(reader, id, NULL, &prediction, NULL)) return NULL;
    char *text = memory_string(prediction.error);
    prediction_free(&prediction);
    return text;
}

/* Everything in the store after stream->sequence. */
static bool replay(struct stream *stream, struct store *reader, const char *id, struct error *error) {
    struct event *events;
    size_t count;
    do {
        if (!store_events(reader, id, stream->sequence, REPLAY_EVENTS, &events, &count, error)) return false;
        for (size_t i = 0; i < count && !stream->finished; i++) {
            char *failure = events[i].kind == EVENT_DONE ? failure_text(reader, id) : NULL;
            stream->sequence = events[i].sequence;
            stream->finished = sse_event(&stream->pending, &stream->view, &events[i], failure, &stream->outputs);
            memory_free(failure);
        }
        events_free(events, count);
    } while (count == REPLAY_EVENTS && !stream->finished);
    return true;
}

/* Read what happened until nothing more happened meanwhile. */
static bool catch_up(struct stream *stream, struct store *reader, const char *id, struct error *error) {
    for (;;) {
        hub_lock(stream->hub);
        stream->missed = false;
        hub_unlock(stream->hub);
        if (!replay(stream, reader, id, error)) return false;
        hub_lock(stream->hub);
        bool done = !stream->missed || stream->finished;
        stream->live = done;
        hub_unlock(stream->hub);
        if (done) return true;
    }
}

/* The end of a prediction whose events are gone already. */
static void end_by_status(struct stream *stream, const struct prediction *prediction) {
    struct event event = {.sequence = stream->sequence + 1, .created = prediction->completed, .kind = EVENT_DONE};
    event.data = memory_string(prediction_status_name(prediction->status));
    if (event.data != NULL) sse_event(&stream->pending, &stream->view, &event, prediction->error, &stream->outputs);
    memory_free(event.data);
    stream->finished = true;
}

struct MHD_Response *stream_open(struct hub *hub, struct store *reader, struct MHD_Connection *connection,
                                 const struct prediction *prediction, const struct sse_view *view, struct error *error) {
    struct stream *stream = memory_zero(sizeof *stream);
    char *base = memory_string(view->base);
    if (stream == NULL || base == NULL) {
        memory_free(stream);
        memory_free(base);
        error_set(error, ERROR_MEMORY, "out of memory");
        return NULL;
    }
    stream->hub = hub;
    stream->connection = connection;
    stream->view = *view;
    stream->view.base = stream->base = base;
    stream->watch.stream = stream;
    buffer_init(&stream->pending, view->data_uri ? STREAM_DATA_PENDING_MAX : STREAM_PENDING_MAX);
    buffer_text(&stream->pending, ": hi\n\n");

    hub_lock(hub);
    if (!hub_link(hub, &stream->watch, prediction->id, time_monotonic() + STREAM_SILENCE)) stream->finished = true;
    hub_unlock(hub);
    if (!stream->finished && !catch_up(stream, reader, prediction->id, error)) {
        free_stream(stream);
        return NULL;
    }
    if (!stream->finished && prediction_status_terminal(prediction->status)) end_by_status(stream, prediction);

    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_stream, stream, free_stream);
    if (response == NULL) {
        free_stream(stream);
        error_set(error, ERROR_MEMORY, "out of memory");
    }
    return response;
}
