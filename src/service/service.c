#include "service/service.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "service/auth.h"
#include "service/handlers.h"
#include "service/hub.h"
#include "service/limits.h"
#include "service/line.h"
#include "service/metrics.h"
#include "service/origin.h"
#include "service/server.h"
#include "service/thumbnails.h"
#include "service/webhooks.h"
#include "store/sweep.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    TICK = 200000,
    EXPIRE_PERIOD = 2000000,
    RETENTION_PERIOD = 10000000,
    RETENTION_ROWS = 200,
    LAST_ANSWERS = 2000000,
    TIDY_PERIOD = 60000000
};
/* A day: so long nobody takes from writing a blob to telling of it. */
static const int64_t sweep_period = (int64_t)24 * 3600 * 1000000, measure_period = (int64_t)3600 * 1000000;

/* ---- the listening socket ---- */

static int listen_on(const struct addrinfo *address) {
    int listener = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
    int on = 1;
    if (listener < 0) return -1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6) setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(listener, address->ai_addr, address->ai_addrlen) == 0 && listen(listener, BACKLOG) == 0) return listener;
    int saved = errno;
    close(listener);
    errno = saved;
    return -1;
}

static int bound_port(int listener) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char port[8];
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
        getnameinfo((struct sockaddr *)&address, length, NULL, 0, port, sizeof port, NI_NUMERICSERV) != 0)
        return 0;
    int value = 0;
    for (const char *digit = port; *digit >= '0' && *digit <= '9'; digit++) value = value * 10 + (*digit - '0');
    return value;
}

static bool open_listener(const char *where, char host[256], int *listener, int *port, struct error *error) {
    char name[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *addresses;
    *listener = -1;
    if (!listen_parse(where, host, 256, name, sizeof name))
        return error_set(error, ERROR_ARGUMENT, "the address to listen on must look like 127.0.0.1:8080 or [::1]:8080, not \"%s\"", where);
    int failed = getaddrinfo(host[0] == 0 || strcmp(host, "*") == 0 ? NULL : host, name, &hints, &addresses);
    if (failed != 0) return error_set(error, ERROR_ARGUMENT, "cannot listen on %s: %s", where, gai_strerror(failed));
    for (struct addrinfo *address = addresses; address != NULL && *listener < 0; address = address->ai_next) *listener = listen_on(address);
    int reason = errno;
    freeaddrinfo(addresses);
    if (*listener < 0) return error_set(error, ERROR_IO, "cannot listen on %s: %s", where, strerror(reason));
    *port = bound_port(*listener);
    return true;
}

static bool open_door(struct service *service, int *listener, int *port, struct error *error) {
    char host[256];
    if (!open_listener(service->options->listen, host, listener, port, error)) return false;
    service->loopback = listen_is_loopback(host);
    const char *name = host[0] == 0 || strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 ? "127.0.0.1"
                       : strcmp(host, "::") == 0                                              ? "::1"
                                                                                              : host;
    snprintf(service->bound, sizeof service->bound, strchr(name, ':') != NULL ? "[%s]:%d" : "%s:%d", name, *port);
    return true;
}

/* Plain http, for whoever can reach the address: an operator's network. */
static bool open_operators_door(struct service *service, struct server **server, struct error *error) {
    char host[256];
    int listener, port;
    if (service->options->metrics_listen == NULL) return true;
    if (!open_listener(service->options->metrics_listen, host, &listener, &port, error)) return false;
    if (!server_start(service, listener, true, NULL, NULL, server, error)) return false;
    log_info("metrics at port %d", port);
    return true;
}

/* ---- upkeep ---- */

static void remove_expired(struct service *service) {
    struct error error;
    char **blobs;
    size_t count;
    int64_t age = (int64_t)service->options->retention_seconds * 1000000, all = (int64_t)service->options->forget_seconds * 1000000;
    if (all > 0 && (age == 0 || age > all)) age = all; /* what is forgotten holds nothing */
    do {
        if (!store_expire_data(service->writer, age == 0 ? 0 : time_wall() - age, RETENTION_ROWS, &blobs, &count, &error)) {
            log_error("removing what is past its time: %s", error.message);
            return;
        }
        for (size_t i = 0; blobs != NULL && blobs[i] != NULL; i++) {
            if (!blob_delete(service->blobs, blobs[i], &error)) log_warning("%s", error.message);
            memory_free(blobs[i]);
        }
        memory_free(blobs);
    } while (count >= RETENTION_ROWS);
}

static void forget_records(struct service *service) {
    struct error error;
    size_t count = RETENTION_ROWS / 2;
    int64_t age = (int64_t)service->options->forget_seconds * 1000000;
    while (age > 0 && count >= RETENTION_ROWS / 2) {
        if (store_forget(service->writer, time_wall() - age, RETENTION_ROWS / 2, &count, &error)) continue;
        log_error("forgetting what is long past: %s", error.message);
        return;
    }
}

/* Told to stop: still open for a while, but not ready, so that a balancer stops sending before we do. */
static bool is_over(struct service *service, const atomic_int *stop, int64_t now, int64_t *end) {
    if (!*stop) return false;
    if (!service->draining) {
        service->draining = true;
        *end = now + (int64_t)service->options->drain_seconds * 1000000;
        if (now < *end) log_info("stopping in %d seconds", service->options->drain_seconds);
    }
    return now >= *end;
}

struct total {
    size_t count;
    uint64_t bytes;
};

static bool add_blob(void *user, const char *name, uint64_t size, int64_t modified) {
    struct total *total = user;
    (void)name, (void)modified;
    total->count++;
    total->bytes += size;
    return true;
}

static void measure_blobs(struct service *service) {
    struct total total = {0};
    struct error error;
    if (blobs_each(service->blobs, add_blob, &total, &error))
        metrics_blobs(service->metrics, total.count, total.bytes);
    else
        log_warning("counting pictures: %s", error.message);
}

static void upkeep(struct service *service, struct server *server, struct server *metrics, atomic_int *stop) {
    int64_t reap = 0, expire = 0, retain = 0, sweep = 0, measure = 0, tidy = 0, end = 0;
    struct error error;
    for (int64_t now = time_monotonic(); !is_over(service, stop, now, &end); now = time_monotonic()) {
        if (now >= reap) {
            server_reap(server);
            if (metrics != NULL) server_reap(metrics);
            reap = now + 1000000;
        }
        if (now >= expire) {
            if (!store_expire(service->writer, service->options->run_seconds, NULL, &error))
                log_error("looking for overdue predictions: %s", error.message);
            expire = now + EXPIRE_PERIOD;
        }
        if (now >= retain) {
            remove_expired(service);
            forget_records(service);
            retain = now + RETENTION_PERIOD;
        }
        if (now >= sweep) {
            if (!store_sweep(service->writer, service->blobs, time_wall() - sweep_period, NULL, &error))
                log_error("looking for what a crash left: %s", error.message);
            sweep = now + sweep_period;
        }
        if (now >= measure) {
            measure_blobs(service);
            measure = now + measure_period;
        }
        if (now >= tidy) {
            if (!store_tidy(service->writer, &error)) log_warning("giving space back: %s", error.message);
            tidy = now + TIDY_PERIOD;
        }
        time_sleep(TICK);
    }
}

/* ---- start and stop ---- */

static bool open_metrics(struct service *service, struct error *error) {
    int64_t last;
    if (!store_last_event(service->writer, &last, error)) return false;
    service->metrics = metrics_create(last);
    return service->metrics != NULL || error_set(error, ERROR_MEMORY, "out of memory");
}

static bool open_stores(struct service *service, struct error *error) {
    const struct service_options *options = service->options;
    if (options->creates_per_minute > 0 || options->requests_per_minute > 0) {
        service->limits = limits_create(options->creates_per_minute, options->requests_per_minute);
        if (service->limits == NULL) return error_set(error, ERROR_MEMORY, "out of memory");
    }
    if (options->queue_limit > 0 && (service->lines = lines_create(options->queue_limit)) == NULL)
        return error_set(error, ERROR_MEMORY, "out of memory");
    service->thumbnails = thumbnails_create();
    if (service->thumbnails == NULL) return error_set(error, ERROR_MEMORY, "out of memory");
    return store_open(options->store_url, &service->writer, error) && open_metrics(service, error) &&
           blobs_open(options->blobs_url, &service->blobs, error) &&
           auth_create(options->store_url, service->loopback, &service->auth, error) &&
           handlers_start(service, &service->handlers, error) && hub_start(service, &service->hub, error) &&
           webhooks_start(service, &service->webhooks, error);
}

/* The text of a PEM file. */
static bool read_pem(const char *path, char **text, struct error *error) {
    size_t length;
    return file_read(path, 1024 * 1024, text, &length, error);
}

static bool start_server(struct service *service, int listener, struct server **server, struct error *error) {
    const struct service_options *options = service->options;
    char *certificate = NULL, *key = NULL;
    bool fine = true;
    if (options->tls_certificate != NULL || options->tls_key != NULL) {
        fine = (options->tls_certificate != NULL && options->tls_key != NULL) ||
               error_set(error, ERROR_ARGUMENT, "https needs both a certificate and its key");
        fine = fine && read_pem(options->tls_certificate, &certificate, error) && read_pem(options->tls_key, &key, error);
    }
    if (fine)
        fine = server_start(service, listener, false, certificate, key, server, error);
    else
        close(listener);
    if (key != NULL) sodium_memzero(key, strlen(key));
    memory_free(certificate);
    memory_free(key);
    return fine;
}

static void close_stores(struct service *service) {
    auth_free(service->auth);
    limits_free(service->limits);
    lines_free(service->lines);
    metrics_free(service->metrics);
    thumbnails_free(service->thumbnails);
    hub_free(service->hub);
    if (service->blobs != NULL) blobs_close(service->blobs);
    if (service->writer != NULL) store_close(service->writer);
}

bool service_run(const struct service_options *options, atomic_int *stop, void (*ready)(void *user, int port), void *user,
                 struct error *error) {
    struct service service = {.options = options, .scheme = options->tls_certificate == NULL ? "http" : "https"};
    struct server *server = NULL, *metrics = NULL;
    int listener = -1, port = 0;
    if (sodium_init() < 0) return error_set(error, ERROR_INTERNAL, "libsodium could not be started");
    json_use_memory();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    signal(SIGPIPE, SIG_IGN);
    bool fine = open_door(&service, &listener, &port, error) && open_stores(&service, error);
    if (!fine && listener >= 0) close(listener);
    fine = fine && start_server(&service, listener, &server, error) && open_operators_door(&service, &metrics, error);
    if (fine) {
        if (ready != NULL) ready(user, port);
        upkeep(&service, server, metrics, stop);
    }
    if (server != NULL) server_quiesce(server);
    if (metrics != NULL) server_quiesce(metrics);
    /* Order: no new work, every waiting connection woken, handlers finish, answers leave, connections close. */
    hub_stop(service.hub);
    handlers_stop(service.handlers);
    for (int64_t end = time_monotonic() + LAST_ANSWERS; service.requests > 0 && time_monotonic() < end;) time_sleep(5000);
    server_stop(server);
    server_stop(metrics);
    handlers_free(service.handlers);
    webhooks_stop(service.webhooks);
    close_stores(&service);
    return fine;
}
