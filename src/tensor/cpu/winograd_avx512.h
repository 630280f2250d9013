/* The transforms of winograd.h in vectors of 512 bits: 16 channels at a time. */
#ifndef TENSOR_CPU_WINOGRAD_AVX512_H
#define TENSOR_CPU_WINOGRAD_AVX512_H

#include "tensor/cpu/vector_avx512.h"
#include "tensor/cpu/winograd.h"

/* B^T d: of m + 2 inputs as many. */
__attribute__((always_inline)) static inline void input_transform(size_t m, const __m512 d[], __m512 out[]) {
    if (m == 2) {
        out[0] = _mm512_sub_ps(d[0], d[2]);
        out[1] = _mm512_add_ps(d[2], d[1]);
        out[2] = _mm512_sub_ps(d[2], d[1]);
        out[3] = _mm512_sub_ps(d[3], d[1]);
        return;
    }
    if (m == 3) {
        const __m512 near = _mm512_set1_ps(WINOGRAD_NEAR), far = _mm512_set1_ps(WINOGRAD_FAR);
        const __m512 near2 = _mm512_set1_ps(WINOGRAD_NEAR * WINOGRAD_NEAR), far2 = _mm512_set1_ps(WINOGRAD_FAR * WINOGRAD_FAR);
        const __m512 sum = _mm512_set1_ps(WINOGRAD_NEAR * WINOGRAD_NEAR + WINOGRAD_FAR * WINOGRAD_FAR);
        const __m512 product = _mm512_set1_ps(WINOGRAD_NEAR * WINOGRAD_NEAR * WINOGRAD_FAR * WINOGRAD_FAR);
        __m512 odd = _mm512_fnmadd_ps(far2, d[1], d[3]), even = _mm512_fnmadd_ps(far2, d[0], d[2]);
        __m512 odd2 = _mm512_fnmadd_ps(near2, d[1], d[3]), even2 = _mm512_fnmadd_ps(near2, d[0], d[2]);
        out[0] = _mm512_fmadd_ps(near, even, odd);
        out[1] = _mm512_fnmadd_ps(near, even, odd);
        out[2] = _mm512_fmadd_ps(far, even2, odd2);
        out[3] = _mm512_fnmadd_ps(far, even2, odd2);
        out[4] = _mm512_fmadd_ps(product, d[0], _mm512_fnmadd_ps(sum, d[2], d[4]));
        return;
    }
    const __m512 small = _mm512_set1_ps(WINOGRAD_SMALL), large = _mm512_set1_ps(WINOGRAD_LARGE);
    const __m512 half = _mm512_set1_ps(0.5f), two = _mm512_set1_ps(2.0f), middle = _mm512_set1_ps(2.5f);
    __m512 even = _mm512_fnmadd_ps(two, d[2], d[4]), odd = _mm512_fnmadd_ps(two, d[1], d[3]);
    __m512 even2 = _mm512_fnmadd_ps(half, d[2], d[4]), odd2 = _mm512_fnmadd_ps(half, d[1], d[3]);
    out[0] = _mm512_fnmadd_ps(middle, d[2], _mm512_add_ps(d[0], d[4]));
    out[1] = _mm512_fmadd_ps(small, odd, even);
    out[2] = _mm512_fnmadd_ps(small, odd, even);
    out[3] = _mm512_fmadd_ps(large, odd2, even2);
    out[4] = _mm512_fnmadd_ps(large, odd2, even2);
    out[5] = _mm512_fnmadd_ps(middle, d[3], _mm512_add_ps(d[1], d[5]));
}

/* A^T s: of m + 2 sums m results. */
__attribute__((always_inline)) static inline void output_transform(size_t m, const __m512 s[], __m512 out[]) {
    if (m == 3) {
        const __m512 near = _mm512_set1_ps(WINOGRAD_NEAR), far = _mm512_set1_ps(WINOGRAD_FAR);
        const __m512 near2 = _mm512_set1_ps(WINOGRAD_NEAR * WINOGRAD_NEAR), far2 = _mm512_set1_ps(WINOGRAD_FAR * WINOGRAD_FAR);
        __m512 even = _mm512_add_ps(s[0], s[1]), odd = _mm512_sub_ps(s[0], s[1]);
        __m512 even2 = _mm512_add_ps(s[2], s[3]), odd2 = _mm512_sub_ps(s[2], s[3]);
        out[0] = _mm512_add_ps(even, even2);
        out[1] = _mm512_fmadd_ps(near, odd, _mm512_mul_ps(far, odd2));
        out[2] = _mm512_fmadd_ps(near2, even, _mm512_fmadd_ps(far2, even2, s[4]));
        return;
    }
    __m512 plus = _mm512_add_ps(s[1], s[2]), minus = _mm512_sub_ps(s[1], s[2]);
    if (m == 2) {
        out[0] = _mm512_add_ps(s[0], plus);
        out[1] = _mm512_add_ps(minus, s[3]);
        return;
    }
    const __m512 small = _mm512_set1_ps(WINOGRAD_SMALL), large = _mm512_set1_ps(WINOGRAD_LARGE);
    const __m512 half = _mm512_set1_ps(0.5f), two = _mm512_set1_ps(2.0f);
    __m512 plus2 = _mm512_add_ps(s[3], s[4]), minus2 = _mm512_sub_ps(s[3], s[4]);
    __m512 odd = _mm512_mul_ps(small, minus), odd2 = _mm512_mul_ps(large, minus2);
    out[0] = _mm512_add_ps(s[0], _mm512_add_ps(plus, plus2));
    out[1] = _mm512_add_ps(odd, odd2);
    out[2] = _mm512_fmadd_ps(half, plus, _mm512_mul_ps(two, plus2));
    out[3] = _mm512_fmadd_ps(half, odd, _mm512_fmadd_ps(two, odd2, s[5]));
}

/* A square of pixels: out[point * stride] gets `channels` numbers, zeros up to an even count in bf16. */
__attribute__((always_inline)) static inline void input_square(size_t m, const void *const pixel[], enum dtype from, size_t channels,
                                                               unsigned char *out, enum dtype to, size_t stride) {
    size_t n = m + 2, size = to == DTYPE_BF16 ? 2 : 4;
    for (size_t c = 0; c < channels; c += FLOATS) {
        __mmask16 mask = mask_below(channels - c);
        __mmask16 filled = mask_below(to == DTYPE_BF16 ? (channels - c + 1) / 2 * 2 : channels - c);
        __m512 square[WINOGRAD_MOST][WINOGRAD_MOST];
        for (size_t x = 0; x < n; x++) {
            __m512 d[WINOGRAD_MOST], t[WINOGRAD_MOST];
#pragma GCC unroll 6
            for (size_t y = 0; y < n; y++) d[y] = load_numbers(pixel[y * n + x], from, c, mask);
            input_transform(m, d, t);
#pragma GCC unroll 6
            for (size_t y = 0; y < n; y++) square[y][x] = t[y];
        }
        for (size_t y = 0; y < n; y++) {
            __m512 t[WINOGRAD_MOST];
            input_transform(m, square[y], t);
#pragma GCC unroll 6
            for (size_t x = 0; x < n; x++) store_numbers(out + (y * n + x) * stride + c * size, to, 0, filled, t[x]);
        }
    }
}

/* Sums of `columns` columns, those of point i from sums[i * stride]; out[m * m][columns]. */
__attribute__((always_inline)) static inline void output_square(size_t m, const float *sums, size_t stride, size_t columns, float *out) {
    size_t n = m + 2;
    for (size_t c = 0; c < columns; c += FLOATS) {
        __m512 square[WINOGRAD_MOST][WINOGRAD_MOST];
        for (size_t x = 0; x < n; x++) {
            __m512 s[WINOGRAD_MOST], t[WINOGRAD_MOST];
#pragma GCC unroll 6
            for (size_t y = 0; y < n; y++) s[y] = _mm512_loadu_ps(sums + (y * n + x) * stride + c);
            output_transform(m, s, t);
#pragma GCC unroll 4
            for (size_t y = 0; y < m; y++) square[y][x] = t[y];
        }
        for (size_t y = 0; y < m; y++) {
            __m512 t[WINOGRAD_MOST];
            output_transform(m, square[y], t);
#pragma GCC unroll 4
            for (size_t x = 0; x < m; x++) _mm512_storeu_ps(out + (y * m + x) * columns + c, t[x]);
        }
    }
}

static void winograd_output(size_t m, const float *sums, size_t stride, size_t columns, float *out) {
    if (m == 2)
        output_square(2, sums, stride, columns, out);
    else if (m == 3)
        output_square(3, sums, stride, columns, out);
    else
        output_square(4, sums, stride, columns, out);
}

#endif
