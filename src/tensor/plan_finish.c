/* From a recording to something that runs: kernels, memory, weights, names. */
#include "base/log.h"
#include "base/memory.h"
#include "tensor/plan_internal.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- choosing kernels ---- */

/* INPAINT_FORCE is "operation:row,operation:row,...". The row forced in the next entry for an
 * operation, and where to go on; NULL at the end. */
static const char *next_forced(const char *at, const char *operation, char *name, size_t size) {
    size_t length = strlen(operation);
    while (at && *at) {
        size_t entry = strcspn(at, ",");
        bool mine = entry > length && strncmp(at, operation, length) == 0 && at[length] == ':';
        if (mine) snprintf(name, size, "%.*s", (int)(entry - length - 1), at + length + 1);
        at += entry;
        if (*at == ',') at++;
        if (mine) return at;
    }
    return NULL;
}

static size_t find_row(kernel_row *row, const void *shape, const char *wanted) {
    const char *name;
    for (size_t i = 0; row(NULL, i, &name), name; i++)
        if (strcmp(name, wanted) == 0 && !row(shape, i, &name)) return i;
    return SIZE_MAX;
}

static bool row_exists(kernel_row *row, const char *wanted, size_t length) {
    const char *name;
    for (size_t i = 0; row(NULL, i, &name), name; i++)
        if (strlen(name) == length && memcmp(name, wanted, length) == 0) return true;
    return false;
}

/* Refuse names that mean nothing: a misspelt one would quietly test something else. */
static bool check_force(const char *force, struct error *error) {
    static const struct {
        const char *operation;
        kernel_row *row;
    } known[] = {{"linear", plan_linear_row},
                 {"conv", plan_conv_row},
                 {"attention", plan_attention_row},
                 {"group_norm", plan_group_norm_row},
                 {"layer_norm", plan_layer_norm_row}};
    for (const char *at = force; at && *at;) {
        size_t entry = strcspn(at, ","), operation = strcspn(at, ":,");
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known && operation < entry; i++)
            if (strlen(known[i].operation) == operation && memcmp(known[i].operation, at, operation) == 0)
                found = row_exists(known[i].row, at + operation + 1, entry - operation - 1);
        if (!found && entry > 0) return error_set(error, ERROR_ARGUMENT, "INPAINT_FORCE: there is no kernel \"%.*s\"", (int)entry, at);
        at += entry;
        if (*at == ',') at++;
    }
    return true;
}

size_t plan_choose_row(const struct plan *plan, const char *operation, kernel_row *row, const void *shape) {
    char forced[64];
    for (const char *at = next_forced(plan->force, operation, forced, sizeof forced); at;
         at = next_forced(at, operation, forced, sizeof forced)) {
        size_t found = find_row(row, shape, forced);
        if (found != SIZE_MAX) return found;
    }
    const char *name;
    size_t last = 0;
    for (size_t i = 0;; i++) {
        const char *refusal = row(shape, i, &name);
        if (!name) break;
        last = i;
        if (!refusal) return i;
        if (plan->trace) log_info("%s: %s is not used: %s", operation, name, refusal);
    }
    return last; /* plain C accepts everything, so this is not reached */
}

static bool choose_kernels(struct plan *plan, struct error *error) {
    for (size_t i = 0; i < plan->operation_count; i++) {
        struct operation *operation = plan->operations[i];
        if (!operation->type->choose(plan, operation, error)) return false;
        if (operation->scratch_bytes == 0) continue;
        if (!plan_grow((void **)&plan->storages, &plan->storage_capacity, plan->storage_count, sizeof *plan->storages))
            return error_set(error, ERROR_MEMORY, "out of memory while finishing a plan");
        operation->scratch_storage = plan->storage_count;
        plan->storages[plan->storage_count++] = (struct storage){.bytes = operation->scratch_bytes, .first = i, .last = i};
    }
    return true;
}

/* ---- weights ---- */

bool plan_request(struct plan *plan, const struct packed_request *request, struct error *error) {
    if (!plan_grow((void **)&plan->requests, &plan->request_capacity, plan->request_count, sizeof *request))
        return error_set(error, ERROR_MEMORY, "out of memory while finishing a plan");
    plan->requests[plan->request_count++] = *request;
    return true;
}

static void pack_vector(const void *source, void *packed) {
    const struct vector_source *vector = source;
    float *out = packed;
    for (int i = 0; i < vector->parts; i++) {
        if (vector->part[i].data)
            tensor_read_f32(&vector->part[i], 0, vector->count[i], out);
        else
            memset(out, 0, vector->count[i] * sizeof *out);
        out += vector->count[i];
    }
}

bool plan_request_vector(struct plan *plan, struct operation *operation, int vector, struct error *error) {
    const struct vector_source *source = &operation->source[vector];
    if (source->parts == 0) return true;
    struct packed_request request = {.pack = pack_vector, .source = source, .result = &operation->vector[vector]};
    packed_key_init(&request.key, "vector");
    size_t count = 0;
    for (int i = 0; i < source->parts; i++) {
        packed_key_tensor(&request.key, i, &source->part[i]);
        packed_key_number(&request.key, source->count[i]);
        count += source->count[i];
    }
    request.bytes = count * sizeof(float);
    return plan_request(plan, &request, error);
}

void vector_source_one(struct vector_source *source, const struct tensor *tensor, size_t count) {
    source->part[0] = *tensor;
    source->count[0] = count;
    source->parts = 1;
}

/* ---- binding ---- */

struct view plan_view(const struct plan *plan, struct value value) {
    if (!value_given(value)) return (struct view){.data = NULL};
    const struct plan_value *found = &plan->values[value.index];
    unsigned char *data = plan->arena + plan->storages[found->storage].offset + found->first * dtype_size(found->dtype);
    return (struct view){data, found->dtype, found->stride, found->shape[0]};
}

void *plan_scratch(const struct plan *plan, const struct operation *operation) {
    return operation->scratch_bytes ? plan->arena + plan->storages[operation->scratch_storage].offset : NULL;
}

static bool name_operations(struct plan *plan, struct error *error) {
    size_t count = plan->operation_count;
    plan->timings = memory_array(count + (size_t)plan->sections, sizeof *plan->timings);
    plan->names = memory_array(count, DESCRIPTION_SIZE);
    if (!plan->timings || !plan->names) return error_set(error, ERROR_MEMORY, "out of memory while finishing a plan");
    for (size_t i = 0; i < count; i++) {
        const struct operation *operation = plan->operations[i];
        char *name = plan->names + i * DESCRIPTION_SIZE;
        operation->type->describe(operation, name, DESCRIPTION_SIZE);
        struct plan_timing *timing = &plan->timings[i + (size_t)operation->section];
        timing->name = name;
        timing->multiply_adds = operation->multiply_adds;
        if (plan->trace) log_info("section %d: %s", operation->section, name);
    }
    return true;
}

static bool allocate(struct plan *plan, size_t memory_limit, struct error *error) {
    size_t bytes = 0;
    if (!plan_layout(plan, &bytes, error)) return false;
    if (memory_limit && bytes > memory_limit)
        return error_set(error, ERROR_MEMORY, "this size needs %.1f MiB of memory for its activations, and %.1f MiB are allowed",
                         (double)bytes / 0x1p20, (double)memory_limit / 0x1p20);
    plan->arena = memory_aligned(bytes + 64);
    if (!plan->arena)
        return error_set(error, ERROR_MEMORY, "out of memory: this size needs %.1f MiB for its activations", (double)bytes / 0x1p20);
    plan->arena_bytes = bytes;
    return true;
}

bool plan_finish(struct plan *plan, size_t memory_limit, struct error *error) {
    if (plan_failed(plan)) return error_set(error, plan->error.code, "%s", plan->error.message);
    if (plan->finished) return error_set(error, ERROR_INTERNAL, "the plan is finished already");
    plan->force = getenv("INPAINT_FORCE");
    const char *trace = getenv("INPAINT_TRACE");
    plan->trace = trace && strstr(trace, "dispatch");
    /* A plan that failed here is only fit to be freed: later calls find the same error. */
    if (!check_force(plan->force, &plan->error) || !choose_kernels(plan, &plan->error) || !allocate(plan, memory_limit, &plan->error) ||
        !packed_weights_fulfil(plan->options.packed, plan->requests, plan->request_count, &plan->packed, plan->options.pool,
                               &plan->error) ||
        !name_operations(plan, &plan->error))
        return error_set(error, plan->error.code, "%s", plan->error.message);
    for (size_t i = 0; i < plan->operation_count; i++) plan->operations[i]->type->bind(plan, plan->operations[i]);
    memory_free(plan->requests);
    plan->requests = NULL;
    plan->request_count = plan->request_capacity = 0;
    plan->finished = true;
    return true;
}
