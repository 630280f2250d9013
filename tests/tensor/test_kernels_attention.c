/* Every row for attention against plain C: widths and lengths that are no multiples of anything,
 * shared keys, views of a wider value, causal masks, scores of any size; the same bytes for any
 * number of threads. */
#include "kernels.h"

struct attention_case {
    size_t samples, q_samples, k_samples, q_tokens, k_tokens, heads, width, extra;
    bool causal;
    float scale; /* of queries and keys; 0: 1 */
    float shift; /* added to the keys' numbers, the more the later the key: scores grow along the sequence */
};

static const struct attention_case cases[] = {
    {.samples = 1, .q_samples = 1, .k_samples = 1, .q_tokens = 1, .k_tokens = 1, .heads = 1, .width = 1},
    {.samples = 1, .q_samples = 1, .k_samples = 1, .q_tokens = 70, .k_tokens = 77, .heads = 3, .width = 40},
    {.samples = 2, .q_samples = 2, .k_samples = 2, .q_tokens = 64, .k_tokens = 192, .heads = 2, .width = 80, .extra = 160},
    {.samples = 4, .q_samples = 2, .k_samples = 2, .q_tokens = 33, .k_tokens = 200, .heads = 1, .width = 160, .extra = 3},
    {.samples = 4, .q_samples = 4, .k_samples = 1, .q_tokens = 65, .k_tokens = 6, .heads = 2, .width = 7},
    {.samples = 1, .q_samples = 1, .k_samples = 1, .q_tokens = 77, .k_tokens = 77, .heads = 4, .width = 64, .causal = true},
    {.samples = 2, .q_samples = 2, .k_samples = 2, .q_tokens = 300, .k_tokens = 300, .heads = 1, .width = 12, .causal = true, .extra = 5},
    {.samples = 1, .q_samples = 1, .k_samples = 1, .q_tokens = 130, .k_tokens = 1000, .heads = 1, .width = 512},
    {.samples = 1, .q_samples = 1, .k_samples = 1, .q_tokens = 20, .k_tokens = 401, .heads = 2, .width = 33},
    /* Scores of hundreds: the first block's powers would overflow or vanish. */
    {.samples = 1, .q_samples = 1, .k_samples = 1, .q_tokens = 100, .k_tokens = 450, .heads = 2, .width = 40, .scale = 30},
    {.samples = 1, .q_samples = 1, .k_samples = 1, .q_tokens = 100, .k_tokens = 900, .heads = 1, .width = 40, .scale = 4, .shift = 4},
    {.samples = 1, .q_samples = 1, .k_samples = 1, .q_tokens = 100, .k_tokens = 900, .heads = 1, .width = 40, .scale = 4, .shift = -4},
    {.samples = 1, .q_samples = 1, .k_samples = 1, .q_tokens = 200, .k_tokens = 200, .heads = 1, .width = 16, .scale = 30, .causal = true},
};

struct setting {
    struct attention_shape shape;
    struct attention_operands operands;
};

static void make(const struct attention_case *test, enum dtype format, struct setting *setting) {
    uint64_t state = 88172645463325252u;
    size_t c = test->heads * test->width;
    *setting = (struct setting){.shape = {.samples = test->samples,
                                          .q_samples = test->q_samples,
                                          .k_samples = test->k_samples,
                                          .q_tokens = test->q_tokens,
                                          .k_tokens = test->k_tokens,
                                          .heads = test->heads,
                                          .head_width = test->width,
                                          .dtype = format,
                                          .compute = format,
                                          .causal = test->causal}};
    struct attention_operands *operands = &setting->operands;
    operands->q = view_make(format, test->q_samples, test->q_tokens, c, test->extra, &state);
    operands->k = view_make(format, test->k_samples, test->k_tokens, c, 2 * test->extra, &state);
    operands->v = view_make(format, test->k_samples, test->k_tokens, c, test->extra, &state);
    operands->out = view_make(format, test->samples, test->q_tokens, c, test->extra, &state);
    float scale = test->scale > 0 ? test->scale : 1;
    for (size_t i = 0; i < test->q_samples * test->q_tokens * c && test->extra == 0; i++)
        number_put(operands->q.data, format, i, fabsf(number_at(operands->q.data, format, i)) * scale);
    for (size_t i = 0; i < test->k_samples * test->k_tokens * c && test->extra == 0; i++) {
        float late = (float)(i / c) / (float)(test->k_samples * test->k_tokens);
        number_put(operands->k.data, format, i, number_at(operands->k.data, format, i) + test->shift * (late + 1));
    }
}

static void discard(struct setting *setting) {
    memory_free(setting->operands.q.data);
    memory_free(setting->operands.k.data);
    memory_free(setting->operands.v.data);
    memory_free(setting->operands.out.data);
}

static struct view compute(const struct attention_kernel *kernel, const struct setting *setting, struct pool *pool) {
    const struct attention_shape *shape = &setting->shape;
    struct attention_operands operands = setting->operands;
    size_t size = kernel->scratch ? kernel->scratch(shape, pool_threads(pool)) : 0;
    operands.scratch = memory_aligned(size ? size : 64);
    assert_non_null(operands.scratch);
    operands.out = view_copy(&setting->operands.out, shape->q_tokens, shape->heads * shape->head_width);
    kernel->run(shape, &operands, pool);
    memory_aligned_free(operands.scratch);
    return operands.out;
}

static const struct attention_kernel *reference(void) {
    size_t i = 0;
    while (attention_kernels[i + 1]) i++;
    return attention_kernels[i];
}

/* Whether the row takes the case. */
static bool check(const struct attention_kernel *kernel, const struct attention_case *test, enum dtype format, struct pool *const *pools) {
    struct setting setting;
    make(test, format, &setting);
    size_t c = test->heads * test->width;
    bool accepted = kernel->accepts(&setting.shape) == NULL;
    if (accepted) {
        struct view expected = compute(reference(), &setting, pools[0]), got[THREADS_MOST];
        for (size_t i = 0; i < THREADS_MOST; i++) got[i] = compute(kernel, &setting, pools[i]);
        /* bf16: powers and the result are rounded; a causal mask's first rows are much larger than the mean. f32: scores of
         * hundreds have errors that powers make larger. */
        double bound = format == DTYPE_BF16 ? 0.2 : test->scale > 1 ? 2e-4 : 2e-5;
        double difference = view_difference(&got[0], &expected, test->q_tokens, c);
        if (format == DTYPE_BF16) assert_true(view_error(&got[0], &expected, test->q_tokens, c) < 5e-3);
        if (!(difference <= bound))
            print_message("%s, %zu of %zu, %zu of %zu, %zu heads of %zu: %g\n", kernel->name, test->samples, test->q_tokens,
                          test->k_samples, test->k_tokens, test->heads, test->width, difference);
        assert_true(difference <= bound);
        for (size_t i = 1; i < THREADS_MOST; i++) assert_memory_equal(got[0].data, got[i].data, view_bytes(&got[0], test->q_tokens, c));
        for (size_t i = 0; i < THREADS_MOST; i++) memory_free(got[i].data);
        memory_free(expected.data);
    }
    discard(&setting);
    return accepted;
}

static void rows_agree_with_plain_c(void **state) {
    for (size_t k = 0; attention_kernels[k] != reference(); k++) {
        if (!row_is_ours(attention_kernels[k]->name)) continue;
        size_t accepted = 0;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            accepted += check(attention_kernels[k], &cases[i], DTYPE_BF16, *state);
            accepted += check(attention_kernels[k], &cases[i], DTYPE_F32, *state);
        }
        /* Where the processor has everything, every row must have been tried. */
        if (isa_available() == ISA_AMX) assert_true(accepted > 0);
    }
}

static void rows_agree_on_made_up_shapes(void **pools) {
    uint64_t state = 4101842887655102017u;
    for (size_t i = 0; i < 50; i++) {
        size_t shared = random_below(&state, 3) + 1;
        struct attention_case test = {.k_samples = random_below(&state, 2) + 1,
                                      .q_tokens = random_below(&state, 150) + 1,
                                      .k_tokens = random_below(&state, 700) + 1,
                                      .heads = random_below(&state, 3) + 1,
                                      .width = random_below(&state, 100) + 1,
                                      .extra = random_below(&state, 4),
                                      .causal = random_below(&state, 4) == 0};
        test.samples = test.k_samples * shared;
        test.q_samples = random_below(&state, 2) ? test.samples : 1;
        if (test.causal) test.q_tokens = test.k_tokens;
        for (size_t k = 0; attention_kernels[k] != reference(); k++) {
            check(attention_kernels[k], &test, DTYPE_BF16, *pools);
            check(attention_kernels[k], &test, DTYPE_F32, *pools);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_agree_with_plain_c), cmocka_unit_test(rows_agree_on_made_up_shapes)};
    return cmocka_run_group_tests(tests, pools_setup, pools_teardown);
}
