#include "tensor/peak.h"

#include <immintrin.h>

/* The chains must stay in registers: without the pragmas gcc keeps the array in memory at -O2. */
enum { CHAINS = 12 };

double peak_f32_avx512(long rounds) {
    __m512 sums[CHAINS], x = _mm512_set1_ps(1.0001f), y = _mm512_set1_ps(0.9f);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_setzero_ps();
    for (long n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_fmadd_ps(x, y, sums[i]);
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) __asm__ volatile("" : "+v"(sums[i]));
    }
    return (double)rounds * CHAINS * 16;
}
