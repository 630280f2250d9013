#include "service/limits.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { CALLERS = 4096, PROBES = 8, CALLER_SIZE = 72 };

struct bucket {
    char caller[CALLER_SIZE];
    double left[LIMIT_KINDS];
    int64_t filled[LIMIT_KINDS]; /* when `left` was right */
    int64_t used;                /* the least recent one gives way when there are too many callers */
};

struct limits {
    pthread_mutex_t lock;
    int per_minute[LIMIT_KINDS];
    struct bucket buckets[CALLERS];
};

struct limits *limits_create(int creates, int requests) {
    struct limits *limits = memory_zero(sizeof *limits);
    if (limits == NULL) return NULL;
    pthread_mutex_init(&limits->lock, NULL);
    limits->per_minute[LIMIT_CREATES] = creates;
    limits->per_minute[LIMIT_REQUESTS] = requests;
    return limits;
}

void limits_free(struct limits *limits) {
    if (limits == NULL) return;
    pthread_mutex_destroy(&limits->lock);
    memory_free(limits);
}

/* The caller's bucket among a few neighbours; a new one starts full, in the least recent one's place. */
static struct bucket *find(struct limits *limits, const char *caller, int64_t now) {
    uint32_t hash = 2166136261u;
    for (const char *byte = caller; *byte != 0; byte++) hash = (hash ^ (unsigned char)*byte) * 16777619u;
    struct bucket *oldest = &limits->buckets[hash % CALLERS];
    for (uint32_t i = 0; i < PROBES; i++) {
        struct bucket *bucket = &limits->buckets[(hash + i) % CALLERS];
        if (strncmp(bucket->caller, caller, CALLER_SIZE - 1) == 0) return bucket;
        if (bucket->used < oldest->used) oldest = bucket;
    }
    snprintf(oldest->caller, sizeof oldest->caller, "%s", caller);
    for (int kind = 0; kind < LIMIT_KINDS; kind++) {
        oldest->left[kind] = limits->per_minute[kind];
        oldest->filled[kind] = now;
    }
    return oldest;
}

struct limit_answer limits_take(struct limits *limits, enum limit_kind kind, const char *caller, int64_t now) {
    struct limit_answer answer = {0};
    double most = limits->per_minute[kind], rate = most / 60e6;
    if (limits->per_minute[kind] <= 0) return answer;
    pthread_mutex_lock(&limits->lock);
    struct bucket *bucket = find(limits, caller, now);
    double left = bucket->left[kind] + (double)(now - bucket->filled[kind]) * rate;
    if (left > most) left = most;
    if (left >= 1)
        left -= 1;
    else
        answer.retry_seconds = 1 + (int)((1 - left) / rate / 1e6);
    bucket->left[kind] = left;
    bucket->filled[kind] = bucket->used = now;
    pthread_mutex_unlock(&limits->lock);
    answer.remaining = (int)left;
    return answer;
}
