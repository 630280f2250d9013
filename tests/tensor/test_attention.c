/* Every row of attention against the whole matrix in f64. */
#include "support.h"

struct attention_case {
    const char *what;
    size_t nq, nk, samples, tq, tk, heads, width;
    bool causal, joined; /* joined: q, k, v are channels of one value */
    float scale;         /* of the inputs; large ones make sharp rows */
};

static const struct attention_case cases[] = {
    {"one head", 1, 1, 0, 16, 16, 1, 32, false, false, 1},
    {"text, causal", 2, 2, 0, 77, 77, 2, 64, true, true, 1},
    {"self, 40 wide", 2, 2, 0, 100, 100, 4, 40, false, true, 1},
    {"cross", 4, 2, 4, 65, 77, 2, 40, false, false, 1},
    {"queries shared", 2, 4, 0, 30, 77, 3, 16, false, false, 1},
    {"keys for many, queries for many", 2, 2, 4, 30, 50, 2, 8, false, false, 1},
    {"odd width", 1, 1, 0, 37, 129, 3, 5, false, false, 1},
    {"wide head", 1, 1, 0, 70, 70, 1, 160, false, true, 1},
    {"whole width", 1, 1, 0, 33, 33, 1, 512, false, false, 1},
    {"one token", 2, 2, 0, 1, 1, 2, 16, false, false, 1},
    {"one key", 1, 1, 0, 20, 1, 2, 16, false, false, 1},
    {"sharp", 1, 1, 0, 64, 200, 2, 32, false, false, 20},
    {"causal, long", 1, 1, 0, 150, 150, 2, 24, true, false, 3},
    {"many tokens", 1, 1, 0, 300, 1024, 1, 40, false, false, 2},
};

struct attention_bench {
    struct bench bench;
    struct attention attention;
    struct value inputs[3], out;
};

static void record(struct attention_bench *made, const struct attention_case *test, enum dtype compute, size_t threads) {
    struct bench *bench = &made->bench;
    bench_begin(bench, compute, threads, 13);
    size_t c = test->heads * test->width;
    made->attention = (struct attention){.samples = test->samples, .heads = test->heads, .causal = test->causal};
    struct value *operands[] = {&made->attention.q, &made->attention.k, &made->attention.v};
    if (test->joined) {
        struct value joined = bench_input(bench, test->nq, 1, test->tq, 3 * c, compute, &made->inputs[0]);
        for (size_t i = 0; i < 3; i++) *operands[i] = plan_channels(bench->plan, joined, i * c, c);
    } else {
        for (int i = 0; i < 3; i++)
            *operands[i] = bench_input(bench, i ? test->nk : test->nq, 1, i ? test->tk : test->tq, c, compute, &made->inputs[i]);
    }
    made->out = plan_attention(bench->plan, &made->attention);
    plan_keep(bench->plan, made->out);
    bench_finish(bench);
    for (int i = 0; i < (test->joined ? 1 : 3); i++) bench_fill(bench, made->inputs[i], test->scale, 0.1f);
}

/* Rows of a strided view, as f32. */
static float *read_view(const struct bench *bench, struct value value) {
    size_t shape[4];
    plan_shape(bench->plan, value, shape);
    struct view view = plan_view(bench->plan, value);
    size_t rows = shape[0] * shape[2];
    float *out = malloc(rows * shape[3] * sizeof *out);
    assert_non_null(out);
    for (size_t row = 0; row < rows; row++) {
        const unsigned char *data = (const unsigned char *)view.data + row * view.stride * dtype_size(view.dtype);
        struct tensor tensor = {.data = data, .dtype = view.dtype, .rank = 1, .shape = {shape[3]}};
        tensor_read_f32(&tensor, 0, shape[3], out + row * shape[3]);
    }
    return out;
}

static double *expected(const struct attention_bench *made, const struct attention_case *test) {
    float *q = read_view(&made->bench, made->attention.q), *k = read_view(&made->bench, made->attention.k),
          *v = read_view(&made->bench, made->attention.v);
    size_t c = test->heads * test->width, samples = value_count(made->bench.plan, made->out) / test->tq / c;
    double *out = calloc(samples * test->tq * c, sizeof *out), *weights = malloc(test->tk * sizeof *weights);
    assert_non_null(out);
    assert_non_null(weights);
    for (size_t i = 0; i < samples * test->tq * test->heads; i++) {
        size_t head = i % test->heads, token = i / test->heads % test->tq, sample = i / test->heads / test->tq;
        const float *query = q + ((sample % test->nq) * test->tq + token) * c + head * test->width;
        size_t first_key = sample / (samples / test->nk) * test->tk, seen = test->causal ? token + 1 : test->tk;
        double maximum = -INFINITY, sum = 0, *result = out + (sample * test->tq + token) * c + head * test->width;
        for (size_t key = 0; key < seen; key++) {
            weights[key] = 0;
            for (size_t d = 0; d < test->width; d++)
                weights[key] += (double)query[d] * (double)k[(first_key + key) * c + head * test->width + d];
            weights[key] /= sqrt((double)test->width);
            maximum = fmax(maximum, weights[key]);
        }
        for (size_t key = 0; key < seen; key++) sum += weights[key] = exp(weights[key] - maximum);
        for (size_t key = 0; key < seen; key++)
            for (size_t d = 0; d < test->width; d++)
                result[d] += weights[key] / sum * (double)v[(first_key + key) * c + head * test->width + d];
    }
    free(q);
    free(k);
    free(v);
    free(weights);
    return out;
}

static bool check(const struct attention_case *test, const char *row, enum dtype compute) {
    force_row("attention", row);
    float *first = NULL;
    bool used = false;
    for (size_t threads = 1; threads <= 3; threads++) {
        struct attention_bench made = {.bench = {.pool = NULL}};
        record(&made, test, compute, threads);
        char got_row[64];
        size_t operations;
        plan_timing(made.bench.plan, 0, &operations);
        bench_row(&made.bench, operations - 1, got_row);
        used = strcmp(got_row, row) == 0;
        if (used) {
            plan_poison(made.bench.plan);
            plan_run(made.bench.plan, 0);
            float *got = bench_read(&made.bench, made.out);
            size_t count = value_count(made.bench.plan, made.out);
            if (!first) {
                /* Scores of sharp rows are about 400: f32 holds their sums to some 1e-5. */
                double bound = compute == DTYPE_BF16 ? (test->scale > 3 ? 4e-2 : 1e-2) : test->scale > 3 ? 1e-4 : 1e-5;
                double *wanted = expected(&made, test), error = relative_error(wanted, got, count);
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
    force_row("attention", NULL);
    return used;
}

static void rows_agree(enum dtype compute) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t row = 0; attention_kernels[row]; row++) {
            bool used = check(&cases[i], attention_kernels[row]->name, compute);
            if (strcmp(attention_kernels[row]->name, "ref") == 0) assert_true(used);
        }
}

static void test_f32(void **state) {
    (void)state;
    rows_agree(DTYPE_F32);
}
static void test_bf16(void **state) {
    (void)state;
    rows_agree(DTYPE_BF16);
}

/* The matrix is never held in whole: 16384 tokens would take 1 GiB. */
static void test_memory(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 2, 1);
    struct value x = plan_input(bench.plan, 1, 1, 16384, 16);
    plan_keep(bench.plan, plan_attention(bench.plan, &(struct attention){.q = x, .k = x, .v = x, .heads = 1}));
    bench_finish(&bench);
    assert_true(plan_memory(bench.plan) < ((size_t)16 << 20));
    bench_end(&bench);
}

static void test_wrong_shapes(void **state) {
    (void)state;
    static const struct {
        size_t q_c, k_c, v_tokens, heads, samples;
        bool causal;
    } wrong[] = {{16, 12, 9, 2, 0, false}, {16, 16, 8, 2, 0, false}, {16, 16, 9, 3, 0, false},
                 {16, 16, 9, 0, 0, false}, {16, 16, 9, 2, 3, false}, {16, 16, 9, 2, 0, true}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct bench bench;
        bench_begin(&bench, DTYPE_F32, 1, 1);
        struct attention attention = {.q = plan_input(bench.plan, 2, 1, 6, wrong[i].q_c),
                                      .k = plan_input(bench.plan, 2, 1, 9, wrong[i].k_c),
                                      .v = plan_input(bench.plan, 2, 1, wrong[i].v_tokens, wrong[i].k_c),
                                      .heads = wrong[i].heads,
                                      .samples = wrong[i].samples,
                                      .causal = wrong[i].causal};
        plan_attention(bench.plan, &attention);
        bench_refusal(&bench);
        bench_end(&bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_f32), cmocka_unit_test(test_bf16), cmocka_unit_test(test_memory),
                                       cmocka_unit_test(test_wrong_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
