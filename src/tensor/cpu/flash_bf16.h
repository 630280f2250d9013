/* The powers of flash_avx512.h in bf16, for those that include it with UNIT_NUMBERS = 2. */
#ifndef TENSOR_CPU_FLASH_BF16_H
#define TENSOR_CPU_FLASH_BF16_H

/* Within 1.1e-4 of the value, a twentieth of bf16's rounding: x = n + f, 0 <= f < 1, and a cubic for 2^f. scalef() takes
 * the floor of x by itself. */
static inline __m512 power_of_two(__m512 x) {
    __m512 f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(7.8024521e-2f), f, _mm512_set1_ps(2.2606716e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9583356e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.9992520e-1f));
    return _mm512_scalef_ps(p, x);
}

/* The two rows' powers side by side in each lane. */
static inline void store_powers(unsigned char *powers, __m512 first, __m512 second) {
    const __m512i place = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3,
                                           18, 2, 17, 1, 16, 0);
    _mm512_store_si512(powers, _mm512_permutexvar_epi16(place, (__m512i)_mm512_cvtne2ps_pbh(second, first)));
}

static void flash_convert(const void *from, enum dtype dtype, size_t count, void *to) {
    if (dtype == DTYPE_BF16) {
        memcpy(to, from, count * 2);
        if (count % 2) memset((unsigned char *)to + count * 2, 0, 2);
        return;
    }
    for (size_t i = 0; i < count; i += FLOATS)
        store_numbers(to, DTYPE_BF16, i, mask_below((count - i + 1) / 2 * 2), load_numbers(from, dtype, i, mask_below(count - i)));
}

#endif
