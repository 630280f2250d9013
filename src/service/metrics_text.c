/* The figures as text: https://prometheus.io/docs/instrumenting/exposition_formats/ (0.0.4). */
#include "service/metrics_internal.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ENDED_PORTION = 1000 };

static void family(struct buffer *text, const char *name, const char *type, const char *help) {
    buffer_format(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct buffer *text, const char *name, const char *help, double value) {
    family(text, name, "gauge", help);
    buffer_format(text, "%s %.17g\n", name, value);
}

static void counter(struct buffer *text, const char *name, const char *help, double value) {
    family(text, name, "counter", help);
    buffer_format(text, "%s %.17g\n", name, value);
}

/* labels: "" or `route="/x",`, with the comma. */
static void histogram(struct buffer *text, const char *name, const char *labels, const struct histogram *histogram) {
    uint64_t below = 0;
    int length = (int)(labels[0] == 0 ? 0 : strlen(labels) - 1);
    for (size_t i = 0; i < histogram->buckets; i++) {
        below += histogram->counts[i];
        buffer_format(text, "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, labels, histogram->bounds[i], below);
    }
    buffer_format(text, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, histogram->count);
    buffer_format(text, "%s_sum{%.*s} %.17g\n", name, length, labels, histogram->sum);
    buffer_format(text, "%s_count{%.*s} %" PRIu64 "\n", name, length, labels, histogram->count);
}

/* ---- predictions ---- */

static void count_end(struct metrics *metrics, const struct ended *ended) {
    if (ended->status >= PREDICTION_SUCCEEDED && ended->status - PREDICTION_SUCCEEDED < ENDS)
        metrics->ends[ended->status - PREDICTION_SUCCEEDED]++;
    if (ended->started) {
        histogram_add(&metrics->waited, ended->waited);
        histogram_add(&metrics->ran, ended->ran);
    }
    histogram_add(&metrics->total, ended->total);
}

/* What has ended since the last time. */
static bool catch_up(struct metrics *metrics, struct store *store, struct error *error) {
    size_t count = ENDED_PORTION;
    while (count == ENDED_PORTION) {
        struct ended *ended;
        if (!store_ended(store, metrics->after, ENDED_PORTION, &ended, &count, error)) return false;
        for (size_t i = 0; i < count; i++) {
            count_end(metrics, &ended[i]);
            metrics->after = ended[i].sequence;
        }
        memory_free(ended);
    }
    return true;
}

static void write_predictions(const struct metrics *metrics, struct buffer *text) {
    static const char *const names[ENDS] = {"succeeded", "failed", "canceled"};
    family(text, "inpaintd_predictions_ended_total", "counter", "Predictions that ended since this service began, on all machines.");
    for (size_t i = 0; i < ENDS; i++)
        buffer_format(text, "inpaintd_predictions_ended_total{status=\"%s\"} %" PRIu64 "\n", names[i], metrics->ends[i]);
    family(text, "inpaintd_prediction_wait_seconds", "histogram", "From the creation of ended predictions to their start.");
    histogram(text, "inpaintd_prediction_wait_seconds", "", &metrics->waited);
    family(text, "inpaintd_prediction_run_seconds", "histogram", "What their last attempt took.");
    histogram(text, "inpaintd_prediction_run_seconds", "", &metrics->ran);
    family(text, "inpaintd_prediction_total_seconds", "histogram", "From their creation to their end.");
    histogram(text, "inpaintd_prediction_total_seconds", "", &metrics->total);
}

static void write_census(const struct store_census *census, struct buffer *text) {
    family(text, "inpaintd_queue_predictions", "gauge", "Predictions that have not ended, on all machines.");
    buffer_format(text, "inpaintd_queue_predictions{status=\"starting\"} %zu\ninpaintd_queue_predictions{status=\"processing\"} %zu\n",
                  census->starting, census->processing);
    gauge(text, "inpaintd_queue_oldest_seconds", "How long the oldest waiting prediction has waited; 0 without one.",
          census->oldest_seconds);
    gauge(text, "inpaintd_workers", "Workers that are there, idle or not, on all machines.", (double)census->workers);
    counter(text, "inpaintd_claims_total", "Predictions handed to workers since the store was made, second attempts too.",
            (double)census->claims);
    gauge(text, "inpaintd_webhooks_waiting", "Webhooks in the outbox.", (double)census->webhooks);
    gauge(text, "inpaintd_webhooks_failing", "Webhooks in the outbox that were refused at least once.", (double)census->webhooks_failing);
    gauge(text, "inpaintd_files", "Uploaded files.", (double)census->files);
    gauge(text, "inpaintd_file_bytes", "Bytes of uploaded files.", (double)census->file_bytes);
}

/* ---- this service ---- */

static void route_labels(size_t place, char labels[160]) {
    if (place < routes_count)
        snprintf(labels, 160, "method=\"%s\",route=\"%s\",", routes[place].method, routes[place].pattern);
    else
        snprintf(labels, 160, "method=\"%s\",route=\"%s\",", place == routes_count ? "GET" : "", place == routes_count ? "/" : "");
}

static void write_requests(const struct metrics *metrics, struct buffer *text) {
    char labels[160];
    family(text, "inpaintd_http_requests_total", "counter", "Requests that this service answered, by route (none: empty) and status.");
    for (size_t place = 0; place < ROUTES_MAX; place++) {
        route_labels(place, labels);
        for (unsigned i = 0; i < STATUSES; i++)
            if (metrics->routes[place].statuses[i] > 0)
                buffer_format(text, "inpaintd_http_requests_total{%sstatus=\"%u\"} %u\n", labels, STATUS_FIRST + i,
                              metrics->routes[place].statuses[i]);
    }
    family(text, "inpaintd_http_request_seconds", "histogram", "From a request's first line to its end; waits and streams are long.");
    for (size_t place = 0; place < ROUTES_MAX; place++) {
        route_labels(place, labels);
        if (metrics->routes[place].seconds.count > 0)
            histogram(text, "inpaintd_http_request_seconds", labels, &metrics->routes[place].seconds);
    }
}

static void write_deliveries(const struct metrics *metrics, struct buffer *text) {
    static const char *const names[DELIVERY_OUTCOMES] = {"delivered", "retried", "given_up"};
    family(text, "inpaintd_webhook_deliveries_total", "counter", "Tries of this service to deliver webhooks, by what became of them.");
    for (size_t i = 0; i < DELIVERY_OUTCOMES; i++)
        buffer_format(text, "inpaintd_webhook_deliveries_total{outcome=\"%s\"} %" PRIu64 "\n", names[i], metrics->deliveries[i]);
}

static void write_blobs(const struct metrics *metrics, struct buffer *text) {
    if (!metrics->blobs_known) return;
    gauge(text, "inpaintd_blobs", "Pictures and uploads stored, as counted within the last hour.", (double)metrics->blobs);
    gauge(text, "inpaintd_blob_bytes", "Their bytes.", (double)metrics->blob_bytes);
}

static void write_process(struct buffer *text) {
    struct timespec spent;
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%20llu %20llu", &size, &resident) != 2) resident = 0;
        fclose(file);
    }
    if (resident > 0)
        gauge(text, "process_resident_memory_bytes", "Memory of this service, without its workers.",
              (double)resident * (double)sysconf(_SC_PAGESIZE));
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent) == 0)
        counter(text, "process_cpu_seconds_total", "Processor time of this service, without its workers.",
                (double)spent.tv_sec + (double)spent.tv_nsec / 1e9);
}

static void write_space(const struct space *space, struct buffer *text) {
    uint64_t left = space_left(space);
    if (left != UINT64_MAX) gauge(text, "inpaintd_disk_free_bytes", "What is left for queue and pictures on this machine.", (double)left);
    gauge(text, "inpaintd_disk_floor_bytes", "With less left nothing new is taken.", (double)space->floor);
}

bool metrics_write(struct metrics *metrics, struct store *store, const struct space *space, struct buffer *text, struct error *error) {
    struct store_census census;
    if (!store_census(store, &census, error)) return false;
    family(text, "inpaintd_build_info", "gauge", "Always 1; the labels tell.");
    buffer_format(text, "inpaintd_build_info{version=\"%s\"} 1\n", INPAINT_VERSION);
    write_census(&census, text);
    pthread_mutex_lock(&metrics->reading);
    bool fine = catch_up(metrics, store, error);
    if (fine) write_predictions(metrics, text);
    pthread_mutex_unlock(&metrics->reading);
    if (!fine) return false;
    pthread_mutex_lock(&metrics->lock);
    write_requests(metrics, text);
    write_deliveries(metrics, text);
    write_blobs(metrics, text);
    pthread_mutex_unlock(&metrics->lock);
    write_space(space, text);
    write_process(text);
    return !text->failed || error_set(error, ERROR_MEMORY, "out of memory");
}
