#include "tensor/peak.h"

#include <immintrin.h>

/* The chains must stay in registers: without the pragmas gcc keeps the array in memory at -O2. */
enum { CHAINS = 12 };

double peak_bf16_avx512(long rounds) {
    __m512 sums[CHAINS];
    __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f803f80), y = x;
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_setzero_ps();
    for (long n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_dpbf16_ps(sums[i], x, y);
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) __asm__ volatile("" : "+v"(sums[i]));
    }
    return (double)rounds * CHAINS * 32;
}
