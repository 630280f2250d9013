/* What the tests of plans and kernels share: numbers, weights, a plan with its pool, comparisons. */
#ifndef TESTS_TENSOR_SUPPORT_H
#define TESTS_TENSOR_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "tensor/kernel.h"
#include "tensor/plan.h"
#include "tensor/plan_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

static inline uint64_t random_bits(uint64_t *state) { /* SplitMix64 (Steele et al. 2014) */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
/* About normal: mean 0, variance 1. */
static inline float random_number(uint64_t *state) {
    double sum = 0;
    for (int i = 0; i < 4; i++) sum += (double)(random_bits(state) >> 11) * 0x1p-53;
    return (float)((sum - 2) * 1.7320508);
}

static inline double relative_error(const double *expected, const float *got, size_t count) {
    double error = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)got[i] - expected[i];
        error += difference * difference;
        size += expected[i] * expected[i];
    }
    return size > 0 ? sqrt(error / size) : sqrt(error);
}

static inline double activation(double x, enum activation act) {
    switch (act) {
    case ACT_NONE:
        return x;
    case ACT_SILU:
        return x / (1 + exp(-x));
    case ACT_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2.0)));
    case ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case ACT_RELU:
        return x > 0 ? x : 0;
    }
    return NAN;
}

/* ---- a plan and what belongs to it ---- */

enum { WEIGHTS_MAX = 64 };
struct bench {
    struct pool *pool;
    struct packed_weights *packed;
    struct plan *plan;
    uint64_t random;
    void *weights[WEIGHTS_MAX];
    struct tensor tensors[WEIGHTS_MAX];
    size_t weight_count;
};

static inline void bench_begin(struct bench *bench, enum dtype compute, size_t threads, uint64_t seed) {
    struct error error;
    memset(bench, 0, sizeof *bench);
    bench->random = seed;
    bench->pool = pool_create(threads, &error);
    bench->packed = packed_weights_create(&error);
    assert_non_null(bench->pool);
    assert_non_null(bench->packed);
    struct plan_options options = {compute, bench->pool, bench->packed};
    assert_true(plan_create(&options, &bench->plan, &error));
}
static inline void bench_end(struct bench *bench) {
    plan_free(bench->plan);
    packed_weights_free(bench->packed);
    pool_free(bench->pool);
    for (size_t i = 0; i < bench->weight_count; i++) free(bench->weights[i]);
}
static inline void bench_finish(struct bench *bench) {
    struct error error;
    if (!plan_finish(bench->plan, 0, &error)) fail_msg("%s", error.message);
}
/* The sentence and code with which finishing fails. */
static inline struct error bench_refusal(struct bench *bench) {
    struct error error = {ERROR_NONE, ""};
    assert_false(plan_finish(bench->plan, 0, &error));
    assert_int_not_equal(error.code, ERROR_NONE);
    return error;
}

/* A random weight, of variance 1 / (elements / shape[0]). Lives until bench_end(); its data begins
 * at an odd address, as in a file. */
static inline const struct tensor *bench_weight(struct bench *bench, enum dtype dtype, int rank, const size_t *shape) {
    assert_true(bench->weight_count < WEIGHTS_MAX);
    struct tensor *tensor = &bench->tensors[bench->weight_count];
    *tensor = (struct tensor){.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++) tensor->shape[i] = shape[i];
    size_t count = tensor_count(tensor), size = dtype_size(dtype);
    float scale = rank > 1 ? 1.0f / sqrtf((float)(count / shape[0])) : 1.0f;
    unsigned char *data = calloc(count * size + 1, 1);
    assert_non_null(data);
    bool is_float = dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16 || dtype == DTYPE_F64; /* else zeros */
    for (size_t i = 0; i < count && is_float; i++) {
        float value = random_number(&bench->random) * scale;
        double wide = (double)value;
        uint16_t half = bf16_from_f32(value);
        if (dtype == DTYPE_F16) { /* some f16 number of about that size: sign, exponent 8..15, fraction */
            uint64_t bits = random_bits(&bench->random);
            half = (uint16_t)((bits & 0x83ffu) | (8 + (bits >> 16) % 4) << 10);
        }
        memcpy(data + 1 + i * size, dtype == DTYPE_F32 ? (const void *)&value : dtype == DTYPE_F64 ? (const void *)&wide : &half, size);
    }
    tensor->data = data + 1;
    bench->weights[bench->weight_count++] = data;
    return tensor;
}
#define bench_weight_of(bench, dtype, ...)                                                                                                 \
    bench_weight(bench, dtype, (int)(sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t)), (const size_t[]){__VA_ARGS__})

static inline double weight_at(const struct tensor *tensor, size_t element) {
    float value;
    tensor_read_f32(tensor, element, 1, &value);
    return (double)value;
}

/* An input [n, h, w, c]; in `dtype` by way of a map, when that is bf16. */
static inline struct value bench_input(struct bench *bench, size_t n, size_t h, size_t w, size_t c, enum dtype dtype, struct value *input) {
    *input = plan_input(bench->plan, n, h, w, c);
    if (dtype == DTYPE_F32) return *input;
    struct value narrow = plan_map(bench->plan, *input, MAP_SCALE_SHIFT, 1, 0, false);
    plan_keep(bench->plan, narrow);
    return narrow;
}
static inline size_t value_count(const struct plan *plan, struct value value) {
    size_t shape[4];
    plan_shape(plan, value, shape);
    return shape[0] * shape[1] * shape[2] * shape[3];
}
static inline void bench_fill(struct bench *bench, struct value input, float scale, float shift) {
    float *data = plan_data(bench->plan, input);
    assert_non_null(data);
    for (size_t i = 0; i < value_count(bench->plan, input); i++) data[i] = random_number(&bench->random) * scale + shift;
}
/* A kept value as f32, on the heap. */
static inline float *bench_read(const struct bench *bench, struct value value) {
    size_t count = value_count(bench->plan, value);
    float *numbers = malloc(count * sizeof *numbers);
    const void *data = plan_data(bench->plan, value);
    assert_non_null(numbers);
    assert_non_null(data);
    struct tensor tensor = {.data = data, .dtype = plan_dtype(bench->plan, value), .rank = 1, .shape = {count}};
    tensor_read_f32(&tensor, 0, count, numbers);
    return numbers;
}

/* Which row operation `index` of section 0 got: the text between the last parentheses. */
static inline void bench_row(const struct bench *bench, size_t index, char row[64]) {
    size_t count;
    const struct plan_timing *timing = plan_timing(bench->plan, 0, &count);
    assert_true(index < count);
    const char *open = strrchr(timing[index].name, '(');
    snprintf(row, 64, "%s", open ? open + 1 : "");
    row[strcspn(row, ")")] = 0;
}

/* Force a row for one operation, or with NULL none. */
static inline void force_row(const char *operation, const char *row) {
    char text[128];
    snprintf(text, sizeof text, "%s:%s", operation, row ? row : "");
    if (row)
        setenv("INPAINT_FORCE", text, 1);
    else
        unsetenv("INPAINT_FORCE");
}

#endif
