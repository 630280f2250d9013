/* Packed weights to a file and back. In the file a weight is known by its place in a region rather than
 * by its address; its layout, by the text that kernels with equal layouts share. */
#include "base/log.h"
#include "base/memory.h"
#include "tensor/packed.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Raise it whenever a kernel writes other bytes under the same name of a layout. */
enum { REVISION = 1, BLOB_ALIGNMENT = 4096, ENTRIES_MAX = 100000 };

void packed_weights_region(struct packed_weights *packed, const char *name, const void *first, size_t size) {
    if (packed->region_count == PACKED_REGIONS) return;
    struct packed_region *region = &packed->region[packed->region_count++];
    snprintf(region->name, sizeof region->name, "%s", name);
    region->first = first;
    region->size = size;
}

size_t packed_weights_ready_bytes(const struct packed_weights *packed) { return packed->ready_bytes; }

/* ==== Saving ==== */

static const struct packed_region *region_of(const struct packed_weights *packed, const void *data) {
    for (size_t i = 0; i < packed->region_count; i++) {
        const struct packed_region *region = &packed->region[i];
        if ((uintptr_t)data >= (uintptr_t)region->first && (uintptr_t)data - (uintptr_t)region->first < region->size) return region;
    }
    return NULL;
}

static bool can_be_saved(const struct packed_weights *packed, const struct packed_entry *entry) {
    size_t there = 0;
    for (int i = 0; i < LINEAR_WEIGHTS_MAX; i++) {
        there += entry->key.data[i] != NULL;
        if (entry->key.data[i] && !region_of(packed, entry->key.data[i])) return false;
    }
    return there > 0;
}

struct listed {
    const struct packed_entry *entry;
    size_t region[LINEAR_WEIGHTS_MAX], place[LINEAR_WEIGHTS_MAX]; /* of its weights; region 0: none */
};

static int by_key(const void *a, const void *b) {
    const struct listed *left = a, *right = b;
    for (int i = 0; i < LINEAR_WEIGHTS_MAX; i++) {
        if (left->region[i] != right->region[i]) return left->region[i] < right->region[i] ? -1 : 1;
        if (left->place[i] != right->place[i]) return left->place[i] < right->place[i] ? -1 : 1;
    }
    int order = strcmp(left->entry->key.layout, right->entry->key.layout);
    return order ? order : memcmp(left->entry->key.number, right->entry->key.number, sizeof left->entry->key.number);
}

static struct listed list_entry(const struct packed_weights *packed, const struct packed_entry *entry) {
    struct listed listed = {.entry = entry};
    for (int i = 0; i < LINEAR_WEIGHTS_MAX; i++) {
        const unsigned char *data = entry->key.data[i];
        const struct packed_region *region = data ? region_of(packed, data) : NULL;
        if (!region) continue;
        listed.region[i] = (size_t)(region - packed->region) + 1;
        listed.place[i] = (size_t)(data - region->first);
    }
    return listed;
}

/* In an order that does not depend on where things lie in memory. */
static struct listed *list_entries(const struct packed_weights *packed, size_t *count) {
    size_t room = 0;
    for (size_t i = 0; i < PACKED_BUCKETS; i++)
        for (const struct packed_entry *entry = packed->bucket[i]; entry; entry = entry->next) room++;
    struct listed *list = memory_array(room ? room : 1, sizeof *list);
    *count = 0;
    if (!list) return NULL;
    for (size_t i = 0; i < PACKED_BUCKETS; i++)
        for (const struct packed_entry *entry = packed->bucket[i]; entry; entry = entry->next)
            if (can_be_saved(packed, entry)) list[(*count)++] = list_entry(packed, entry);
    qsort(list, *count, sizeof *list, by_key);
    return list;
}

static json_t *describe(const struct packed_weights *packed, const struct packed_entry *entry, size_t offset) {
    json_t *weights = json_array(), *numbers = json_array();
    for (int i = 0; i < LINEAR_WEIGHTS_MAX; i++) {
        const unsigned char *data = entry->key.data[i];
        const struct packed_region *region = data ? region_of(packed, data) : NULL;
        json_array_append_new(weights, region ? json_pack("[s,I]", region->name, (json_int_t)(data - region->first)) : json_null());
    }
    for (size_t i = 1; i <= entry->key.number[0]; i++) json_array_append_new(numbers, json_integer((json_int_t)entry->key.number[i]));
    return json_pack("{s:s,s:o,s:o,s:I,s:I}", "layout", entry->key.layout, "weights", weights, "numbers", numbers, "offset",
                     (json_int_t)offset, "size", (json_int_t)entry->bytes);
}

static bool save_one(const struct packed_entry *entry, size_t *offset, packed_write *write, void *user, struct error *error) {
    static const unsigned char zeros[BLOB_ALIGNMENT];
    size_t over = *offset % BLOB_ALIGNMENT, fill = over ? BLOB_ALIGNMENT - over : 0;
    if (fill && !write(user, zeros, fill, error)) return false;
    *offset += fill;
    return write(user, entry->data, entry->bytes, error);
}

bool packed_weights_save(struct packed_weights *packed, packed_write *write, void *user, json_t **index, struct error *error) {
    size_t count, offset = 0;
    pthread_mutex_lock(&packed->mutex);
    struct listed *list = list_entries(packed, &count);
    json_t *entries = json_array();
    bool fine = (list && entries) || error_set(error, ERROR_MEMORY, "out of memory");
    for (size_t i = 0; fine && i < count; i++) {
        fine = save_one(list[i].entry, &offset, write, user, error);
        json_array_append_new(entries, describe(packed, list[i].entry, offset));
        offset += list[i].entry->bytes;
    }
    pthread_mutex_unlock(&packed->mutex);
    fine = fine && (json_array_size(entries) == count || error_set(error, ERROR_MEMORY, "out of memory"));
    memory_free(list);
    *index = fine ? json_pack("{s:i,s:o}", "revision", REVISION, "entries", entries) : NULL;
    if (!fine) json_decref(entries);
    return fine && (*index || error_set(error, ERROR_MEMORY, "out of memory"));
}

/* ==== Loading ==== */

static bool read_number(const json_t *value, size_t *number) {
    *number = json_is_integer(value) ? (size_t)json_integer_value(value) : 0;
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool read_place(const struct packed_weights *packed, const json_t *value, const void **data) {
    const char *name = json_string_value(json_array_get(value, 0));
    size_t offset;
    *data = NULL;
    if (json_is_null(value)) return true;
    if (!name || !read_number(json_array_get(value, 1), &offset)) return false;
    for (size_t i = 0; i < packed->region_count; i++) {
        if (strcmp(packed->region[i].name, name) != 0) continue;
        if (offset >= packed->region[i].size) return false;
        *data = packed->region[i].first + offset;
    }
    return true; /* of a component that is not in use: such as the safety checker where the operator goes without */
}

static bool read_key(const struct packed_weights *packed, const json_t *value, struct packed_key *key) {
    const char *layout = json_string_value(json_object_get(value, "layout"));
    const json_t *weights = json_object_get(value, "weights"), *numbers = json_object_get(value, "numbers");
    size_t number;
    if (!layout || strlen(layout) >= PACKED_LAYOUT || json_array_size(weights) != LINEAR_WEIGHTS_MAX ||
        json_array_size(numbers) >= PACKED_NUMBERS)
        return false;
    packed_key_init(key, layout);
    for (size_t i = 0; i < LINEAR_WEIGHTS_MAX; i++)
        if (!read_place(packed, json_array_get(weights, i), &key->data[i])) return false;
    for (size_t i = 0; i < json_array_size(numbers); i++) {
        if (!read_number(json_array_get(numbers, i), &number)) return false;
        packed_key_number(key, number);
    }
    return true;
}

static bool load_one(struct packed_weights *packed, const json_t *value, const unsigned char *data, size_t size, struct error *error) {
    size_t offset, bytes;
    struct packed_entry *entry = memory_zero(sizeof *entry);
    if (!entry) return error_set(error, ERROR_MEMORY, "out of memory");
    bool fine = read_key(packed, value, &entry->key) && read_number(json_object_get(value, "offset"), &offset) &&
                read_number(json_object_get(value, "size"), &bytes);
    if (!fine)
        error_set(error, ERROR_FORMAT, "an entry of the packed weights' index is not as it should be");
    else if (offset % BLOB_ALIGNMENT || offset > size || bytes > size - offset)
        fine = error_set(error, ERROR_FORMAT, "packed weights lie outside of the file, or not at a multiple of %d", BLOB_ALIGNMENT);
    if (!fine) {
        memory_free(entry);
        return false;
    }
    entry->ready = true;
    entry->data = data + offset;
    entry->bytes = bytes;
    struct packed_entry **bucket = packed_bucket(packed, &entry->key);
    entry->next = *bucket;
    *bucket = entry;
    packed->ready_bytes += bytes;
    return true;
}

bool packed_weights_load(struct packed_weights *packed, const json_t *index, const unsigned char *data, size_t size, struct error *error) {
    const json_t *entries = json_object_get(index, "entries"), *revision = json_object_get(index, "revision");
    size_t count = json_array_size(entries);
    if (!json_is_integer(revision) || !json_is_array(entries) || count > ENTRIES_MAX)
        return error_set(error, ERROR_FORMAT, "the packed weights' index is not as it should be");
    if (json_integer_value(revision) != REVISION) {
        log_warning("the packed file's layouts are another version's: weights are packed anew; \"inpaintd model convert\" makes a new one");
        return true;
    }
    for (size_t i = 0; i < count; i++)
        if (!load_one(packed, json_array_get(entries, i), data, size, error)) return false;
    return true;
}

/* ==== Trust, but try ==== */

static struct packed_trial *trial_of(struct packed_weights *packed, const char *layout) {
    for (size_t i = 0; i < packed->trial_count; i++)
        if (strcmp(packed->trial[i].layout, layout) == 0) return &packed->trial[i];
    return NULL;
}

static struct packed_entry *find_any(struct packed_weights *packed, const struct packed_request *request) {
    for (struct packed_entry *entry = *packed_bucket(packed, &request->key); entry; entry = entry->next) {
        const struct packed_trial *trial = entry->ready ? trial_of(packed, entry->key.layout) : NULL;
        if (memcmp(&entry->key, &request->key, sizeof entry->key) == 0 && entry->bytes == request->bytes && (!trial || trial->right))
            return entry;
    }
    return NULL;
}

/* Without a trial (there are too many layouts to try) what is ready is not used. */
struct packed_entry *packed_find(struct packed_weights *packed, const struct packed_request *request) {
    struct packed_entry *entry = find_any(packed, request);
    return entry && entry->ready && !trial_of(packed, entry->key.layout) ? NULL : entry;
}

static bool try_one(struct packed_weights *packed, const struct packed_request *request, const struct packed_entry *entry) {
    struct packed_trial *trial = &packed->trial[packed->trial_count++];
    bool descriptor = strncmp(entry->key.layout, "onednn ", 7) == 0; /* oneDNN's own description of it, which says all */
    *trial = (struct packed_trial){.right = true};
    snprintf(trial->layout, sizeof trial->layout, "%s", entry->key.layout);
    if (descriptor) return true;
    void *again = memory_aligned(request->bytes);
    if (!again) return false;
    memset(again, 0, request->bytes);
    request->pack(request->source, again);
    trial->right = memcmp(again, entry->data, request->bytes) == 0;
    if (!trial->right) log_warning("the packed file holds other weights than packing gives (%s): they are packed anew", trial->layout);
    memory_aligned_free(again);
    return true;
}

/* The request for the smallest ready weight of this layout. */
static const struct packed_request *smallest(struct packed_weights *packed, const struct packed_request *requests, size_t count,
                                             const char *layout) {
    const struct packed_request *least = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(requests[i].key.layout, layout) != 0 || (least && requests[i].bytes >= least->bytes)) continue;
        const struct packed_entry *entry = find_any(packed, &requests[i]);
        if (entry && entry->ready) least = &requests[i];
    }
    return least;
}

bool packed_try(struct packed_weights *packed, const struct packed_request *requests, size_t count) {
    if (packed->ready_bytes == 0) return true;
    for (size_t i = 0; i < count && packed->trial_count < PACKED_TRIALS; i++) {
        if (trial_of(packed, requests[i].key.layout)) continue;
        const struct packed_request *least = smallest(packed, requests, count, requests[i].key.layout);
        if (least && !try_one(packed, least, find_any(packed, least))) return false;
    }
    return true;
}
