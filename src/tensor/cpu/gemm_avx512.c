/* The product of gemm.h in f32. */
#include "tensor/cpu/gemm_avx512.h"

static inline __m512 multiply_add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum);
}

static void convert(const void *from, enum dtype dtype, size_t count, void *to) {
    for (size_t i = 0; i < count; i += LANES) {
        __mmask16 lanes = lanes_below(count - i);
        store_numbers(to, DTYPE_F32, i, lanes, load_numbers(from, dtype, i, lanes));
    }
}

const struct gemm_engine gemm_avx512 = {
    .name = "avx512", .isa = ISA_AVX512, .dtype = DTYPE_F32, .panel = GEMM_PANEL, .vector = LANES, .block = run_block, .convert = convert};
