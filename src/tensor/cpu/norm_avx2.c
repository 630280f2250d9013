/* The norms of norm_vector.h, eight numbers at a time. */
#include "tensor/cpu/vector_avx2.h"

typedef __m256 vector;

static inline vector vector_all(float x) { return _mm256_set1_ps(x); }
static inline vector vector_multiply_add(vector a, vector b, vector c) { return _mm256_fmadd_ps(a, b, c); }
static inline float vector_total(vector x) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
static inline vector vector_load(const void *row, enum dtype dtype, size_t first, size_t count) {
    return load_numbers(row, dtype, first, count);
}
static inline void vector_store(void *row, enum dtype dtype, size_t first, size_t count, vector x) {
    store_numbers(row, dtype, first, count, x);
}
static inline void vector_stream(void *row, enum dtype dtype, size_t first, vector x) {
    if (dtype == DTYPE_BF16)
        _mm_stream_si128((__m128i *)(void *)((uint16_t *)row + first), narrow_bf16(x));
    else
        _mm256_stream_ps((float *)row + first, x);
}
static inline vector vector_silu(vector x) { return sigmoid_times_f32x8(x, 1.0f); }
static inline vector vector_silu_bf16(vector x) { return vector_silu(x); }

#include "tensor/cpu/norm_vector.h"

static const char *accepts_group_norm(const struct group_norm_shape *shape) {
    (void)shape;
    return isa_available() < ISA_AVX2 ? "the processor lacks the instructions" : NULL;
}
static const char *accepts_layer_norm(const struct layer_norm_shape *shape) {
    (void)shape;
    return isa_available() < ISA_AVX2 ? "the processor lacks the instructions" : NULL;
}

extern const struct group_norm_kernel avx2_group_norm;
const struct group_norm_kernel avx2_group_norm = {.name = "avx2", .accepts = accepts_group_norm, .scratch = norm_scratch, .run = norm_run};
extern const struct layer_norm_kernel avx2_layer_norm;
const struct layer_norm_kernel avx2_layer_norm = {.name = "avx2", .accepts = accepts_layer_norm, .run = line_run};
