/* Figures for Prometheus: what this service counted itself, and what the store says of all machines. */
#ifndef SERVICE_METRICS_H
#define SERVICE_METRICS_H

#include "service/routes.h"
#include "service/space.h"

struct metrics;

/* after: the store's last event when the service begins; what ends later is counted. NULL when out of memory. */
struct metrics *metrics_create(int64_t after);
void metrics_free(struct metrics *metrics);

/* route NULL: none fitted. */
void metrics_request(struct metrics *metrics, const struct route *route, unsigned status, double seconds);
enum delivery_outcome { DELIVERY_DONE, DELIVERY_AGAIN, DELIVERY_GIVEN_UP, DELIVERY_OUTCOMES };
void metrics_delivery(struct metrics *metrics, enum delivery_outcome outcome);
/* As they were found when somebody looked last. */
void metrics_blobs(struct metrics *metrics, size_t count, uint64_t bytes);

/* Everything, in Prometheus' text format 0.0.4. */
bool metrics_write(struct metrics *metrics, struct store *store, const struct space *space, struct buffer *text, struct error *error);

#endif
