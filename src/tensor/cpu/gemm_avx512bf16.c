/* The product of gemm.h with bf16 operands and f32 sums. */
#include "tensor/cpu/gemm_avx512.h"

static inline __m512 multiply_add(__m512 sum, __m512i a, __m512i b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }

static void convert(const void *from, enum dtype dtype, size_t count, void *to) {
    for (size_t i = 0; i < count; i += LANES) {
        __m512 x = load_numbers(from, dtype, i, lanes_below(count - i));
        /* One number more at an odd end: zero. */
        store_numbers(to, DTYPE_BF16, i, lanes_below((count - i + 1) / 2 * 2), x);
    }
}

const struct gemm_engine gemm_avx512bf16 = {.name = "avx512bf16",
                                            .isa = ISA_AVX512BF16,
                                            .dtype = DTYPE_BF16,
                                            .panel = GEMM_PANEL,
                                            .vector = LANES,
                                            .block = run_block,
                                            .convert = convert};
