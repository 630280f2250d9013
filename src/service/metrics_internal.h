/* What counting (metrics.c) and writing (metrics_text.c) share. */
#ifndef SERVICE_METRICS_INTERNAL_H
#define SERVICE_METRICS_INTERNAL_H

#include "service/metrics.h"

#include <pthread.h>

enum { BUCKETS_MAX = 14, STATUS_FIRST = 100, STATUSES = 500, ROUTES_MAX = 64, ENDS = 3 };

/* counts[i]: observations up to bounds[i] and above the bound before; the last one: above all. */
struct histogram {
    const double *bounds;
    size_t buckets;
    uint64_t counts[BUCKETS_MAX + 1], count;
    double sum;
};

/* Of the rows of the table; then the page's and that of no route at all. */
struct route_figures {
    uint32_t statuses[STATUSES];
    struct histogram seconds;
};

struct metrics {
    pthread_mutex_t lock; /* over what follows, for moments: the threads that poll must not wait */
    struct route_figures routes[ROUTES_MAX];
    uint64_t deliveries[DELIVERY_OUTCOMES];
    bool blobs_known;
    size_t blobs;
    uint64_t blob_bytes;

    pthread_mutex_t reading; /* over what follows, while the store is read */
    int64_t after;           /* the last event that was looked at */
    uint64_t ends[ENDS];     /* succeeded, failed, canceled */
    struct histogram waited, ran, total;
};

void histogram_add(struct histogram *histogram, double value);

#endif
