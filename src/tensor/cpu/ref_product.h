/* The plain C matrix product that linear and convolution share. Weights are packed in panels of
 * REF_PANEL results: panel[k][REF_PANEL]. */
#ifndef TENSOR_CPU_REF_PRODUCT_H
#define TENSOR_CPU_REF_PRODUCT_H

#include "tensor/cpu/quad.h"

enum { REF_ROWS = 4, REF_PANEL = 8, REF_PANELS = 8 /* panels of one task */ };

enum { REF_VECTORS = REF_PANEL / QUAD };

/* sums[r][j] = sum over k of x[r * depth + k] * panel[k * REF_PANEL + j], in that order. */
static inline void ref_product(const float *restrict x, size_t depth, const float *restrict panel, float sums[REF_ROWS][REF_PANEL]) {
    quad sum[REF_ROWS][REF_VECTORS] = {{{0}}};
    for (size_t k = 0; k < depth; k++, panel += REF_PANEL) {
        quad weight[REF_VECTORS];
        memcpy(weight, panel, sizeof weight);
        for (size_t r = 0; r < REF_ROWS; r++) {
            quad same = quad_all(x[r * depth + k]);
            for (size_t v = 0; v < REF_VECTORS; v++) sum[r][v] += same * weight[v];
        }
    }
    memcpy(sums, sum, sizeof sum);
}

#endif
