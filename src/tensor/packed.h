/* The cache of packed weights, as its files see it. Only for this folder. */
#ifndef TENSOR_PACKED_H
#define TENSOR_PACKED_H

#include "tensor/plan_internal.h"

#include <pthread.h>

enum { PACKED_BUCKETS = 1024, PACKED_REGIONS = 8, PACKED_TRIALS = 256 };

struct packed_entry {
    struct packed_entry *next;
    struct packed_key key;
    const void *data;
    size_t bytes;
    bool ready; /* lies in a packed file: not ours to free */
};

/* Plain weights that packed files know by a name and a place. */
struct packed_region {
    char name[32];
    const unsigned char *first;
    size_t size;
};

/* Whether what a packed file holds in a layout is what packing here gives. */
struct packed_trial {
    char layout[PACKED_LAYOUT];
    bool right;
};

/* What one plan packed lies in one block: large pages for all of it, and none half used. */
struct packed_slab {
    struct packed_slab *next;
    void *data;
};

struct packed_weights {
    pthread_mutex_t mutex;
    struct packed_entry *bucket[PACKED_BUCKETS];
    struct packed_slab *slabs;
    size_t bytes, ready_bytes;
    struct packed_region region[PACKED_REGIONS];
    size_t region_count;
    struct packed_trial trial[PACKED_TRIALS];
    size_t trial_count;
};

struct packed_entry **packed_bucket(struct packed_weights *packed, const struct packed_key *key);

/* Try each layout of the ready weights that `requests` would use and that was not tried yet: pack the
 * smallest again and compare. Those of a wrong layout are not found any more. */
bool packed_try(struct packed_weights *packed, const struct packed_request *requests, size_t count);
/* The entry that may be used for the key, or NULL. */
struct packed_entry *packed_find(struct packed_weights *packed, const struct packed_request *request);

#endif
