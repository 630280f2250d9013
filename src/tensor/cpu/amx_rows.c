/* The rows of the lists whose products are made by tiles: amx.h. */
#include "tensor/cpu/amx.h"

static const char *accepts(enum dtype compute, size_t taps) {
    if (isa_available() < ISA_AMX) return "the processor lacks the instructions";
    if (compute != DTYPE_BF16) return "another number format is asked for";
    if (taps > AMX_TAPS_MAX) return "the kernel has too many taps";
    return NULL;
}

/* ---- linear layers ---- */

static const char *linear_accepts(const struct linear_shape *shape) { return accepts(shape->compute, 1); }

static struct gemm_weight linear_weight(const struct linear_shape *shape) {
    return (struct gemm_weight){.weight = shape->weight,
                                .weights = shape->weights,
                                .columns = shape->out,
                                .first = shape->weight_first,
                                .taps = 1,
                                .parts = shape->in2 ? 2 : 1,
                                .length = {shape->in, shape->in2},
                                .geglu = shape->geglu};
}
static size_t linear_packed_size(const struct linear_shape *shape) {
    struct gemm_weight weight = linear_weight(shape);
    return amx_packed_size(&weight);
}
static void linear_pack(const struct linear_shape *shape, void *packed) {
    struct gemm_weight weight = linear_weight(shape);
    amx_pack(&weight, packed);
}

static struct amx_shape linear_amx(const struct linear_shape *shape) {
    return (struct amx_shape){.samples = 1,
                              .h = 1,
                              .w = shape->samples * shape->rows,
                              .kh = 1,
                              .kw = 1,
                              .stride = 1,
                              .channels = {shape->in, shape->in2},
                              .columns = shape->out,
                              .geglu = shape->geglu,
                              .flat = true};
}
static size_t linear_scratch(const struct linear_shape *shape, size_t threads) {
    struct amx_shape amx = linear_amx(shape);
    return amx_scratch(&amx, threads);
}

static void linear_run(const struct linear_shape *shape, const struct linear_operands *operands, void *state, struct pool *pool) {
    (void)state;
    struct amx_operation operation = {
        .shape = linear_amx(shape),
        .x = operands->x,
        .x2 = operands->x2,
        .finish = {.bias = operands->bias,
                   .out = operands->out,
                   .rows = shape->rows,
                   .columns = shape->out,
                   .act = shape->act,
                   .geglu = shape->geglu},
        .weight = operands->weight,
        .scratch = operands->scratch,
        .rows = shape->rows,
    };
    if (shape->has_per_sample) operation.finish.per_sample = operands->per_sample;
    if (shape->has_residual) operation.finish.residual = operands->residual;
    amx_run(&operation, pool);
}

extern const struct linear_kernel amx_linear;
const struct linear_kernel amx_linear = {.name = "amx",
                                         .accepts = linear_accepts,
                                         .packed_size = linear_packed_size,
                                         .layout = "amx",
                                         .pack = linear_pack,
                                         .scratch = linear_scratch,
                                         .run = linear_run};

/* ---- convolutions ---- */

static const char *conv_accepts(const struct conv_shape *shape) { return accepts(shape->compute, shape->kh * shape->kw); }

static struct gemm_weight conv_weight(const struct conv_shape *shape) {
    return (struct gemm_weight){.weight = &shape->weight,
                                .weights = 1,
                                .columns = shape->out,
                                .first = shape->weight_first,
                                .taps = shape->kh * shape->kw,
                                .parts = shape->c2 ? 2 : 1,
                                .length = {shape->c, shape->c2}};
}
static size_t conv_packed_size(const struct conv_shape *shape) {
    struct gemm_weight weight = conv_weight(shape);
    return amx_packed_size(&weight);
}
static void conv_pack(const struct conv_shape *shape, void *packed) {
    struct gemm_weight weight = conv_weight(shape);
    amx_pack(&weight, packed);
}

static struct amx_shape conv_amx(const struct conv_shape *shape) {
    return (struct amx_shape){.samples = shape->samples,
                              .h = shape->out_h,
                              .w = shape->out_w,
                              .kh = shape->kh,
                              .kw = shape->kw,
                              .stride = shape->stride,
                              .in_h = shape->h,
                              .in_w = shape->w,
                              .channels = {shape->c, shape->c2},
                              .columns = shape->out};
}
static size_t conv_scratch(const struct conv_shape *shape, size_t threads) {
    struct amx_shape amx = conv_amx(shape);
    return amx_scratch(&amx, threads);
}

static void conv_run(const struct conv_shape *shape, const struct conv_operands *operands, void *state, struct pool *pool) {
    (void)state;
    struct amx_operation operation = {
        .shape = conv_amx(shape),
        .x = operands->x,
        .x2 = operands->x2,
        .finish =
            {.bias = operands->bias, .out = operands->out, .rows = shape->out_h * shape->out_w, .columns = shape->out, .act = shape->act},
        .weight = operands->weight,
        .scratch = operands->scratch,
        .pad_top = shape->pad_top,
        .pad_left = shape->pad_left,
        .up_h = shape->up_h,
        .up_w = shape->up_w,
    };
    if (shape->has_per_sample) operation.finish.per_sample = operands->per_sample;
    if (shape->has_residual) operation.finish.residual = operands->residual;
    amx_run(&operation, pool);
}

extern const struct conv_kernel amx_conv;
const struct conv_kernel amx_conv = {.name = "amx",
                                     .accepts = conv_accepts,
                                     .packed_size = conv_packed_size,
                                     .layout = "amx",
                                     .pack = conv_pack,
                                     .scratch = conv_scratch,
                                     .run = conv_run};
