#include "model/unet.h"

#include "checkpoint.h"

enum { H = 6, W = 5, LATENT = H * W * 4, WIDTH = 32, CONTEXT = 77 * WIDTH };

static struct unet *unet;
static struct plan_options options;

static int open_unet(void **state) {
    (void)state;
    struct error error;
    engine_open(&options, DTYPE_F32);
    if (!unet_open(TINY "/unet", &unet, &error)) fail_msg("%s", error.message);
    return 0;
}

static int close_unet(void **state) {
    (void)state;
    unet_close(unet);
    engine_close(&options);
    return 0;
}

/* What goes in; each array as long as the size asks for. */
struct inputs {
    const float *context, *mask, *masked, *latent;
    int timestep;
};

/* One evaluation; a new block [results][H][W][4]. */
static float *run_once(const struct unet_size *size, const struct inputs *inputs) {
    struct unet_run *run;
    struct error error = {0};
    if (!unet_run_create(unet, &options, size, 0, &run, &error)) fail_msg("%s", error.message);
    float *prediction = memory_array(size->results * size->h * size->w * 4, sizeof *prediction);
    assert_non_null(prediction);
    unet_run_context(run, inputs->context);
    unet_run_timesteps(run, &inputs->timestep, 1);
    unet_run_condition(run, inputs->mask, inputs->masked);
    unet_run_step(run, 0, inputs->latent, prediction);
    unet_run_free(run);
    return prediction;
}

static const struct unet_size one = {.samples = 1, .results = 1, .contexts = 1, .conditions = 1, .h = H, .w = W, .steps = 1};

/* ==== What is shared must not show ==== */

/* Two outputs with guidance in one go equal four evaluations on their own. */
static void guidance_equals_separate_runs(void **state) {
    (void)state;
    float *context = noise_block(2 * CONTEXT, 1), *mask = noise_block(H * W, 2), *masked = noise_block(LATENT, 3);
    float *latents = noise_block(2 * LATENT, 4);
    struct unet_size size = one;
    size.samples = 2;
    size.results = 4;
    size.contexts = 2;
    float *together = run_once(&size, &(struct inputs){context, mask, masked, latents, 321});
    for (size_t prompt = 0; prompt < 2; prompt++) {
        for (size_t sample = 0; sample < 2; sample++) {
            float *alone = run_once(&one, &(struct inputs){context + prompt * CONTEXT, mask, masked, latents + sample * LATENT, 321});
            assert_close(together + (prompt * 2 + sample) * LATENT, alone, LATENT, 1e-5);
            memory_free(alone);
        }
    }
    if (relative_difference(together, together + 2 * LATENT, LATENT) < 1e-8) fail_msg("the prompts made no difference");
    float *const blocks[] = {context, mask, masked, latents, together};
    for (size_t i = 0; i < 5; i++) memory_free(blocks[i]);
}

/* Both halves of guidance share everything before the first cross-attention, and the text is no part of a step. */
static void guidance_costs_less_than_two_runs(void **state) {
    (void)state;
    struct unet_size size = one;
    size.results = size.contexts = 2;
    struct unet_run *single, *guided;
    struct error error;
    assert_true(unet_run_create(unet, &options, &one, 0, &single, &error));
    assert_true(unet_run_create(unet, &options, &size, 0, &guided, &error));
    double alone = plan_multiply_adds(unet_run_plan(single), unet_run_step_section(single));
    double both = plan_multiply_adds(unet_run_plan(guided), unet_run_step_section(guided));
    assert_true(both < 1.99 * alone);
    unet_run_free(single);
    unet_run_free(guided);
}

/* Every sample with a prompt and a mask of its own, guided or not. */
static void contexts_and_conditions_of_their_own(void **state) {
    (void)state;
    float *context = noise_block(4 * CONTEXT, 5), *mask = noise_block(2 * H * W, 6), *masked = noise_block(2 * LATENT, 7);
    float *latents = noise_block(2 * LATENT, 8);
    for (size_t guided = 0; guided < 2; guided++) {
        struct unet_size size = one;
        size.samples = size.conditions = 2;
        size.results = size.contexts = guided ? 4 : 2;
        float *together = run_once(&size, &(struct inputs){context, mask, masked, latents, 1});
        for (size_t i = 0; i < size.results; i++) {
            size_t sample = i % 2;
            const struct inputs inputs = {context + i * CONTEXT, mask + sample * H * W, masked + sample * LATENT, latents + sample * LATENT,
                                          1};
            float *alone = run_once(&one, &inputs);
            assert_close(together + i * LATENT, alone, LATENT, 1e-5);
            memory_free(alone);
        }
        memory_free(together);
    }
    float *const blocks[] = {context, mask, masked, latents};
    for (size_t i = 0; i < 4; i++) memory_free(blocks[i]);
}

/* A run is used for many steps, prompts and pictures; nothing of the earlier ones may stay behind. */
static void a_run_can_be_used_again(void **state) {
    (void)state;
    float *context = noise_block(2 * CONTEXT, 9), *mask = noise_block(2 * H * W, 10), *masked = noise_block(2 * LATENT, 11);
    float *latents = noise_block(2 * LATENT, 12), prediction[LATENT];
    struct unet_size size = one;
    size.steps = 4;
    struct unet_run *run;
    struct error error;
    if (!unet_run_create(unet, &options, &size, 0, &run, &error)) fail_msg("%s", error.message);
    static const int timesteps[4] = {901, 601, 301, 1}, fewer[2] = {777, 5};
    unet_run_context(run, context);
    unet_run_timesteps(run, timesteps, 4);
    unet_run_condition(run, mask, masked);
    for (size_t step = 0; step < 4; step++) {
        unet_run_step(run, step, latents, prediction);
        float *alone = run_once(&one, &(struct inputs){context, mask, masked, latents, timesteps[step]});
        assert_close(prediction, alone, LATENT, 1e-6);
        memory_free(alone);
    }
    unet_run_condition(run, mask + H * W, masked + LATENT);
    unet_run_context(run, context + CONTEXT);
    unet_run_timesteps(run, fewer, 2);
    unet_run_step(run, 1, latents + LATENT, prediction);
    float *alone = run_once(&one, &(struct inputs){context + CONTEXT, mask + H * W, masked + LATENT, latents + LATENT, 5});
    assert_close(prediction, alone, LATENT, 1e-6);
    unet_run_free(run);
    float *const blocks[] = {alone, context, mask, masked, latents};
    for (size_t i = 0; i < 5; i++) memory_free(blocks[i]);
}

/* ==== Sizes ==== */

static void refuses_sizes_that_do_not_fit(void **state) {
    (void)state;
    static const struct unet_size wrong[] = {
        {.samples = 0, .results = 0, .contexts = 1, .conditions = 1, .h = 4, .w = 4, .steps = 1},
        {.samples = 2, .results = 3, .contexts = 1, .conditions = 1, .h = 4, .w = 4, .steps = 1},
        {.samples = 2, .results = 4, .contexts = 3, .conditions = 1, .h = 4, .w = 4, .steps = 1},
        {.samples = 2, .results = 4, .contexts = 0, .conditions = 1, .h = 4, .w = 4, .steps = 1},
        {.samples = 3, .results = 3, .contexts = 1, .conditions = 2, .h = 4, .w = 4, .steps = 1},
        {.samples = 1, .results = 1, .contexts = 1, .conditions = 1, .h = 0, .w = 4, .steps = 1},
        {.samples = 1, .results = 1, .contexts = 1, .conditions = 1, .h = 4, .w = (size_t)1 << 40, .steps = 1},
        {.samples = 1, .results = 1, .contexts = 1, .conditions = 1, .h = 4, .w = 4, .steps = 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct unet_run *run;
        struct error error = {0};
        assert_false(unet_run_create(unet, &options, &wrong[i], 0, &run, &error));
        assert_int_equal(error.code, ERROR_ARGUMENT);
    }
}

static void runs_at_the_smallest_sizes(void **state) {
    (void)state;
    for (size_t h = 1; h <= 3; h++) {
        struct unet_size size = one;
        size.h = h;
        size.w = 4 - h;
        float *context = noise_block(CONTEXT, 1), *block = noise_block(64, 2);
        float *prediction = run_once(&size, &(struct inputs){context, block, block, block, 5});
        for (size_t i = 0; i < size.h * size.w * 4; i++) assert_true(prediction[i] == prediction[i]); /* no NaN */
        memory_free(prediction);
        memory_free(context);
        memory_free(block);
    }
}

static void keeps_the_memory_limit(void **state) {
    (void)state;
    struct unet_run *run;
    struct error error = {0};
    assert_false(unet_run_create(unet, &options, &one, 1000, &run, &error));
    assert_int_equal(error.code, ERROR_MEMORY);
    assert_true(unet_run_create(unet, &options, &one, (size_t)1 << 30, &run, &error));
    assert_true(plan_multiply_adds(unet_run_plan(run), unet_run_step_section(run)) > 1e5);
    unet_run_free(run);
}

static void a_failing_allocation_is_survived(void **state) {
    (void)state;
    struct unet_run *run;
    struct error error = {0};
    memory_fail_at(0, 0);
    assert_true(unet_run_create(unet, &options, &one, 0, &run, &error));
    size_t calls = memory_calls();
    unet_run_free(run);
    for (size_t n = 1; n <= calls; n += n > 20 && n + 20 < calls ? 41 : 1) {
        memory_fail_at(n, 0);
        bool made = unet_run_create(unet, &options, &one, 0, &run, &error);
        memory_fail_at(0, 0);
        if (made) unet_run_free(run);
        if (made) fail_msg("made without allocation %zu of %zu", n, calls);
        assert_int_equal(error.code, ERROR_MEMORY);
    }
}

static void bf16_stays_close(void **state) {
    (void)state;
    float *context = noise_block(2 * CONTEXT, 1), *mask = noise_block(H * W, 2), *masked = noise_block(LATENT, 3);
    float *latent = noise_block(LATENT, 4);
    struct unet_size size = one;
    size.results = size.contexts = 2;
    const struct inputs inputs = {context, mask, masked, latent, 500};
    float *exact = run_once(&size, &inputs);
    options.compute = DTYPE_BF16;
    float *rounded = run_once(&size, &inputs);
    options.compute = DTYPE_F32;
    assert_close(rounded, exact, 2 * LATENT, 0.03);
    float *const blocks[] = {exact, rounded, context, mask, masked, latent};
    for (size_t i = 0; i < 6; i++) memory_free(blocks[i]);
}

static void tells_what_it_is(void **state) {
    (void)state;
    assert_int_equal(unet_context_width(unet), WIDTH);
    assert_int_equal(unet_sample_size(unet), 16);
    assert_true(unet_bytes(unet) > 1000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_it_is),
        cmocka_unit_test(guidance_equals_separate_runs),
        cmocka_unit_test(guidance_costs_less_than_two_runs),
        cmocka_unit_test(contexts_and_conditions_of_their_own),
        cmocka_unit_test(a_run_can_be_used_again),
        cmocka_unit_test(refuses_sizes_that_do_not_fit),
        cmocka_unit_test(runs_at_the_smallest_sizes),
        cmocka_unit_test(keeps_the_memory_limit),
        cmocka_unit_test(a_failing_allocation_is_survived),
        cmocka_unit_test(bf16_stays_close),
    };
    return cmocka_run_group_tests(tests, open_unet, close_unet);
}
