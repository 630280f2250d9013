/* What plan_conv() and plan_linear() share. */
#ifndef TENSOR_PLAN_LINEAR_H
#define TENSOR_PLAN_LINEAR_H

#include "tensor/plan.h"

/* act(concat(x, x2) W^T + bias + per_sample + residual), row by row. */
struct product {
    struct value x, x2, residual, per_sample;
    const struct tensor *weight[LINEAR_WEIGHTS_MAX], *bias[LINEAR_WEIGHTS_MAX];
    bool part_of_wider; /* the weight may have more columns than x and x2; those used begin at: */
    size_t weight_first;
    enum activation act;
    bool geglu, wide;
};
struct value plan_product(struct plan *plan, const struct product *product);

/* Refuse operands that can't be added to a result of this shape. per_sample is replaced by an f32 copy where it is not f32. */
bool plan_check_residual(struct plan *plan, struct value residual, const size_t out_shape[4]);
bool plan_check_per_sample(struct plan *plan, struct value *per_sample, const size_t out_shape[4]);

#endif
