/* What the processor can do at best, measured: multiply-adds on registers, all threads at once.
 * Every speed that we print stands beside it. */
#ifndef TENSOR_PEAK_H
#define TENSOR_PEAK_H

#include "base/pool.h"
#include "tensor/tensor.h"

/* GFLOP/s (a multiply-add is two) of DTYPE_F32 or DTYPE_BF16 with f32 sums, over about `seconds`;
 * 0 when the processor has no such instruction. */
double peak_gflops(struct pool *pool, enum dtype dtype, double seconds);
/* The same in bf16 without tiles (AMX), which multiply many times as fast. */
double peak_bf16_vectors_gflops(struct pool *pool, double seconds);

/* One thread's share: `rounds` rounds of 12 independent chains. Returns multiply-adds done. One for
 * each instruction set; each in a file that is compiled for it. */
double peak_f32_plain(long rounds);
double peak_f32_avx2(long rounds);
double peak_f32_avx512(long rounds);
double peak_bf16_avx512(long rounds);
double peak_bf16_amx(long rounds); /* by tiles: rounds of 4 */

#endif
