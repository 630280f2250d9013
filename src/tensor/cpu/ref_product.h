/* The plain C matrix product that linear and convolution share. Weights are packed in panels of
 * REF_PANEL results: panel[k][REF_PANEL]. */
#ifndef TENSOR_CPU_REF_PRODUCT_H
#define TENSOR_CPU_REF_PRODUCT_H

#include <stddef.h>

enum { REF_ROWS = 4, REF_PANEL = 8, REF_PANELS = 8 /* panels of one task */ };

/* sums[r][j] = sum over k of x[r * depth + k] * panel[k * REF_PANEL + j], in that order. */
static inline void ref_product(const float *restrict x, size_t depth, const float *restrict panel, float sums[REF_ROWS][REF_PANEL]) {
    float sum[REF_ROWS][REF_PANEL] = {{0}};
    for (size_t k = 0; k < depth; k++, panel += REF_PANEL)
        for (int r = 0; r < REF_ROWS; r++)
            for (int j = 0; j < REF_PANEL; j++) sum[r][j] += x[(size_t)r * depth + k] * panel[j];
    for (int r = 0; r < REF_ROWS; r++)
        for (int j = 0; j < REF_PANEL; j++) sums[r][j] = sum[r][j];
}

#endif
