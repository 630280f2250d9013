/* Convolutions. Those that are plain products are recorded as such. */
#include "tensor/plan_internal.h"
#include "tensor/plan_linear.h"

#include <stdio.h>

/* ---- finishing and running ---- */

const char *plan_conv_row(const void *shape, size_t row, const char **name) {
    const struct conv_kernel *kernel = conv_kernels[row];
    *name = kernel ? kernel->name : NULL;
    return kernel && shape ? kernel->accepts(shape) : NULL;
}

static void pack(const void *source, void *packed) {
    const struct operation *operation = source;
    const struct conv_operation *conv = &operation->as.conv;
    if (conv->kernel->state_pack)
        conv->kernel->state_pack(&conv->shape, operation->state, packed);
    else
        conv->kernel->pack(&conv->shape, packed);
}

static bool request_weight(struct plan *plan, struct operation *operation, struct error *error) {
    const struct conv_shape *shape = &operation->as.conv.shape;
    const struct conv_kernel *kernel = operation->as.conv.kernel;
    char layout[PACKED_LAYOUT];
    struct packed_request request = {
        .pack = pack, .source = operation, .result = &operation->packed, .tensor = operation->weight, .tensors = 1};
    if (kernel->state_layout) {
        kernel->state_layout(operation->state, layout, sizeof layout);
        request.bytes = kernel->state_packed_size(operation->state);
    } else {
        snprintf(layout, sizeof layout, "%s", kernel->layout);
        request.bytes = kernel->packed_size(shape);
    }
    packed_key_init(&request.key, layout);
    size_t numbers[] = {shape->c, shape->c2, shape->out, shape->kh, shape->kw, shape->compute, shape->weight_first};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) packed_key_number(&request.key, numbers[i]);
    packed_key_tensor(&request.key, 0, shape->weight);
    return plan_request(plan, &request, error);
}

static bool choose(struct plan *plan, struct operation *operation, struct error *error) {
    struct conv_operation *conv = &operation->as.conv;
    struct conv_shape *shape = &conv->shape;
    shape->weight = &operation->weight[0];
    size_t threads = pool_threads(plan->options.pool);
    conv->kernel = conv_kernels[plan_choose_row(plan, "conv", plan_conv_row, shape)];
    if (conv->kernel->prepare && !conv->kernel->prepare(shape, threads, &operation->state, error)) return false;
    if (conv->kernel->state_scratch)
        operation->scratch_bytes = conv->kernel->state_scratch(operation->state);
    else if (conv->kernel->scratch)
        operation->scratch_bytes = conv->kernel->scratch(shape, threads);
    return request_weight(plan, operation, error) && plan_request_vector(plan, operation, 0, error);
}

static void bind(struct plan *plan, struct operation *operation) {
    operation->as.conv.operands = (struct conv_operands){
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
    const struct conv_operation *conv = &operation->as.conv;
    conv->kernel->run(&conv->shape, &conv->operands, operation->state, pool);
}

static void release(struct operation *operation) {
    if (operation->state && operation->as.conv.kernel->release) operation->as.conv.kernel->release(operation->state);
}

static void describe(const struct operation *operation, char *text, size_t size) {
    const struct conv_shape *shape = &operation->as.conv.shape;
    snprintf(text, size, "conv %zux%zu %zu->%zu %zux%zux%zu%s%s (%s)", shape->kh, shape->kw, shape->c + shape->c2, shape->out,
             shape->samples, shape->out_h, shape->out_w, shape->stride > 1 ? " strided" : "", shape->up_h > shape->h ? " upsampled" : "",
             operation->as.conv.kernel->name);
}

static const struct operation_type conv_type = {"conv", choose, bind, run, release, describe};

/* ---- recording ---- */

enum { GEOMETRY_MAX = 1 << 16 }; /* of strides, paddings */

static bool check_geometry(struct plan *plan, const struct conv *conv) {
    int numbers[] = {conv->stride, conv->pad_top, conv->pad_left, conv->pad_bottom, conv->pad_right};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i] < 0 || numbers[i] > GEOMETRY_MAX) {
            plan_fail(plan, ERROR_FORMAT, "a convolution has a stride or padding of %d", numbers[i]);
            return false;
        }
    if ((conv->upsample_h > 0) == (conv->upsample_w > 0)) return true;
    plan_fail(plan, ERROR_INTERNAL, "a convolution's input must be enlarged in both directions");
    return false;
}

/* Fills in the sizes of the inputs, and the samples of the result. */
static bool check_inputs(struct plan *plan, const struct conv *conv, struct conv_shape *shape) {
    const struct plan_value *x = plan_operand(plan, conv->x, "the input of a convolution");
    if (!x) return false;
    shape->samples = x->shape[0];
    shape->h = x->shape[1];
    shape->w = x->shape[2];
    shape->c = x->shape[3];
    shape->x_stride = x->stride;
    shape->x_dtype = shape->x2_dtype = x->dtype;
    if (value_given(conv->x2)) {
        const struct plan_value *x2 = plan_operand(plan, conv->x2, "the second input of a convolution");
        if (!x2) return false;
        size_t n = x->shape[0] > x2->shape[0] ? x->shape[0] : x2->shape[0];
        if (x2->shape[1] != shape->h || x2->shape[2] != shape->w || n % x->shape[0] != 0 || n % x2->shape[0] != 0) {
            plan_fail(plan, ERROR_FORMAT, "inputs of %zux%zux%zu and %zux%zux%zu can't be joined", x->shape[0], x->shape[1], x->shape[2],
                      x2->shape[0], x2->shape[1], x2->shape[2]);
            return false;
        }
        shape->samples = n;
        shape->c2 = x2->shape[3];
        shape->x2_stride = x2->stride;
        shape->x2_dtype = x2->dtype;
    }
    shape->up_h = conv->upsample_h ? conv->upsample_h : shape->h;
    shape->up_w = conv->upsample_w ? conv->upsample_w : shape->w;
    if (shape->up_h <= GEOMETRY_MAX * 16 && shape->up_w <= GEOMETRY_MAX * 16) return true;
    plan_fail(plan, ERROR_LIMIT, "a convolution over %zux%zu is too large", shape->up_w, shape->up_h);
    return false;
}

static bool check_weight(struct plan *plan, const struct conv *conv, struct conv_shape *shape) {
    if (!plan_check_weight(plan, conv->weight, "a convolution's weight")) return false;
    const struct tensor *weight = conv->weight;
    size_t in = shape->c + shape->c2;
    shape->weight_first = conv->weight_first;
    bool fits = weight->rank == 2 || weight->rank == 4;
    if (fits) {
        shape->out = weight->shape[0];
        shape->kh = weight->rank == 4 ? weight->shape[2] : 1;
        shape->kw = weight->rank == 4 ? weight->shape[3] : 1;
        fits = shape->out > 0 && shape->kh > 0 && shape->kw > 0 && shape->kh <= GEOMETRY_MAX && shape->kw <= GEOMETRY_MAX &&
               weight->shape[1] >= in && shape->weight_first <= weight->shape[1] - in;
    }
    if (fits) return true;
    char text[TENSOR_TEXT_SIZE];
    plan_fail(plan, ERROR_FORMAT, "a convolution's weight is %s, which does not fit %zu channels", tensor_text(weight, text), in);
    return false;
}

static bool check_size(struct plan *plan, const struct conv *conv, struct conv_shape *shape) {
    shape->stride = conv->stride ? (size_t)conv->stride : 1;
    shape->pad_top = (size_t)conv->pad_top;
    shape->pad_left = (size_t)conv->pad_left;
    size_t h = shape->up_h + (size_t)conv->pad_top + (size_t)conv->pad_bottom;
    size_t w = shape->up_w + (size_t)conv->pad_left + (size_t)conv->pad_right;
    if (h < shape->kh || w < shape->kw) {
        plan_fail(plan, ERROR_FORMAT, "a picture of %zux%zu is smaller than a convolution's kernel of %zux%zu", w, h, shape->kw, shape->kh);
        return false;
    }
    shape->out_h = (h - shape->kh) / shape->stride + 1;
    shape->out_w = (w - shape->kw) / shape->stride + 1;
    return true;
}

static bool is_product(const struct conv *conv, const struct conv_shape *shape) {
    return shape->kh == 1 && shape->kw == 1 && shape->stride == 1 && shape->up_h == shape->h && shape->up_w == shape->w &&
           conv->pad_top == 0 && conv->pad_left == 0 && conv->pad_bottom == 0 && conv->pad_right == 0;
}

static struct value record_product(struct plan *plan, const struct conv *conv) {
    struct product product = {.x = conv->x,
                              .x2 = conv->x2,
                              .residual = conv->residual,
                              .per_sample = conv->per_sample,
                              .weight = {conv->weight},
                              .bias = {conv->bias},
                              .part_of_wider = true,
                              .weight_first = conv->weight_first,
                              .act = conv->act,
                              .wide = conv->wide};
    return plan_product(plan, &product);
}

struct value plan_conv(struct plan *plan, const struct conv *conv) {
    struct conv_shape shape = {.act = conv->act};
    if (!check_geometry(plan, conv) || !check_inputs(plan, conv, &shape) || !check_weight(plan, conv, &shape) ||
        !check_size(plan, conv, &shape))
        return VALUE_NONE;
    if (is_product(conv, &shape)) return record_product(plan, conv);
    if (conv->bias && !plan_check_vector(plan, conv->bias, shape.out, "a convolution's bias")) return VALUE_NONE;
    size_t out_shape[4] = {shape.samples, shape.out_h, shape.out_w, shape.out};
    struct value per_sample = conv->per_sample;
    if (!plan_check_residual(plan, conv->residual, out_shape) || !plan_check_per_sample(plan, &per_sample, out_shape)) return VALUE_NONE;
    shape.has_bias = conv->bias != NULL;
    shape.has_residual = value_given(conv->residual);
    shape.has_per_sample = value_given(per_sample);
    shape.compute = plan->options.compute;
    shape.out_dtype = plan_result_dtype(plan, conv->wide);
    struct value out = plan_new_value(plan, out_shape[0], out_shape[1], out_shape[2], out_shape[3], shape.out_dtype);
    struct operation *operation = plan_new_operation(plan, &conv_type);
    if (!operation) return VALUE_NONE;
    operation->as.conv.shape = shape;
    operation->weight[0] = *conv->weight;
    if (conv->bias) vector_source_one(&operation->source[0], conv->bias, shape.out);
    operation->operand[OPERAND_X] = conv->x;
    operation->operand[OPERAND_X2] = conv->x2;
    operation->operand[OPERAND_RESIDUAL] = conv->residual;
    operation->operand[OPERAND_PER_SAMPLE] = per_sample;
    operation->operand[OPERAND_OUT] = out;
    operation->multiply_adds = (double)(shape.samples * shape.out_h * shape.out_w) * (double)(shape.kh * shape.kw) *
                               (double)(shape.c + shape.c2) * (double)shape.out;
    return out;
}
