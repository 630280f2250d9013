/* Four numbers at once, in GCC's and Clang's own vectors: whatever the processor has, without
 * branches that a compiler could turn a choice between numbers into. */
#ifndef TENSOR_CPU_QUAD_H
#define TENSOR_CPU_QUAD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { QUAD = 4 };
typedef float quad __attribute__((vector_size(16)));
typedef int32_t quad_bits __attribute__((vector_size(16)));

static inline quad quad_all(float x) { return (quad){x, x, x, x}; }
static inline quad quad_load(const float *from) {
    quad x;
    memcpy(&x, from, sizeof x);
    return x;
}
static inline void quad_store(float *to, quad x) { memcpy(to, &x, sizeof x); }
/* a where the mask is all ones, b where it is 0. */
static inline quad quad_pick(quad_bits mask, quad a, quad b) { return (quad)((mask & (quad_bits)a) | (~mask & (quad_bits)b)); }

/* e^x, relative error below 2e-7; x below -87 counts as -87, above 88 as 88. NaN stays NaN. */
static inline quad quad_exp(quad x) {
    const quad lowest = quad_all(-87.0f), highest = quad_all(88.0f), magic = quad_all(0x1.8p+23f);
    x = quad_pick(x < lowest, lowest, x);
    x = quad_pick(x > highest, highest, x);
    /* x = n ln 2 + r: adding 1.5 * 2^23 leaves the integer n in the low bits. */
    quad shifted = x * quad_all(0x1.715476p+0f) + magic, n = shifted - magic;
    quad r = (x - n * quad_all(0x1.62e4p-1f)) - n * quad_all(0x1.7f7d1cp-20f);
    /* Cephes' polynomial for [-ln 2 / 2, ln 2 / 2]. */
    quad p = r * quad_all(1.9875691500e-4f) + quad_all(1.3981999507e-3f);
    p = p * r + quad_all(8.3334519073e-3f);
    p = p * r + quad_all(4.1665795894e-2f);
    p = p * r + quad_all(1.6666665459e-1f);
    p = p * r + quad_all(5.0000001201e-1f);
    p = p * r * r + r + quad_all(1.0f);
    /* The shift drops all bits but those of n + 127, which become the exponent. */
    return p * (quad)(((quad_bits)shifted + (quad_bits){127, 127, 127, 127}) << 23);
}

/* x / (1 + e^(-slope x)) */
static inline quad quad_sigmoid_product(quad x, float slope) { return x / (quad_all(1.0f) + quad_exp(x * quad_all(-slope))); }

/* x (1 + erf(x / sqrt 2)) / 2, by way of the complement of erf, which keeps the digits of small
 * results (Chebyshev fit of Press et al., Numerical Recipes, 6.2: relative error below 1.2e-7). */
static inline quad quad_gelu(quad x) {
    static const float fit[] = {-0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f, -0.18628806f,
                                0.09678418f,  0.37409196f, 1.00002368f,  -1.26551223f};
    const quad zero = quad_all(0.0f), half = quad_all(0.5f), one = quad_all(1.0f);
    quad z = quad_pick(x < zero, -x, x) * quad_all(0x1.6a09e6p-1f);
    quad t = one / (one + half * z), exponent = quad_all(0.17087277f);
    for (size_t i = 0; i < sizeof fit / sizeof *fit; i++) exponent = exponent * t + quad_all(fit[i]);
    quad complement = half * x * t * quad_exp(exponent - z * z);
    return quad_pick(x < zero, complement, x - complement);
}

#endif
