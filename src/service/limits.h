/* Rate limits: a bucket of tokens for each caller and kind, filled evenly. Only when configured. */
#ifndef SERVICE_LIMITS_H
#define SERVICE_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct limits;
enum limit_kind { LIMIT_CREATES, LIMIT_REQUESTS, LIMIT_KINDS };

/* Per minute and caller; 0: no limit. NULL when out of memory. */
struct limits *limits_create(int creates, int requests);
void limits_free(struct limits *limits);

struct limit_answer {
    int remaining;     /* whole requests left at once */
    int retry_seconds; /* 0: go on; else come back then */
};
/* Count one request of the caller (a token's name or an address) at a time (monotonic microseconds). */
struct limit_answer limits_take(struct limits *limits, enum limit_kind kind, const char *caller, int64_t now);

#endif
