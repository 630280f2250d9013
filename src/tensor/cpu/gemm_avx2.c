/* The product of gemm.h in f32, eight numbers at a time: 6 rows by 2 vectors of sums, 2 of weights and one
 * unit fill 15 of 16 registers. */
#include "tensor/cpu/vector_avx2.h"

typedef __m256 vector;
enum { VECTORS = 2 };
#define PANEL_OF_FOUR 0
#define FORMAT        DTYPE_F32

static inline vector vector_load(const void *row, enum dtype dtype, size_t first, size_t count) {
    return load_numbers(row, dtype, first, count);
}
static inline void vector_store(void *row, enum dtype dtype, size_t first, size_t count, vector x) {
    store_numbers(row, dtype, first, count, x);
}
static inline vector vector_all(float x) { return _mm256_set1_ps(x); }
static inline vector vector_multiply_add(vector a, vector b, vector c) { return _mm256_fmadd_ps(a, b, c); }
static inline vector vector_gelu(vector x) { return gelu_f32x8(x); }
static inline vector vector_activate(vector x, enum activation act) { return activate_f32x8(x, act); }

static inline vector unit_all(const unsigned char *from) {
    float unit;
    memcpy(&unit, from, sizeof unit);
    return _mm256_set1_ps(unit);
}
static inline vector multiply_add(vector sum, vector a, vector b) { return _mm256_fmadd_ps(a, b, sum); }
static inline size_t unit_filled(size_t count) { return count; }

#include "tensor/cpu/winograd_vector.h"

const struct gemm_engine gemm_avx2 = {
    .name = "avx2",
    .isa = ISA_AVX2,
    .dtype = FORMAT,
    .panel = PANEL,
    .vector = FLOATS,
    .block = run_block,
    .finish = finish_rows,
    .convert = convert,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
};
