#include "model/vae.h"

#include "checkpoint.h"

enum { H = 3, W = 2, LATENT = H * W * 4, IMAGE = 64 * H * W * 3 };

static struct plan_options options;
static struct vae *kl, *tiny;

static struct vae *opened(const char *folder) {
    struct vae *vae;
    struct error error;
    if (!vae_open(folder, &vae, &error)) fail_msg("%s", error.message);
    return vae;
}

static int open_both(void **state) {
    (void)state;
    engine_open(&options, DTYPE_F32);
    kl = opened(TINY "/vae");
    tiny = opened(BUNDLED "/vae");
    return 0;
}

static int close_both(void **state) {
    (void)state;
    vae_close(kl);
    vae_close(tiny);
    engine_close(&options);
    return 0;
}

/* mean, logvar and picture of the same inputs, one after the other. */
static float *both_ways(struct vae *vae) {
    float *image = noise_block(IMAGE, 1), *latent = noise_block(LATENT, 2), *out = memory_array(2 * LATENT + IMAGE, sizeof *out);
    struct error error;
    assert_non_null(out);
    if (!vae_encode(vae, &options, image, 8 * H, 8 * W, 0, out, out + LATENT, &error) ||
        !vae_decode(vae, &options, latent, H, W, 0, out + 2 * LATENT, &error))
        fail_msg("%s", error.message);
    memory_free(image);
    memory_free(latent);
    return out;
}

static void tells_what_it_is(void **state) {
    (void)state;
    assert_true(vae_has_posterior(kl));
    assert_false(vae_has_posterior(tiny));
    assert_true(vae_scaling_factor(kl) == 0.18215f);
    assert_true(vae_scaling_factor(tiny) == 1.0649104118347168f);
    assert_true(vae_bytes(tiny) == 904942);
}

static void a_missing_scaling_factor_is_stable_diffusions(void **state) {
    (void)state;
    struct copy copy;
    copy_begin(&copy, "diffusion_pytorch_model");
    copy_config(&copy, TINY "/vae", "{\"scaling_factor\": null}");
    copy_link(&copy, TINY "/vae", "diffusion_pytorch_model");
    struct vae *vae = opened(copy.folder);
    assert_true(vae_scaling_factor(vae) == 0.18215f);
    vae_close(vae);
    copy_end(&copy);
}

/* Names and shapes that old files use for the same attention. */
static void old_names_give_the_same(void **state) {
    (void)state;
    static const struct rename old[2][4] = {
        {{".to_q.", ".query.", NULL}, {".to_k.", ".key.", NULL}, {".to_v.", ".value.", NULL}, {".to_out.0.", ".proj_attn.", NULL}},
        {{".to_q.weight", ".query.weight", "[64, 64, 1, 1]"},
         {".to_q.bias", ".query.bias", NULL},
         {".to_k.weight", ".to_k.weight", "[64, 64, 1, 1]"},
         {".to_out.0.weight", ".to_out.0.weight", "[64, 64, 1, 1]"}},
    };
    float *expected = both_ways(kl);
    for (size_t i = 0; i < 2; i++) {
        struct copy copy;
        copy_begin(&copy, "diffusion_pytorch_model");
        copy_config(&copy, TINY "/vae", "{}");
        copy_weights(&copy, TINY "/vae", "diffusion_pytorch_model", old[i], 4);
        struct vae *vae = opened(copy.folder);
        float *found = both_ways(vae);
        assert_close(found, expected, 2 * LATENT + IMAGE, 1e-6);
        memory_free(found);
        vae_forget(vae);
        vae_close(vae);
        copy_end(&copy);
        /* The packed weights are told apart by where their bytes lie: gone with the file. */
        engine_close(&options);
        engine_open(&options, DTYPE_F32);
        vae_forget(kl);
        vae_forget(tiny);
    }
    memory_free(expected);
}

/* mid_block_add_attention, use_quant_conv and use_post_quant_conv switch parts off. */
static void parts_can_be_absent(void **state) {
    (void)state;
    static const char *const patches[] = {"{\"mid_block_add_attention\": false}", "{\"use_quant_conv\": false}",
                                          "{\"use_post_quant_conv\": false}"};
    static const struct rename gone[] = {{"mid_block.attentions", "x", NULL}, {"quant_conv", "x", NULL}, {"post_quant_conv", "x", NULL}};
    float *with = both_ways(kl);
    for (size_t i = 0; i < 3; i++) {
        struct copy copy;
        copy_begin(&copy, "diffusion_pytorch_model");
        copy_config(&copy, TINY "/vae", patches[i]);
        if (i == 1)
            copy_link(&copy, TINY "/vae", "diffusion_pytorch_model"); /* the name is part of the other's */
        else
            copy_weights(&copy, TINY "/vae", "diffusion_pytorch_model", &gone[i], 1);
        struct vae *vae = opened(copy.folder);
        struct plan_options own;
        engine_open(&own, DTYPE_F32);
        struct plan_options shared = options;
        options = own;
        float *without = both_ways(vae);
        options = shared;
        if (i != 2) assert_true(relative_difference(without, with, LATENT) > 1e-6);
        if (i != 1) assert_true(relative_difference(without + 2 * LATENT, with + 2 * LATENT, IMAGE) > 1e-6);
        memory_free(without);
        vae_close(vae);
        engine_close(&own);
        copy_end(&copy);
    }
    memory_free(with);
}

/* Kept plans of several sizes, in both directions, give what new ones give. */
static void kept_plans_do_not_mix(void **state) {
    (void)state;
    float *expected = both_ways(kl), *image = noise_block(64 * 64 * 3, 3), mean[64 * 4], logvar[64 * 4], decoded[64 * 3];
    struct error error;
    static const size_t sizes[][2] = {{8, 8}, {16, 8}, {8, 16}, {8, 8}};
    for (size_t i = 0; i < 4; i++) {
        assert_true(vae_encode(kl, &options, image, sizes[i][0], sizes[i][1], 0, mean, NULL, &error));
        float *again = both_ways(kl);
        assert_memory_equal(again, expected, (2 * LATENT + IMAGE) * sizeof *again);
        memory_free(again);
    }
    assert_true(vae_encode(kl, &options, image, 8, 8, 0, mean, logvar, &error));
    assert_true(vae_decode(kl, &options, mean, 1, 1, 0, decoded, &error));
    memory_free(expected);
    memory_free(image);
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    float block[64 * 3] = {0}, out[64 * 3];
    struct error error;
    static const size_t wrong[][2] = {{0, 8}, {8, 12}, {7, 8}, {(size_t)1 << 40, 8}};
    for (size_t i = 0; i < 4; i++) {
        assert_false(vae_encode(kl, &options, block, wrong[i][0], wrong[i][1], 0, out, NULL, &error));
        assert_int_equal(error.code, ERROR_ARGUMENT);
    }
    assert_false(vae_decode(kl, &options, block, 0, 1, 0, out, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    /* the limit holds for a plan that is kept already, too */
    assert_true(vae_decode(kl, &options, block, 1, 1, 0, out, &error));
    assert_false(vae_decode(kl, &options, block, 1, 1, 500, out, &error));
    assert_int_equal(error.code, ERROR_MEMORY);
    assert_true(vae_decode(kl, &options, block, 1, 1, 0, out, &error));
}

static void bf16_stays_close(void **state) {
    (void)state;
    struct vae *const both[] = {kl, tiny};
    for (size_t i = 0; i < 2; i++) {
        float *exact = both_ways(both[i]);
        options.compute = DTYPE_BF16;
        float *rounded = both_ways(both[i]);
        options.compute = DTYPE_F32;
        assert_close(rounded, exact, LATENT, 0.03);
        assert_close(rounded + 2 * LATENT, exact + 2 * LATENT, IMAGE, 0.03);
        assert_true(relative_difference(rounded + 2 * LATENT, exact + 2 * LATENT, IMAGE) > 0); /* not the f32 plan again */
        memory_free(exact);
        memory_free(rounded);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_it_is),        cmocka_unit_test(a_missing_scaling_factor_is_stable_diffusions),
        cmocka_unit_test(old_names_give_the_same), cmocka_unit_test(parts_can_be_absent),
        cmocka_unit_test(kept_plans_do_not_mix),   cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(bf16_stays_close),
    };
    return cmocka_run_group_tests(tests, open_both, close_both);
}
