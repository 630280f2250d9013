/* Group and layer norm against two passes in f64. */
#include "support.h"

struct norm_case {
    const char *what;
    size_t n, h, w, c, c2, n2, groups;
    bool silu;
    float mean; /* of the inputs: far from 0, sums of squares lose digits */
    float epsilon;
};

static const struct norm_case cases[] = {
    {"plain", 2, 8, 8, 64, 0, 0, 32, false, 0, 1e-5f},
    {"silu", 2, 7, 9, 96, 0, 0, 32, true, 0.5f, 1e-5f},
    {"far from zero", 1, 16, 16, 32, 0, 0, 8, true, 100, 1e-6f},
    {"two inputs", 2, 8, 8, 64, 32, 2, 32, true, 0, 1e-5f},
    {"a group across the border", 2, 5, 5, 20, 10, 1, 3, true, 1, 1e-5f},
    {"one group", 1, 6, 5, 7, 0, 0, 1, false, 0, 1e-5f},
    {"a channel a group", 1, 6, 5, 7, 0, 0, 7, false, 0, 1e-5f},
    {"many rows", 1, 40, 50, 16, 0, 0, 4, true, 0, 1e-6f},
    {"many channels", 1, 3, 3, 640, 320, 1, 32, true, 0, 1e-5f},
    {"first input for both", 1, 4, 4, 16, 16, 2, 4, false, 0, 1e-5f},
};

struct norm_bench {
    struct bench bench;
    struct group_norm norm;
    struct value x, x2, out;
};

static void record(struct norm_bench *made, const struct norm_case *test, enum dtype compute, size_t threads) {
    struct bench *bench = &made->bench;
    bench_begin(bench, compute, threads, 17);
    made->norm = (struct group_norm){.groups = test->groups, .epsilon = test->epsilon, .silu = test->silu};
    made->norm.gamma = bench_weight_of(bench, DTYPE_F32, test->c + test->c2);
    made->norm.beta = bench_weight_of(bench, DTYPE_BF16, test->c + test->c2);
    made->norm.x = bench_input(bench, test->n, test->h, test->w, test->c, compute, &made->x);
    if (test->c2) made->norm.x2 = bench_input(bench, test->n2, test->h, test->w, test->c2, compute, &made->x2);
    made->out = plan_group_norm(bench->plan, &made->norm);
    plan_keep(bench->plan, made->out);
    bench_finish(bench);
    bench_fill(bench, made->x, 1, test->mean);
    if (test->c2) bench_fill(bench, made->x2, 2, -test->mean);
}

static double *expected(const struct norm_bench *made, const struct norm_case *test) {
    float *x = bench_read(&made->bench, made->norm.x), *x2 = test->c2 ? bench_read(&made->bench, made->norm.x2) : NULL;
    size_t c = test->c + test->c2, rows = test->h * test->w, n = test->n > test->n2 ? test->n : test->n2, width = c / test->groups;
    double *out = malloc(n * rows * c * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < n * rows * c; i++) {
        size_t channel = i % c, row = i / c % rows, sample = i / c / rows;
        out[i] = channel < test->c ? (double)x[(sample % test->n * rows + row) * test->c + channel]
                                   : (double)x2[(sample % test->n2 * rows + row) * test->c2 + channel - test->c];
    }
    for (size_t sample = 0; sample < n; sample++)
        for (size_t group = 0; group < test->groups; group++) {
            double mean = 0, variance = 0, *all = out + sample * rows * c;
            for (size_t row = 0; row < rows; row++)
                for (size_t i = group * width; i < (group + 1) * width; i++) mean += all[row * c + i];
            mean /= (double)(rows * width);
            for (size_t row = 0; row < rows; row++)
                for (size_t i = group * width; i < (group + 1) * width; i++) variance += pow(all[row * c + i] - mean, 2);
            variance /= (double)(rows * width);
            for (size_t row = 0; row < rows; row++)
                for (size_t i = group * width; i < (group + 1) * width; i++) {
                    double y = (all[row * c + i] - mean) / sqrt(variance + (double)test->epsilon);
                    y = y * weight_at(made->norm.gamma, i) + weight_at(made->norm.beta, i);
                    all[row * c + i] = activation(y, test->silu ? ACT_SILU : ACT_NONE);
                }
        }
    free(x);
    free(x2);
    return out;
}

static void check_group_norm(const struct norm_case *test, const char *row, enum dtype compute) {
    force_row("group_norm", row);
    float *first = NULL;
    for (size_t threads = 1; threads <= 3; threads++) {
        struct norm_bench made = {.bench = {.pool = NULL}};
        record(&made, test, compute, threads);
        char got_row[64];
        size_t operations;
        plan_timing(made.bench.plan, 0, &operations);
        bench_row(&made.bench, operations - 1, got_row);
        if (strcmp(row, "ref") == 0) assert_string_equal(got_row, "ref");
        if (strcmp(got_row, row) == 0) {
            plan_poison(made.bench.plan);
            plan_run(made.bench.plan, 0);
            float *got = bench_read(&made.bench, made.out);
            size_t count = value_count(made.bench.plan, made.out);
            if (!first) {
                double *wanted = expected(&made, test), error = relative_error(wanted, got, count);
                if (!(error < (compute == DTYPE_F32 ? 1e-5 : 4e-3))) fail_msg("%s, row %s: error %g", test->what, row, error);
                free(wanted);
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
    force_row("group_norm", NULL);
}

static void test_group_norm(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t row = 0; group_norm_kernels[row]; row++) {
            check_group_norm(&cases[i], group_norm_kernels[row]->name, DTYPE_F32);
            check_group_norm(&cases[i], group_norm_kernels[row]->name, DTYPE_BF16);
        }
}

/* ---- LayerNorm ---- */

static void check_layer_norm(size_t rows, size_t c, float mean, const char *row, enum dtype compute, bool wide) {
    force_row("layer_norm", row);
    float *first = NULL;
    for (size_t threads = 1; threads <= 3; threads++) {
        struct bench bench;
        bench_begin(&bench, compute, threads, 19);
        struct layer_norm norm = {.epsilon = 1e-5f, .wide = wide};
        struct value input;
        norm.gamma = bench_weight_of(&bench, DTYPE_F32, c);
        norm.beta = bench_weight_of(&bench, DTYPE_F16, c);
        norm.x = bench_input(&bench, 2, 1, rows, c, wide ? DTYPE_F32 : compute, &input);
        struct value out = plan_layer_norm(bench.plan, &norm);
        plan_keep(bench.plan, out);
        bench_finish(&bench);
        bench_fill(&bench, input, 1, mean);
        plan_run(bench.plan, 0);
        float *x = bench_read(&bench, norm.x), *got = bench_read(&bench, out);
        double *wanted = malloc(2 * rows * c * sizeof *wanted);
        assert_non_null(wanted);
        for (size_t i = 0; i < 2 * rows; i++) {
            double centre = 0, variance = 0;
            for (size_t k = 0; k < c; k++) centre += (double)x[i * c + k] / (double)c;
            for (size_t k = 0; k < c; k++) variance += pow((double)x[i * c + k] - centre, 2) / (double)c;
            for (size_t k = 0; k < c; k++)
                wanted[i * c + k] = ((double)x[i * c + k] - centre) / sqrt(variance + (double)norm.epsilon) * weight_at(norm.gamma, k) +
                                    weight_at(norm.beta, k);
        }
        double error = relative_error(wanted, got, 2 * rows * c);
        if (!(error < (compute == DTYPE_F32 || wide ? 1e-5 : 4e-3))) fail_msg("%zux%zu, row %s: error %g", rows, c, row, error);
        if (first)
            assert_memory_equal(first, got, 2 * rows * c * sizeof *got);
        else
            first = got;
        if (first != got) free(got);
        free(x);
        free(wanted);
        bench_end(&bench);
    }
    free(first);
    force_row("layer_norm", NULL);
}

static void test_layer_norm(void **state) {
    (void)state;
    static const struct {
        size_t rows, c;
        float mean;
    } sizes[] = {{77, 768, 0}, {5, 33, 2}, {1, 1, 0}, {20, 320, 50}, {9, 257, 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t row = 0; layer_norm_kernels[row]; row++) {
            check_layer_norm(sizes[i].rows, sizes[i].c, sizes[i].mean, layer_norm_kernels[row]->name, DTYPE_F32, false);
            check_layer_norm(sizes[i].rows, sizes[i].c, sizes[i].mean, layer_norm_kernels[row]->name, DTYPE_BF16, false);
            check_layer_norm(sizes[i].rows, sizes[i].c, sizes[i].mean, layer_norm_kernels[row]->name, DTYPE_BF16, true);
        }
}

static void test_wrong_shapes(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct bench bench;
        bench_begin(&bench, DTYPE_F32, 1, 1);
        const struct tensor *right = bench_weight_of(&bench, DTYPE_F32, 16), *wrong = bench_weight_of(&bench, DTYPE_F32, 15);
        struct value x = plan_input(bench.plan, 1, 2, 2, 16);
        if (i == 0) plan_group_norm(bench.plan, &(struct group_norm){.x = x, .gamma = right, .beta = right, .groups = 3});
        if (i == 1) plan_group_norm(bench.plan, &(struct group_norm){.x = x, .gamma = right, .beta = wrong, .groups = 4});
        if (i == 2) plan_group_norm(bench.plan, &(struct group_norm){.x = x, .gamma = right, .beta = right, .groups = 0});
        if (i == 3) plan_layer_norm(bench.plan, &(struct layer_norm){.x = x, .gamma = wrong, .beta = right});
        assert_int_equal(bench_refusal(&bench).code, ERROR_FORMAT);
        bench_end(&bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_group_norm), cmocka_unit_test(test_layer_norm),
                                       cmocka_unit_test(test_wrong_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
