/* Every row for linear layers against plain C, on shapes that are no multiples of anything, with all
 * kinds of epilogues; the same bytes for any number of threads. */
#include "kernels.h"

struct linear_case {
    size_t samples, rows, in, in2, out, x_samples, x2_samples, residual_samples;
    enum dtype x_dtype, residual_dtype, out_dtype;
    enum activation act;
    bool geglu, bias, residual, per_sample;
    int weights;
    size_t weight_first, extra; /* extra: numbers between rows */
};

#define F32  DTYPE_F32
#define BF16 DTYPE_BF16
static const struct linear_case cases[] = {
    {.samples = 1, .rows = 1, .in = 1, .out = 1, .x_dtype = F32, .out_dtype = F32, .weights = 1},
    {.samples = 1, .rows = 7, .in = 3, .out = 5, .x_dtype = BF16, .out_dtype = BF16, .weights = 1, .bias = true, .extra = 3},
    {.samples = 2, .rows = 13, .in = 40, .out = 64, .x_dtype = BF16, .out_dtype = F32, .weights = 1, .bias = true, .act = ACT_SILU},
    {.samples = 2, .rows = 29, .in = 77, .out = 81, .x_dtype = F32, .out_dtype = F32, .weights = 1, .act = ACT_GELU, .extra = 1},
    {.samples = 3, .rows = 5, .in = 64, .out = 100, .x_dtype = BF16, .out_dtype = BF16, .weights = 3, .bias = true},
    {.samples = 4,
     .rows = 11,
     .in = 34,
     .in2 = 21,
     .out = 131,
     .x_dtype = BF16,
     .out_dtype = F32,
     .weights = 1,
     .weight_first = 5,
     .x_samples = 2,
     .bias = true,
     .residual = true,
     .residual_samples = 2,
     .residual_dtype = F32,
     .extra = 2},
    {.samples = 4,
     .rows = 9,
     .in = 33,
     .in2 = 20,
     .out = 48,
     .x_dtype = F32,
     .out_dtype = BF16,
     .weights = 1,
     .x2_samples = 1,
     .residual = true,
     .residual_dtype = BF16,
     .per_sample = true,
     .act = ACT_RELU},
    {.samples = 2, .rows = 50, .in = 96, .out = 70, .x_dtype = BF16, .out_dtype = BF16, .weights = 1, .bias = true, .geglu = true},
    {.samples = 1, .rows = 8, .in = 18, .out = 32, .x_dtype = F32, .out_dtype = F32, .weights = 1, .geglu = true, .extra = 7},
    {.samples = 1, .rows = 450, .in = 100, .out = 200, .x_dtype = BF16, .out_dtype = F32, .weights = 2, .bias = true, .per_sample = true},
    {.samples = 1, .rows = 20, .in = 5000, .out = 72, .x_dtype = BF16, .out_dtype = F32, .weights = 1, .bias = true, .act = ACT_QUICK_GELU},
    {.samples = 2,
     .rows = 10,
     .in = 2304,
     .in2 = 1100,
     .out = 90,
     .x_dtype = F32,
     .out_dtype = F32,
     .weights = 1,
     .residual = true,
     .residual_dtype = F32},
    {.samples = 2, .rows = 401, .in = 2050, .out = 33, .x_dtype = BF16, .out_dtype = BF16, .weights = 1, .bias = true, .geglu = true},
};

struct setting {
    struct linear_shape shape;
    struct linear_operands operands;
    struct tensor weight[LINEAR_WEIGHTS_MAX];
    float *bias;
};

static void make(const struct linear_case *test, enum dtype compute, struct setting *setting) {
    uint64_t state = 88172645463325252u;
    *setting = (struct setting){.shape = {.samples = test->samples,
                                          .rows = test->rows,
                                          .in = test->in,
                                          .in2 = test->in2,
                                          .out = test->out,
                                          .x_dtype = test->x_dtype,
                                          .x2_dtype = test->x_dtype,
                                          .out_dtype = test->out_dtype,
                                          .compute = compute,
                                          .act = test->act,
                                          .geglu = test->geglu,
                                          .has_bias = test->bias,
                                          .has_residual = test->residual,
                                          .has_per_sample = test->per_sample,
                                          .weights = test->weights,
                                          .weight_first = test->weight_first}};
    struct linear_operands *operands = &setting->operands;
    size_t left = test->out * (test->geglu ? 2 : 1), in = test->in + test->in2;
    for (int i = 0; i < test->weights; i++) {
        size_t out = i + 1 < test->weights ? left / 2 : left;
        left -= out;
        setting->weight[i] = weight_make(DTYPE_BF16, 2, (size_t[]){out, in + 2 * test->weight_first}, 1 / sqrtf((float)in), &state);
        setting->shape.weight[i] = &setting->weight[i];
    }
    operands->x = view_make(test->x_dtype, test->x_samples ? test->x_samples : test->samples, test->rows, test->in, test->extra, &state);
    if (test->in2)
        operands->x2 =
            view_make(test->x_dtype, test->x2_samples ? test->x2_samples : test->samples, test->rows, test->in2, 3 * test->extra, &state);
    operands->out = view_make(test->out_dtype, test->samples, test->rows, test->out, 2 * test->extra, &state);
    if (test->residual)
        operands->residual = view_make(test->residual_dtype, test->residual_samples ? test->residual_samples : test->samples, test->rows,
                                       test->out, test->extra, &state);
    if (test->per_sample) operands->per_sample = view_make(F32, test->samples, 1, test->out, 0, &state);
    setting->bias = vector_make(test->out * 2, &state);
    if (test->bias) operands->bias = setting->bias;
}

static void discard(struct setting *setting) {
    for (int i = 0; i < setting->shape.weights; i++) memory_free((void *)(uintptr_t)setting->weight[i].data);
    memory_free(setting->operands.x.data);
    memory_free(setting->operands.x2.data);
    memory_free(setting->operands.out.data);
    memory_free(setting->operands.residual.data);
    memory_free(setting->operands.per_sample.data);
    memory_free(setting->bias);
}

/* The result in memory of its own. */
static struct view compute(const struct linear_kernel *kernel, const struct setting *setting, struct pool *pool) {
    const struct linear_shape *shape = &setting->shape;
    struct linear_operands operands = setting->operands;
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
    operands.out = view_copy(&setting->operands.out, shape->rows, shape->out);
    kernel->run(shape, &operands, state, pool);
    if (kernel->release && state) kernel->release(state);
    memory_aligned_free(packed);
    memory_aligned_free(scratch);
    return operands.out;
}

static const struct linear_kernel *reference(void) {
    size_t i = 0;
    while (linear_kernels[i + 1]) i++;
    return linear_kernels[i];
}

/* Whether the row takes the case. */
static bool check(const struct linear_kernel *kernel, const struct linear_case *test, enum dtype format, struct pool *const *pools) {
    struct setting setting;
    make(test, format, &setting);
    bool accepted = kernel->accepts(&setting.shape) == NULL;
    if (accepted) {
        struct view expected = compute(reference(), &setting, pools[0]), got[THREADS_MOST];
        for (size_t i = 0; i < THREADS_MOST; i++) got[i] = compute(kernel, &setting, pools[i]);
        double bound = test->out_dtype == BF16 ? 0.03 : 1e-5; /* one unit in bf16's last place of the largest */
        double difference = view_difference(&got[0], &expected, test->rows, test->out);
        if (difference > bound)
            print_message("%s, %zux%zu, %zu+%zu->%zu: %g\n", kernel->name, test->samples, test->rows, test->in, test->in2, test->out,
                          difference);
        assert_true(difference <= bound);
        for (size_t i = 1; i < THREADS_MOST; i++) assert_memory_equal(got[0].data, got[i].data, view_bytes(&got[0], test->rows, test->out));
        for (size_t i = 0; i < THREADS_MOST; i++) memory_free(got[i].data);
        memory_free(expected.data);
    }
    discard(&setting);
    return accepted;
}

static void rows_agree_with_plain_c(void **state) {
    for (size_t k = 0; linear_kernels[k] != reference(); k++) {
        if (!row_is_ours(linear_kernels[k]->name)) continue;
        size_t accepted = 0;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            accepted += check(linear_kernels[k], &cases[i], BF16, *state);
            accepted += check(linear_kernels[k], &cases[i], F32, *state);
        }
        /* Where the processor has everything, every row must have been tried. */
        if (isa_available() == ISA_AMX) assert_true(accepted > 0);
    }
}

static struct linear_case random_case(uint64_t *state) {
    struct linear_case test = {.samples = random_below(state, 4) + 1,
                               .rows = random_below(state, 60) + 1,
                               .in = random_below(state, 150) + 1,
                               .out = random_below(state, 180) + 1,
                               .x_dtype = random_dtype(state),
                               .residual_dtype = random_dtype(state),
                               .out_dtype = random_dtype(state),
                               .weights = 1,
                               .bias = random_below(state, 2),
                               .extra = random_below(state, 3)};
    if (random_below(state, 3) == 0) {
        test.geglu = true;
        return test;
    }
    test.act = (enum activation)random_below(state, ACT_RELU + 1);
    test.residual = random_below(state, 2);
    test.per_sample = random_below(state, 2);
    if (random_below(state, 2)) test.in2 = random_below(state, 90) + 1;
    if (test.out > 3 && random_below(state, 2)) test.weights = 3;
    if (random_below(state, 2)) test.x_samples = 1;
    if (random_below(state, 2)) test.residual_samples = 1;
    return test;
}

static void rows_agree_on_made_up_shapes(void **pools) {
    uint64_t state = 4101842887655102017u;
    for (size_t i = 0; i < 60; i++) {
        struct linear_case test = random_case(&state);
        for (size_t k = 0; linear_kernels[k] != reference(); k++) {
            if (!row_is_ours(linear_kernels[k]->name)) continue;
            check(linear_kernels[k], &test, BF16, *pools);
            check(linear_kernels[k], &test, F32, *pools);
        }
    }
}

/* Inputs that bf16 can't hold are rounded to nearest, ties to even, before they are multiplied. */
static void wide_input_is_rounded(void **state) {
    struct pool *const *pools = *state;
    for (size_t k = 0; linear_kernels[k]; k++) {
        if (strncmp(linear_kernels[k]->name, "avx512bf16", 10) != 0) continue;
        struct setting setting;
        make(&(struct linear_case){.samples = 1, .rows = 6, .in = 2, .out = 1, .x_dtype = F32, .out_dtype = F32, .weights = 1}, BF16,
             &setting);
        if (linear_kernels[k]->accepts(&setting.shape) == NULL) {
            static const float input[6] = {1.00390625f, 1.01171875f, -1.00390625f, 1.003906369f, 0x1.fffffep+10f, 3.0e-5f};
            uint16_t one[2] = {0x3f80, 0};
            memcpy((void *)(uintptr_t)setting.weight[0].data, one, sizeof one);
            for (size_t i = 0; i < 6; i++) ((float *)setting.operands.x.data)[2 * i] = input[i];
            struct view got = compute(linear_kernels[k], &setting, pools[0]);
            for (size_t i = 0; i < 6; i++) assert_true(((float *)got.data)[i] == f32_from_bf16(bf16_from_f32(input[i])));
            memory_free(got.data);
        }
        discard(&setting);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_agree_with_plain_c), cmocka_unit_test(rows_agree_on_made_up_shapes),
                                       cmocka_unit_test(wide_input_is_rounded)};
    return cmocka_run_group_tests(tests, pools_setup, pools_teardown);
}
