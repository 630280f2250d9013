/* The product of gemm.h with bf16 operands and f32 sums. */
#include "tensor/cpu/gemm_words_avx512.h"

#define FORMAT DTYPE_BF16
static inline vector multiply_add(vector sum, vector a, vector b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(a), (__m512bh)_mm512_castps_si512(b));
}
static inline size_t unit_filled(size_t count) { return (count + 1) / 2 * 2; }

#include "tensor/cpu/winograd_vector.h"

const struct gemm_engine gemm_avx512bf16 = {
    .name = "avx512bf16",
    .isa = ISA_AVX512BF16,
    .dtype = FORMAT,
    .panel = PANEL,
    .vector = FLOATS,
    .block = run_block,
    .finish = finish_rows,
    .convert = convert,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
};
