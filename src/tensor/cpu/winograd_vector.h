/* The transforms of winograd.h with vectors of any length, on as many channels at a time. Included
 * after gemm_vector.h; needs of its file also
 *   vector_multiply_add(a, b, c)     a * b + c
 *   vector_all()                     a number in all lanes */
#ifndef TENSOR_CPU_WINOGRAD_VECTOR_H
#define TENSOR_CPU_WINOGRAD_VECTOR_H

#include "tensor/cpu/gemm_vector.h"
#include "tensor/cpu/winograd.h"

/* a number times x, plus c */
__attribute__((always_inline)) static inline vector scaled_add(float number, vector x, vector c) {
    return vector_multiply_add(vector_all(number), x, c);
}

__attribute__((always_inline)) static inline void input_transform2(const vector d[], vector out[]) {
    out[0] = d[0] - d[2];
    out[1] = d[2] + d[1];
    out[2] = d[2] - d[1];
    out[3] = d[3] - d[1];
}
__attribute__((always_inline)) static inline void input_transform3(const vector d[], vector out[]) {
    const float near = WINOGRAD_NEAR, far = WINOGRAD_FAR, near2 = near * near, far2 = far * far;
    vector odd = scaled_add(-far2, d[1], d[3]), even = scaled_add(-far2, d[0], d[2]);
    vector odd2 = scaled_add(-near2, d[1], d[3]), even2 = scaled_add(-near2, d[0], d[2]);
    out[0] = scaled_add(near, even, odd);
    out[1] = scaled_add(-near, even, odd);
    out[2] = scaled_add(far, even2, odd2);
    out[3] = scaled_add(-far, even2, odd2);
    out[4] = scaled_add(near2 * far2, d[0], scaled_add(-near2 - far2, d[2], d[4]));
}
__attribute__((always_inline)) static inline void input_transform4(const vector d[], vector out[]) {
    vector even = scaled_add(-2.0f, d[2], d[4]), odd = scaled_add(-2.0f, d[1], d[3]);
    vector even2 = scaled_add(-0.5f, d[2], d[4]), odd2 = scaled_add(-0.5f, d[1], d[3]);
    out[0] = scaled_add(-2.5f, d[2], d[0] + d[4]);
    out[1] = scaled_add(WINOGRAD_SMALL, odd, even);
    out[2] = scaled_add(-WINOGRAD_SMALL, odd, even);
    out[3] = scaled_add(WINOGRAD_LARGE, odd2, even2);
    out[4] = scaled_add(-WINOGRAD_LARGE, odd2, even2);
    out[5] = scaled_add(-2.5f, d[3], d[1] + d[5]);
}
/* B^T d: of m + 2 inputs as many. */
__attribute__((always_inline)) static inline void input_transform(size_t m, const vector d[], vector out[]) {
    if (m == 2)
        input_transform2(d, out);
    else if (m == 3)
        input_transform3(d, out);
    else
        input_transform4(d, out);
}

__attribute__((always_inline)) static inline void output_transform2(const vector s[], vector out[]) {
    out[0] = s[0] + (s[1] + s[2]);
    out[1] = (s[1] - s[2]) + s[3];
}
__attribute__((always_inline)) static inline void output_transform3(const vector s[], vector out[]) {
    const float near = WINOGRAD_NEAR, far = WINOGRAD_FAR;
    vector even = s[0] + s[1], odd = s[0] - s[1], even2 = s[2] + s[3], odd2 = s[2] - s[3];
    out[0] = even + even2;
    out[1] = scaled_add(near, odd, vector_all(far) * odd2);
    out[2] = scaled_add(near * near, even, scaled_add(far * far, even2, s[4]));
}
__attribute__((always_inline)) static inline void output_transform4(const vector s[], vector out[]) {
    vector even = s[1] + s[2], even2 = s[3] + s[4];
    vector odd = vector_all(WINOGRAD_SMALL) * (s[1] - s[2]), odd2 = vector_all(WINOGRAD_LARGE) * (s[3] - s[4]);
    out[0] = s[0] + (even + even2);
    out[1] = odd + odd2;
    out[2] = scaled_add(0.5f, even, even2 + even2);
    out[3] = scaled_add(0.5f, odd, scaled_add(2.0f, odd2, s[5]));
}
/* A^T s: of m + 2 sums m results. */
__attribute__((always_inline)) static inline void output_transform(size_t m, const vector s[], vector out[]) {
    if (m == 2)
        output_transform2(s, out);
    else if (m == 3)
        output_transform3(s, out);
    else
        output_transform4(s, out);
}

/* A square of pixels: out[point * stride] gets `channels` numbers, the last unit filled up with zero. */
__attribute__((always_inline)) static inline void input_square(size_t m, const void *const pixel[], enum dtype dtype, size_t channels,
                                                               unsigned char *out, size_t stride) {
    size_t n = m + 2, size = FORMAT == DTYPE_BF16 ? 2 : 4;
    for (size_t c = 0; c < channels; c += FLOATS) {
        vector square[WINOGRAD_MOST][WINOGRAD_MOST];
        for (size_t x = 0; x < n; x++) {
            vector d[WINOGRAD_MOST], t[WINOGRAD_MOST];
#pragma GCC unroll 6
            for (size_t y = 0; y < n; y++) d[y] = vector_load(pixel[y * n + x], dtype, c, channels - c);
            input_transform(m, d, t);
#pragma GCC unroll 6
            for (size_t y = 0; y < n; y++) square[y][x] = t[y];
        }
        for (size_t y = 0; y < n; y++) {
            vector t[WINOGRAD_MOST];
            input_transform(m, square[y], t);
#pragma GCC unroll 6
            for (size_t x = 0; x < n; x++) vector_store(out + (y * n + x) * stride + c * size, FORMAT, 0, unit_filled(channels - c), t[x]);
        }
    }
}

/* Sums of `columns` columns, those of point i from sums[i * stride]; out[m * m][columns]. */
__attribute__((always_inline)) static inline void output_square(size_t m, const float *sums, size_t stride, size_t columns, float *out) {
    size_t n = m + 2;
    for (size_t c = 0; c < columns; c += FLOATS) {
        vector square[WINOGRAD_MOST][WINOGRAD_MOST];
        for (size_t x = 0; x < n; x++) {
            vector s[WINOGRAD_MOST], t[WINOGRAD_MOST];
#pragma GCC unroll 6
            for (size_t y = 0; y < n; y++) s[y] = floats_load(sums + (y * n + x) * stride + c);
            output_transform(m, s, t);
#pragma GCC unroll 4
            for (size_t y = 0; y < m; y++) square[y][x] = t[y];
        }
        for (size_t y = 0; y < m; y++) {
            vector t[WINOGRAD_MOST];
            output_transform(m, square[y], t);
#pragma GCC unroll 4
            for (size_t x = 0; x < m; x++) floats_store(out + (y * m + x) * columns + c, t[x]);
        }
    }
}

static void winograd_input(size_t m, const void *const pixel[], enum dtype dtype, size_t channels, unsigned char *out, size_t stride) {
    if (m == 2)
        input_square(2, pixel, dtype, channels, out, stride);
    else if (m == 3)
        input_square(3, pixel, dtype, channels, out, stride);
    else
        input_square(4, pixel, dtype, channels, out, stride);
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
