/* Eight numbers at a time: rows in either format, and the functions that networks are made of. */
#ifndef TENSOR_CPU_VECTOR_AVX2_H
#define TENSOR_CPU_VECTOR_AVX2_H

#include "tensor/plan.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { FLOATS = 8 };

/* ---- rows ---- */

/* All ones in the first `count` lanes. */
static inline __m256i mask_below(size_t count) {
    __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count < FLOATS ? (int)count : FLOATS), lanes);
}

static inline __m256 widen_bf16(__m128i half) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16)); }

/* Round to nearest, ties to even; NaN stays NaN. */
static inline __m128i narrow_bf16(__m256 x) {
    __m256i bits = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256i unordered = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    rounded = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, unordered), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
}

/* Numbers [first, first + count) of a row, at most 8; further lanes are zero and their memory isn't touched. */
static inline __m256 load_numbers(const void *row, enum dtype dtype, size_t first, size_t count) {
    if (dtype == DTYPE_BF16) {
        const uint16_t *half = (const uint16_t *)row + first;
        if (count >= FLOATS) return widen_bf16(_mm_loadu_si128((const __m128i *)(const void *)half));
        uint16_t rest[FLOATS] = {0};
        memcpy(rest, half, count * sizeof *rest);
        return widen_bf16(_mm_loadu_si128((const __m128i *)(const void *)rest));
    }
    const float *full = (const float *)row + first;
    return count >= FLOATS ? _mm256_loadu_ps(full) : _mm256_maskload_ps(full, mask_below(count));
}

static inline void store_numbers(void *row, enum dtype dtype, size_t first, size_t count, __m256 x) {
    if (dtype == DTYPE_BF16) {
        uint16_t *half = (uint16_t *)row + first, rest[FLOATS];
        if (count >= FLOATS) {
            _mm_storeu_si128((__m128i *)(void *)half, narrow_bf16(x));
            return;
        }
        _mm_storeu_si128((__m128i *)(void *)rest, narrow_bf16(x));
        memcpy(half, rest, count * sizeof *rest);
        return;
    }
    float *full = (float *)row + first;
    if (count >= FLOATS)
        _mm256_storeu_ps(full, x);
    else
        _mm256_maskstore_ps(full, mask_below(count), x);
}

/* ---- functions ---- */

/* 2^n times p, for whole n in [-126, 127]. */
static inline __m256 scale_by_power(__m256 p, __m256 n) {
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}

/* e^x, relative error below 2e-7; x below -87 counts as -87, above 88 as 88. NaN stays NaN. */
static inline __m256 exp_f32x8(__m256 x) {
    x = _mm256_max_ps(_mm256_set1_ps(-87.0f), x); /* the second operand is what a NaN comes out as */
    x = _mm256_min_ps(_mm256_set1_ps(88.0f), x);
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p+0f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e4p-1f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), r);
    __m256 p = _mm256_set1_ps(1.9875691500e-4f); /* Cephes' polynomial for [-ln 2 / 2, ln 2 / 2] */
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
    p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, _mm256_set1_ps(1.0f)));
    return scale_by_power(p, n);
}

/* 2^x, relative error below 2e-7 (Taylor's series on [-1/2, 1/2]); x below -126 counts as -126. x at most 127. */
static inline __m256 power_of_two_f32x8(__m256 x) {
    x = _mm256_max_ps(_mm256_set1_ps(-126.0f), x);
    __m256 n = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), f = _mm256_sub_ps(x, n);
    __m256 p = _mm256_set1_ps(1.52527338e-5f);
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.54035304e-4f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.33335581e-3f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(9.61812911e-3f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(5.55041087e-2f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(2.40226507e-1f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(6.93147181e-1f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    return scale_by_power(p, n);
}

/* erf x within 3e-7: an odd rational function (degrees 13 over 8) on [-4, 4], beyond which f32's erf is 1. */
static inline __m256 erf_f32x8(__m256 x) {
    x = _mm256_max_ps(_mm256_set1_ps(-4.0f), x);
    x = _mm256_min_ps(_mm256_set1_ps(4.0f), x);
    __m256 s = _mm256_mul_ps(x, x);
    __m256 p = _mm256_set1_ps(-2.72614225801306e-10f);
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(2.77068142495902e-08f));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(-2.10102402082508e-06f));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(-5.69250639462346e-05f));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(-7.34990630326855e-04f));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(-2.95459980854025e-03f));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(-1.60960333262415e-02f));
    __m256 q = _mm256_set1_ps(-1.45660718464996e-05f);
    q = _mm256_fmadd_ps(q, s, _mm256_set1_ps(-2.13374055278905e-04f));
    q = _mm256_fmadd_ps(q, s, _mm256_set1_ps(-1.68282697438203e-03f));
    q = _mm256_fmadd_ps(q, s, _mm256_set1_ps(-7.37332916720468e-03f));
    q = _mm256_fmadd_ps(q, s, _mm256_set1_ps(-1.42647390514189e-02f));
    return _mm256_div_ps(_mm256_mul_ps(x, p), q);
}

static inline __m256 gelu_f32x8(__m256 x) {
    __m256 half = _mm256_mul_ps(x, _mm256_set1_ps(0.5f));
    return _mm256_fmadd_ps(half, erf_f32x8(_mm256_mul_ps(x, _mm256_set1_ps(0.70710678118654752f))), half);
}

/* x / (1 + e^(-slope x)): SiLU with slope 1, quick GELU with 1.702. */
static inline __m256 sigmoid_times_f32x8(__m256 x, float slope) {
    __m256 e = exp_f32x8(_mm256_mul_ps(x, _mm256_set1_ps(-slope)));
    return _mm256_div_ps(x, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
}

static inline __m256 activate_f32x8(__m256 x, enum activation act) {
    switch (act) {
    case ACT_NONE:
        return x;
    case ACT_SILU:
        return sigmoid_times_f32x8(x, 1.0f);
    case ACT_GELU:
        return gelu_f32x8(x);
    case ACT_QUICK_GELU:
        return sigmoid_times_f32x8(x, 1.702f);
    case ACT_RELU:
        return _mm256_max_ps(_mm256_setzero_ps(), x); /* NaN stays */
    }
    return x;
}

#endif
