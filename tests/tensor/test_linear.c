/* Every row of the linear operation against a matrix product in f64. */
#include "support.h"

struct linear_case {
    const char *what;
    size_t n, rows, in, outs[LINEAR_WEIGHTS_MAX];
    bool bias[LINEAR_WEIGHTS_MAX], residual, geglu, rank4;
    size_t residuals;
    enum activation act;
    enum dtype weight_dtype;
};

static const struct linear_case cases[] = {
    {"plain", .n = 2, .rows = 77, .in = 64, .outs = {48}, .bias = {true}},
    {"odd sizes", .n = 1, .rows = 13, .in = 37, .outs = {29}, .bias = {true}},
    {"one row", .n = 1, .rows = 1, .in = 320, .outs = {1280}, .bias = {true}, .act = ACT_SILU},
    {"no bias", .n = 1, .rows = 64, .in = 32, .outs = {32}},
    {"residual", .n = 4, .rows = 10, .in = 32, .outs = {40}, .bias = {true}, .residual = true, .residuals = 2},
    {"query, key, value", .n = 2, .rows = 33, .in = 48, .outs = {48, 48, 48}},
    {"side by side, uneven, some biases", .n = 1, .rows = 9, .in = 20, .outs = {7, 30, 12}, .bias = {true, false, true}},
    {"gelu", .n = 1, .rows = 31, .in = 64, .outs = {96}, .bias = {true}, .act = ACT_GELU},
    {"quick gelu", .n = 1, .rows = 31, .in = 64, .outs = {96}, .bias = {true}, .act = ACT_QUICK_GELU},
    {"relu and residual", .n = 1, .rows = 31, .in = 16, .outs = {16}, .residual = true, .residuals = 1, .act = ACT_RELU},
    {"geglu", .n = 2, .rows = 40, .in = 64, .outs = {256}, .bias = {true}, .geglu = true},
    {"geglu odd, no bias", .n = 1, .rows = 7, .in = 21, .outs = {38}, .geglu = true},
    {"rank 4 weight", .n = 1, .rows = 12, .in = 16, .outs = {24}, .bias = {true}, .rank4 = true},
    {"f16 weight", .n = 1, .rows = 12, .in = 16, .outs = {24}, .bias = {true}, .weight_dtype = DTYPE_F16},
    {"deep", .n = 1, .rows = 70, .in = 2560, .outs = {64}, .bias = {true}, .weight_dtype = DTYPE_BF16},
    {"many rows", .n = 2, .rows = 300, .in = 40, .outs = {80}, .bias = {true}},
};

struct linear_bench {
    struct bench bench;
    struct linear linear;
    struct value x, residual, out;
};

static void record(struct linear_bench *made, const struct linear_case *test, enum dtype compute, bool narrow, size_t threads) {
    struct bench *bench = &made->bench;
    bench_begin(bench, compute, threads, 11);
    enum dtype dtype = narrow ? compute : DTYPE_F32;
    made->linear = (struct linear){.act = test->act, .geglu = test->geglu, .wide = !narrow};
    size_t out = 0;
    for (int i = 0; i < LINEAR_WEIGHTS_MAX && test->outs[i]; i++) {
        made->linear.weight[i] = test->rank4 ? bench_weight_of(bench, test->weight_dtype, test->outs[i], test->in, 1, 1)
                                             : bench_weight_of(bench, test->weight_dtype, test->outs[i], test->in);
        if (test->bias[i]) made->linear.bias[i] = bench_weight_of(bench, DTYPE_F32, test->outs[i]);
        out += test->outs[i];
    }
    if (test->geglu) out /= 2;
    made->linear.x = bench_input(bench, test->n, 1, test->rows, test->in, dtype, &made->x);
    if (test->residual) made->linear.residual = bench_input(bench, test->residuals, 1, test->rows, out, dtype, &made->residual);
    made->out = plan_linear(bench->plan, &made->linear);
    plan_keep(bench->plan, made->out);
    bench_finish(bench);
    bench_fill(bench, made->x, 1, 0.25f);
    if (test->residual) bench_fill(bench, made->residual, 1, 0);
}

/* Result `o` of all weights one below the other, before anything else. */
static double sum_at(const struct linear_bench *made, const struct linear_case *test, const float *x, size_t o) {
    int i = 0;
    while (o >= test->outs[i]) o -= test->outs[i++];
    double sum = test->bias[i] ? weight_at(made->linear.bias[i], o) : 0;
    for (size_t k = 0; k < test->in; k++) sum += (double)x[k] * weight_at(made->linear.weight[i], o * test->in + k);
    return sum;
}

static double *expected(const struct linear_bench *made, const struct linear_case *test) {
    float *x = bench_read(&made->bench, made->linear.x);
    float *residual = test->residual ? bench_read(&made->bench, made->linear.residual) : NULL;
    size_t shape[4];
    plan_shape(made->bench.plan, made->out, shape);
    size_t c = shape[3];
    double *out = malloc(test->n * test->rows * c * sizeof *out);
    assert_non_null(out);
    for (size_t row = 0; row < test->n * test->rows; row++)
        for (size_t o = 0; o < c; o++) {
            double sum = sum_at(made, test, x + row * test->in, o);
            if (test->geglu) sum *= activation(sum_at(made, test, x + row * test->in, c + o), ACT_GELU);
            if (residual) sum += (double)residual[row % (test->residuals * test->rows) * c + o];
            out[row * c + o] = activation(sum, test->act);
        }
    free(x);
    free(residual);
    return out;
}

static size_t last_operation(const struct bench *bench) {
    size_t count;
    plan_timing(bench->plan, 0, &count);
    return count - 1;
}

static bool check(const struct linear_case *test, const char *row, enum dtype compute, bool narrow) {
    force_row("linear", row);
    float *first = NULL;
    bool used = false;
    for (size_t threads = 1; threads <= 3; threads++) {
        struct linear_bench made = {.bench = {.pool = NULL}};
        record(&made, test, compute, narrow, threads);
        char got_row[64];
        bench_row(&made.bench, last_operation(&made.bench), got_row);
        used = strcmp(got_row, row) == 0;
        if (used) {
            plan_poison(made.bench.plan);
            plan_run(made.bench.plan, 0);
            float *got = bench_read(&made.bench, made.out);
            size_t count = value_count(made.bench.plan, made.out);
            if (!first) {
                double *wanted = expected(&made, test), bound = compute == DTYPE_F32 ? 1e-5 : 1e-2;
                double error = relative_error(wanted, got, count);
                if (!(error < bound)) fail_msg("%s, row %s: error %g", test->what, row, error);
                free(wanted);
                plan_run(made.bench.plan, 0);
                float *again = bench_read(&made.bench, made.out);
                assert_memory_equal(again, got, count * sizeof *got);
                free(again);
                first = got;
                got = NULL;
            } else {
                assert_memory_equal(first, got, count * sizeof *got);
            }
            free(got);
        }
        bench_end(&made.bench);
    }
    free(first);
    force_row("linear", NULL);
    return used;
}

static void rows_agree(enum dtype compute, bool narrow) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t row = 0; linear_kernels[row]; row++) {
            bool used = check(&cases[i], linear_kernels[row]->name, compute, narrow);
            if (strcmp(linear_kernels[row]->name, "ref") == 0) assert_true(used);
        }
}

static void test_f32(void **state) {
    (void)state;
    rows_agree(DTYPE_F32, true);
}
static void test_bf16(void **state) {
    (void)state;
    rows_agree(DTYPE_BF16, true);
}
static void test_bf16_with_wide_values(void **state) {
    (void)state;
    rows_agree(DTYPE_BF16, false);
}

/* Equal weights are packed once, whichever plan asks. */
static void test_weights_are_shared(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 5);
    const struct tensor *weight = bench_weight_of(&bench, DTYPE_F32, 32, 16), *bias = bench_weight_of(&bench, DTYPE_F32, 32);
    size_t bytes[3];
    for (int i = 0; i < 3; i++) {
        struct plan_options options = {DTYPE_F32, bench.pool, bench.packed};
        struct plan *plan;
        assert_true(plan_create(&options, &plan, NULL));
        struct linear linear = {.x = plan_input(plan, 1, 1, 8, 16), .weight = {weight}, .bias = {bias}};
        plan_linear(plan, &linear);
        if (i == 2) {
            linear.weight[1] = weight; /* side by side with itself: another layout */
            plan_linear(plan, &linear);
        }
        assert_true(plan_finish(plan, 0, NULL));
        plan_free(plan);
        bytes[i] = packed_weights_bytes(bench.packed);
    }
    assert_true(bytes[0] >= 32 * 16 * sizeof(float));
    assert_int_equal(bytes[0], bytes[1]);
    assert_true(bytes[2] > bytes[1]);
    bench_end(&bench);
}

/* ---- what does not fit ---- */

static void refused(enum error_code code, const struct linear *linear, const size_t *weight_shape, int rank) {
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 3);
    struct linear wrong = *linear;
    wrong.x = plan_input(bench.plan, 2, 1, 6, 8);
    wrong.weight[0] = bench_weight(&bench, DTYPE_F32, rank, weight_shape);
    plan_linear(bench.plan, &wrong);
    assert_int_equal(bench_refusal(&bench).code, code);
    bench_end(&bench);
}

static void test_wrong_shapes(void **state) {
    (void)state;
    struct linear plain = {.act = ACT_NONE}, geglu = {.geglu = true}, both = {.geglu = true, .act = ACT_SILU};
    refused(ERROR_FORMAT, &plain, (size_t[]){16, 9}, 2);
    refused(ERROR_FORMAT, &plain, (size_t[]){16, 7}, 2);
    refused(ERROR_FORMAT, &plain, (size_t[]){16}, 1);
    refused(ERROR_FORMAT, &plain, (size_t[]){16, 8, 3, 3}, 4);
    refused(ERROR_FORMAT, &geglu, (size_t[]){15, 8}, 2);
    refused(ERROR_INTERNAL, &both, (size_t[]){16, 8}, 2);
    struct tensor bias = {.data = "", .dtype = DTYPE_F32, .rank = 1, .shape = {15}};
    struct linear biased = {.bias = {&bias}};
    refused(ERROR_FORMAT, &biased, (size_t[]){16, 8}, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_f32), cmocka_unit_test(test_bf16),
                                       cmocka_unit_test(test_bf16_with_wide_values), cmocka_unit_test(test_weights_are_shared),
                                       cmocka_unit_test(test_wrong_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
