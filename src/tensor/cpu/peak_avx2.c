#include "tensor/peak.h"

#include <immintrin.h>

/* The chains must stay in registers: without the pragmas gcc keeps the array in memory at -O2. */
enum { CHAINS = 12 };

double peak_f32_avx2(long rounds) {
    __m256 sums[CHAINS], x = _mm256_set1_ps(1.0001f), y = _mm256_set1_ps(0.9f);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_setzero_ps();
    for (long n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_fmadd_ps(x, y, sums[i]);
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) __asm__ volatile("" : "+x"(sums[i]));
    }
    return (double)rounds * CHAINS * 8;
}
