/* Winograd's convolution (Lavin and Gray 2016): squares of m by m results from squares of m + 2 by
 * m + 2 inputs, with (m + 2)^2 products instead of 9 m^2.
 *
 * In one dimension, with points p and one at infinity, the results of a kernel g over inputs d are
 * y = A^T (G g * B^T d); in two dimensions the transforms are applied to columns, then to rows.
 * The points decide how much of the numbers' precision the transforms lose. m = 2: 0, 1, -1. m = 3:
 * +-0.4, +-1.3. m = 4: 0, +-sqrt(1/2), +-sqrt(2). Found by trying; the usual small integers lose two
 * to three times as much for m = 3 and m = 4. */
#ifndef TENSOR_CPU_WINOGRAD_H
#define TENSOR_CPU_WINOGRAD_H

#include "tensor/plan.h"

enum { WINOGRAD_MOST = 6, WINOGRAD_POINTS = WINOGRAD_MOST * WINOGRAD_MOST };
#define WINOGRAD_NEAR  0.4f /* the points of m = 3 */
#define WINOGRAD_FAR   1.3f
#define WINOGRAD_SMALL 0.70710678118654752f /* the points of m = 4; their squares are 1/2 and 2 */
#define WINOGRAD_LARGE 1.41421356237309505f

/* A 3x3 kernel's (m + 2)^2 factors: G g G^T. */
void winograd_weight(size_t m, const float kernel[9], float *out);

#endif
