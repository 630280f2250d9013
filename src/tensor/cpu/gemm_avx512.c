/* The product of gemm.h in f32, 16 numbers at a time. */
#include "tensor/cpu/gemm_words_avx512.h"

#define FORMAT DTYPE_F32
static inline vector multiply_add(vector sum, vector a, vector b) { return _mm512_fmadd_ps(a, b, sum); }
static inline size_t unit_filled(size_t count) { return count; }

#include "tensor/cpu/winograd_vector.h"

const struct gemm_engine gemm_avx512 = {
    .name = "avx512",
    .isa = ISA_AVX512,
    .dtype = FORMAT,
    .panel = PANEL,
    .vector = FLOATS,
    .block = run_block,
    .finish = finish_rows,
    .convert = convert,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
};
