/* Every row of convolution against a convolution in f64, written from the definition. */
#include "support.h"

struct conv_case {
    const char *what;
    size_t n, h, w, c, c2, n2, out, kh, kw;
    int stride, top, left, bottom, right;
    size_t up_h, up_w, weight_in, weight_first;
    bool bias, per_sample, residual, flat_weight;
    size_t per_samples, residuals;
    enum activation act;
    enum dtype weight_dtype;
};

static const struct conv_case cases[] = {
    {"3x3", .n = 2, .h = 9, .w = 13, .c = 16, .out = 24, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1, .right = 1, .bias = true},
    {"3x3 odd channels", .n = 1, .h = 7, .w = 5, .c = 5, .out = 3, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1, .right = 1},
    {"3x3 of 4 to 4", .n = 1, .h = 16, .w = 16, .c = 4, .out = 4, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1, .right = 1,
     .bias = true},
    {"stride 2", .n = 1, .h = 10, .w = 11, .c = 8, .out = 16, .kh = 3, .kw = 3, .stride = 2, .top = 1, .left = 1, .bottom = 1, .right = 1,
     .bias = true},
    {"stride 2, padded after only", .n = 2, .h = 10, .w = 12, .c = 32, .out = 32, .kh = 3, .kw = 3, .stride = 2, .bottom = 1, .right = 1,
     .bias = true},
    {"upsampled to double", .n = 1, .h = 6, .w = 5, .c = 16, .out = 16, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1, .right = 1,
     .up_h = 12, .up_w = 10, .bias = true},
    {"upsampled to less than double", .n = 2, .h = 9, .w = 13, .c = 16, .out = 8, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1,
     .right = 1, .up_h = 17, .up_w = 25, .bias = true},
    {"two inputs", .n = 2, .h = 8, .w = 8, .c = 32, .c2 = 16, .n2 = 2, .out = 32, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1,
     .right = 1, .bias = true},
    {"two inputs, one for both samples, odd", .n = 2, .h = 8, .w = 7, .c = 12, .c2 = 5, .n2 = 1, .out = 17, .kh = 3, .kw = 3, .top = 1,
     .left = 1, .bottom = 1, .right = 1, .bias = true},
    {"first input for both samples", .n = 1, .h = 5, .w = 7, .c = 16, .c2 = 16, .n2 = 2, .out = 16, .kh = 3, .kw = 3, .top = 1, .left = 1,
     .bottom = 1, .right = 1},
    {"everything",     .n = 4,           .h = 6,         .w = 6,         .c = 16,     .c2 = 16,   .n2 = 4,      .out = 32,
     .kh = 3,          .kw = 3,          .top = 1,       .left = 1,      .bottom = 1, .right = 1, .bias = true, .per_sample = true,
     .per_samples = 4, .residual = true, .residuals = 2, .act = ACT_SILU},
    {"embedding for all", .n = 2, .h = 6, .w = 9, .c = 16, .out = 16, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1, .right = 1,
     .per_sample = true, .per_samples = 1, .residual = true, .residuals = 2},
    {"relu", .n = 1, .h = 6, .w = 9, .c = 64, .out = 64, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1, .right = 1, .bias = true,
     .residual = true, .residuals = 1, .act = ACT_RELU},
    {"part of a wider weight", .n = 1, .h = 6, .w = 6, .c = 5, .out = 32, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1, .right = 1,
     .weight_in = 9, .weight_first = 4},
    {"1x1 as a product", .n = 2, .h = 5, .w = 6, .c = 48, .c2 = 16, .n2 = 1, .out = 33, .kh = 1, .kw = 1, .bias = true, .per_sample = true,
     .per_samples = 2, .residual = true, .residuals = 1, .act = ACT_SILU},
    {"1x1, flat weight, part", .n = 1, .h = 5, .w = 6, .c = 8, .out = 8, .kh = 1, .kw = 1, .flat_weight = true, .weight_in = 12,
     .weight_first = 3},
    {"1x1 stride 2", .n = 1, .h = 7, .w = 6, .c = 8, .out = 8, .kh = 1, .kw = 1, .stride = 2},
    {"patches", .n = 1, .h = 28, .w = 42, .c = 3, .out = 32, .kh = 14, .kw = 14, .stride = 14},
    {"5x2, uneven padding", .n = 1, .h = 6, .w = 6, .c = 8, .out = 8, .kh = 5, .kw = 2, .top = 3, .left = 0, .bottom = 1, .right = 2,
     .bias = true},
    {"wide picture", .n = 1, .h = 3, .w = 70, .c = 16, .out = 16, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1, .right = 1},
    {"deep", .n = 1, .h = 8, .w = 8, .c = 160, .out = 96, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1, .right = 1, .bias = true,
     .weight_dtype = DTYPE_BF16},
    {"f16 weight", .n = 1, .h = 8, .w = 8, .c = 16, .out = 16, .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1, .right = 1,
     .weight_dtype = DTYPE_F16},
};

struct conv_bench {
    struct bench bench;
    struct conv conv;
    struct value x, x2, per_sample, residual, out; /* inputs as the caller fills them */
};

/* narrow: inputs in bf16 where the plan is. */
static void record(struct conv_bench *made, const struct conv_case *test, enum dtype compute, bool narrow, size_t threads) {
    struct bench *bench = &made->bench;
    bench_begin(bench, compute, threads, 7);
    enum dtype dtype = narrow ? compute : DTYPE_F32;
    size_t up_h = test->up_h ? test->up_h : test->h, up_w = test->up_w ? test->up_w : test->w;
    size_t stride = test->stride ? (size_t)test->stride : 1;
    size_t out_h = (up_h + (size_t)(test->top + test->bottom) - test->kh) / stride + 1;
    size_t out_w = (up_w + (size_t)(test->left + test->right) - test->kw) / stride + 1;
    size_t weight_in = test->weight_in ? test->weight_in : test->c + test->c2;
    made->conv = (struct conv){.weight_first = test->weight_first,
                               .stride = test->stride,
                               .pad_top = test->top,
                               .pad_left = test->left,
                               .pad_bottom = test->bottom,
                               .pad_right = test->right,
                               .upsample_h = test->up_h,
                               .upsample_w = test->up_w,
                               .act = test->act};
    made->conv.weight = test->flat_weight ? bench_weight_of(bench, test->weight_dtype, test->out, weight_in)
                                          : bench_weight_of(bench, test->weight_dtype, test->out, weight_in, test->kh, test->kw);
    if (test->bias) made->conv.bias = bench_weight_of(bench, DTYPE_F32, test->out);
    made->conv.x = bench_input(bench, test->n, test->h, test->w, test->c, dtype, &made->x);
    if (test->c2) made->conv.x2 = bench_input(bench, test->n2, test->h, test->w, test->c2, dtype, &made->x2);
    if (test->per_sample) made->conv.per_sample = bench_input(bench, test->per_samples, 1, 1, test->out, dtype, &made->per_sample);
    if (test->residual) made->conv.residual = bench_input(bench, test->residuals, out_h, out_w, test->out, dtype, &made->residual);
    made->conv.wide = !narrow;
    made->out = plan_conv(bench->plan, &made->conv);
    plan_keep(bench->plan, made->out);
    bench_finish(bench);
    struct value inputs[] = {made->x, made->x2, made->per_sample, made->residual};
    bool used[] = {true, test->c2 > 0, test->per_sample, test->residual};
    for (int i = 0; i < 4; i++)
        if (used[i]) bench_fill(bench, inputs[i], 1, 0.25f);
}

static double input_at(const struct conv_case *test, const float *x, const float *x2, size_t sample, size_t y, size_t column, size_t c) {
    size_t pixel = y * test->w + column, pixels = test->h * test->w;
    if (c < test->c) return (double)x[(sample % test->n * pixels + pixel) * test->c + c];
    return (double)x2[(sample % test->n2 * pixels + pixel) * test->c2 + c - test->c];
}

static double sum_at(const struct conv_case *test, const struct tensor *weight, const float *x, const float *x2, size_t sample, size_t oy,
                     size_t ox, size_t o) {
    long up_h = (long)(test->up_h ? test->up_h : test->h), up_w = (long)(test->up_w ? test->up_w : test->w);
    long stride = test->stride ? test->stride : 1;
    size_t weight_in = weight->shape[1];
    double sum = 0;
    for (size_t c = 0; c < test->c + test->c2; c++)
        for (size_t ky = 0; ky < test->kh; ky++)
            for (size_t kx = 0; kx < test->kw; kx++) {
                long y = (long)oy * stride + (long)ky - test->top, column = (long)ox * stride + (long)kx - test->left;
                if (y < 0 || y >= up_h || column < 0 || column >= up_w) continue;
                size_t source_y = (size_t)y * test->h / (size_t)up_h, source_x = (size_t)column * test->w / (size_t)up_w;
                sum += input_at(test, x, x2, sample, source_y, source_x, c) *
                       weight_at(weight, ((o * weight_in + test->weight_first + c) * test->kh + ky) * test->kw + kx);
            }
    return sum;
}

static double *expected(const struct conv_bench *made, const struct conv_case *test) {
    const struct bench *bench = &made->bench;
    float *x = bench_read(bench, made->conv.x), *x2 = test->c2 ? bench_read(bench, made->conv.x2) : NULL;
    float *per_sample = test->per_sample ? bench_read(bench, made->conv.per_sample) : NULL;
    float *residual = test->residual ? bench_read(bench, made->conv.residual) : NULL;
    size_t shape[4];
    plan_shape(bench->plan, made->out, shape);
    double *out = malloc(shape[0] * shape[1] * shape[2] * shape[3] * sizeof *out), *at = out;
    assert_non_null(out);
    size_t pixels = shape[1] * shape[2];
    for (size_t sample = 0; sample < shape[0]; sample++)
        for (size_t pixel = 0; pixel < pixels; pixel++)
            for (size_t o = 0; o < shape[3]; o++) {
                double sum = sum_at(test, made->conv.weight, x, x2, sample, pixel / shape[2], pixel % shape[2], o);
                if (test->bias) sum += weight_at(made->conv.bias, o);
                if (per_sample) sum += (double)per_sample[sample % test->per_samples * shape[3] + o];
                if (residual) sum += (double)residual[(sample % test->residuals * pixels + pixel) * shape[3] + o];
                *at++ = activation(sum, test->act);
            }
    free(x);
    free(x2);
    free(per_sample);
    free(residual);
    return out;
}

static size_t last_operation(const struct bench *bench) {
    size_t count;
    plan_timing(bench->plan, 0, &count);
    return count - 1;
}

/* The result of one case with one row forced; false when the row refuses it. */
static bool check(const struct conv_case *test, const char *operation, const char *row, enum dtype compute, bool narrow) {
    force_row(operation, row);
    float *first = NULL;
    bool used = false;
    for (size_t threads = 1; threads <= 3; threads++) {
        struct conv_bench made = {.bench = {.pool = NULL}};
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
    force_row(operation, NULL);
    return used;
}

static void rows_agree(enum dtype compute, bool narrow) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool product = cases[i].kh == 1 && cases[i].kw == 1 && cases[i].stride < 2;
        for (size_t row = 0; product ? linear_kernels[row] != NULL : conv_kernels[row] != NULL; row++) {
            const char *name = product ? linear_kernels[row]->name : conv_kernels[row]->name;
            bool used = check(&cases[i], product ? "linear" : "conv", name, compute, narrow);
            if (strcmp(name, "ref") == 0) assert_true(used);
        }
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

/* ---- views as inputs ---- */

static void test_views(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 2, 3);
    struct value whole = plan_input(bench.plan, 2, 6, 5, 24), embeddings = plan_input(bench.plan, 2, 1, 1, 40);
    const struct tensor *weight = bench_weight_of(&bench, DTYPE_F32, 8, 12, 3, 3);
    struct value part = plan_channels(bench.plan, whole, 5, 12), added = plan_channels(bench.plan, whole, 16, 8);
    struct value embedding = plan_channels(bench.plan, embeddings, 30, 8);
    struct conv conv = {.x = part, .weight = weight, .residual = added, .per_sample = embedding};
    conv.pad_top = conv.pad_left = conv.pad_bottom = conv.pad_right = 1;
    struct value out = plan_conv(bench.plan, &conv);
    /* The same from copies. */
    conv.x = plan_map(bench.plan, part, MAP_SCALE_SHIFT, 1, 0, true);
    conv.residual = plan_map(bench.plan, added, MAP_SCALE_SHIFT, 1, 0, true);
    conv.per_sample = plan_map(bench.plan, embedding, MAP_SCALE_SHIFT, 1, 0, true);
    struct value copied = plan_conv(bench.plan, &conv);
    plan_keep(bench.plan, out);
    plan_keep(bench.plan, copied);
    bench_finish(&bench);
    bench_fill(&bench, whole, 1, 0);
    bench_fill(&bench, embeddings, 1, 0);
    plan_run(bench.plan, 0);
    float *a = bench_read(&bench, out), *b = bench_read(&bench, copied);
    assert_memory_equal(a, b, value_count(bench.plan, out) * sizeof *a);
    assert_true(a[0] != 0.0f);
    free(a);
    free(b);
    bench_end(&bench);
}

/* ---- what does not fit ---- */

static struct error refusal(struct conv conv, const size_t *weight_shape, int rank, enum dtype dtype) {
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 3);
    conv.x = plan_input(bench.plan, 2, 6, 6, 8);
    conv.weight = bench_weight(&bench, dtype, rank, weight_shape);
    struct value out = plan_conv(bench.plan, &conv);
    assert_true(out.index < 0);
    size_t shape[4];
    plan_shape(bench.plan, out, shape);
    assert_int_equal(shape[0] + shape[1] + shape[2] + shape[3], 0);
    struct error error = bench_refusal(&bench);
    bench_end(&bench);
    return error;
}

static void test_wrong_weights(void **state) {
    (void)state;
    struct error error = refusal((struct conv){.stride = 1}, (size_t[]){16, 7, 3, 3}, 4, DTYPE_F32);
    assert_int_equal(error.code, ERROR_FORMAT);
    assert_non_null(strstr(error.message, "[16, 7, 3, 3]"));
    assert_int_equal(refusal((struct conv){.stride = 1}, (size_t[]){16, 8, 3}, 3, DTYPE_F32).code, ERROR_FORMAT);
    assert_int_equal(refusal((struct conv){.stride = 1}, (size_t[]){16, 8, 7, 7}, 4, DTYPE_F32).code, ERROR_FORMAT);
    assert_int_equal(refusal((struct conv){.weight_first = 3}, (size_t[]){16, 10, 3, 3}, 4, DTYPE_F32).code, ERROR_FORMAT);
    assert_int_equal(refusal((struct conv){.weight_first = SIZE_MAX}, (size_t[]){16, 10, 3, 3}, 4, DTYPE_F32).code, ERROR_FORMAT);
    assert_int_equal(refusal((struct conv){.stride = 1}, (size_t[]){16, 8, 3, 3}, 4, DTYPE_I64).code, ERROR_FORMAT);
    assert_int_equal(refusal((struct conv){.pad_top = -1}, (size_t[]){16, 8, 3, 3}, 4, DTYPE_F32).code, ERROR_FORMAT);
    assert_int_equal(refusal((struct conv){.stride = -2}, (size_t[]){16, 8, 3, 3}, 4, DTYPE_F32).code, ERROR_FORMAT);
}

static void test_missing_weight(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 3);
    plan_conv(bench.plan, &(struct conv){.x = plan_input(bench.plan, 1, 4, 4, 8)});
    assert_int_equal(bench_refusal(&bench).code, ERROR_FORMAT);
    bench_end(&bench);
}

static void test_wrong_operands(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct bench bench;
        bench_begin(&bench, DTYPE_F32, 1, 3);
        struct conv conv = {.x = plan_input(bench.plan, 2, 6, 6, 8), .weight = bench_weight_of(&bench, DTYPE_F32, 16, 8, 3, 3)};
        if (i == 0) conv.bias = bench_weight_of(&bench, DTYPE_F32, 15);
        if (i == 1) conv.residual = plan_input(bench.plan, 2, 6, 6, 16); /* the result is 4x4 */
        if (i == 2) conv.per_sample = plan_input(bench.plan, 1, 1, 1, 15);
        if (i == 3) conv.x2 = plan_input(bench.plan, 2, 5, 6, 8);
        plan_conv(bench.plan, &conv);
        assert_int_equal(bench_refusal(&bench).code, ERROR_FORMAT);
        bench_end(&bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),           cmocka_unit_test(test_bf16),          cmocka_unit_test(test_bf16_with_wide_values),
        cmocka_unit_test(test_views),         cmocka_unit_test(test_wrong_weights), cmocka_unit_test(test_missing_weight),
        cmocka_unit_test(test_wrong_operands)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
