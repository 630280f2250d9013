/* GroupNorm (Wu and He 2018) and LayerNorm (Ba et al. 2016). */
#include "tensor/plan_internal.h"

#include <stdio.h>

/* ---- GroupNorm ---- */

const char *plan_group_norm_row(const void *shape, size_t row, const char **name) {
    const struct group_norm_kernel *kernel = group_norm_kernels[row];
    *name = kernel ? kernel->name : NULL;
    return kernel && shape ? kernel->accepts(shape) : NULL;
}

static bool choose_group_norm(struct plan *plan, struct operation *operation, struct error *error) {
    struct group_norm_operation *norm = &operation->as.group_norm;
    norm->kernel = group_norm_kernels[plan_choose_row(plan, "group_norm", plan_group_norm_row, &norm->shape)];
    if (norm->kernel->scratch) operation->scratch_bytes = norm->kernel->scratch(&norm->shape, pool_threads(plan->options.pool));
    return plan_request_vector(plan, operation, 0, error) && plan_request_vector(plan, operation, 1, error);
}

static void bind_group_norm(struct plan *plan, struct operation *operation) {
    operation->as.group_norm.operands = (struct group_norm_operands){
        .x = plan_view(plan, operation->operand[OPERAND_X]),
        .x2 = plan_view(plan, operation->operand[OPERAND_X2]),
        .out = plan_view(plan, operation->operand[OPERAND_OUT]),
        .gamma = operation->vector[0],
        .beta = operation->vector[1],
        .scratch = plan_scratch(plan, operation),
    };
}

static void run_group_norm(struct operation *operation, struct pool *pool) {
    const struct group_norm_operation *norm = &operation->as.group_norm;
    norm->kernel->run(&norm->shape, &norm->operands, pool);
}

static void describe_group_norm(const struct operation *operation, char *text, size_t size) {
    const struct group_norm_shape *shape = &operation->as.group_norm.shape;
    snprintf(text, size, "group_norm%s %zu/%zu %zux%zu (%s)", shape->silu ? " silu" : "", shape->c + shape->c2, shape->groups,
             shape->samples, shape->rows, operation->as.group_norm.kernel->name);
}

static const struct operation_type group_norm_type = {"group_norm", choose_group_norm,  bind_group_norm, run_group_norm,
                                                      NULL,         describe_group_norm};

/* Fills in all but what the result is; the result's shape too. */
static bool check_group_norm(struct plan *plan, const struct group_norm *norm, struct group_norm_shape *shape, size_t out_shape[4]) {
    const struct plan_value *x = plan_operand(plan, norm->x, "the input of a group norm");
    if (!x) return false;
    for (int i = 0; i < 4; i++) out_shape[i] = x->shape[i];
    shape->rows = x->shape[1] * x->shape[2];
    shape->c = x->shape[3];
    shape->x_dtype = shape->x2_dtype = x->dtype;
    if (value_given(norm->x2)) {
        const struct plan_value *x2 = plan_operand(plan, norm->x2, "the second input of a group norm");
        if (!x2) return false;
        if (x2->shape[0] > out_shape[0]) out_shape[0] = x2->shape[0];
        if (x2->shape[1] * x2->shape[2] != shape->rows || out_shape[0] % x->shape[0] != 0 || out_shape[0] % x2->shape[0] != 0) {
            plan_fail(plan, ERROR_FORMAT, "inputs of %zux%zux%zu and %zux%zux%zu can't be joined", x->shape[0], x->shape[1], x->shape[2],
                      x2->shape[0], x2->shape[1], x2->shape[2]);
            return false;
        }
        shape->c2 = x2->shape[3];
        shape->x2_dtype = x2->dtype;
    }
    shape->samples = out_shape[0];
    size_t c = out_shape[3] = shape->c + shape->c2;
    if (norm->groups == 0 || c % norm->groups != 0) {
        plan_fail(plan, ERROR_FORMAT, "%zu channels can't be normalised in %zu groups", c, norm->groups);
        return false;
    }
    return plan_check_vector(plan, norm->gamma, c, "a group norm's weight") &&
           plan_check_vector(plan, norm->beta, c, "a group norm's bias");
}

struct value plan_group_norm(struct plan *plan, const struct group_norm *norm) {
    struct group_norm_shape shape = {.groups = norm->groups, .epsilon = norm->epsilon, .silu = norm->silu};
    size_t out_shape[4];
    if (!check_group_norm(plan, norm, &shape, out_shape)) return VALUE_NONE;
    shape.out_dtype = plan_result_dtype(plan, false);
    struct value out = plan_new_value(plan, out_shape[0], out_shape[1], out_shape[2], out_shape[3], shape.out_dtype);
    struct operation *operation = plan_new_operation(plan, &group_norm_type);
    if (!operation) return VALUE_NONE;
    operation->as.group_norm.shape = shape;
    vector_source_one(&operation->source[0], norm->gamma, out_shape[3]);
    vector_source_one(&operation->source[1], norm->beta, out_shape[3]);
    operation->operand[OPERAND_X] = norm->x;
    operation->operand[OPERAND_X2] = norm->x2;
    operation->operand[OPERAND_OUT] = out;
    return out;
}

/* ---- LayerNorm ---- */

const char *plan_layer_norm_row(const void *shape, size_t row, const char **name) {
    const struct layer_norm_kernel *kernel = layer_norm_kernels[row];
    *name = kernel ? kernel->name : NULL;
    return kernel && shape ? kernel->accepts(shape) : NULL;
}

static bool choose_layer_norm(struct plan *plan, struct operation *operation, struct error *error) {
    struct layer_norm_operation *norm = &operation->as.layer_norm;
    norm->kernel = layer_norm_kernels[plan_choose_row(plan, "layer_norm", plan_layer_norm_row, &norm->shape)];
    return plan_request_vector(plan, operation, 0, error) && plan_request_vector(plan, operation, 1, error);
}

static void bind_layer_norm(struct plan *plan, struct operation *operation) {
    operation->as.layer_norm.operands = (struct layer_norm_operands){
        .x = plan_view(plan, operation->operand[OPERAND_X]),
        .out = plan_view(plan, operation->operand[OPERAND_OUT]),
        .gamma = operation->vector[0],
        .beta = operation->vector[1],
    };
}

static void run_layer_norm(struct operation *operation, struct pool *pool) {
    const struct layer_norm_operation *norm = &operation->as.layer_norm;
    norm->kernel->run(&norm->shape, &norm->operands, pool);
}

static void describe_layer_norm(const struct operation *operation, char *text, size_t size) {
    const struct layer_norm_shape *shape = &operation->as.layer_norm.shape;
    snprintf(text, size, "layer_norm %zu %zu (%s)", shape->c, shape->rows, operation->as.layer_norm.kernel->name);
}

static const struct operation_type layer_norm_type = {"layer_norm", choose_layer_norm,  bind_layer_norm, run_layer_norm,
                                                      NULL,         describe_layer_norm};

struct value plan_layer_norm(struct plan *plan, const struct layer_norm *norm) {
    const struct plan_value *x = plan_operand(plan, norm->x, "the input of a layer norm");
    if (!x) return VALUE_NONE;
    size_t n = x->shape[0], h = x->shape[1], w = x->shape[2], c = x->shape[3];
    struct layer_norm_shape shape = {.rows = n * h * w, .c = c, .epsilon = norm->epsilon, .x_dtype = x->dtype};
    if (!plan_check_vector(plan, norm->gamma, c, "a layer norm's weight") || !plan_check_vector(plan, norm->beta, c, "a layer norm's bias"))
        return VALUE_NONE;
    shape.out_dtype = plan_result_dtype(plan, norm->wide);
    struct value out = plan_new_value(plan, n, h, w, c, shape.out_dtype);
    struct operation *operation = plan_new_operation(plan, &layer_norm_type);
    if (!operation) return VALUE_NONE;
    operation->as.layer_norm.shape = shape;
    vector_source_one(&operation->source[0], norm->gamma, c);
    vector_source_one(&operation->source[1], norm->beta, c);
    operation->operand[OPERAND_X] = norm->x;
    operation->operand[OPERAND_OUT] = out;
    return out;
}
