/* Attention. */
#include "tensor/plan_internal.h"

#include <stdio.h>

const char *plan_attention_row(const void *shape, size_t row, const char **name) {
    const struct attention_kernel *kernel = attention_kernels[row];
    *name = kernel ? kernel->name : NULL;
    return kernel && shape ? kernel->accepts(shape) : NULL;
}

static bool choose(struct plan *plan, struct operation *operation, struct error *error) {
    (void)error;
    struct attention_operation *attention = &operation->as.attention;
    attention->kernel = attention_kernels[plan_choose_row(plan, "attention", plan_attention_row, &attention->shape)];
    if (attention->kernel->scratch)
        operation->scratch_bytes = attention->kernel->scratch(&attention->shape, pool_threads(plan->options.pool));
    return true;
}

static void bind(struct plan *plan, struct operation *operation) {
    operation->as.attention.operands = (struct attention_operands){
        .q = plan_view(plan, operation->operand[OPERAND_Q]),
        .k = plan_view(plan, operation->operand[OPERAND_K]),
        .v = plan_view(plan, operation->operand[OPERAND_V]),
        .out = plan_view(plan, operation->operand[OPERAND_OUT]),
        .scratch = plan_scratch(plan, operation),
    };
}

static void run(struct operation *operation, struct pool *pool) {
    const struct attention_operation *attention = &operation->as.attention;
    attention->kernel->run(&attention->shape, &attention->operands, pool);
}

static void describe(const struct operation *operation, char *text, size_t size) {
    const struct attention_shape *shape = &operation->as.attention.shape;
    snprintf(text, size, "attention %zux%zu heads of %zu, %zux%zu (%s)", shape->samples, shape->heads, shape->head_width, shape->q_tokens,
             shape->k_tokens, operation->as.attention.kernel->name);
}

static const struct operation_type attention_type = {"attention", choose, bind, run, NULL, describe};

static bool check(struct plan *plan, const struct attention *attention, struct attention_shape *shape) {
    const struct plan_value *q = plan_operand(plan, attention->q, "attention's queries");
    const struct plan_value *k = plan_operand(plan, attention->k, "attention's keys");
    const struct plan_value *v = plan_operand(plan, attention->v, "attention's values");
    if (!q || !k || !v) return false;
    size_t c = q->shape[3];
    shape->q_samples = q->shape[0];
    shape->k_samples = k->shape[0];
    shape->samples = attention->samples;
    if (shape->samples == 0) shape->samples = shape->q_samples > shape->k_samples ? shape->q_samples : shape->k_samples;
    shape->q_tokens = q->shape[1] * q->shape[2];
    shape->k_tokens = k->shape[1] * k->shape[2];
    shape->heads = attention->heads;
    shape->causal = attention->causal;
    bool same = k->shape[3] == c && v->shape[3] == c && v->shape[0] == shape->k_samples && v->shape[1] * v->shape[2] == shape->k_tokens;
    if (!same) {
        plan_fail(plan, ERROR_FORMAT, "attention's queries, keys and values of %zu, %zu and %zu channels don't fit each other", c,
                  k->shape[3], v->shape[3]);
        return false;
    }
    if (shape->heads == 0 || c % shape->heads != 0) {
        plan_fail(plan, ERROR_FORMAT, "%zu channels can't be shared among %zu attention heads", c, shape->heads);
        return false;
    }
    shape->head_width = c / shape->heads;
    if (shape->samples % shape->q_samples != 0 || shape->samples % shape->k_samples != 0 ||
        (shape->causal && shape->q_tokens != shape->k_tokens)) {
        plan_fail(plan, ERROR_INTERNAL, "attention of %zu samples over %zu queries and %zu keys", shape->samples, shape->q_samples,
                  shape->k_samples);
        return false;
    }
    return true;
}

struct value plan_attention(struct plan *plan, const struct attention *attention) {
    struct attention_shape shape = {.dtype = plan->options.compute, .compute = plan->options.compute};
    if (!check(plan, attention, &shape)) return VALUE_NONE;
    struct value q = plan_as(plan, attention->q, shape.dtype);
    struct value k = plan_as(plan, attention->k, shape.dtype);
    struct value v = plan_as(plan, attention->v, shape.dtype);
    size_t c = shape.heads * shape.head_width;
    struct value out = plan_new_value(plan, shape.samples, 1, shape.q_tokens, c, shape.dtype);
    struct operation *operation = plan_new_operation(plan, &attention_type);
    if (!operation) return VALUE_NONE;
    operation->as.attention.shape = shape;
    operation->operand[OPERAND_Q] = q;
    operation->operand[OPERAND_K] = k;
    operation->operand[OPERAND_V] = v;
    operation->operand[OPERAND_OUT] = out;
    double pairs = (double)shape.q_tokens * (shape.causal ? (double)(shape.q_tokens + 1) / 2 : (double)shape.k_tokens);
    operation->multiply_adds = 2 * (double)shape.samples * pairs * (double)c;
    return out;
}
