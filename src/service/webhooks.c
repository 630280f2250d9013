#include "service/webhooks.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "predict/trace.h"
#include "service/metrics.h"
#include "service/prediction_json.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IN_FLIGHT_MAX = 32,
    DELIVERY_SECONDS = 15,
    LEASE_SECONDS = 20, /* after a crash, so long what was being delivered has to wait for another */
    CONNECT_SECONDS = 5,
    TRIES_MAX = 8, /* 0.5 s, 1 s, ... 32 s apart: the last about a minute after the first */
    SLEEP_MAX_MS = 5000
};

struct delivery {
    struct delivery *next;
    struct webhook webhook; /* strings owned */
    CURL *curl;             /* NULL while it waits for an earlier one of the same prediction */
    struct curl_slist *headers;
    char *body;
    char secret[WEBHOOK_SECRET_SIZE]; /* of the prediction's owner */
};

struct webhooks {
    struct service *service;
    struct store *store;
    char *secret;
    CURLM *multi;
    pthread_t waker, sender;
    atomic_bool stopping;
    struct delivery *deliveries; /* oldest first */
    size_t count;
};

bool webhooks_secret(const struct webhooks *webhooks, const char *owner, char secret[WEBHOOK_SECRET_SIZE]) {
    return webhook_secret_of(webhooks->secret, owner, secret);
}

bool webhook_url_valid(const char *url, bool any) {
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL;
    bool fine = parts != NULL && strlen(url) <= 4096 && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] != 0 &&
                (strcasecmp(scheme, "https") == 0 || (any && strcasecmp(scheme, "http") == 0));
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parts);
    return fine;
}

/* ---- one delivery ---- */

static void delivery_free(struct webhooks *webhooks, struct delivery *delivery) {
    if (delivery->curl != NULL) {
        curl_multi_remove_handle(webhooks->multi, delivery->curl);
        curl_easy_cleanup(delivery->curl);
    }
    curl_slist_free_all(delivery->headers);
    memory_free(delivery->body);
    memory_free(delivery->webhook.url);
    memory_free(delivery);
}

static void drop(struct webhooks *webhooks, struct delivery *delivery) {
    for (struct delivery **link = &webhooks->deliveries; *link != NULL; link = &(*link)->next) {
        if (*link != delivery) continue;
        *link = delivery->next;
        break;
    }
    webhooks->count--;
    delivery_free(webhooks, delivery);
}

static bool private_address(const struct sockaddr *address) {
    if (address->sa_family == AF_INET) {
        uint32_t ip = ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr);
        return (ip >> 24) == 0 || (ip >> 24) == 10 || (ip >> 24) == 127 || (ip >> 22) == (100u << 2 | 1) || (ip >> 16) == 0xa9fe ||
               (ip >> 20) == 0xac1 || (ip >> 16) == 0xc0a8 || (ip >> 28) >= 14;
    }
    if (address->sa_family != AF_INET6) return true;
    const uint8_t *ip = ((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr;
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (memcmp(ip, mapped, 12) == 0) {
        struct sockaddr_in four = {.sin_family = AF_INET};
        memcpy(&four.sin_addr, ip + 12, 4);
        return private_address((const struct sockaddr *)&four);
    }
    static const uint8_t zeros[12] = {0};
    return memcmp(ip, zeros, 12) == 0 || (ip[0] & 0xfe) == 0xfc || (ip[0] == 0xfe && (ip[1] & 0x80) != 0) || ip[0] == 0xff ||
           (ip[0] == 0 && ip[1] == 0x64 && ip[2] == 0xff && ip[3] == 0x9b);
}

/* Called after the name was resolved, so that no name can point inside. */
static curl_socket_t open_public_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)context, (void)purpose;
    if (private_address(&address->addr)) return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t ignore_body(char *data, size_t size, size_t count, void *context) {
    (void)data, (void)context;
    return size * count;
}

/* The body is what GET would answer at the event's time. */
static bool make_body(struct webhooks *webhooks, struct delivery *delivery, struct error *error) {
    struct prediction prediction;
    const struct webhook *webhook = &delivery->webhook;
    const struct service_options *options = webhooks->service->options;
    if (!store_get(webhooks->store, webhook->prediction, NULL, &prediction, error)) return false;
    struct prediction_view view = {.base = prediction.public_base, .event = webhook->event, .aborted = options->say_aborted};
    if (options->data_uri_output || prediction.data_uri_output) view.blobs = webhooks->service->blobs;
    json_t *json = prediction_json(&prediction, &view);
    delivery->body = json == NULL ? NULL : json_text(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(json);
    bool fine = delivery->body != NULL || error_set(error, ERROR_MEMORY, "out of memory");
    fine = fine && (webhooks_secret(webhooks, prediction.owner == NULL ? "" : prediction.owner, delivery->secret) ||
                    error_set(error, ERROR_INTERNAL, "the stored webhook secret is not one"));
    prediction_free(&prediction);
    return fine;
}

static bool add_header(struct delivery *delivery, const char *name, const char *value) {
    char line[256];
    snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *grown = curl_slist_append(delivery->headers, line);
    if (grown != NULL) delivery->headers = grown;
    return grown != NULL;
}

static bool sign(struct delivery *delivery) {
    char signature[WEBHOOK_SIGNATURE_SIZE], seconds[32];
    int64_t now = time_wall() / 1000000;
    snprintf(seconds, sizeof seconds, "%" PRId64, now);
    return webhook_sign(delivery->secret, delivery->webhook.id, now, delivery->body, signature) &&
           add_header(delivery, "Content-Type", "application/json") && add_header(delivery, "webhook-id", delivery->webhook.id) &&
           add_header(delivery, "webhook-timestamp", seconds) && add_header(delivery, "webhook-signature", signature) &&
           add_header(delivery, "Expect", "");
}

/* A delivery is a span of its prediction's trace. */
static bool add_trace(struct delivery *delivery) {
    char trace[TRACE_SIZE];
    if (!delivery->webhook.trace[0]) return true;
    return trace_continue(delivery->webhook.trace, trace, NULL) && add_header(delivery, "traceparent", trace);
}

static void log_of(const struct webhook *webhook) {
    char id[TRACE_ID_SIZE];
    trace_id(webhook->trace, id);
    log_about(webhook->prediction, id);
}

static bool begin(struct webhooks *webhooks, struct delivery *delivery, struct error *error) {
    if (!make_body(webhooks, delivery, error)) return false;
    CURL *curl = curl_easy_init();
    if (curl == NULL || !sign(delivery) || !add_trace(delivery)) {
        curl_easy_cleanup(curl);
        return error_set(error, ERROR_MEMORY, "out of memory");
    }
    curl_easy_setopt(curl, CURLOPT_URL, delivery->webhook.url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)DELIVERY_SECONDS);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, delivery->headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "inpaintd");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(delivery->body));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, delivery->body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore_body);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, delivery);
    if (!webhooks->service->options->private_webhooks) curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_public_socket);
    delivery->curl = curl;
    return curl_multi_add_handle(webhooks->multi, curl) == CURLM_OK || error_set(error, ERROR_INTERNAL, "libcurl took no delivery");
}

/* By the clock that the outbox goes by; ours, where that can't be asked. */
static int64_t outbox_time(struct webhooks *webhooks) {
    int64_t now;
    return store_clock(webhooks->store, &now, NULL) ? now : time_wall();
}

/* Only the end of a prediction is worth a second try, and not what a redirect answers: it says that
 * the address is wrong. */
static void finish(struct webhooks *webhooks, struct delivery *delivery, long status, const char *trouble) {
    struct error error;
    const struct webhook *webhook = &delivery->webhook;
    bool delivered = trouble == NULL && status >= 200 && status < 300, redirected = trouble == NULL && status >= 300 && status < 400;
    bool again = !delivered && !redirected && webhook->event == WEBHOOK_COMPLETED && webhook->tries + 1 < TRIES_MAX;
    bool stored;
    log_of(webhook);
    metrics_delivery(webhooks->service->metrics, delivered ? DELIVERY_DONE : again ? DELIVERY_AGAIN : DELIVERY_GIVEN_UP);
    if (!delivered)
        log_info("webhook %s of prediction %s: %s (status %ld)%s", webhook->id, webhook->prediction, trouble == NULL ? "refused" : trouble,
                 status, again ? ", will be tried again" : ", given up");
    if (again) {
        int64_t retry = outbox_time(webhooks) + ((int64_t)500000 << webhook->tries);
        stored = store_webhook_retry(webhooks->store, webhook->row, retry, &error);
    } else {
        stored = store_webhook_done(webhooks->store, webhook->row, &error);
    }
    if (!stored) log_error("webhook outbox: %s", error.message);
    log_about(NULL, NULL);
    drop(webhooks, delivery);
}

/* ---- the thread ---- */

static bool earlier_under_way(const struct webhooks *webhooks, const struct delivery *delivery) {
    for (const struct delivery *other = webhooks->deliveries; other != delivery; other = other->next)
        if (strcmp(other->webhook.prediction, delivery->webhook.prediction) == 0) return true;
    return false;
}

/* Events of one prediction arrive in their order. */
static void begin_what_can(struct webhooks *webhooks) {
    struct delivery *next;
    struct error error;
    for (struct delivery *delivery = webhooks->deliveries; delivery != NULL; delivery = next) {
        next = delivery->next;
        if (delivery->curl != NULL || earlier_under_way(webhooks, delivery)) continue;
        if (!begin(webhooks, delivery, &error)) finish(webhooks, delivery, 0, error.message);
    }
}

static bool is_here(const struct webhooks *webhooks, int64_t row) {
    const struct delivery *delivery = webhooks->deliveries;
    while (delivery != NULL && delivery->webhook.row != row) delivery = delivery->next;
    return delivery != NULL;
}

static void claim(struct webhooks *webhooks) {
    struct webhook *rows;
    size_t count;
    struct error error;
    if (webhooks->count >= IN_FLIGHT_MAX) return;
    if (!store_webhooks_claim(webhooks->store, LEASE_SECONDS, IN_FLIGHT_MAX - webhooks->count, &rows, &count, &error)) {
        log_error("webhook outbox: %s", error.message);
        return;
    }
    struct delivery **end = &webhooks->deliveries;
    while (*end != NULL) end = &(*end)->next;
    for (size_t i = 0; i < count; i++) {
        /* One that waited here for longer than its lease came again. Without memory it will, too. */
        struct delivery *delivery = is_here(webhooks, rows[i].row) ? NULL : memory_zero(sizeof *delivery);
        if (delivery == NULL) continue;
        delivery->webhook = rows[i];
        rows[i].url = NULL;
        *end = delivery;
        end = &delivery->next;
        webhooks->count++;
    }
    webhooks_free(rows, count);
}

static void collect(struct webhooks *webhooks) {
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(webhooks->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE) continue;
        struct delivery *delivery = NULL;
        long status = 0;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &delivery);
        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        if (delivery != NULL) finish(webhooks, delivery, status, code == CURLE_OK ? NULL : curl_easy_strerror(code));
    }
}

/* How long nothing needs to be done, unless the store changes or a delivery goes on. */
static int idle_milliseconds(struct webhooks *webhooks) {
    int64_t due = 0;
    if (!store_webhooks_due(webhooks->store, &due, NULL) || due == 0) return SLEEP_MAX_MS;
    int64_t now = outbox_time(webhooks);
    if (due - now > (int64_t)SLEEP_MAX_MS * 1000) return SLEEP_MAX_MS;
    if (due > now) return (int)((due - now) / 1000) + 1;
    return webhooks->count >= IN_FLIGHT_MAX ? 100 : 0;
}

static void *send_all(void *argument) {
    struct webhooks *webhooks = argument;
    while (!webhooks->stopping) {
        int running, idle = idle_milliseconds(webhooks);
        if (idle == 0) claim(webhooks);
        begin_what_can(webhooks);
        curl_multi_perform(webhooks->multi, &running);
        collect(webhooks);
        begin_what_can(webhooks);
        idle = idle_milliseconds(webhooks);
        if (idle > 0) curl_multi_poll(webhooks->multi, NULL, 0, idle, NULL);
    }
    return NULL;
}

/* The store's changes end the sender's sleep. */
static void *watch_store(void *argument) {
    struct webhooks *webhooks = argument;
    uint32_t seen = 0;
    while (!webhooks->stopping) {
        if (store_wait(webhooks->store, &seen, SLEEP_MAX_MS)) curl_multi_wakeup(webhooks->multi);
    }
    return NULL;
}

bool webhooks_start(struct service *service, struct webhooks **out, struct error *error) {
    struct webhooks *webhooks = memory_zero(sizeof *webhooks);
    char secret[WEBHOOK_SECRET_SIZE];
    if (webhooks == NULL) return error_set(error, ERROR_MEMORY, "out of memory");
    webhooks->service = service;
    webhooks->multi = curl_multi_init();
    bool fine = webhooks->multi != NULL || error_set(error, ERROR_MEMORY, "out of memory");
    fine = fine && store_open(service->options->store_url, &webhooks->store, error) && webhook_secret_create(secret, error) &&
           store_setting(webhooks->store, "webhook_secret", secret, &webhooks->secret, error);
    if (fine && pthread_create(&webhooks->waker, NULL, watch_store, webhooks) != 0)
        fine = error_set(error, ERROR_INTERNAL, "a thread could not be started");
    else if (fine && pthread_create(&webhooks->sender, NULL, send_all, webhooks) != 0) {
        fine = error_set(error, ERROR_INTERNAL, "a thread could not be started");
        webhooks->stopping = true;
        store_wake(webhooks->store);
        pthread_join(webhooks->waker, NULL);
    }
    if (fine) {
        *out = webhooks;
        return true;
    }
    if (webhooks->multi != NULL) curl_multi_cleanup(webhooks->multi);
    store_close(webhooks->store);
    memory_free(webhooks->secret);
    memory_free(webhooks);
    return false;
}

void webhooks_stop(struct webhooks *webhooks) {
    if (webhooks == NULL) return;
    webhooks->stopping = true;
    store_wake(webhooks->store);
    curl_multi_wakeup(webhooks->multi);
    pthread_join(webhooks->waker, NULL);
    pthread_join(webhooks->sender, NULL);
    while (webhooks->deliveries != NULL) drop(webhooks, webhooks->deliveries);
    curl_multi_cleanup(webhooks->multi);
    store_close(webhooks->store);
    memory_free(webhooks->secret);
    memory_free(webhooks);
}
