/* Weights in the kernels' layouts, made once and shared by all plans of a model. */
#include "base/log.h"
#include "base/memory.h"
#include "tensor/packed.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct packed_weights *packed_weights_create(struct error *error) {
    struct packed_weights *packed = memory_zero(sizeof *packed);
    if (!packed) {
        error_set(error, ERROR_MEMORY, "out of memory for a cache of weights");
        return NULL;
    }
    pthread_mutex_init(&packed->mutex, NULL);
    return packed;
}

static void free_entry(struct packed_entry *entry) {
    if (!entry->ready) memory_aligned_free((void *)(uintptr_t)entry->data);
    memory_free(entry);
}

void packed_weights_free(struct packed_weights *packed) {
    if (!packed) return;
    for (size_t i = 0; i < PACKED_BUCKETS; i++)
        for (struct packed_entry *entry = packed->bucket[i], *next; entry; entry = next) {
            next = entry->next;
            free_entry(entry);
        }
    pthread_mutex_destroy(&packed->mutex);
    memory_free(packed);
}

size_t packed_weights_bytes(const struct packed_weights *packed) {
    struct packed_weights *locked = (struct packed_weights *)packed; /* only the mutex changes */
    pthread_mutex_lock(&locked->mutex);
    size_t bytes = packed->bytes;
    pthread_mutex_unlock(&locked->mutex);
    return bytes;
}

/* ---- keys ---- */

void packed_key_init(struct packed_key *key, const char *layout) {
    memset(key, 0, sizeof *key); /* padding too: keys are compared as bytes */
    snprintf(key->layout, sizeof key->layout, "%s", layout);
}

/* number[0] counts the numbers that follow. */
void packed_key_number(struct packed_key *key, size_t number) {
    if (key->number[0] + 1 < PACKED_NUMBERS) key->number[++key->number[0]] = number;
}

void packed_key_tensor(struct packed_key *key, int place, const struct tensor *tensor) {
    key->data[place] = tensor->data;
    if (!tensor->data) return;
    packed_key_number(key, (size_t)tensor->dtype);
    packed_key_number(key, (size_t)tensor->rank);
    for (int i = 0; i < tensor->rank; i++) packed_key_number(key, tensor->shape[i]);
}

struct packed_entry **packed_bucket(struct packed_weights *packed, const struct packed_key *key) {
    const unsigned char *bytes = (const unsigned char *)key;
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < sizeof *key; i++) hash = (hash ^ bytes[i]) * 1099511628211u;
    return &packed->bucket[(hash >> 32) % PACKED_BUCKETS];
}

static struct packed_entry *add(struct packed_weights *packed, const struct packed_request *request) {
    struct packed_entry *entry = memory_zero(sizeof *entry);
    void *data = memory_aligned(request->bytes);
    if (!entry || !data) {
        memory_free(entry);
        memory_aligned_free(data);
        return NULL;
    }
    entry->key = request->key;
    entry->data = data;
    entry->bytes = request->bytes;
    struct packed_entry **bucket = packed_bucket(packed, &request->key);
    entry->next = *bucket;
    *bucket = entry;
    packed->bytes += request->bytes;
    return entry;
}

static void take_back(struct packed_weights *packed, const struct packed_request *request) {
    for (struct packed_entry **at = packed_bucket(packed, &request->key); *at; at = &(*at)->next) {
        if ((*at)->ready || memcmp(&(*at)->key, &request->key, sizeof request->key) != 0) continue;
        struct packed_entry *entry = *at;
        *at = entry->next;
        free_entry(entry);
        packed->bytes -= request->bytes;
        return;
    }
}

/* ---- packing ---- */

struct packing {
    const struct packed_request **request;
};

static void pack_one(void *context, size_t task, size_t thread) {
    (void)thread;
    const struct packed_request *request = ((struct packing *)context)->request[task];
    void *data = (void *)(uintptr_t)*request->result;
    request->pack(request->source, data);
}

/* With the mutex held: another plan that wants the same weight waits until it is packed. */
static bool fulfil(struct packed_weights *packed, const struct packed_request *requests, size_t count, struct pool *pool) {
    const struct packed_request **fresh = memory_array(count, sizeof(struct packed_request *));
    if (!fresh) return false;
    size_t fresh_count = 0, fresh_bytes = 0;
    bool fine = packed_try(packed, requests, count);
    for (size_t i = 0; i < count && fine; i++) {
        struct packed_entry *entry = packed_find(packed, &requests[i]);
        if (!entry) {
            entry = add(packed, &requests[i]);
            if (entry) fresh[fresh_count++] = &requests[i];
            fresh_bytes += requests[i].bytes;
        }
        fine = entry != NULL;
        if (fine) *requests[i].result = entry->data;
    }
    if (fine) {
        struct packing packing = {fresh};
        if (packed->ready_bytes && fresh_count)
            log_info("%zu of %zu weights (%.1f MB) are packed anew: the packed file was made for another processor, number format or size",
                     fresh_count, count, (double)fresh_bytes / 1e6);
        pool_run(pool, fresh_count, pack_one, &packing);
    } else {
        for (size_t i = 0; i < fresh_count; i++) take_back(packed, fresh[i]);
    }
    memory_free(fresh);
    return fine;
}

bool packed_weights_fulfil(struct packed_weights *packed, const struct packed_request *requests, size_t count, struct pool *pool,
                           struct error *error) {
    pthread_mutex_lock(&packed->mutex);
    bool fine = fulfil(packed, requests, count, pool);
    pthread_mutex_unlock(&packed->mutex);
    return fine || error_set(error, ERROR_MEMORY, "out of memory while converting weights");
}
