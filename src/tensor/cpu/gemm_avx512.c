/* The product of gemm.h in f32. */
#include "tensor/cpu/gemm_avx512.h"
#include "tensor/cpu/winograd_avx512.h"

static inline __m512 multiply_add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum);
}

static void convert(const void *from, enum dtype dtype, size_t count, void *to) {
    for (size_t i = 0; i < count; i += FLOATS) {
        __mmask16 mask = mask_below(count - i);
        store_numbers(to, DTYPE_F32, i, mask, load_numbers(from, dtype, i, mask));
    }
}

static void winograd_input(size_t m, const void *const pixel[], enum dtype dtype, size_t channels, unsigned char *out, size_t stride) {
    if (m == 2)
        input_square(2, pixel, dtype, channels, out, DTYPE_F32, stride);
    else if (m == 3)
        input_square(3, pixel, dtype, channels, out, DTYPE_F32, stride);
    else
        input_square(4, pixel, dtype, channels, out, DTYPE_F32, stride);
}

const struct gemm_engine gemm_avx512 = {.name = "avx512",
                                        .isa = ISA_AVX512,
                                        .dtype = DTYPE_F32,
                                        .panel = GEMM_PANEL,
                                        .vector = FLOATS,
                                        .block = run_block,
                                        .finish = finish_rows,
                                        .convert = convert,
                                        .winograd_input = winograd_input,
                                        .winograd_output = winograd_output};
