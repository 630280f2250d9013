/* The product of gemm.h with bf16 operands and f32 sums. */
#include "tensor/cpu/gemm_avx512.h"
#include "tensor/cpu/winograd_avx512.h"

static inline __m512 multiply_add(__m512 sum, __m512i a, __m512i b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }

static void convert(const void *from, enum dtype dtype, size_t count, void *to) {
    for (size_t i = 0; i < count; i += FLOATS) {
        __m512 x = load_numbers(from, dtype, i, mask_below(count - i));
        /* One number more at an odd end: zero. */
        store_numbers(to, DTYPE_BF16, i, mask_below((count - i + 1) / 2 * 2), x);
    }
}

static void winograd_input(size_t m, const void *const pixel[], enum dtype dtype, size_t channels, unsigned char *out, size_t stride) {
    if (m == 2)
        input_square(2, pixel, dtype, channels, out, DTYPE_BF16, stride);
    else if (m == 3)
        input_square(3, pixel, dtype, channels, out, DTYPE_BF16, stride);
    else
        input_square(4, pixel, dtype, channels, out, DTYPE_BF16, stride);
}

const struct gemm_engine gemm_avx512bf16 = {.name = "avx512bf16",
                                            .isa = ISA_AVX512BF16,
                                            .dtype = DTYPE_BF16,
                                            .panel = GEMM_PANEL,
                                            .vector = FLOATS,
                                            .block = run_block,
                                            .finish = finish_rows,
                                            .convert = convert,
                                            .winograd_input = winograd_input,
                                            .winograd_output = winograd_output};
