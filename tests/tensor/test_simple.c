/* Embeddings, copies and maps. */
#include "support.h"

static void test_map(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 2, 1);
    struct value x = plan_input(bench.plan, 2, 7, 5, 300), part = plan_channels(bench.plan, x, 10, 270);
    struct value out[4] = {plan_map(bench.plan, part, MAP_SCALE_SHIFT, 2, -0.5f, false),
                           plan_map(bench.plan, part, MAP_SOFT_CLAMP, 3, 0, false), plan_map(bench.plan, part, MAP_SILU, 0, 0, false),
                           plan_map(bench.plan, part, MAP_CLAMP, -1, 0.5f, false)};
    for (int i = 0; i < 4; i++) plan_keep(bench.plan, out[i]);
    bench_finish(&bench);
    bench_fill(&bench, x, 4, 0);
    plan_run(bench.plan, 0);
    const float *in = plan_data(bench.plan, x);
    for (int kind = 0; kind < 4; kind++) {
        float *got = bench_read(&bench, out[kind]);
        double *wanted = malloc(70 * 270 * sizeof *wanted);
        assert_non_null(wanted);
        for (size_t i = 0; i < 70 * 270; i++) {
            double value = (double)in[i / 270 * 300 + 10 + i % 270];
            double results[] = {2 * value - 0.5, 3 * tanh(value / 3), value / (1 + exp(-value)), fmin(fmax(value, -1), 0.5)};
            wanted[i] = results[kind];
        }
        assert_true(relative_error(wanted, got, 70 * 270) < 1e-6);
        free(got);
        free(wanted);
    }
    bench_end(&bench);
}

/* Far from zero, where e^-x leaves the range of f32. */
static void test_silu_far_out(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 1);
    struct value x = plan_input(bench.plan, 1, 1, 1, 6), out = plan_map(bench.plan, x, MAP_SILU, 0, 0, true);
    plan_keep(bench.plan, out);
    bench_finish(&bench);
    memcpy(plan_data(bench.plan, x), (float[]){-1000, -100, 0, 100, 1000, NAN}, 6 * sizeof(float));
    plan_run(bench.plan, 0);
    const float *got = plan_data(bench.plan, out);
    assert_true(fabsf(got[0]) < 1e-30f && fabsf(got[1]) < 1e-30f);
    assert_true(got[2] == 0.0f && got[3] == 100.0f && got[4] == 1000.0f);
    assert_true(isnan(got[5]));
    bench_end(&bench);
}

static void check_timestep_embed(bool flip, float shift) {
    enum { DIM = 32, HALF = 16 };
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 1);
    struct value x = plan_input(bench.plan, 3, 1, 1, 1), out = plan_timestep_embed(bench.plan, x, DIM, flip, shift);
    plan_keep(bench.plan, out);
    bench_finish(&bench);
    memcpy(plan_data(bench.plan, x), (float[]){0, 1, 981}, 3 * sizeof(float));
    plan_run(bench.plan, 0);
    const float *got = plan_data(bench.plan, out);
    double timesteps[] = {0, 1, 981};
    for (int n = 0; n < 3; n++)
        for (int i = 0; i < HALF; i++) {
            double angle = timesteps[n] * exp(-log(10000) * i / (HALF - (double)shift));
            /* f32 holds an angle of 981 to 3e-5. */
            assert_true(fabs((double)got[n * DIM + (flip ? i : HALF + i)] - cos(angle)) < 1e-4);
            assert_true(fabs((double)got[n * DIM + (flip ? HALF + i : i)] - sin(angle)) < 1e-4);
        }
    bench_end(&bench);
}

static void test_timestep_embed(void **state) {
    (void)state;
    check_timestep_embed(true, 0);
    check_timestep_embed(false, 1);
}

static void test_embed(void **state) {
    (void)state;
    enum { VOCABULARY = 50, C = 24, TOKENS = 7 };
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 2, 1);
    const struct tensor *table = bench_weight_of(&bench, DTYPE_F16, VOCABULARY, C);
    const struct tensor *positions = bench_weight_of(&bench, DTYPE_F32, TOKENS + 2, C);
    struct value ids = plan_input_ids(bench.plan, 2, TOKENS), out = plan_embed(bench.plan, ids, table, positions);
    plan_keep(bench.plan, out);
    bench_finish(&bench);
    static const int32_t given[2 * TOKENS] = {0, 49, 3, 3, 7, 20, 11, 1, 2, 50, -1, INT32_MAX, INT32_MIN, 48};
    static const size_t shown[2 * TOKENS] = {0, 49, 3, 3, 7, 20, 11, 1, 2, 49, 0, 49, 0, 48}; /* nothing outside is read */
    memcpy(plan_data(bench.plan, ids), given, sizeof given);
    plan_run(bench.plan, 0);
    const float *got = plan_data(bench.plan, out);
    for (size_t i = 0; i < 2 * TOKENS * C; i++) {
        double wanted = weight_at(table, shown[i / C] * C + i % C) + weight_at(positions, i / C % TOKENS * C + i % C);
        assert_true(fabs((double)got[i] - wanted) < 1e-6);
    }
    bench_end(&bench);
}

static void test_class_tokens(void **state) {
    (void)state;
    enum { C = 20, PATCHES = 6 };
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 2, 1);
    const struct tensor *class_embedding = bench_weight_of(&bench, DTYPE_F32, C);
    const struct tensor *positions = bench_weight_of(&bench, DTYPE_F32, PATCHES + 1, C);
    struct value x = plan_input(bench.plan, 2, 2, 3, C), out = plan_class_tokens(bench.plan, x, class_embedding, positions);
    struct value first = plan_take_token(bench.plan, out, 0), fourth = plan_take_token(bench.plan, out, 4);
    struct value part = plan_take_token(bench.plan, plan_channels(bench.plan, out, 5, 3), 2);
    struct value kept[] = {out, first, fourth, part};
    for (int i = 0; i < 4; i++) plan_keep(bench.plan, kept[i]);
    bench_finish(&bench);
    bench_fill(&bench, x, 1, 0);
    plan_run(bench.plan, 0);
    const float *in = plan_data(bench.plan, x), *got = plan_data(bench.plan, out);
    for (size_t i = 0; i < 2 * (PATCHES + 1) * C; i++) {
        size_t sample = i / C / (PATCHES + 1), token = i / C % (PATCHES + 1), c = i % C;
        double patch = token ? (double)in[(sample * PATCHES + token - 1) * C + c] : weight_at(class_embedding, c);
        assert_true(fabs((double)got[i] - patch - weight_at(positions, token * C + c)) < 1e-6);
    }
    size_t shape[4];
    plan_shape(bench.plan, fourth, shape);
    assert_memory_equal(shape, ((size_t[]){2, 1, 1, C}), sizeof shape);
    const float *taken = plan_data(bench.plan, fourth), *taken_part = plan_data(bench.plan, part);
    for (size_t sample = 0; sample < 2; sample++) {
        assert_memory_equal(taken + sample * C, got + (sample * (PATCHES + 1) + 4) * C, C * sizeof(float));
        assert_memory_equal(taken_part + sample * 3, got + (sample * (PATCHES + 1) + 2) * C + 5, 3 * sizeof(float));
    }
    assert_memory_equal(plan_data(bench.plan, first), got, C * sizeof(float));
    bench_end(&bench);
}

static void test_wrong_shapes(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct bench bench;
        bench_begin(&bench, DTYPE_F32, 1, 1);
        struct plan *plan = bench.plan;
        const struct tensor *table = bench_weight_of(&bench, DTYPE_F32, 9, 8), *narrow = bench_weight_of(&bench, DTYPE_F32, 9, 7);
        const struct tensor *vector = bench_weight_of(&bench, DTYPE_F32, 8);
        struct value x = plan_input(plan, 1, 2, 4, 8), ids = plan_input_ids(plan, 1, 10);
        if (i == 0) plan_embed(plan, ids, table, table); /* 10 tokens, 9 positions */
        if (i == 1) plan_embed(plan, plan_input_ids(plan, 1, 2), table, narrow);
        if (i == 2) plan_embed(plan, x, table, table); /* numbers as ids */
        if (i == 3) plan_class_tokens(plan, x, vector, narrow);
        if (i == 4) plan_class_tokens(plan, x, table, table);
        if (i == 5) plan_take_token(plan, x, 8);
        if (i == 6) plan_map(plan, ids, MAP_SILU, 0, 0, false); /* ids as numbers */
        if (i == 7) plan_timestep_embed(plan, x, 8, true, 0);
        bench_refusal(&bench);
        bench_end(&bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),   cmocka_unit_test(test_silu_far_out), cmocka_unit_test(test_timestep_embed),
        cmocka_unit_test(test_embed), cmocka_unit_test(test_class_tokens), cmocka_unit_test(test_wrong_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
