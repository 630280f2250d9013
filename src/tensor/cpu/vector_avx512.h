/* Sixteen numbers at a time: rows in either format, and the functions that networks are made of. */
#ifndef TENSOR_CPU_VECTOR_AVX512_H
#define TENSOR_CPU_VECTOR_AVX512_H

#include "tensor/plan.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { FLOATS = 16 };

static inline __mmask16 mask_below(size_t count) { return (__mmask16)(count >= FLOATS ? 0xffffu : (1u << count) - 1u); }

/* ---- rows ---- */

static inline __m512 widen_bf16(__m256i half) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16)); }

/* Round to nearest, ties to even; NaN stays NaN. */
static inline __m256i narrow_bf16(__m512 x) {
#if defined(__AVX512BF16__)
    return (__m256i)_mm512_cvtneps_pbh(x);
#else
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    rounded = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), quiet);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
#endif
}

/* Numbers [first, first + 16) of a row; lanes outside the mask are zero and their memory isn't touched. */
static inline __m512 load_numbers(const void *row, enum dtype dtype, size_t first, __mmask16 mask) {
    if (dtype == DTYPE_BF16) return widen_bf16(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)row + first));
    return _mm512_maskz_loadu_ps(mask, (const float *)row + first);
}

static inline void store_numbers(void *row, enum dtype dtype, size_t first, __mmask16 mask, __m512 x) {
    if (dtype == DTYPE_BF16) {
        if (mask == 0xffff)
            _mm256_storeu_si256((__m256i *)(void *)((uint16_t *)row + first), narrow_bf16(x));
        else
            _mm256_mask_storeu_epi16((uint16_t *)row + first, mask, narrow_bf16(x));
    } else {
        if (mask == 0xffff)
            _mm512_storeu_ps((float *)row + first, x);
        else
            _mm512_mask_storeu_ps((float *)row + first, mask, x);
    }
}

/* Turn a square of 16 rows by 16 numbers on its side. */
static inline void transpose_16x16(__m512i row[FLOATS]) {
    __m512i t[FLOATS];
    for (int i = 0; i < FLOATS; i += 4) { /* 4 by 4 within 128 bits */
        __m512i low = _mm512_unpacklo_epi32(row[i], row[i + 1]), high = _mm512_unpackhi_epi32(row[i], row[i + 1]);
        __m512i low2 = _mm512_unpacklo_epi32(row[i + 2], row[i + 3]), high2 = _mm512_unpackhi_epi32(row[i + 2], row[i + 3]);
        t[i] = _mm512_unpacklo_epi64(low, low2);
        t[i + 1] = _mm512_unpackhi_epi64(low, low2);
        t[i + 2] = _mm512_unpacklo_epi64(high, high2);
        t[i + 3] = _mm512_unpackhi_epi64(high, high2);
    }
    for (int i = 0; i < 4; i++) { /* then 4 by 4 of those */
        __m512i low = _mm512_shuffle_i32x4(t[i], t[4 + i], 0x88), high = _mm512_shuffle_i32x4(t[i], t[4 + i], 0xdd);
        __m512i low2 = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0x88), high2 = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0xdd);
        row[i] = _mm512_shuffle_i32x4(low, low2, 0x88);
        row[8 + i] = _mm512_shuffle_i32x4(low, low2, 0xdd);
        row[4 + i] = _mm512_shuffle_i32x4(high, high2, 0x88);
        row[12 + i] = _mm512_shuffle_i32x4(high, high2, 0xdd);
    }
}

/* ---- functions ---- */

/* e^x, relative error below 2e-7; x below -87 counts as -87, above 88 as 88. NaN stays NaN. */
static inline __m512 exp_f32x16(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-87.0f), x); /* the second operand is what a NaN comes out as */
    x = _mm512_min_ps(_mm512_set1_ps(88.0f), x);
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p+0f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
    __m512 p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
    return _mm512_scalef_ps(p, n);
}

/* erf x within 3e-7: an odd rational function (degrees 13 over 8) on [-4, 4], beyond which f32's erf is 1. */
static inline __m512 erf_f32x16(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-4.0f), x);
    x = _mm512_min_ps(_mm512_set1_ps(4.0f), x);
    __m512 s = _mm512_mul_ps(x, x);
    __m512 p = _mm512_set1_ps(-2.72614225801306e-10f);
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(2.77068142495902e-08f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-2.10102402082508e-06f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-5.69250639462346e-05f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-7.34990630326855e-04f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-2.95459980854025e-03f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-1.60960333262415e-02f));
    __m512 q = _mm512_set1_ps(-1.45660718464996e-05f);
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(-2.13374055278905e-04f));
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(-1.68282697438203e-03f));
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(-7.37332916720468e-03f));
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(-1.42647390514189e-02f));
    return _mm512_div_ps(_mm512_mul_ps(x, p), q);
}

static inline __m512 gelu_f32x16(__m512 x) {
    __m512 half = _mm512_mul_ps(x, _mm512_set1_ps(0.5f));
    return _mm512_fmadd_ps(half, erf_f32x16(_mm512_mul_ps(x, _mm512_set1_ps(0.70710678118654752f))), half);
}
/* As exactly as a result in bf16 deserves: within 1.4e-4. P(x^2) x is the normal distribution less 1/2 on [-4, 4] within
 * 3.2e-5 (a minimax fit that is right at the ends). */
static inline __m512 gelu_bf16_f32x16(__m512 x) {
    __m512 t = _mm512_min_ps(_mm512_set1_ps(4.0f), _mm512_max_ps(_mm512_set1_ps(-4.0f), x)), s = _mm512_mul_ps(t, t);
    __m512 p = _mm512_set1_ps(-0x1.5ff698p-30f);
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(0x1.c133c6p-24f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-0x1.f25b42p-19f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(0x1.3fbc7ep-14f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-0x1.0bba8cp-10f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(0x1.39fd72p-7f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-0x1.0e9a6cp-4f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(0x1.986098p-2f));
    return _mm512_mul_ps(x, _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.5f)));
}
/* x / (1 + e^(-slope x)): SiLU with slope 1, quick GELU with 1.702. */
static inline __m512 sigmoid_times_f32x16(__m512 x, float slope) {
    __m512 e = exp_f32x16(_mm512_mul_ps(x, _mm512_set1_ps(-slope)));
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
}

static inline __m512 activate_f32x16(__m512 x, enum activation act) {
    switch (act) {
    case ACT_NONE:
        return x;
    case ACT_SILU:
        return sigmoid_times_f32x16(x, 1.0f);
    case ACT_GELU:
        return gelu_f32x16(x);
    case ACT_QUICK_GELU:
        return sigmoid_times_f32x16(x, 1.702f);
    case ACT_RELU:
        return _mm512_max_ps(_mm512_setzero_ps(), x); /* NaN stays */
    }
    return x;
}

#endif
