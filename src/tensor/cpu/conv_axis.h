/* Where a convolution's taps fall on the stored picture. */
#ifndef TENSOR_CPU_CONV_AXIS_H
#define TENSOR_CPU_CONV_AXIS_H

#include "tensor/kernel.h"

enum { OUTSIDE = -1 };

/* By position along an axis, padding included: the stored row or column, or OUTSIDE. */
static inline void conv_axis(ptrdiff_t *source, size_t count, size_t padding, size_t in, size_t enlarged) {
    for (size_t i = 0; i < count; i++)
        source[i] = i < padding || i - padding >= enlarged ? OUTSIDE : (ptrdiff_t)upsample_source(i - padding, in, enlarged);
}

#endif
