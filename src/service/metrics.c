#include "service/metrics_internal.h"

#include "base/memory.h"

static const double request_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10, 60};
static const double prediction_bounds[] = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600};

static struct histogram histogram_of(const double *bounds, size_t buckets) {
    return (struct histogram){.bounds = bounds, .buckets = buckets};
}

void histogram_add(struct histogram *histogram, double value) {
    size_t bucket = 0;
    while (bucket < histogram->buckets && value > histogram->bounds[bucket]) bucket++;
    histogram->counts[bucket]++;
    histogram->count++;
    histogram->sum += value;
}

struct metrics *metrics_create(int64_t after) {
    const struct histogram seconds = histogram_of(prediction_bounds, sizeof prediction_bounds / sizeof *prediction_bounds);
    struct metrics *metrics = memory_zero(sizeof *metrics);
    if (metrics == NULL) return NULL;
    pthread_mutex_init(&metrics->lock, NULL);
    pthread_mutex_init(&metrics->reading, NULL);
    for (size_t i = 0; i < ROUTES_MAX; i++)
        metrics->routes[i].seconds = histogram_of(request_bounds, sizeof request_bounds / sizeof *request_bounds);
    metrics->waited = metrics->ran = metrics->total = seconds;
    metrics->after = after;
    return metrics;
}

void metrics_free(struct metrics *metrics) {
    if (metrics == NULL) return;
    pthread_mutex_destroy(&metrics->reading);
    pthread_mutex_destroy(&metrics->lock);
    memory_free(metrics);
}

static size_t place_of(const struct route *route) {
    if (route == NULL) return routes_count + 1;
    return route >= routes && route < routes + routes_count ? (size_t)(route - routes) : routes_count;
}

void metrics_request(struct metrics *metrics, const struct route *route, unsigned status, double seconds) {
    size_t place = place_of(route);
    if (metrics == NULL || place >= ROUTES_MAX) return;
    pthread_mutex_lock(&metrics->lock);
    struct route_figures *figures = &metrics->routes[place];
    if (status >= STATUS_FIRST && status < STATUS_FIRST + STATUSES) figures->statuses[status - STATUS_FIRST]++;
    histogram_add(&figures->seconds, seconds);
    pthread_mutex_unlock(&metrics->lock);
}

void metrics_delivery(struct metrics *metrics, enum delivery_outcome outcome) {
    if (metrics == NULL) return;
    pthread_mutex_lock(&metrics->lock);
    metrics->deliveries[outcome]++;
    pthread_mutex_unlock(&metrics->lock);
}

void metrics_blobs(struct metrics *metrics, size_t count, uint64_t bytes) {
    pthread_mutex_lock(&metrics->lock);
    metrics->blobs_known = true;
    metrics->blobs = count;
    metrics->blob_bytes = bytes;
    pthread_mutex_unlock(&metrics->lock);
}
