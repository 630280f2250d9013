/* Sleeping until something changes: a thread of its own listens on a connection of its own and counts
 * what it hears; sleepers wait for the counter. What might have been missed (a lost connection, a
 * process that died before it could tell) is made up for by counting one every few seconds. */
#include "store/postgres.h"

#include "base/memory.h"
#include "base/time.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SLOW_POLL_MILLISECONDS = 5000, RECONNECT_MILLISECONDS = 500 };

struct listener {
    char *url;
    PGconn *connection; /* the thread's own once it runs; NULL: lost */
    char store[32];     /* what notifications about this store say */
    _Atomic uint32_t changes;
    atomic_int ignored;
    atomic_bool stop;
    int stopped; /* an eventfd: wakes the thread to its end */
    bool running;
    pthread_t thread;
};

void listener_wake(struct listener *listener) {
    atomic_fetch_add(&listener->changes, 1);
    syscall(SYS_futex, &listener->changes, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void listener_ignore(struct listener *listener, int backend) { atomic_store(&listener->ignored, backend); }

static bool listen_there(struct listener *listener, struct error *error) {
    enum fault fault;
    listener->connection = postgres_connect(listener->url, error);
    if (!listener->connection) return false;
    PGresult *result = PQexec(listener->connection, "LISTEN inpaintd; SELECT 'events'::regclass::oid");
    bool ok = PQresultStatus(result) == PGRES_TUPLES_OK;
    if (ok) {
        snprintf(listener->store, sizeof listener->store, "%s", PQgetvalue(result, 0, 0));
    } else {
        postgres_error(listener->connection, result, &fault, error);
        PQfinish(listener->connection);
        listener->connection = NULL;
    }
    PQclear(result);
    return ok;
}

/* Everything that has arrived counts as one change. */
static void hear(struct listener *listener) {
    bool changed = false;
    bool alive = PQconsumeInput(listener->connection) == 1 && PQstatus(listener->connection) == CONNECTION_OK;
    for (PGnotify *notice; (notice = PQnotifies(listener->connection)); PQfreemem(notice))
        changed = changed || (notice->be_pid != atomic_load(&listener->ignored) && strcmp(notice->extra, listener->store) == 0);
    if (!alive) {
        PQfinish(listener->connection);
        listener->connection = NULL;
    }
    if (changed) listener_wake(listener);
}

static void *listen_for_ever(void *user) {
    struct listener *listener = user;
    while (!atomic_load(&listener->stop)) {
        struct pollfd places[2] = {{.fd = listener->stopped, .events = POLLIN}, {.events = POLLIN}};
        places[1].fd = listener->connection ? PQsocket(listener->connection) : -1;
        int ready = poll(places, 2, listener->connection ? SLOW_POLL_MILLISECONDS : RECONNECT_MILLISECONDS);
        if (ready < 0 || atomic_load(&listener->stop)) continue;
        if (listener->connection && ready > 0)
            hear(listener);
        else if (listener->connection || listen_there(listener, NULL))
            listener_wake(listener);
    }
    return NULL;
}

/* Signals are for the threads that know what to do with them. */
static bool start(struct listener *listener) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    listener->running = pthread_create(&listener->thread, NULL, listen_for_ever, listener) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return listener->running;
}

struct listener *listener_open(const char *url, struct error *error) {
    struct listener *listener = memory_zero(sizeof *listener);
    if (!listener) {
        error_set(error, ERROR_MEMORY, "out of memory");
        return NULL;
    }
    atomic_init(&listener->changes, 1);
    listener->stopped = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    listener->url = memory_string(url);
    if (listener->stopped < 0)
        error_from_errno(error, "can't listen to the database");
    else if (!listener->url)
        error_set(error, ERROR_MEMORY, "out of memory");
    else if (listen_there(listener, error) && (start(listener) || error_set(error, ERROR_MEMORY, "no thread can be started")))
        return listener;
    listener_close(listener);
    return NULL;
}

void listener_close(struct listener *listener) {
    if (!listener) return;
    atomic_store(&listener->stop, true);
    if (listener->running) {
        eventfd_write(listener->stopped, 1);
        pthread_join(listener->thread, NULL);
    }
    if (listener->stopped >= 0) close(listener->stopped);
    if (listener->connection) PQfinish(listener->connection);
    memory_free(listener->url);
    memory_free(listener);
}

bool postgres_wait(struct store *base, uint32_t *seen, int milliseconds) {
    struct listener *listener = postgres_of(base)->listener;
    int64_t end = time_monotonic() + (int64_t)(milliseconds > 0 ? milliseconds : 0) * 1000;
    for (;;) {
        uint32_t changes = atomic_load(&listener->changes);
        int64_t left = end - time_monotonic();
        if (changes != *seen) {
            *seen = changes;
            return true;
        }
        if (left <= 0) return false;
        struct timespec timeout = {.tv_sec = left / 1000000, .tv_nsec = (long)(left % 1000000) * 1000};
        if (syscall(SYS_futex, &listener->changes, FUTEX_WAIT_PRIVATE, changes, &timeout, NULL, 0) != 0 && errno == EINTR) return false;
    }
}
