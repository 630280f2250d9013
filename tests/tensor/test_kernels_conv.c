/* Every row for convolutions against plain C: borders, strides, enlarged and joined inputs, odd
 * channels, all kinds of epilogues; the same bytes for any number of threads. */
#include "kernels.h"

struct conv_case {
    size_t samples, h, w, up_h, up_w, c, c2, out, kernel, stride, pad_top, pad_left, pad_bottom, pad_right;
    size_t x_samples, x2_samples, residual_samples;
    enum dtype x_dtype, residual_dtype, out_dtype;
    enum activation act;
    bool bias, residual, per_sample;
    size_t weight_first, extra; /* extra: numbers between rows */
};

#define F32  DTYPE_F32
#define BF16 DTYPE_BF16
#define PAD1 .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1
static const struct conv_case cases[] = {
    {.samples = 1, .h = 1, .w = 1, .c = 1, .out = 1, .kernel = 3, PAD1, .x_dtype = F32, .out_dtype = F32},
    {.samples = 2, .h = 5, .w = 7, .c = 9, .out = 20, .kernel = 3, PAD1, .x_dtype = F32, .out_dtype = BF16, .bias = true, .extra = 1},
    {.samples = 2, .h = 8, .w = 8, .c = 32, .out = 64, .kernel = 3, PAD1, .x_dtype = BF16, .out_dtype = F32, .bias = true, .act = ACT_SILU},
    {.samples = 1, .h = 9, .w = 11, .c = 6, .c2 = 10, .out = 70, .kernel = 3, PAD1, .x_dtype = BF16, .out_dtype = BF16, .extra = 2},
    {.samples = 4,
     .h = 6,
     .w = 5,
     .c = 7,
     .c2 = 3,
     .out = 33,
     .kernel = 3,
     PAD1,
     .x_dtype = BF16,
     .x_samples = 2,
     .x2_samples = 1,
     .out_dtype = F32,
     .bias = true,
     .residual = true,
     .residual_samples = 2,
     .residual_dtype = F32,
     .per_sample = true},
    {.samples = 4,
     .h = 6,
     .w = 5,
     .c = 8,
     .c2 = 4,
     .out = 35,
     .kernel = 3,
     PAD1,
     .x_dtype = F32,
     .x_samples = 2,
     .out_dtype = F32,
     .residual = true,
     .residual_dtype = BF16,
     .weight_first = 3,
     .act = ACT_RELU},
    {.samples = 2, .h = 9, .w = 9, .c = 16, .out = 24, .kernel = 3, .stride = 2, PAD1, .x_dtype = BF16, .out_dtype = F32, .bias = true},
    {.samples = 1,
     .h = 8,
     .w = 6,
     .c = 12,
     .out = 16,
     .kernel = 3,
     .stride = 2,
     .pad_bottom = 1,
     .pad_right = 1,
     .x_dtype = F32,
     .out_dtype = F32},
    {.samples = 2,
     .h = 4,
     .w = 5,
     .up_h = 8,
     .up_w = 10,
     .c = 10,
     .out = 40,
     .kernel = 3,
     PAD1,
     .x_dtype = BF16,
     .out_dtype = F32,
     .bias = true},
    {.samples = 1, .h = 4, .w = 5, .up_h = 7, .up_w = 9, .c = 11, .out = 17, .kernel = 3, PAD1, .x_dtype = F32, .out_dtype = BF16},
    {.samples = 1, .h = 14, .w = 14, .c = 3, .out = 48, .kernel = 7, .stride = 7, .x_dtype = F32, .out_dtype = F32, .bias = true},
    {.samples = 2,
     .h = 12,
     .w = 13,
     .c = 130,
     .out = 129,
     .kernel = 3,
     PAD1,
     .x_dtype = BF16,
     .out_dtype = F32,
     .bias = true,
     .residual = true,
     .residual_dtype = F32,
     .per_sample = true},
    {.samples = 1, .h = 5, .w = 4, .c = 2200, .c2 = 36, .out = 18, .kernel = 3, PAD1, .x_dtype = BF16, .out_dtype = BF16, .bias = true},
    /* Enough squares for Winograd: of two, three and four, cut off at the edges. */
    {.samples = 2,
     .h = 30,
     .w = 42,
     .c = 40,
     .out = 70,
     .kernel = 3,
     PAD1,
     .x_dtype = BF16,
     .out_dtype = F32,
     .bias = true,
     .extra = 2,
     .residual = true,
     .residual_dtype = F32,
     .residual_samples = 1,
     .per_sample = true},
    {.samples = 1, .h = 41, .w = 39, .c = 17, .c2 = 33, .out = 97, .kernel = 3, PAD1, .x_dtype = F32, .out_dtype = BF16, .bias = true},
    {.samples = 4,
     .h = 25,
     .w = 13,
     .up_h = 50,
     .up_w = 26,
     .c = 30,
     .c2 = 5,
     .out = 16,
     .kernel = 3,
     PAD1,
     .x_dtype = BF16,
     .x_samples = 2,
     .x2_samples = 1,
     .out_dtype = F32,
     .residual = true,
     .residual_dtype = BF16,
     .act = ACT_SILU},
    {.samples = 1, .h = 44, .w = 46, .c = 64, .out = 128, .kernel = 3, .pad_bottom = 2, .pad_right = 1, .x_dtype = BF16, .out_dtype = BF16},
    {.samples = 2, .h = 20, .w = 20, .c = 2100, .out = 32, .kernel = 3, PAD1, .x_dtype = BF16, .out_dtype = F32, .weight_first = 2},
    {.samples = 1, .h = 23, .w = 31, .c = 24, .out = 80, .kernel = 3, PAD1, .x_dtype = BF16, .out_dtype = BF16, .act = ACT_GELU},
    {.samples = 1,
     .h = 10,
     .w = 10,
     .c = 8,
     .out = 8,
     .kernel = 5,
     .pad_top = 2,
     .pad_left = 2,
     .pad_bottom = 2,
     .pad_right = 2,
     .x_dtype = BF16,
     .out_dtype = F32},
};

struct setting {
    struct conv_shape shape;
    struct conv_operands operands;
    struct tensor weight;
    float *bias;
};

static size_t pixels(const struct conv_shape *shape) { return shape->out_h * shape->out_w; }

static struct conv_shape shape_of(const struct conv_case *test, enum dtype compute) {
    struct conv_shape shape = {.samples = test->samples,
                               .h = test->h,
                               .w = test->w,
                               .up_h = test->up_h ? test->up_h : test->h,
                               .up_w = test->up_w ? test->up_w : test->w,
                               .c = test->c,
                               .c2 = test->c2,
                               .out = test->out,
                               .kh = test->kernel,
                               .kw = test->kernel,
                               .stride = test->stride ? test->stride : 1,
                               .pad_top = test->pad_top,
                               .pad_left = test->pad_left,
                               .x_dtype = test->x_dtype,
                               .x2_dtype = test->x_dtype,
                               .out_dtype = test->out_dtype,
                               .compute = compute,
                               .act = test->act,
                               .has_bias = test->bias,
                               .has_residual = test->residual,
                               .has_per_sample = test->per_sample,
                               .weight_first = test->weight_first};
    shape.out_h = (shape.up_h + test->pad_top + test->pad_bottom - test->kernel) / shape.stride + 1;
    shape.out_w = (shape.up_w + test->pad_left + test->pad_right - test->kernel) / shape.stride + 1;
    return shape;
}

static void make(const struct conv_case *test, enum dtype compute, struct setting *setting) {
    uint64_t state = 88172645463325252u;
    *setting = (struct setting){.shape = shape_of(test, compute)};
    struct conv_operands *operands = &setting->operands;
    size_t in = test->c + test->c2, count = pixels(&setting->shape);
    setting->weight = weight_make(BF16, 4, (size_t[]){test->out, in + 2 * test->weight_first, test->kernel, test->kernel},
                                  1 / sqrtf((float)(in * test->kernel * test->kernel)), &state);
    setting->shape.weight = &setting->weight;
    operands->x =
        view_make(test->x_dtype, test->x_samples ? test->x_samples : test->samples, test->h * test->w, test->c, test->extra, &state);
    if (test->c2)
        operands->x2 = view_make(test->x_dtype, test->x2_samples ? test->x2_samples : test->samples, test->h * test->w, test->c2,
                                 3 * test->extra, &state);
    operands->out = view_make(test->out_dtype, test->samples, count, test->out, 2 * test->extra, &state);
    if (test->residual)
        operands->residual = view_make(test->residual_dtype, test->residual_samples ? test->residual_samples : test->samples, count,
                                       test->out, test->extra, &state);
    if (test->per_sample) operands->per_sample = view_make(F32, test->samples, 1, test->out, 0, &state);
    setting->bias = vector_make(test->out, &state);
    if (test->bias) operands->bias = setting->bias;
}

static void discard(struct setting *setting) {
    memory_free((void *)(uintptr_t)setting->weight.data);
    memory_free(setting->operands.x.data);
    memory_free(setting->operands.x2.data);
    memory_free(setting->operands.out.data);
    memory_free(setting->operands.residual.data);
    memory_free(setting->operands.per_sample.data);
    memory_free(setting->bias);
}

/* The result in memory of its own. */
static struct view compute(const struct conv_kernel *kernel, const struct setting *setting, struct pool *pool) {
    const struct conv_shape *shape = &setting->shape;
    struct conv_operands operands = setting->operands;
    size_t threads = pool_threads(pool);
    void *state = NULL;
    if (kernel->prepare) assert_true(kernel->prepare(shape, threads, &state, NULL));
    size_t scratch_size = kernel->state_scratch ? kernel->state_scratch(state) : kernel->scratch ? kernel->scratch(shape, threads) : 0;
    void *packed = memory_aligned(kernel->state_packed_size ? kernel->state_packed_size(state) : kernel->packed_size(shape));
    void *scratch = memory_aligned(scratch_size ? scratch_size : 64);
    assert_non_null(packed);
    assert_non_null(scratch);
    if (kernel->state_pack)
        kernel->state_pack(shape, state, packed);
    else
        kernel->pack(shape, packed);
    operands.weight = packed;
    operands.scratch = scratch;
    operands.out = view_copy(&setting->operands.out, pixels(shape), shape->out);
    kernel->run(shape, &operands, state, pool);
    if (kernel->release && state) kernel->release(state);
    memory_aligned_free(packed);
    memory_aligned_free(scratch);
    return operands.out;
}

static const struct conv_kernel *reference(void) {
    size_t i = 0;
    while (conv_kernels[i + 1]) i++;
    return conv_kernels[i];
}

/* Largest difference allowed, in parts of the result's root mean square. Numbers that bf16 holds are
 * multiplied exactly; Winograd's transforms round theirs to the products' format. */
static double bound_of(const struct conv_kernel *kernel, const struct conv_case *test, enum dtype format) {
    bool winograd = strstr(kernel->name, "winograd") != NULL;
    if (winograd && format == BF16) return 0.08;
    if (test->out_dtype == BF16) return 0.03; /* one unit in bf16's last place of the largest */
    return winograd ? 5e-5 : 2e-5;
}

/* Whether the row takes the case. */
static bool check(const struct conv_kernel *kernel, const struct conv_case *test, enum dtype format, struct pool *const *pools) {
    struct setting setting;
    make(test, format, &setting);
    bool accepted = kernel->accepts(&setting.shape) == NULL;
    if (accepted) {
        struct view expected = compute(reference(), &setting, pools[0]), got[THREADS_MOST];
        for (size_t i = 0; i < THREADS_MOST; i++) got[i] = compute(kernel, &setting, pools[i]);
        double difference = view_difference(&got[0], &expected, pixels(&setting.shape), test->out);
        if (!(difference <= bound_of(kernel, test, format)))
            print_message("%s, %zux%zux%zu, %zu+%zu->%zu: %g\n", kernel->name, test->samples, test->h, test->w, test->c, test->c2,
                          test->out, difference);
        assert_true(difference <= bound_of(kernel, test, format));
        if (format == BF16) assert_true(view_error(&got[0], &expected, pixels(&setting.shape), test->out) < 9e-3);
        for (size_t i = 1; i < THREADS_MOST; i++)
            assert_memory_equal(got[0].data, got[i].data, view_bytes(&got[0], pixels(&setting.shape), test->out));
        for (size_t i = 0; i < THREADS_MOST; i++) memory_free(got[i].data);
        memory_free(expected.data);
    }
    discard(&setting);
    return accepted;
}

static void rows_agree_with_plain_c(void **state) {
    for (size_t k = 0; conv_kernels[k] != reference(); k++) {
        if (!row_is_ours(conv_kernels[k]->name)) continue;
        size_t accepted = 0;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            accepted += check(conv_kernels[k], &cases[i], BF16, *state);
            accepted += check(conv_kernels[k], &cases[i], F32, *state);
        }
        /* Where the processor has everything, every row must have been tried. */
        if (isa_available() == ISA_AMX) assert_true(accepted > 0);
    }
}

static struct conv_case random_case(uint64_t *state) {
    size_t kernel = 2 * random_below(state, 2) + 1 + random_below(state, 2);
    struct conv_case test = {.samples = random_below(state, 3) + 1,
                             .h = random_below(state, 40) + kernel,
                             .w = random_below(state, 40) + kernel,
                             .c = random_below(state, 50) + 1,
                             .out = random_below(state, 90) + 1,
                             .kernel = random_below(state, 3) ? 3 : kernel,
                             .stride = random_below(state, 3) ? 1 : 2,
                             .pad_top = random_below(state, 3),
                             .pad_left = random_below(state, 3),
                             .pad_bottom = random_below(state, 3),
                             .pad_right = random_below(state, 3),
                             .x_dtype = random_dtype(state),
                             .residual_dtype = random_dtype(state),
                             .out_dtype = random_dtype(state),
                             .act = (enum activation)random_below(state, ACT_RELU + 1),
                             .bias = random_below(state, 2),
                             .residual = random_below(state, 2),
                             .per_sample = random_below(state, 2),
                             .weight_first = random_below(state, 3),
                             .extra = random_below(state, 3)};
    if (test.h < 3) test.h = 3;
    if (test.w < 3) test.w = 3;
    if (random_below(state, 2)) test.c2 = random_below(state, 40) + 1;
    if (random_below(state, 3) == 0) {
        test.up_h = test.h + random_below(state, test.h + 1);
        test.up_w = test.w + random_below(state, test.w + 1);
    }
    if (random_below(state, 2)) test.x_samples = 1;
    if (random_below(state, 2)) test.residual_samples = 1;
    return test;
}

static void rows_agree_on_made_up_shapes(void **pools) {
    uint64_t state = 4101842887655102017u;
    for (size_t i = 0; i < 40; i++) {
        struct conv_case test = random_case(&state);
        for (size_t k = 0; conv_kernels[k] != reference(); k++) {
            if (!row_is_ours(conv_kernels[k]->name)) continue;
            check(conv_kernels[k], &test, BF16, *pools);
            check(conv_kernels[k], &test, F32, *pools);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_agree_with_plain_c), cmocka_unit_test(rows_agree_on_made_up_shapes)};
    return cmocka_run_group_tests(tests, pools_setup, pools_teardown);
}
