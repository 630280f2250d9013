/* The plan itself: memory, sections, errors, facts. */
#include "support.h"

#include "base/time.h"

#include <pthread.h>

/* ---- memory is reused and never while it is still needed ---- */

enum { VALUES = 60, WIDTH = 24, TOKENS = 20 };

/* A random graph of products, norms, maps and attention over [n, 1, TOKENS, *], the same for each
 * seed. With `keep`, no memory is reused. Results: the last value, and one kept in the middle. */
static void random_graph(struct bench *bench, uint64_t seed, bool keep, struct value *input, struct value results[2]) {
    struct value values[VALUES];
    uint64_t random = seed;
    const struct tensor *weight = bench_weight_of(bench, DTYPE_F32, WIDTH, WIDTH), *vector = bench_weight_of(bench, DTYPE_F32, WIDTH);
    const struct tensor *wide = bench_weight_of(bench, DTYPE_F32, 5 * WIDTH, WIDTH);
    *input = values[0] = plan_input(bench->plan, 1, 1, TOKENS, WIDTH);
    for (size_t i = 1; i < VALUES; i++) {
        struct value x = values[random_bits(&random) % (i < 6 ? i : 6) + (i < 6 ? 0 : i - 6)], y = values[random_bits(&random) % i];
        switch (random_bits(&random) % 5) {
        case 0:
            values[i] = plan_linear(bench->plan, &(struct linear){.x = x, .weight = {weight}, .residual = y});
            break;
        case 1: {
            struct value side = plan_linear(bench->plan, &(struct linear){.x = x, .weight = {wide}});
            values[i] = plan_channels(bench->plan, side, random_bits(&random) % 5 * WIDTH, WIDTH);
            break;
        }
        case 2:
            values[i] =
                plan_group_norm(bench->plan, &(struct group_norm){.x = x, .gamma = vector, .beta = vector, .groups = 3, .silu = true});
            break;
        case 3:
            values[i] = plan_attention(bench->plan, &(struct attention){.q = x, .k = y, .v = x, .heads = 2});
            break;
        default:
            values[i] = plan_conv(
                bench->plan, &(struct conv){.x = plan_picture(bench->plan, x, 4, 5), .weight = weight, .residual = y, .act = ACT_SILU});
            values[i] = plan_tokens(bench->plan, values[i]);
        }
    }
    if (keep)
        for (size_t i = 1; i < VALUES; i++) bench->plan->storages[bench->plan->values[values[i].index].storage].persistent = true;
    results[0] = plan_map(bench->plan, values[VALUES / 2], MAP_SCALE_SHIFT, 1, 0, true);
    results[1] = plan_map(bench->plan, values[VALUES - 1], MAP_SCALE_SHIFT, 1, 0, true);
    plan_keep(bench->plan, results[0]);
    plan_keep(bench->plan, results[1]);
}

static void test_memory_is_reused_safely(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        float *got[2][2];
        size_t memory[2];
        for (int keep = 0; keep < 2; keep++) {
            struct bench bench;
            bench_begin(&bench, DTYPE_F32, 1 + seed % 3, seed);
            struct value input, results[2];
            random_graph(&bench, seed, keep, &input, results);
            bench_finish(&bench);
            bench_fill(&bench, input, 1, 0);
            plan_poison(bench.plan);
            plan_run(bench.plan, 0);
            plan_poison(bench.plan);
            plan_run(bench.plan, 0);
            memory[keep] = plan_memory(bench.plan);
            for (int i = 0; i < 2; i++) got[keep][i] = bench_read(&bench, results[i]);
            bench_end(&bench);
        }
        assert_true(memory[0] < memory[1]);
        for (int i = 0; i < 2; i++) {
            assert_true(isfinite((double)got[0][i][0]));
            assert_memory_equal(got[0][i], got[1][i], TOKENS * WIDTH * sizeof(float));
            free(got[0][i]);
            free(got[1][i]);
        }
    }
}

/* A chain needs two places, whatever its length. */
static void test_a_chain_needs_two_places(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 1);
    struct value x = plan_input(bench.plan, 1, 1, 1, 16);
    for (int i = 0; i < 100; i++) x = plan_map(bench.plan, i ? x : plan_take_token(bench.plan, x, 0), MAP_SCALE_SHIFT, 1, 1, true);
    plan_keep(bench.plan, x);
    bench_finish(&bench);
    assert_int_equal(plan_memory(bench.plan), 4 * 64);
    bench_end(&bench);
}

static void test_memory_is_aligned(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_BF16, 1, 1);
    struct value a = plan_input(bench.plan, 1, 1, 1, 3), b = plan_input(bench.plan, 1, 1, 1, 5);
    struct value c = plan_map(bench.plan, a, MAP_SILU, 0, 0, false);
    plan_keep(bench.plan, c);
    bench_finish(&bench);
    assert_int_equal((uintptr_t)plan_data(bench.plan, a) % 64, 0);
    assert_int_equal((uintptr_t)plan_data(bench.plan, b) % 64, 0);
    assert_int_equal((uintptr_t)plan_data(bench.plan, c) % 64, 0);
    assert_int_equal(plan_dtype(bench.plan, a), DTYPE_F32);
    assert_int_equal(plan_dtype(bench.plan, c), DTYPE_BF16);
    bench_end(&bench);
}

static void test_memory_limit(void **state) {
    (void)state;
    for (int enough = 0; enough < 2; enough++) {
        struct bench bench;
        bench_begin(&bench, DTYPE_F32, 1, 1);
        struct value x = plan_input(bench.plan, 1, 512, 512, 16);
        plan_keep(bench.plan, plan_map(bench.plan, x, MAP_SILU, 0, 0, true));
        struct error error;
        bool fine = plan_finish(bench.plan, ((size_t)32 << 20) - (enough ? 0 : 1), &error);
        assert_int_equal(fine, enough);
        if (!enough) {
            assert_int_equal(error.code, ERROR_MEMORY);
            assert_non_null(strstr(error.message, "32.0 MiB"));
            assert_null(plan_data(bench.plan, x));
            plan_run(bench.plan, 0); /* does nothing */
        }
        bench_end(&bench);
    }
}

/* ---- sections ---- */

static void test_sections(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 1);
    struct value once_in = plan_input(bench.plan, 1, 1, 1, 4), step_in = plan_input(bench.plan, 1, 1, 1, 4);
    struct value once = plan_map(bench.plan, once_in, MAP_SCALE_SHIFT, 10, 0, true);
    struct value local = plan_map(bench.plan, once, MAP_SCALE_SHIFT, 1, 1, true);
    struct value kept = plan_map(bench.plan, local, MAP_SCALE_SHIFT, 1, 1, true);
    plan_keep(bench.plan, kept);
    int step = plan_section(bench.plan);
    assert_int_equal(step, 1);
    const struct tensor identity = {.data = (float[]){1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, .rank = 2, .shape = {4, 4}};
    struct value sum = plan_linear(bench.plan, &(struct linear){.x = step_in, .weight = {&identity}, .residual = once});
    plan_keep(bench.plan, sum);
    int empty = plan_section(bench.plan);
    bench_finish(&bench);
    float *a = plan_data(bench.plan, once_in), *b = plan_data(bench.plan, step_in);
    for (int i = 0; i < 4; i++) a[i] = (float)i;
    plan_run(bench.plan, 0);
    for (int round = 0; round < 3; round++) {
        plan_poison(bench.plan);
        for (int i = 0; i < 4; i++) b[i] = (float)round;
        plan_run(bench.plan, step);
        plan_run(bench.plan, empty);
        const float *got = plan_data(bench.plan, sum), *still = plan_data(bench.plan, kept);
        for (int i = 0; i < 4; i++) assert_true(got[i] == (float)(10 * i + round));
        for (int i = 0; i < 4; i++) assert_true(still[i] == (float)(10 * i + 2));
    }
    size_t count;
    assert_non_null(plan_timing(bench.plan, 0, &count));
    assert_int_equal(count, 3);
    const struct plan_timing *timing = plan_timing(bench.plan, step, &count);
    assert_int_equal(count, 1);
    assert_null(timing[1].name);
    assert_true(plan_multiply_adds(bench.plan, step) == 16);
    assert_true(plan_multiply_adds(bench.plan, 0) == 0);
    plan_timing(bench.plan, empty, &count);
    assert_int_equal(count, 0);
    bench_end(&bench);
}

/* ---- facts ---- */

static void test_timing(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 1);
    const struct tensor *weight = bench_weight_of(&bench, DTYPE_F32, 32, 16, 3, 3);
    struct conv conv = {
        .x = plan_input(bench.plan, 2, 64, 60, 16), .weight = weight, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
    force_row("conv", "ref");
    plan_conv(bench.plan, &conv);
    bench_finish(&bench);
    force_row("conv", NULL);
    size_t count;
    const struct plan_timing *timing = plan_timing(bench.plan, 0, &count);
    assert_int_equal(count, 1);
    assert_string_equal(timing[0].name, "conv 3x3 16->32 2x64x60 (ref)");
    assert_true(timing[0].multiply_adds == 2.0 * 64 * 60 * 16 * 32 * 9);
    plan_run(bench.plan, 0);
    assert_int_equal(timing[0].runs, 0);
    plan_timing_start(bench.plan, time_monotonic);
    plan_run(bench.plan, 0);
    plan_run(bench.plan, 0);
    assert_int_equal(timing[0].runs, 2);
    assert_true(timing[0].seconds > 0);
    plan_timing_start(bench.plan, NULL);
    plan_run(bench.plan, 0);
    assert_int_equal(timing[0].runs, 2);
    bench_end(&bench);
}

static void test_views_have_shapes(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 1);
    struct value x = plan_input(bench.plan, 2, 6, 4, 10);
    size_t shape[4];
    plan_shape(bench.plan, plan_channels(bench.plan, plan_tokens(bench.plan, x), 2, 5), shape);
    assert_memory_equal(shape, ((size_t[]){2, 1, 24, 5}), sizeof shape);
    plan_shape(bench.plan, plan_picture(bench.plan, plan_tokens(bench.plan, x), 3, 8), shape);
    assert_memory_equal(shape, ((size_t[]){2, 3, 8, 10}), sizeof shape);
    plan_shape(bench.plan, VALUE_NONE, shape);
    assert_memory_equal(shape, ((size_t[]){0, 0, 0, 0}), sizeof shape);
    bench_end(&bench);
}

/* ---- errors ---- */

static void test_the_first_error_stays(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 1);
    struct value x = plan_input(bench.plan, 1, 1, 4, 8);
    struct value wrong = plan_channels(bench.plan, x, 5, 4);
    assert_true(wrong.index < 0);
    plan_map(bench.plan, wrong, MAP_SILU, 0, 0, false);
    plan_picture(bench.plan, x, 7, 7);
    assert_true(plan_input(bench.plan, 1, 1, 1, 1).index < 0);
    struct error error = bench_refusal(&bench);
    assert_int_equal(error.code, ERROR_FORMAT);
    assert_non_null(strstr(error.message, "channels 5 to 9"));
    bench_end(&bench);
}

static void test_what_is_refused(void **state) {
    (void)state;
    for (int i = 0; i < 9; i++) {
        struct bench bench;
        bench_begin(&bench, DTYPE_F32, 1, 1);
        struct plan *plan = bench.plan;
        struct value x = plan_input(plan, 1, 2, 4, 8);
        if (i == 0) plan_channels(plan, x, SIZE_MAX, 2);
        if (i == 1) plan_channels(plan, x, 0, 0);
        if (i == 2) plan_picture(plan, x, 3, 3);
        if (i == 3) plan_picture(plan, x, 0, 8);
        if (i == 4) plan_input(plan, SIZE_MAX / 2, SIZE_MAX / 2, 1, 4);
        if (i == 5) plan_input(plan, 1, 0, 1, 4);
        if (i == 6) plan_keep(plan, plan_channels(plan, x, 1, 2));
        if (i == 7) plan_map(plan, (struct value){1000}, MAP_SILU, 0, 0, false);
        if (i == 8) plan_tokens(plan, VALUE_NONE);
        bench_refusal(&bench);
        bench_end(&bench);
    }
}

static void test_nothing_after_the_end(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 1);
    struct value x = plan_input(bench.plan, 1, 1, 1, 8);
    plan_keep(bench.plan, plan_map(bench.plan, x, MAP_SILU, 0, 0, false));
    bench_finish(&bench);
    assert_true(plan_map(bench.plan, x, MAP_SILU, 0, 0, false).index < 0);
    bench_refusal(&bench);
    bench_end(&bench);
}

static void test_compute_must_be_known(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 1);
    struct plan_options options = {DTYPE_F16, bench.pool, bench.packed};
    struct plan *plan;
    struct error error;
    assert_false(plan_create(&options, &plan, &error));
    assert_int_equal(error.code, ERROR_UNSUPPORTED);
    bench_end(&bench);
}

/* ---- every allocation fails once ---- */

static bool record_all_kinds(struct pool *pool, struct packed_weights *packed, const struct tensor *weights, struct error *error) {
    struct plan_options options = {DTYPE_F32, pool, packed};
    struct plan *plan;
    if (!plan_create(&options, &plan, error)) return false;
    struct value x = plan_input(plan, 1, 6, 6, 8);
    struct conv conv = {.x = x, .weight = &weights[0], .bias = &weights[1], .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
    struct value y = plan_conv(plan, &conv);
    y = plan_group_norm(plan, &(struct group_norm){.x = y, .x2 = x, .gamma = &weights[2], .beta = &weights[2], .groups = 4});
    y = plan_linear(plan, &(struct linear){.x = y, .weight = {&weights[3], &weights[3]}, .bias = {&weights[1]}});
    y = plan_attention(plan, &(struct attention){.q = y, .k = y, .v = y, .heads = 2});
    plan_keep(plan, plan_map(plan, y, MAP_SILU, 0, 0, true));
    for (int i = 0; i < 80; i++) plan_map(plan, y, MAP_SILU, 0, 0, true); /* arrays grow */
    bool fine = plan_finish(plan, 0, error);
    if (fine) plan_run(plan, 0);
    plan_free(plan);
    return fine;
}

static void make_weights(struct bench *bench) {
    bench_weight_of(bench, DTYPE_F32, 8, 8, 3, 3);
    bench_weight_of(bench, DTYPE_F32, 8);
    bench_weight_of(bench, DTYPE_F32, 16);
    bench_weight_of(bench, DTYPE_F32, 8, 16);
}

static void each_allocation_fails_once(const char *force) {
    setenv("INPAINT_FORCE", force, 1);
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 2, 1);
    make_weights(&bench);
    size_t failed = 0;
    for (size_t at = 1;; at++) {
        struct packed_weights *packed = packed_weights_create(NULL);
        assert_non_null(packed);
        struct error error = {ERROR_NONE, ""};
        memory_fail_at(at, at % 2 == 0);
        bool fine = record_all_kinds(bench.pool, packed, bench.tensors, &error);
        size_t calls = memory_calls();
        memory_fail_at(0, 0);
        if (!fine) {
            failed++;
            assert_int_equal(error.code, ERROR_MEMORY);
            assert_true(error.message[0] != 0);
            /* The cache is as good as new. */
            assert_true(record_all_kinds(bench.pool, packed, bench.tensors, &error));
        }
        packed_weights_free(packed);
        if (calls < at) break;
    }
    assert_true(failed > 15);
    bench_end(&bench);
    unsetenv("INPAINT_FORCE");
}

static void test_each_allocation_fails_once(void **state) {
    (void)state;
    each_allocation_fails_once("conv:ref,linear:ref,attention:ref");
    each_allocation_fails_once("conv:onednn,linear:onednn");
    each_allocation_fails_once("");
}

/* ---- two plans at once ---- */

static void *finish_and_run(void *argument) {
    struct bench *shared = argument;
    struct pool *pool = pool_create(2, NULL);
    bool fine = pool != NULL;
    for (int i = 0; i < 5 && fine; i++) fine = record_all_kinds(pool, shared->packed, shared->tensors, NULL);
    pool_free(pool);
    return fine ? shared : NULL;
}

static void test_plans_share_weights_across_threads(void **state) {
    (void)state;
    struct bench bench;
    bench_begin(&bench, DTYPE_F32, 1, 1);
    make_weights(&bench);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, finish_and_run, &bench), 0);
    for (int i = 0; i < 3; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    bench_end(&bench);
}

static void test_unknown_kernels_are_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"conv:fast", "cnov:ref", "conv", "conv:", "linear:ref,conv:re", "linear:ref,,conv:reff"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct bench bench;
        bench_begin(&bench, DTYPE_F32, 1, 1);
        setenv("INPAINT_FORCE", wrong[i], 1);
        struct error error = bench_refusal(&bench);
        unsetenv("INPAINT_FORCE");
        assert_int_equal(error.code, ERROR_ARGUMENT);
        bench_end(&bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory_is_reused_safely),
                                       cmocka_unit_test(test_a_chain_needs_two_places),
                                       cmocka_unit_test(test_memory_is_aligned),
                                       cmocka_unit_test(test_memory_limit),
                                       cmocka_unit_test(test_sections),
                                       cmocka_unit_test(test_timing),
                                       cmocka_unit_test(test_views_have_shapes),
                                       cmocka_unit_test(test_the_first_error_stays),
                                       cmocka_unit_test(test_what_is_refused),
                                       cmocka_unit_test(test_nothing_after_the_end),
                                       cmocka_unit_test(test_compute_must_be_known),
                                       cmocka_unit_test(test_each_allocation_fails_once),
                                       cmocka_unit_test(test_plans_share_weights_across_threads),
                                       cmocka_unit_test(test_unknown_kernels_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
