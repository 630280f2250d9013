#include "service/handlers.h"
#include "base/log.h"
#include "base/memory.h"

#include <pthread.h>

struct handlers {
    struct service *service;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct request *first, *last;
    bool stopping;
    size_t threads;
    pthread_t thread[HANDLER_THREADS];
    struct store *reader[HANDLER_THREADS];
};

struct start {
    struct handlers *handlers;
    size_t index;
};

static struct request *take(struct handlers *handlers) {
    pthread_mutex_lock(&handlers->lock);
    while (handlers->first == NULL && !handlers->stopping) pthread_cond_wait(&handlers->filled, &handlers->lock);
    struct request *request = handlers->first;
    if (request != NULL) {
        handlers->first = request->next;
        if (handlers->first == NULL) handlers->last = NULL;
    }
    pthread_mutex_unlock(&handlers->lock);
    return request;
}

/* The step is over: hand the connection back to its polling thread. */
static void hand_back(struct request *request) {
    request->phase = REQUEST_SEND;
    MHD_resume_connection(request->connection);
}

static void *run(void *argument) {
    struct start start = *(struct start *)argument;
    memory_free(argument);
    struct request *request;
    while ((request = take(start.handlers)) != NULL) {
        request->reader = start.handlers->reader[start.index];
        log_about(request->prediction, request->trace); /* on its second turn */
        request_step_begins(request);
        if (request->step(request)) hand_back(request);
        log_about(NULL, NULL);
    }
    return NULL;
}

static bool start_thread(struct handlers *handlers, struct error *error) {
    size_t index = handlers->threads;
    if (!store_open(handlers->service->options->store_url, &handlers->reader[index], error)) return false;
    struct start *start = memory_alloc(sizeof *start);
    if (start == NULL) return error_set(error, ERROR_MEMORY, "out of memory");
    *start = (struct start){handlers, index};
    if (pthread_create(&handlers->thread[index], NULL, run, start) != 0) {
        memory_free(start);
        return error_set(error, ERROR_INTERNAL, "a thread could not be started");
    }
    handlers->threads++;
    return true;
}

bool handlers_start(struct service *service, struct handlers **out, struct error *error) {
    struct handlers *handlers = memory_zero(sizeof *handlers);
    if (handlers == NULL) return error_set(error, ERROR_MEMORY, "out of memory");
    handlers->service = service;
    pthread_mutex_init(&handlers->lock, NULL);
    pthread_cond_init(&handlers->filled, NULL);
    for (size_t i = 0; i < HANDLER_THREADS; i++) {
        if (!start_thread(handlers, error)) {
            handlers_stop(handlers);
            handlers_free(handlers);
            return false;
        }
    }
    *out = handlers;
    return true;
}

void handlers_stop(struct handlers *handlers) {
    if (handlers == NULL) return;
    pthread_mutex_lock(&handlers->lock);
    handlers->stopping = true;
    pthread_cond_broadcast(&handlers->filled);
    pthread_mutex_unlock(&handlers->lock);
    for (size_t i = 0; i < handlers->threads; i++) pthread_join(handlers->thread[i], NULL);
    handlers->threads = 0;
}

void handlers_free(struct handlers *handlers) {
    if (handlers == NULL) return;
    for (size_t i = 0; i < HANDLER_THREADS; i++) store_close(handlers->reader[i]);
    pthread_cond_destroy(&handlers->filled);
    pthread_mutex_destroy(&handlers->lock);
    memory_free(handlers);
}

void handlers_submit(struct handlers *handlers, struct request *request, request_step *step) {
    request->step = step;
    request->next = NULL;
    pthread_mutex_lock(&handlers->lock);
    if (handlers->stopping) {
        pthread_mutex_unlock(&handlers->lock);
        answer_problem(request, 503, "Stopping", "This server is being stopped.");
        hand_back(request);
        return;
    }
    if (handlers->last != NULL)
        handlers->last->next = request;
    else
        handlers->first = request;
    handlers->last = request;
    pthread_cond_signal(&handlers->filled);
    pthread_mutex_unlock(&handlers->lock);
}
