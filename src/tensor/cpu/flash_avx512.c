/* Attention of flash_avx512.h in f32. */
enum { UNIT_NUMBERS = 1 };
#include "tensor/cpu/flash_registers_avx512.h"

static inline __m512 multiply_add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum);
}

/* Relative error below 2e-7: Taylor's series to the seventh power on [-1/2, 1/2]. */
static inline __m512 power_of_two(__m512 x) {
    __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), f = _mm512_sub_ps(x, n);
    __m512 p = _mm512_set1_ps(1.52527338e-5f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.54035304e-4f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.33335581e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.61812911e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.55041087e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.40226507e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.93147181e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

static inline void store_powers(unsigned char *powers, __m512 first, __m512 second) {
    _mm512_store_ps(powers, first);
    _mm512_store_ps(powers + QUERIES * UNIT, second);
}

static void flash_convert(const void *from, enum dtype dtype, size_t count, void *to) {
    if (dtype == DTYPE_F32) {
        memcpy(to, from, count * sizeof(float));
        return;
    }
    for (size_t i = 0; i < count; i += FLOATS) {
        __mmask16 mask = mask_below(count - i);
        store_numbers(to, DTYPE_F32, i, mask, load_numbers(from, dtype, i, mask));
    }
}

static const char *accepts(const struct attention_shape *shape) {
    if (isa_available() < ISA_AVX512) return "the processor lacks the instructions";
    if (shape->compute != DTYPE_F32) return "another number format is asked for";
    if (shape->head_width > WIDTH_MOST) return "the heads are too wide";
    return NULL;
}

extern const struct attention_kernel avx512_attention;
const struct attention_kernel avx512_attention = {.name = "avx512", .accepts = accepts, .scratch = scratch, .run = run};
