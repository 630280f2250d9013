/* What the tests of kernels share: operands of any format and stride with a border that nobody may
 * write, made-up numbers, comparison, and finding rows by name. */
#ifndef TESTS_TENSOR_KERNELS_H
#define TESTS_TENSOR_KERNELS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "tensor/kernel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { THREADS_MOST = 3 };

/* Named after an instruction set; the library's rows have tests of their own. */
static inline bool row_is_ours(const char *name) { return strncmp(name, "avx", 3) == 0 || strncmp(name, "amx", 3) == 0; }

/* xorshift64*; numbers in [-1, 1) with 8 bits, so that both formats hold them exactly. */
static inline uint64_t random_bits(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717u;
}
static inline float random_number(uint64_t *state) { return (float)((int)(random_bits(state) >> 56) - 128) / 128.0f; }

static inline size_t random_below(uint64_t *state, size_t end) { return (size_t)(random_bits(state) >> 33) % end; }
static inline enum dtype random_dtype(uint64_t *state) { return random_below(state, 2) ? DTYPE_BF16 : DTYPE_F32; }

static inline size_t number_size(enum dtype dtype) { return dtype == DTYPE_BF16 ? 2 : 4; }
static inline float number_at(const void *data, enum dtype dtype, size_t i) {
    return dtype == DTYPE_BF16 ? f32_from_bf16(((const uint16_t *)data)[i]) : ((const float *)data)[i];
}
static inline void number_put(void *data, enum dtype dtype, size_t i, float value) {
    if (dtype == DTYPE_BF16)
        ((uint16_t *)data)[i] = bf16_from_f32(value);
    else
        ((float *)data)[i] = value;
}

/* A view of `rows` rows a sample, `columns` wide, `extra` numbers between rows. Its memory ends with
 * its last number, so that a sanitizer sees reads past it. */
static inline struct view view_make(enum dtype dtype, size_t samples, size_t rows, size_t columns, size_t extra, uint64_t *state) {
    struct view view = {.dtype = dtype, .stride = columns + extra, .samples = samples};
    size_t count = (samples * rows - 1) * view.stride + columns;
    view.data = memory_alloc(count * number_size(dtype));
    assert_non_null(view.data);
    for (size_t i = 0; i < count; i++) number_put(view.data, dtype, i, random_number(state));
    return view;
}
static inline struct view view_copy(const struct view *view, size_t rows, size_t columns) {
    struct view copy = *view;
    size_t bytes = ((view->samples * rows - 1) * view->stride + columns) * number_size(view->dtype);
    copy.data = memory_alloc(bytes);
    assert_non_null(copy.data);
    memcpy(copy.data, view->data, bytes);
    return copy;
}
static inline size_t view_bytes(const struct view *view, size_t rows, size_t columns) {
    return ((view->samples * rows - 1) * view->stride + columns) * number_size(view->dtype);
}

static inline struct tensor weight_make(enum dtype dtype, int rank, const size_t *shape, float scale, uint64_t *state) {
    struct tensor tensor = {.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++) tensor.shape[i] = shape[i];
    size_t count = tensor_count(&tensor);
    void *data = memory_alloc(count * number_size(dtype));
    assert_non_null(data);
    for (size_t i = 0; i < count; i++) number_put(data, dtype, i, random_number(state) * scale);
    tensor.data = data;
    return tensor;
}
static inline float *vector_make(size_t count, uint64_t *state) {
    float *vector = memory_alloc(count * sizeof *vector);
    assert_non_null(vector);
    for (size_t i = 0; i < count; i++) vector[i] = random_number(state);
    return vector;
}

/* Largest difference, in parts of the root mean square of `expected`; what lies between rows must be equal. */
static inline double view_difference(const struct view *got, const struct view *expected, size_t rows, size_t columns) {
    double square = 0, worst = 0;
    size_t all = got->samples * rows;
    for (size_t r = 0; r < all; r++)
        for (size_t c = 0; c < got->stride; c++) {
            if (c >= columns && r + 1 == all) break;
            float a = number_at(got->data, got->dtype, r * got->stride + c);
            float b = number_at(expected->data, expected->dtype, r * expected->stride + c);
            if (c >= columns) {
                assert_true(a == b);
                continue;
            }
            assert_true(a == a); /* not NaN */
            square += (double)b * b;
            double difference = fabs((double)a - b);
            if (difference > worst) worst = difference;
        }
    double scale = sqrt(square / (double)(all * columns));
    return worst / (scale > 0 ? scale : 1);
}

/* Root mean square of the difference, in parts of that of `expected`. */
static inline double view_error(const struct view *got, const struct view *expected, size_t rows, size_t columns) {
    double square = 0, error = 0;
    for (size_t r = 0; r < got->samples * rows; r++)
        for (size_t c = 0; c < columns; c++) {
            double b = number_at(expected->data, expected->dtype, r * expected->stride + c);
            double difference = number_at(got->data, got->dtype, r * got->stride + c) - b;
            square += b * b;
            error += difference * difference;
        }
    return sqrt(error / (square > 0 ? square : 1));
}

/* Pools of 1, 2 and 3 threads. */
static inline int pools_setup(void **state) {
    struct pool **pools = memory_array(THREADS_MOST, sizeof(struct pool *));
    if (!pools) return -1;
    for (size_t i = 0; i < THREADS_MOST; i++)
        if (!(pools[i] = pool_create(i + 1, NULL))) return -1;
    *state = pools;
    return 0;
}
static inline int pools_teardown(void **state) {
    struct pool **pools = *state;
    for (size_t i = 0; i < THREADS_MOST; i++) pool_free(pools[i]);
    memory_free(pools);
    return 0;
}

#endif
