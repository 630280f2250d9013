#include "service/hub.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "service/handlers.h"
#include "service/stream.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { BUCKETS = 4096, DISPATCH_EVENTS = 256, SLEEP_MAX = 5000000 };

struct hub {
    struct service *service;
    struct store *store;
    pthread_t thread;
    pthread_mutex_t lock;
    struct watch *buckets[BUCKETS];
    size_t watches, streams;
    int64_t next_due; /* no watch is due before */
    int64_t position; /* events up to here were told */
    uint32_t seen;
    bool closing;
};

void hub_lock(struct hub *hub) { pthread_mutex_lock(&hub->lock); }
void hub_unlock(struct hub *hub) { pthread_mutex_unlock(&hub->lock); }

static struct watch **bucket_of(struct hub *hub, const char *prediction) {
    uint32_t hash = 2166136261u;
    for (; *prediction != 0; prediction++) hash = (hash ^ (unsigned char)*prediction) * 16777619u;
    return &hub->buckets[hash % BUCKETS];
}

bool hub_link(struct hub *hub, struct watch *watch, const char *prediction, int64_t due) {
    if (hub->closing) return false;
    snprintf(watch->prediction, sizeof watch->prediction, "%s", prediction);
    struct watch **bucket = bucket_of(hub, watch->prediction);
    watch->previous = NULL;
    watch->next = *bucket;
    if (*bucket != NULL) (*bucket)->previous = watch;
    *bucket = watch;
    watch->due = due;
    watch->linked = true;
    if (due < hub->next_due) hub->next_due = due;
    hub->watches++;
    hub->streams += watch->stream != NULL;
    return true;
}

void hub_unlink(struct hub *hub, struct watch *watch) {
    if (!watch->linked) return;
    if (watch->previous != NULL)
        watch->previous->next = watch->next;
    else
        *bucket_of(hub, watch->prediction) = watch->next;
    if (watch->next != NULL) watch->next->previous = watch->previous;
    watch->linked = false;
    hub->watches--;
    hub->streams -= watch->stream != NULL;
}

size_t hub_streams(struct hub *hub) {
    hub_lock(hub);
    size_t streams = hub->streams;
    hub_unlock(hub);
    return streams;
}

/* ---- blocking creates ---- */

void hub_wait_begin(struct hub *hub, struct request *request, const char *prediction, int64_t due) {
    struct watch *watch = &request->watch;
    *watch = (struct watch){.request = request};
    hub_lock(hub);
    if (!hub_link(hub, watch, prediction, due)) watch->fired = true;
    hub_unlock(hub);
}

bool hub_wait_park(struct hub *hub, struct request *request) {
    hub_lock(hub);
    bool parked = request->watch.linked && !request->watch.fired;
    request->watch.parked = parked;
    hub_unlock(hub);
    return parked;
}

void hub_wait_end(struct hub *hub, struct request *request) {
    hub_lock(hub);
    hub_unlink(hub, &request->watch);
    hub_unlock(hub);
}

/* The wait is over; with the hub locked. */
static void fire(struct hub *hub, struct watch *watch) {
    struct request *request = watch->request;
    hub_unlink(hub, watch);
    watch->fired = true;
    if (watch->parked) handlers_submit(hub->service->handlers, request, request->step);
}

/* ---- the thread ---- */

static char *failure_of(struct hub *hub, const struct event *event) {
    enum prediction_status status;
    struct prediction prediction;
    if (event->kind != EVENT_DONE || !prediction_status_parse(event->data, &status) || status != PREDICTION_FAILED) return NULL;
    if (!store_get(hub->store, event->prediction, NULL, &prediction, NULL)) return NULL;
    char *text = memory_string(prediction.error);
    prediction_free(&prediction);
    return text;
}

static bool watched(struct hub *hub, const char *prediction) {
    hub_lock(hub);
    struct watch *watch = *bucket_of(hub, prediction);
    while (watch != NULL && strcmp(watch->prediction, prediction) != 0) watch = watch->next;
    hub_unlock(hub);
    return watch != NULL;
}

static void tell(struct hub *hub, const struct event *event) {
    if (!watched(hub, event->prediction)) return;
    char *failure = failure_of(hub, event);
    hub_lock(hub);
    struct watch *next;
    for (struct watch *watch = *bucket_of(hub, event->prediction); watch != NULL; watch = next) {
        next = watch->next;
        if (strcmp(watch->prediction, event->prediction) != 0) continue;
        if (watch->stream != NULL)
            stream_deliver(watch->stream, event, failure);
        else if (event->kind == EVENT_DONE)
            fire(hub, watch);
    }
    hub_unlock(hub);
    memory_free(failure);
}

/* Nobody watches: skip to the newest event. The newest is read first, so that what a later watcher
 * needs lies beyond it. */
static bool skip(struct hub *hub) {
    int64_t last;
    if (!store_last_event(hub->store, &last, NULL)) return false;
    hub_lock(hub);
    bool nobody = hub->watches == 0;
    hub_unlock(hub);
    if (nobody && last > hub->position) hub->position = last;
    return nobody;
}

static void dispatch(struct hub *hub) {
    struct event *events;
    size_t count;
    struct error error;
    if (skip(hub)) return;
    do {
        if (!store_events(hub->store, NULL, hub->position, DISPATCH_EVENTS, &events, &count, &error)) {
            log_error("reading events: %s", error.message);
            time_sleep(200000);
            return;
        }
        for (size_t i = 0; i < count; i++) {
            tell(hub, &events[i]);
            hub->position = events[i].sequence;
        }
        events_free(events, count);
    } while (count == DISPATCH_EVENTS);
}

/* Waits whose time is up, streams that were silent for long. Returns how long to sleep. */
static int64_t timers(struct hub *hub) {
    int64_t now = time_monotonic();
    hub_lock(hub);
    if (now >= hub->next_due) {
        hub->next_due = INT64_MAX;
        for (size_t i = 0; i < BUCKETS; i++) {
            struct watch *next;
            for (struct watch *watch = hub->buckets[i]; watch != NULL; watch = next) {
                next = watch->next;
                if (watch->due <= now && watch->stream == NULL) {
                    fire(hub, watch);
                    continue;
                }
                if (watch->due <= now) {
                    stream_keep_alive(watch->stream);
                    watch->due = now + STREAM_SILENCE;
                }
                if (watch->due < hub->next_due) hub->next_due = watch->due;
            }
        }
        /* Streams that opened one after the other are served together. */
        if (hub->next_due < now + 20000) hub->next_due = now + 20000;
    }
    int64_t sleep = hub->next_due - now;
    hub_unlock(hub);
    return sleep > SLEEP_MAX ? SLEEP_MAX : sleep < 1000 ? 1000 : sleep;
}

static bool closing(struct hub *hub) {
    hub_lock(hub);
    bool result = hub->closing;
    hub_unlock(hub);
    return result;
}

static void *run(void *argument) {
    struct hub *hub = argument;
    while (!closing(hub)) {
        store_wait(hub->store, &hub->seen, (int)(timers(hub) / 1000));
        dispatch(hub);
    }
    return NULL;
}

bool hub_start(struct service *service, struct hub **out, struct error *error) {
    struct hub *hub = memory_zero(sizeof *hub);
    if (hub == NULL) return error_set(error, ERROR_MEMORY, "out of memory");
    hub->service = service;
    hub->next_due = INT64_MAX;
    pthread_mutex_init(&hub->lock, NULL);
    if (!store_open(service->options->store_url, &hub->store, error) || !store_last_event(hub->store, &hub->position, error)) {
        hub_free(hub);
        return false;
    }
    if (pthread_create(&hub->thread, NULL, run, hub) != 0) {
        hub_free(hub);
        return error_set(error, ERROR_INTERNAL, "a thread could not be started");
    }
    *out = hub;
    return true;
}

void hub_stop(struct hub *hub) {
    if (hub == NULL) return;
    hub_lock(hub);
    hub->closing = true;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct watch *next;
        for (struct watch *watch = hub->buckets[i]; watch != NULL; watch = next) {
            next = watch->next;
            if (watch->stream == NULL)
                fire(hub, watch);
            else
                stream_end(watch->stream);
        }
    }
    hub_unlock(hub);
    store_wake(hub->store);
    pthread_join(hub->thread, NULL);
}

void hub_free(struct hub *hub) {
    if (hub == NULL) return;
    if (hub->store != NULL) store_close(hub->store);
    pthread_mutex_destroy(&hub->lock);
    memory_free(hub);
}
