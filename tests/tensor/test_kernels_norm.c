/* Every row for the norms against plain C: channels and rows that are no multiples of anything, two
 * inputs with groups across their border, views of wider values, shared samples, numbers far from 0;
 * the same bytes for any number of threads. */
#include "kernels.h"

/* ---- GroupNorm ---- */

struct group_norm_case {
    size_t samples, x_samples, x2_samples, rows, c, c2, groups, extra;
    float mean; /* of the inputs */
    bool silu;
};

static const struct group_norm_case cases[] = {
    {.samples = 1, .x_samples = 1, .rows = 1, .c = 1, .groups = 1},
    {.samples = 1, .x_samples = 1, .rows = 3, .c = 7, .groups = 7, .silu = true},
    {.samples = 2, .x_samples = 2, .rows = 63, .c = 40, .groups = 8, .silu = true, .extra = 3},
    {.samples = 2, .x_samples = 2, .x2_samples = 2, .rows = 65, .c = 20, .c2 = 10, .groups = 3, .silu = true, .extra = 5},
    {.samples = 4, .x_samples = 2, .x2_samples = 4, .rows = 9, .c = 70, .c2 = 26, .groups = 32},
    {.samples = 2, .x_samples = 2, .x2_samples = 1, .rows = 17, .c = 640, .c2 = 320, .groups = 32, .silu = true},
    {.samples = 1, .x_samples = 1, .x2_samples = 1, .rows = 16, .c = 1280, .c2 = 1280, .groups = 32, .silu = true},
    {.samples = 1, .x_samples = 1, .rows = 1200, .c = 33, .groups = 3, .silu = true},
    {.samples = 1, .x_samples = 1, .rows = 20001, .c = 4, .groups = 2, .silu = true, .extra = 1},
    {.samples = 1, .x_samples = 1, .x2_samples = 1, .rows = 66000, .c = 70, .c2 = 58, .groups = 32, .silu = true}, /* past the caches */
    {.samples = 1, .x_samples = 1, .rows = 1500, .c = 48, .groups = 4, .mean = 100},
    {.samples = 1, .x_samples = 1, .rows = 70, .c = 513, .groups = 1, .mean = -3000, .silu = true},
};

struct group_norm_setting {
    struct group_norm_shape shape;
    struct group_norm_operands operands;
    float *gamma, *beta;
};

static void shift_view(struct view *view, size_t rows, size_t columns, float mean) {
    for (size_t i = 0; i < (view->samples * rows - 1) * view->stride + columns; i++)
        number_put(view->data, view->dtype, i, number_at(view->data, view->dtype, i) + mean);
}

static void make_group_norm(const struct group_norm_case *test, enum dtype in, enum dtype in2, enum dtype out,
                            struct group_norm_setting *setting) {
    uint64_t state = 88172645463325252u;
    size_t c = test->c + test->c2;
    setting->gamma = vector_make(c, &state);
    setting->beta = vector_make(c, &state);
    setting->shape = (struct group_norm_shape){.samples = test->samples,
                                               .rows = test->rows,
                                               .c = test->c,
                                               .c2 = test->c2,
                                               .groups = test->groups,
                                               .epsilon = 1e-5f,
                                               .silu = test->silu,
                                               .x_dtype = in,
                                               .x2_dtype = in2,
                                               .out_dtype = out};
    setting->operands = (struct group_norm_operands){.gamma = setting->gamma, .beta = setting->beta};
    setting->operands.x = view_make(in, test->x_samples, test->rows, test->c, test->extra, &state);
    shift_view(&setting->operands.x, test->rows, test->c, test->mean);
    if (test->c2) {
        setting->operands.x2 = view_make(in2, test->x2_samples, test->rows, test->c2, 2 * test->extra, &state);
        shift_view(&setting->operands.x2, test->rows, test->c2, test->mean / 2);
    }
    setting->operands.out = view_make(out, test->samples, test->rows, c, test->extra, &state);
}

static void discard_group_norm(struct group_norm_setting *setting) {
    memory_free(setting->operands.x.data);
    memory_free(setting->operands.x2.data);
    memory_free(setting->operands.out.data);
    memory_free(setting->gamma);
    memory_free(setting->beta);
}

static struct view compute_group_norm(const struct group_norm_kernel *kernel, const struct group_norm_setting *setting, struct pool *pool) {
    const struct group_norm_shape *shape = &setting->shape;
    struct group_norm_operands operands = setting->operands;
    size_t size = kernel->scratch ? kernel->scratch(shape, pool_threads(pool)) : 0;
    operands.scratch = memory_aligned(size ? size : 64);
    assert_non_null(operands.scratch);
    operands.out = view_copy(&setting->operands.out, shape->rows, shape->c + shape->c2);
    kernel->run(shape, &operands, pool);
    memory_aligned_free(operands.scratch);
    return operands.out;
}

static void check_group_norm(const struct group_norm_kernel *kernel, const struct group_norm_kernel *reference,
                             const struct group_norm_case *test, enum dtype in, enum dtype in2, enum dtype out, struct pool *const *pools) {
    struct group_norm_setting setting;
    make_group_norm(test, in, in2, out, &setting);
    if (kernel->accepts(&setting.shape) == NULL) {
        size_t c = test->c + test->c2;
        struct view expected = compute_group_norm(reference, &setting, pools[0]), got[THREADS_MOST];
        for (size_t i = 0; i < THREADS_MOST; i++) got[i] = compute_group_norm(kernel, &setting, pools[i]);
        /* bf16: a unit in the last place of the largest result. Beside a mean of 100, an f32's own rounding is 4e-6. */
        double bound = out == DTYPE_BF16 ? 0.04 : 3e-6;
        double difference = view_difference(&got[0], &expected, test->rows, c);
        if (!(difference <= bound)) print_message("%s, case %zu: %g\n", kernel->name, (size_t)(test - cases), difference);
        assert_true(difference <= bound);
        for (size_t i = 1; i < THREADS_MOST; i++) assert_memory_equal(got[0].data, got[i].data, view_bytes(&got[0], test->rows, c));
        for (size_t i = 0; i < THREADS_MOST; i++) memory_free(got[i].data);
        memory_free(expected.data);
    }
    discard_group_norm(&setting);
}

static const struct group_norm_kernel *group_norm_reference(void) {
    size_t i = 0;
    while (group_norm_kernels[i + 1]) i++;
    return group_norm_kernels[i];
}

static void group_norm_rows_agree_with_plain_c(void **state) {
    static const enum dtype formats[][3] = {{DTYPE_F32, DTYPE_F32, DTYPE_F32},
                                            {DTYPE_BF16, DTYPE_BF16, DTYPE_BF16},
                                            {DTYPE_F32, DTYPE_BF16, DTYPE_BF16},
                                            {DTYPE_BF16, DTYPE_F32, DTYPE_F32},
                                            {DTYPE_BF16, DTYPE_BF16, DTYPE_F32}};
    for (size_t k = 0; group_norm_kernels[k] != group_norm_reference(); k++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
                check_group_norm(group_norm_kernels[k], group_norm_reference(), &cases[i], formats[f][0], formats[f][1], formats[f][2],
                                 *state);
}

/* ---- the activation over all of its range ---- */

/* One row a group's channel: with gamma 0 the result is beta's activation, whatever the input. */
static void silu_of(const struct group_norm_kernel *kernel, const float *beta, size_t count, enum dtype out, struct pool *pool,
                    void *result) {
    float *zeros = memory_array(count, sizeof *zeros);
    assert_non_null(zeros);
    struct group_norm_shape shape = {
        .samples = 1, .rows = 1, .c = count, .groups = 1, .epsilon = 1, .silu = true, .x_dtype = DTYPE_F32, .out_dtype = out};
    struct group_norm_operands operands = {.x = {zeros, DTYPE_F32, count, 1}, .out = {result, out, count, 1}, .gamma = zeros, .beta = beta};
    operands.scratch = memory_aligned(kernel->scratch(&shape, 1));
    assert_non_null(operands.scratch);
    assert_null(kernel->accepts(&shape));
    kernel->run(&shape, &operands, pool);
    memory_aligned_free(operands.scratch);
    memory_free(zeros);
}

static void silu_is_exact(void **state) {
    struct pool *const *pools = *state;
    enum { COUNT = 4003 };
    static float x[COUNT], wide[COUNT];
    static uint16_t narrow[COUNT];
    for (size_t i = 0; i < COUNT; i++) x[i] = ((float)i - 2000) / 2000 * 120;
    for (size_t k = 0; group_norm_kernels[k]; k++) {
        const struct group_norm_shape shape = {.samples = 1, .rows = 1, .c = COUNT, .groups = 1, .x_dtype = DTYPE_F32};
        if (group_norm_kernels[k]->accepts(&shape)) continue;
        silu_of(group_norm_kernels[k], x, COUNT, DTYPE_F32, pools[0], wide);
        silu_of(group_norm_kernels[k], x, COUNT, DTYPE_BF16, pools[0], narrow);
        for (size_t i = 0; i < COUNT; i++) {
            double expected = (double)x[i] / (1 + exp(-(double)x[i]));
            assert_true(fabs((double)wide[i] - expected) <= 4e-7 * fabs(expected) + 1e-35);
            assert_true(fabs((double)f32_from_bf16(narrow[i]) - expected) <= 0x1.1p-8 * fabs(expected) + 1e-35);
        }
    }
}

/* ---- LayerNorm ---- */

struct layer_norm_case {
    size_t rows, c, extra;
    float mean;
};

static const struct layer_norm_case line_cases[] = {
    {.rows = 1, .c = 1},
    {.rows = 3, .c = 5, .extra = 2},
    {.rows = 77, .c = 768, .extra = 1},
    {.rows = 20, .c = 320, .mean = 50},
    {.rows = 9, .c = 257, .extra = 7},
    {.rows = 17, .c = 1280},
    {.rows = 5, .c = 2571, .mean = -1000},
};

static const struct layer_norm_kernel *layer_norm_reference(void) {
    size_t i = 0;
    while (layer_norm_kernels[i + 1]) i++;
    return layer_norm_kernels[i];
}

static struct view compute_layer_norm(const struct layer_norm_kernel *kernel, const struct layer_norm_shape *shape,
                                      const struct layer_norm_operands *given, struct pool *pool) {
    struct layer_norm_operands operands = *given;
    operands.out = view_copy(&given->out, shape->rows, shape->c);
    kernel->run(shape, &operands, pool);
    return operands.out;
}

static void check_layer_norm(const struct layer_norm_kernel *kernel, const struct layer_norm_case *test, enum dtype in, enum dtype out,
                             struct pool *const *pools) {
    uint64_t state = 88172645463325252u;
    struct layer_norm_shape shape = {.rows = test->rows, .c = test->c, .epsilon = 1e-5f, .x_dtype = in, .out_dtype = out};
    if (kernel->accepts(&shape)) return;
    float *gamma = vector_make(test->c, &state), *beta = vector_make(test->c, &state);
    struct layer_norm_operands operands = {.gamma = gamma, .beta = beta};
    operands.x = view_make(in, 1, test->rows, test->c, test->extra, &state);
    shift_view(&operands.x, test->rows, test->c, test->mean);
    operands.out = view_make(out, 1, test->rows, test->c, 2 * test->extra, &state);
    struct view expected = compute_layer_norm(layer_norm_reference(), &shape, &operands, pools[0]), got[THREADS_MOST];
    for (size_t i = 0; i < THREADS_MOST; i++) got[i] = compute_layer_norm(kernel, &shape, &operands, pools[i]);
    double bound = out == DTYPE_BF16 ? 0.04 : test->mean < 0 || test->mean > 0 ? 2e-4 : 3e-6;
    double difference = view_difference(&got[0], &expected, test->rows, test->c);
    if (!(difference <= bound)) print_message("%s, case %zu: %g\n", kernel->name, (size_t)(test - line_cases), difference);
    assert_true(difference <= bound);
    for (size_t i = 1; i < THREADS_MOST; i++) assert_memory_equal(got[0].data, got[i].data, view_bytes(&got[0], test->rows, test->c));
    for (size_t i = 0; i < THREADS_MOST; i++) memory_free(got[i].data);
    memory_free(expected.data);
    memory_free(operands.x.data);
    memory_free(operands.out.data);
    memory_free(gamma);
    memory_free(beta);
}

static void layer_norm_rows_agree_with_plain_c(void **state) {
    for (size_t k = 0; layer_norm_kernels[k] != layer_norm_reference(); k++)
        for (size_t i = 0; i < sizeof line_cases / sizeof *line_cases; i++)
            for (int f = 0; f < 4; f++)
                check_layer_norm(layer_norm_kernels[k], &line_cases[i], f & 1 ? DTYPE_BF16 : DTYPE_F32, f & 2 ? DTYPE_BF16 : DTYPE_F32,
                                 *state);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(group_norm_rows_agree_with_plain_c), cmocka_unit_test(silu_is_exact),
                                       cmocka_unit_test(layer_norm_rows_agree_with_plain_c)};
    return cmocka_run_group_tests(tests, pools_setup, pools_teardown);
}
