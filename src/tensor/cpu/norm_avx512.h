/* The norms of norm_vector.h, sixteen numbers at a time. Included by one file for each instruction set. */
#ifndef TENSOR_CPU_NORM_AVX512_H
#define TENSOR_CPU_NORM_AVX512_H

#include "tensor/cpu/vector_avx512.h"

typedef __m512 vector;

static inline vector vector_all(float x) { return _mm512_set1_ps(x); }
static inline vector vector_multiply_add(vector a, vector b, vector c) { return _mm512_fmadd_ps(a, b, c); }
static inline float vector_total(vector x) { return _mm512_reduce_add_ps(x); }
static inline vector vector_load(const void *row, enum dtype dtype, size_t first, size_t count) {
    return load_numbers(row, dtype, first, mask_below(count));
}
static inline void vector_store(void *row, enum dtype dtype, size_t first, size_t count, vector x) {
    store_numbers(row, dtype, first, mask_below(count), x);
}
static inline void vector_stream(void *row, enum dtype dtype, size_t first, vector x) {
    if (dtype == DTYPE_BF16)
        _mm256_stream_si256((__m256i *)(void *)((uint16_t *)row + first), narrow_bf16(x));
    else
        _mm512_stream_ps((float *)row + first, x);
}
static inline vector vector_silu(vector x) { return sigmoid_times_f32x16(x, 1.0f); }

/* Relative error below 2e-4, a tenth of bf16's rounding: the cubic for 2^f of flash_avx512bf16.c and an estimate of the
 * reciprocal. */
static inline vector vector_silu_bf16(vector x) {
    vector power = x * _mm512_set1_ps(-0x1.715476p+0f);
    vector f = _mm512_reduce_ps(power, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    vector p = _mm512_fmadd_ps(f, _mm512_set1_ps(7.8024521e-2f), _mm512_set1_ps(2.2606716e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9583356e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.9992520e-1f));
    return x * _mm512_rcp14_ps(_mm512_scalef_ps(p, power) + _mm512_set1_ps(1.0f));
}

#include "tensor/cpu/norm_vector.h"

#endif
