#include "tensor/plan.h"

#include "base/memory.h"
#include "base/time.h"
#include "tensor/plan_internal.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Above this many elements a value can't be meant; far below what could overflow a size_t. */
#define ELEMENTS_MAX ((size_t)1 << 40)

bool plan_create(const struct plan_options *options, struct plan **plan, struct error *error) {
    if (options->compute != DTYPE_F32 && options->compute != DTYPE_BF16)
        return error_set(error, ERROR_UNSUPPORTED, "can't compute in %s, only in f32 and bf16", dtype_name(options->compute));
    struct plan *made = memory_zero(sizeof *made);
    if (!made) return error_set(error, ERROR_MEMORY, "out of memory for a plan");
    made->options = *options;
    made->sections = 1;
    *plan = made;
    return true;
}

void plan_free(struct plan *plan) {
    if (!plan) return;
    for (size_t i = 0; i < plan->operation_count; i++) {
        struct operation *operation = plan->operations[i];
        if (operation->type->release) operation->type->release(operation);
        memory_free(operation);
    }
    memory_free(plan->operations);
    memory_free(plan->values);
    memory_free(plan->storages);
    memory_free(plan->requests);
    memory_free(plan->timings);
    memory_free(plan->names);
    memory_aligned_free(plan->arena);
    memory_free(plan);
}

void plan_when_packed(struct plan *plan, plan_packed *function, const void *user) { plan->packed = (struct packed_notice){function, user}; }

int plan_section(struct plan *plan) { return plan->sections++; }

/* ---- errors ---- */

struct value plan_fail(struct plan *plan, enum error_code code, const char *format, ...) {
    if (plan_failed(plan)) return VALUE_NONE;
    char message[sizeof plan->error.message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    error_set(&plan->error, code, "%s", message);
    return VALUE_NONE;
}

bool plan_failed(const struct plan *plan) { return plan->error.code != ERROR_NONE; }

/* ---- values ---- */

bool plan_grow(void **array, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity) return true;
    size_t wanted = *capacity ? 2 * *capacity : 64;
    void *grown = memory_resize(*array, wanted * size);
    if (!grown) return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

const struct plan_value *plan_look(struct plan *plan, struct value value, const char *what) {
    if (plan_failed(plan)) return NULL;
    if (!value_given(value) || (size_t)value.index >= plan->value_count) {
        plan_fail(plan, ERROR_INTERNAL, "%s is no value of this plan", what);
        return NULL;
    }
    return &plan->values[value.index];
}

const struct plan_value *plan_operand(struct plan *plan, struct value value, const char *what) {
    const struct plan_value *found = plan_look(plan, value, what);
    if (!found || found->dtype != DTYPE_I32) return found;
    plan_fail(plan, ERROR_INTERNAL, "%s holds ids where numbers are needed", what);
    return NULL;
}

static struct value add_value(struct plan *plan, const struct plan_value *value) {
    if (!plan_grow((void **)&plan->values, &plan->value_capacity, plan->value_count, sizeof *value))
        return plan_fail(plan, ERROR_MEMORY, "out of memory while recording a plan");
    if (plan->value_count == 0) plan->value_count = 1; /* place 0 stands for no value */
    plan->values[plan->value_count] = *value;
    return (struct value){(int)plan->value_count++};
}

static bool count_elements(const size_t shape[4], size_t *count) {
    size_t product = 1;
    for (int i = 0; i < 4; i++) {
        if (shape[i] == 0 || shape[i] > ELEMENTS_MAX / product) return false;
        product *= shape[i];
    }
    *count = product;
    return true;
}

static struct value new_value(struct plan *plan, const size_t shape[4], enum dtype dtype, bool input) {
    if (plan_failed(plan)) return VALUE_NONE;
    if (plan->finished) return plan_fail(plan, ERROR_INTERNAL, "the plan is finished: nothing can be recorded any more");
    size_t count;
    if (!count_elements(shape, &count))
        return plan_fail(plan, ERROR_LIMIT, "a value of %zux%zux%zux%zu numbers is empty or too large", shape[0], shape[1], shape[2],
                         shape[3]);
    if (!plan_grow((void **)&plan->storages, &plan->storage_capacity, plan->storage_count, sizeof *plan->storages))
        return plan_fail(plan, ERROR_MEMORY, "out of memory while recording a plan");
    struct storage *storage = &plan->storages[plan->storage_count];
    *storage = (struct storage){.bytes = count * dtype_size(dtype), .persistent = input};
    struct plan_value value = {
        .stride = shape[3], .dtype = dtype, .section = input ? -1 : plan->sections - 1, .storage = plan->storage_count};
    memcpy(value.shape, shape, sizeof value.shape);
    /* The operation about to be recorded writes it; readers move `last` on. */
    storage->first = storage->last = plan->operation_count;
    plan->storage_count++;
    return add_value(plan, &value);
}

struct value plan_new_value(struct plan *plan, size_t n, size_t h, size_t w, size_t c, enum dtype dtype) {
    return new_value(plan, (size_t[4]){n, h, w, c}, dtype, false);
}

struct value plan_input(struct plan *plan, size_t n, size_t h, size_t w, size_t c) {
    return new_value(plan, (size_t[4]){n, h, w, c}, DTYPE_F32, true);
}

struct value plan_input_ids(struct plan *plan, size_t n, size_t tokens) {
    return new_value(plan, (size_t[4]){n, 1, tokens, 1}, DTYPE_I32, true);
}

static bool is_contiguous(const struct plan_value *value) { return value->stride == value->shape[3]; }

void plan_keep(struct plan *plan, struct value value) {
    const struct plan_value *kept = plan_look(plan, value, "a value to keep");
    if (!kept) return;
    if (!is_contiguous(kept)) {
        plan_fail(plan, ERROR_INTERNAL, "some channels of a value can't be kept by themselves: keep the whole");
        return;
    }
    plan->storages[kept->storage].persistent = true;
}

void *plan_data(struct plan *plan, struct value value) {
    if (!plan->arena || !value_given(value) || (size_t)value.index >= plan->value_count) return NULL;
    const struct plan_value *found = &plan->values[value.index];
    if (!is_contiguous(found)) return NULL;
    return plan_view(plan, value).data;
}

enum dtype plan_dtype(const struct plan *plan, struct value value) {
    if (!value_given(value) || (size_t)value.index >= plan->value_count) return DTYPE_F32;
    return plan->values[value.index].dtype;
}

void plan_shape(const struct plan *plan, struct value value, size_t shape[4]) {
    memset(shape, 0, 4 * sizeof *shape);
    if (plan_failed(plan) || !value_given(value) || (size_t)value.index >= plan->value_count) return;
    memcpy(shape, plan->values[value.index].shape, 4 * sizeof *shape);
}

struct value plan_channels(struct plan *plan, struct value x, size_t first, size_t count) {
    const struct plan_value *whole = plan_look(plan, x, "a value to take channels of");
    if (!whole) return VALUE_NONE;
    size_t c = whole->shape[3];
    if (count == 0 || count > c || first > c - count)
        return plan_fail(plan, ERROR_FORMAT, "channels %zu to %zu of only %zu are needed", first, first + count, c);
    struct plan_value view = *whole;
    view.shape[3] = count;
    view.first += first;
    return add_value(plan, &view);
}

struct value plan_tokens(struct plan *plan, struct value x) {
    const struct plan_value *picture = plan_look(plan, x, "a value to see as tokens");
    if (!picture) return VALUE_NONE;
    struct plan_value view = *picture;
    view.shape[2] *= view.shape[1];
    view.shape[1] = 1;
    return add_value(plan, &view);
}

struct value plan_picture(struct plan *plan, struct value x, size_t h, size_t w) {
    const struct plan_value *tokens = plan_look(plan, x, "a value to see as a picture");
    if (!tokens) return VALUE_NONE;
    size_t count = tokens->shape[1] * tokens->shape[2];
    if (h == 0 || count % h != 0 || count / h != w)
        return plan_fail(plan, ERROR_FORMAT, "%zu tokens are no picture of %zux%zu", count, w, h);
    struct plan_value view = *tokens;
    view.shape[1] = h;
    view.shape[2] = w;
    return add_value(plan, &view);
}

/* ---- operations ---- */

struct operation *plan_new_operation(struct plan *plan, const struct operation_type *type) {
    if (plan_failed(plan)) return NULL;
    struct operation *operation = NULL;
    if (plan_grow((void **)&plan->operations, &plan->operation_capacity, plan->operation_count, sizeof *plan->operations))
        operation = memory_zero(sizeof *operation);
    if (!operation) {
        plan_fail(plan, ERROR_MEMORY, "out of memory while recording a plan");
        return NULL;
    }
    operation->type = type;
    operation->section = plan->sections - 1;
    for (int i = 0; i < OPERANDS; i++) operation->operand[i] = VALUE_NONE;
    plan->operations[plan->operation_count++] = operation;
    return operation;
}

enum dtype plan_result_dtype(const struct plan *plan, bool wide) { return wide ? DTYPE_F32 : plan->options.compute; }

const char *tensor_text(const struct tensor *tensor, char text[TENSOR_TEXT_SIZE]) {
    int length = snprintf(text, TENSOR_TEXT_SIZE, "%s [", dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->rank && length < TENSOR_TEXT_SIZE - 24; i++)
        length += snprintf(text + length, (size_t)(TENSOR_TEXT_SIZE - length), i ? ", %zu" : "%zu", tensor->shape[i]);
    snprintf(text + length, (size_t)(TENSOR_TEXT_SIZE - length), "]");
    return text;
}

bool plan_check_weight(struct plan *plan, const struct tensor *tensor, const char *what) {
    if (plan_failed(plan)) return false;
    if (!tensor || !tensor->data) {
        plan_fail(plan, ERROR_FORMAT, "%s is missing", what);
        return false;
    }
    enum dtype dtype = tensor->dtype;
    if (dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16 || dtype == DTYPE_F64) return true;
    char text[TENSOR_TEXT_SIZE];
    plan_fail(plan, ERROR_FORMAT, "%s is %s, not of a floating-point type", what, tensor_text(tensor, text));
    return false;
}

bool plan_check_vector(struct plan *plan, const struct tensor *tensor, size_t count, const char *what) {
    if (!plan_check_weight(plan, tensor, what)) return false;
    if (tensor->rank == 1 && tensor->shape[0] == count) return true;
    char text[TENSOR_TEXT_SIZE];
    plan_fail(plan, ERROR_FORMAT, "%s is %s where [%zu] is needed", what, tensor_text(tensor, text), count);
    return false;
}

/* ---- running ---- */

void plan_run(struct plan *plan, int section) {
    if (!plan->finished) return;
    for (size_t i = 0; i < plan->operation_count; i++) {
        struct operation *operation = plan->operations[i];
        if (operation->section != section) continue;
        if (!plan->clock) {
            operation->type->run(operation, plan->options.pool);
            continue;
        }
        int64_t begin = plan->clock();
        operation->type->run(operation, plan->options.pool);
        struct plan_timing *timing = &plan->timings[i + (size_t)section];
        timing->seconds += (double)(plan->clock() - begin) * 1e-6;
        timing->runs++;
    }
}

size_t plan_memory(const struct plan *plan) { return plan->arena_bytes; }

double plan_multiply_adds(const struct plan *plan, int section) {
    double sum = 0;
    for (size_t i = 0; i < plan->operation_count; i++)
        if (plan->operations[i]->section == section) sum += plan->operations[i]->multiply_adds;
    return sum;
}

void plan_timing_start(struct plan *plan, plan_clock *clock) {
    plan->clock = plan->finished ? clock : NULL;
    if (!plan->clock) return;
    for (size_t i = 0; i < plan->operation_count + (size_t)plan->sections; i++) {
        plan->timings[i].seconds = 0;
        plan->timings[i].runs = 0;
    }
}

const struct plan_timing *plan_timing(const struct plan *plan, int section, size_t *count) {
    size_t first = 0;
    *count = 0;
    if (!plan->finished || section < 0 || section >= plan->sections) return NULL;
    for (size_t i = 0; i < plan->operation_count; i++) {
        if (plan->operations[i]->section < section) first++;
        if (plan->operations[i]->section == section) ++*count;
    }
    return &plan->timings[first + (size_t)section];
}

void plan_poison(struct plan *plan) {
    unsigned char *owned = plan->finished ? memory_zero(plan->arena_bytes) : NULL;
    if (!owned) return;
    for (size_t i = 0; i < plan->storage_count; i++)
        if (plan->storages[i].persistent) memset(owned + plan->storages[i].offset, 1, plan->storages[i].bytes);
    for (size_t i = 0; i < plan->arena_bytes; i++)
        if (!owned[i]) plan->arena[i] = 0xff; /* all ones: NaN in f32 and in bf16 */
    memory_free(owned);
}
