/* The words of gemm_vector.h that both AVX-512 engines share. */
#ifndef TENSOR_CPU_GEMM_WORDS_AVX512_H
#define TENSOR_CPU_GEMM_WORDS_AVX512_H

#include "tensor/cpu/vector_avx512.h"

typedef __m512 vector;
enum { VECTORS = 4 };
#define PANEL_OF_FOUR 1

static inline vector vector_load(const void *row, enum dtype dtype, size_t first, size_t count) {
    return load_numbers(row, dtype, first, mask_below(count));
}
static inline void vector_store(void *row, enum dtype dtype, size_t first, size_t count, vector x) {
    store_numbers(row, dtype, first, mask_below(count), x);
}
static inline vector vector_all(float x) { return _mm512_set1_ps(x); }
static inline vector vector_multiply_add(vector a, vector b, vector c) { return _mm512_fmadd_ps(a, b, c); }
static inline vector vector_gelu(vector x) { return gelu_f32x16(x); }
static inline vector vector_activate(vector x, enum activation act) { return activate_f32x16(x, act); }

static inline vector unit_all(const unsigned char *from) {
    int unit;
    memcpy(&unit, from, sizeof unit);
    return _mm512_castsi512_ps(_mm512_set1_epi32(unit));
}

#endif
