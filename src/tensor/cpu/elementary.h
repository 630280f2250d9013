/* Rows of numbers in either format, and the functions that networks are made of, written so that
 * compilers turn loops over them into vector code. */
#ifndef TENSOR_CPU_ELEMENTARY_H
#define TENSOR_CPU_ELEMENTARY_H

#include "tensor/kernel.h"

#include <math.h>
#include <string.h>

/* e^x, relative error below 2e-7; x below -87 counts as -87, above 88 as 88. NaN stays NaN. */
static inline float exp_f32(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    /* x = n ln 2 + r: adding 1.5 * 2^23 leaves the integer n in the low bits. */
    float shifted = x * 0x1.715476p+0f + 0x1.8p+23f;
    float n = shifted - 0x1.8p+23f;
    float r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
    /* Cephes' polynomial for [-ln 2 / 2, ln 2 / 2]. */
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23; /* the shift drops all but n + 127 */
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

static inline float silu_f32(float x) { return x / (1.0f + exp_f32(-x)); }
static inline float quick_gelu_f32(float x) { return x / (1.0f + exp_f32(-1.702f * x)); }
static inline float gelu_f32(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f)); }

/* Apply an activation to count numbers in place. */
static inline void activate(float *x, size_t count, enum activation act) {
    switch (act) {
    case ACT_NONE:
        break;
    case ACT_SILU:
        for (size_t i = 0; i < count; i++) x[i] = silu_f32(x[i]);
        break;
    case ACT_GELU:
        for (size_t i = 0; i < count; i++) x[i] = gelu_f32(x[i]);
        break;
    case ACT_QUICK_GELU:
        for (size_t i = 0; i < count; i++) x[i] = quick_gelu_f32(x[i]);
        break;
    case ACT_RELU:
        for (size_t i = 0; i < count; i++) x[i] = x[i] < 0.0f ? 0.0f : x[i]; /* NaN stays */
        break;
    }
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
        for (size_t i = 0; i < count; i++) half[i] = bf16_from_f32(in[i]);
    } else {
        memcpy((float *)row + first, in, count * sizeof *in);
    }
}

/* Rows in blocks for the pool: enough tasks to share out, few enough to be worth a call. */
static inline size_t blocks_of(size_t count, size_t block) { return (count + block - 1) / block; }

#endif
