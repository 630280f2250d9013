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

void packed_weights_free(struct packed_weights *packed) {
    if (!packed) return;
    for (size_t i = 0; i < PACKED_BUCKETS; i++)
        for (struct packed_entry *entry = packed->bucket[i], *next; entry; entry = next) {
            next = entry->next;
            memory_free(entry);
        }
    for (struct packed_slab *slab = packed->slabs, *next; slab; slab = next) {
        next = slab->next;
        memory_aligned_free(slab->data);
        memory_free(slab);
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
    if (!entry) return NULL;
    entry->key = request->key;
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
        memory_free(entry);
        packed->bytes -= request->bytes;
        return;
    }
}

static unsigned char *add_slab(struct packed_weights *packed, size_t bytes) {
    struct packed_slab *slab = memory_zero(sizeof *slab);
    void *data = memory_aligned(bytes);
    if (!slab || !data) {
        memory_free(slab);
        memory_aligned_free(data);
        return NULL;
    }
    *slab = (struct packed_slab){packed->slabs, data};
    packed->slabs = slab;
    return data;
}

/* ---- packing ---- */

struct packing {
    const struct packed_request **request;
    const struct packed_notice *notice;
};

static void pack_one(void *context, size_t task, size_t thread) {
    (void)thread;
    const struct packed_request *request = ((struct packing *)context)->request[task];
    void *data = (void *)(uintptr_t)*request->result;
    const struct packed_notice *notice = ((struct packing *)context)->notice;
    request->pack(request->source, data);
    for (int i = 0; i < request->tensors && notice->function; i++) {
        const struct tensor *tensor = &request->tensor[i];
        notice->function(notice->user, tensor->data, tensor_count(tensor) * dtype_size(tensor->dtype));
    }
}

static size_t in_slab(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* Make entries for what is not there yet: `fresh` gets their requests, `entries` each request's entry. */
static bool add_missing(struct packed_weights *packed, const struct packed_request *requests, size_t count,
                        const struct packed_request **fresh, size_t *fresh_count, struct packed_entry **entries) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        entries[i] = packed_find(packed, &requests[i]);
        if (entries[i]) continue;
        entries[i] = add(packed, &requests[i]);
        if (!entries[i]) return false;
        fresh[(*fresh_count)++] = &requests[i];
        bytes += in_slab(requests[i].bytes);
    }
    unsigned char *slab = bytes ? add_slab(packed, bytes) : NULL;
    if (bytes && !slab) return false;
    for (size_t i = 0; i < *fresh_count; i++) {
        entries[fresh[i] - requests]->data = slab;
        slab += in_slab(fresh[i]->bytes);
    }
    for (size_t i = 0; i < count; i++) *requests[i].result = entries[i]->data;
    if (packed->ready_bytes && *fresh_count)
        log_info("%zu of %zu weights (%.1f MB) are packed anew: the packed file was made for another processor, number format or size",
                 *fresh_count, count, (double)bytes / 1e6);
    return true;
}

/* With the mutex held: another plan that wants the same weight waits until it is packed. */
static bool fulfil(struct packed_weights *packed, const struct packed_request *requests, size_t count, const struct packed_notice *notice,
                   struct pool *pool) {
    const struct packed_request **fresh = memory_array(count, sizeof(struct packed_request *));
    struct packed_entry **entries = memory_array(count, sizeof(struct packed_entry *));
    size_t fresh_count = 0;
    bool fine =
        fresh && entries && packed_try(packed, requests, count) && add_missing(packed, requests, count, fresh, &fresh_count, entries);
    if (fine) {
        struct packing packing = {fresh, notice};
        pool_run(pool, fresh_count, pack_one, &packing);
    }
    for (size_t i = 0; i < fresh_count && !fine; i++) take_back(packed, fresh[i]);
    memory_free(fresh);
    memory_free(entries);
    return fine;
}

bool packed_weights_fulfil(struct packed_weights *packed, const struct packed_request *requests, size_t count,
                           const struct packed_notice *notice, struct pool *pool, struct error *error) {
    pthread_mutex_lock(&packed->mutex);
    bool fine = fulfil(packed, requests, count, notice, pool);
    pthread_mutex_unlock(&packed->mutex);
    return fine || error_set(error, ERROR_MEMORY, "out of memory while converting weights");
}
