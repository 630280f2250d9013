/* Winograd's convolution (Lavin and Gray 2016): squares of m by m results from squares of m + 2 by
 * m + 2 inputs, with (m + 2)^2 products instead of 9 m^2.
 *
 * In one dimension, with points p and one at infinity, the results of a kernel g over inputs d are
 * y = A^T (G g * B^T d); in two dimensions the transforms are applied to columns, then to rows.
 * m = 2: points 0, 1, -1. m = 4: points 0, +-sqrt(1/2), +-sqrt(2), which lose a half to a third as
 * much in rounding as the usual 0, +-1, +-2. */
#ifndef TENSOR_CPU_WINOGRAD_H
#define TENSOR_CPU_WINOGRAD_H

#include "tensor/plan.h"

enum { WINOGRAD_MOST = 6, WINOGRAD_POINTS = WINOGRAD_MOST * WINOGRAD_MOST };
#define WINOGRAD_SMALL 0.70710678118654752f /* the points of m = 4; their squares are 1/2 and 2 */
#define WINOGRAD_LARGE 1.41421356237309505f

/* A 3x3 kernel's (m + 2)^2 factors: G g G^T. */
void winograd_weight(size_t m, const float kernel[9], float *out);

#endif
