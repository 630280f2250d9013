/* Rows of numbers in either format, and activations. */
#ifndef TENSOR_CPU_ELEMENTARY_H
#define TENSOR_CPU_ELEMENTARY_H

#include "tensor/cpu/quad.h"
#include "tensor/kernel.h"

#include <math.h>
#include <string.h>

/* Apply an activation to four numbers. */
static inline quad activate_quad(quad x, enum activation act) {
    switch (act) {
    case ACT_NONE:
        return x;
    case ACT_SILU:
        return quad_sigmoid_product(x, 1.0f);
    case ACT_QUICK_GELU:
        return quad_sigmoid_product(x, 1.702f);
    case ACT_GELU:
        return quad_gelu(x);
    case ACT_RELU:
        return quad_pick(x < quad_all(0.0f), quad_all(0.0f), x); /* NaN stays */
    }
    return x;
}

/* Apply an activation to count numbers in place. */
static inline void activate(float *x, size_t count, enum activation act) {
    if (act == ACT_NONE) return;
    size_t i = 0;
    for (; i + QUAD <= count; i += QUAD) quad_store(x + i, activate_quad(quad_load(x + i), act));
    if (i == count) return;
    float rest[QUAD] = {0};
    memcpy(rest, x + i, (count - i) * sizeof *rest);
    quad_store(rest, activate_quad(quad_load(rest), act));
    memcpy(x + i, rest, (count - i) * sizeof *rest);
}

/* Where row `row` of sample `sample` begins, with broadcast; rows per sample. */
static inline const void *row_read(const struct view *view, size_t sample, size_t rows, size_t row) {
    size_t at = (sample % view->samples * rows + row) * view->stride;
    return (const unsigned char *)view->data + at * (view->dtype == DTYPE_BF16 ? 2 : 4);
}
static inline void *row_write(const struct view *view, size_t sample, size_t rows, size_t row) {
    return (unsigned char *)view->data + (sample * rows + row) * view->stride * (view->dtype == DTYPE_BF16 ? 2 : 4);
}

static inline float bf16_widen(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* As bf16_from_f32(), where the compiler can see it. */
static inline uint16_t bf16_narrow(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

/* count numbers of a row, from number `first`, as f32. */
static inline void numbers_load(const void *row, enum dtype dtype, size_t first, size_t count, float *out) {
    if (dtype == DTYPE_BF16) {
        const uint16_t *half = (const uint16_t *)row + first;
        for (size_t i = 0; i < count; i++) out[i] = bf16_widen(half[i]);
    } else {
        memcpy(out, (const float *)row + first, count * sizeof *out);
    }
}
static inline void numbers_add(const void *row, enum dtype dtype, size_t first, size_t count, float *out) {
    if (dtype == DTYPE_BF16) {
        const uint16_t *half = (const uint16_t *)row + first;
        for (size_t i = 0; i < count; i++) out[i] += bf16_widen(half[i]);
    } else {
        const float *full = (const float *)row + first;
        for (size_t i = 0; i < count; i++) out[i] += full[i];
    }
}
static inline void numbers_store(void *row, enum dtype dtype, size_t first, size_t count, const float *in) {
    if (dtype == DTYPE_BF16) {
        uint16_t *half = (uint16_t *)row + first;
        for (size_t i = 0; i < count; i++) half[i] = bf16_narrow(in[i]);
    } else {
        memcpy((float *)row + first, in, count * sizeof *in);
    }
}

/* Rows in blocks for the pool: enough tasks to share out, few enough to be worth a call. */
static inline size_t blocks_of(size_t count, size_t block) { return (count + block - 1) / block; }

#endif
