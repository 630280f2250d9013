/* Products: linear layers, and convolutions that are nothing else. */
#include "tensor/plan_linear.h"
#include "tensor/plan_internal.h"

#include <stdio.h>

/* ---- finishing and running ---- */

const char *plan_linear_row(const void *shape, size_t row, const char **name) {
    const struct linear_kernel *kernel = linear_kernels[row];
    *name = kernel ? kernel->name : NULL;
    return kernel && shape ? kernel->accepts(shape) : NULL;
}

static void pack(const void *source, void *packed) {
    const struct operation *operation = source;
    const struct linear_operation *linear = &operation->as.linear;
    if (linear->kernel->state_pack)
        linear->kernel->state_pack(&linear->shape, operation->state, packed);
    else
        linear->kernel->pack(&linear->shape, packed);
}

static bool request_weight(struct plan *plan, struct operation *operation, struct error *error) {
    const struct linear_shape *shape = &operation->as.linear.shape;
    const struct linear_kernel *kernel = operation->as.linear.kernel;
    char layout[PACKED_LAYOUT];
    struct packed_request request = {
        .pack = pack, .source = operation, .result = &operation->packed, .tensor = operation->weight, .tensors = shape->weights};
    if (kernel->state_layout) {
        kernel->state_layout(operation->state, layout, sizeof layout);
        request.bytes = kernel->state_packed_size(operation->state);
    } else {
        snprintf(layout, sizeof layout, "%s", kernel->layout);
        request.bytes = kernel->packed_size(shape);
    }
    packed_key_init(&request.key, layout);
    size_t numbers[] = {shape->in, shape->in2, shape->out, shape->compute, shape->geglu, shape->weight_first, (size_t)shape->weights};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) packed_key_number(&request.key, numbers[i]);
    for (int i = 0; i < shape->weights; i++) packed_key_tensor(&request.key, i, shape->weight[i]);
    return plan_request(plan, &request, error);
}

static bool choose(struct plan *plan, struct operation *operation, struct error *error) {
    struct linear_operation *linear = &operation->as.linear;
    struct linear_shape *shape = &linear->shape;
    for (int i = 0; i < shape->weights; i++) shape->weight[i] = &operation->weight[i];
    size_t threads = pool_threads(plan->options.pool);
    linear->kernel = linear_kernels[plan_choose_row(plan, "linear", plan_linear_row, shape)];
    if (linear->kernel->prepare && !linear->kernel->prepare(shape, threads, &operation->state, error)) return false;
    if (linear->kernel->state_scratch)
        operation->scratch_bytes = linear->kernel->state_scratch(operation->state);
    else if (linear->kernel->scratch)
        operation->scratch_bytes = linear->kernel->scratch(shape, threads);
    return request_weight(plan, operation, error) && plan_request_vector(plan, operation, 0, error);
}

static void bind(struct plan *plan, struct operation *operation) {
    operation->as.linear.operands = (struct linear_operands){
        .x = plan_view(plan, operation->operand[OPERAND_X]),
        .x2 = plan_view(plan, operation->operand[OPERAND_X2]),
        .out = plan_view(plan, operation->operand[OPERAND_OUT]),
        .residual = plan_view(plan, operation->operand[OPERAND_RESIDUAL]),
        .per_sample = plan_view(plan, operation->operand[OPERAND_PER_SAMPLE]),
        .bias = operation->vector[0],
        .weight = operation->packed,
        .scratch = plan_scratch(plan, operation),
    };
}

static void run(struct operation *operation, struct pool *pool) {
    const struct linear_operation *linear = &operation->as.linear;
    linear->kernel->run(&linear->shape, &linear->operands, operation->state, pool);
}

static void release(struct operation *operation) {
    if (operation->state && operation->as.linear.kernel->release) operation->as.linear.kernel->release(operation->state);
}

static void describe(const struct operation *operation, char *text, size_t size) {
    const struct linear_shape *shape = &operation->as.linear.shape;
    snprintf(text, size, "%s %zu->%zu %zux%zu (%s)", shape->geglu ? "linear geglu" : "linear", shape->in + shape->in2, shape->out,
             shape->samples, shape->rows, operation->as.linear.kernel->name);
}

static const struct operation_type linear_type = {"linear", choose, bind, run, release, describe};

/* ---- recording ---- */

static bool is_matrix(const struct tensor *weight) {
    return weight->rank == 2 || (weight->rank == 4 && weight->shape[2] == 1 && weight->shape[3] == 1);
}

static bool check_weight(struct plan *plan, const struct product *product, size_t in, const struct tensor *weight, size_t *out) {
    if (!plan_check_weight(plan, weight, "a weight")) return false;
    bool fits = is_matrix(weight) && weight->shape[0] > 0;
    if (fits && product->part_of_wider)
        fits = weight->shape[1] >= in && product->weight_first <= weight->shape[1] - in;
    else if (fits)
        fits = weight->shape[1] == in;
    if (fits && product->geglu) fits = weight->shape[0] % 2 == 0;
    if (fits) {
        *out = weight->shape[0];
        return true;
    }
    char text[TENSOR_TEXT_SIZE];
    plan_fail(plan, ERROR_FORMAT, "a weight is %s, which does not fit %zu channels", tensor_text(weight, text), in);
    return false;
}

/* Fills in shape->out, the weights and the biases. */
static bool check_weights(struct plan *plan, const struct product *product, struct linear_shape *shape, struct vector_source *bias) {
    size_t total = 0;
    bool any_bias = false;
    for (int i = 0; i < LINEAR_WEIGHTS_MAX && product->weight[i]; i++) {
        size_t out;
        if (!check_weight(plan, product, shape->in + shape->in2, product->weight[i], &out)) return false;
        if (product->bias[i]) {
            if (!plan_check_vector(plan, product->bias[i], out, "a bias")) return false;
            bias->part[i] = *product->bias[i];
            any_bias = true;
        }
        bias->count[i] = out;
        total += out;
        shape->weights++;
    }
    if (shape->weights == 0) return plan_check_weight(plan, NULL, "a weight");
    if (any_bias) bias->parts = shape->weights;
    shape->has_bias = any_bias;
    shape->out = product->geglu ? total / 2 : total;
    return true;
}

static bool check_geglu(struct plan *plan, const struct product *product) {
    if (!product->geglu) return true;
    bool alone = product->weight[0] && !product->weight[1] && !value_given(product->residual) && !value_given(product->per_sample);
    if (alone && product->act == ACT_NONE) return true;
    plan_fail(plan, ERROR_INTERNAL, "geglu takes one weight and neither residual nor activation");
    return false;
}

/* Inputs: sizes of both, samples and rows of the result. */
static bool check_inputs(struct plan *plan, const struct product *product, struct linear_shape *shape, size_t out_shape[4]) {
    const struct plan_value *x = plan_operand(plan, product->x, "the input of a linear layer");
    if (!x) return false;
    for (int i = 0; i < 4; i++) out_shape[i] = x->shape[i];
    shape->rows = x->shape[1] * x->shape[2];
    shape->in = x->shape[3];
    shape->x_stride = x->stride;
    shape->x_dtype = shape->x2_dtype = x->dtype;
    if (value_given(product->x2)) {
        const struct plan_value *x2 = plan_operand(plan, product->x2, "the second input of a linear layer");
        if (!x2) return false;
        size_t n = x->shape[0] > x2->shape[0] ? x->shape[0] : x2->shape[0];
        if (x2->shape[1] * x2->shape[2] != shape->rows || n % x->shape[0] != 0 || n % x2->shape[0] != 0) {
            plan_fail(plan, ERROR_FORMAT, "inputs of %zux%zux%zu and %zux%zux%zu can't be joined", x->shape[0], x->shape[1], x->shape[2],
                      x2->shape[0], x2->shape[1], x2->shape[2]);
            return false;
        }
        out_shape[0] = n;
        shape->in2 = x2->shape[3];
        shape->x2_stride = x2->stride;
        shape->x2_dtype = x2->dtype;
    }
    shape->samples = out_shape[0];
    return true;
}

bool plan_check_residual(struct plan *plan, struct value residual, const size_t out_shape[4]) {
    if (!value_given(residual)) return !plan_failed(plan);
    const struct plan_value *value = plan_operand(plan, residual, "a residual");
    if (!value) return false;
    if (out_shape[0] % value->shape[0] == 0 && value->shape[1] * value->shape[2] == out_shape[1] * out_shape[2] &&
        value->shape[3] == out_shape[3])
        return true;
    plan_fail(plan, ERROR_FORMAT, "a residual of %zux%zux%zux%zu can't be added to %zux%zux%zux%zu", value->shape[0], value->shape[1],
              value->shape[2], value->shape[3], out_shape[0], out_shape[1], out_shape[2], out_shape[3]);
    return false;
}

bool plan_check_per_sample(struct plan *plan, struct value *per_sample, const size_t out_shape[4]) {
    if (!value_given(*per_sample)) return !plan_failed(plan);
    const struct plan_value *value = plan_operand(plan, *per_sample, "an embedding");
    if (!value) return false;
    if (out_shape[0] % value->shape[0] != 0 || value->shape[1] * value->shape[2] != 1 || value->shape[3] != out_shape[3]) {
        plan_fail(plan, ERROR_FORMAT, "an embedding of %zux%zux%zux%zu can't be added to %zux%zux%zux%zu", value->shape[0], value->shape[1],
                  value->shape[2], value->shape[3], out_shape[0], out_shape[1], out_shape[2], out_shape[3]);
        return false;
    }
    *per_sample = plan_as(plan, *per_sample, DTYPE_F32);
    return value_given(*per_sample);
}

struct value plan_product(struct plan *plan, const struct product *product) {
    struct linear_shape shape = {.weight_first = product->weight_first, .act = product->act, .geglu = product->geglu};
    struct vector_source bias = {.parts = 0};
    struct value per_sample = product->per_sample;
    size_t out_shape[4];
    if (!check_inputs(plan, product, &shape, out_shape) || !check_geglu(plan, product) || !check_weights(plan, product, &shape, &bias))
        return VALUE_NONE;
    out_shape[3] = shape.out;
    if (!plan_check_residual(plan, product->residual, out_shape) || !plan_check_per_sample(plan, &per_sample, out_shape)) return VALUE_NONE;
    shape.has_residual = value_given(product->residual);
    shape.has_per_sample = value_given(per_sample);
    shape.compute = plan->options.compute;
    shape.out_dtype = plan_result_dtype(plan, product->wide);
    struct value out = plan_new_value(plan, out_shape[0], out_shape[1], out_shape[2], out_shape[3], shape.out_dtype);
    struct operation *operation = plan_new_operation(plan, &linear_type);
    if (!operation) return VALUE_NONE;
    for (int i = 0; i < shape.weights; i++) operation->weight[i] = *product->weight[i];
    operation->as.linear.shape = shape;
    operation->source[0] = bias;
    operation->operand[OPERAND_X] = product->x;
    operation->operand[OPERAND_X2] = product->x2;
    operation->operand[OPERAND_RESIDUAL] = product->residual;
    operation->operand[OPERAND_PER_SAMPLE] = per_sample;
    operation->operand[OPERAND_OUT] = out;
    operation->multiply_adds =
        (double)(shape.samples * shape.rows) * (double)(shape.in + shape.in2) * (double)shape.out * (shape.geglu ? 2 : 1);
    return out;
}

struct value plan_linear(struct plan *plan, const struct linear *linear) {
    struct product product = {.x = linear->x,
                              .x2 = VALUE_NONE,
                              .residual = linear->residual,
                              .per_sample = VALUE_NONE,
                              .act = linear->act,
                              .geglu = linear->geglu,
                              .wide = linear->wide};
    for (int i = 0; i < LINEAR_WEIGHTS_MAX; i++) {
        product.weight[i] = linear->weight[i];
        product.bias[i] = linear->bias[i];
    }
    return plan_product(plan, &product);
}
