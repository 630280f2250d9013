/* What lies in a checkpoint's folder comes from strangers: hostile configs, missing and misshapen
 * tensors, and memory that runs out, each must end in a sentence. */
#include "model/safety_checker.h"
#include "model/text_encoder.h"
#include "model/unet.h"
#include "model/vae.h"

#include "checkpoint.h"

enum component { UNET, VAE, TINY_VAE, TEXT, SAFETY, COMPONENTS };

static const struct {
    const char *folder, *stem;
} components[COMPONENTS] = {
    {TINY "/unet", "diffusion_pytorch_model"}, {TINY "/vae", "diffusion_pytorch_model"}, {BUNDLED "/vae", "diffusion_pytorch_model"},
    {TINY "/text_encoder", "model"},           {TINY "/safety_checker", "model"},
};

/* Open and close again. */
static bool opens(enum component component, const char *folder, struct error *error) {
    struct unet *unet;
    struct vae *vae;
    struct text_encoder *encoder;
    struct safety_checker *checker;
    *error = (struct error){0};
    switch (component) {
    case UNET:
        if (!unet_open(folder, &unet, error)) return false;
        unet_close(unet);
        return true;
    case VAE:
    case TINY_VAE:
        if (!vae_open(folder, &vae, error)) return false;
        vae_close(vae);
        return true;
    case TEXT:
        if (!text_encoder_open(folder, &encoder, error)) return false;
        text_encoder_close(encoder);
        return true;
    default:
        if (!safety_checker_open(folder, NULL, &checker, error)) return false;
        safety_checker_close(checker);
        return true;
    }
}

/* ==== Configs ==== */

struct hostile {
    enum component component;
    const char *patch;
    enum error_code code;
    const char *says; /* part of the sentence */
};

static const struct hostile hostile_configs[] = {
    {UNET, "{\"in_channels\": 4}", ERROR_UNSUPPORTED, "stable-diffusion-v1-5/stable-diffusion-inpainting"},
    {UNET, "{\"in_channels\": 8}", ERROR_UNSUPPORTED, "8 channels"},
    {UNET, "{\"in_channels\": null}", ERROR_UNSUPPORTED, "can't inpaint"},
    {UNET, "{\"in_channels\": -9}", ERROR_FORMAT, "in_channels"},
    {UNET, "{\"in_channels\": \"9\"}", ERROR_FORMAT, "in_channels must be a number"},
    {UNET, "{\"out_channels\": 8}", ERROR_UNSUPPORTED, "out_channels"},
    {UNET, "{\"block_out_channels\": []}", ERROR_FORMAT, "block_out_channels"},
    {UNET, "{\"block_out_channels\": 64}", ERROR_FORMAT, "block_out_channels"},
    {UNET, "{\"block_out_channels\": [32, 64, 64]}", ERROR_FORMAT, "down_block_types"},
    {UNET, "{\"block_out_channels\": [1e9, 64, 64, 64]}", ERROR_FORMAT, "block_out_channels"},
    {UNET, "{\"block_out_channels\": [32, 64, 64, 0]}", ERROR_FORMAT, "block_out_channels"},
    {UNET, "{\"block_out_channels\": [32, 64, 64, 64.5]}", ERROR_FORMAT, "whole number"},
    {UNET, "{\"block_out_channels\": [32, 64, 64, 40]}", ERROR_FORMAT, "groups"},
    {UNET, "{\"block_out_channels\": [1,1,1,1,1,1,1,1,1]}", ERROR_FORMAT, "at most 8"},
    {UNET, "{\"block_out_channels\": [32, 64, 64, 128]}", ERROR_FORMAT, "[128, 32]"},
    {UNET, "{\"norm_num_groups\": 0}", ERROR_FORMAT, "norm_num_groups"},
    {UNET, "{\"norm_num_groups\": 5}", ERROR_FORMAT, "norm_num_groups"},
    {UNET, "{\"norm_eps\": 0}", ERROR_FORMAT, "norm_eps"},
    {UNET, "{\"norm_eps\": \"nan\"}", ERROR_FORMAT, "norm_eps"},
    {UNET, "{\"layers_per_block\": 0}", ERROR_FORMAT, "layers_per_block"},
    {UNET, "{\"layers_per_block\": 1000000}", ERROR_FORMAT, "layers_per_block"},
    {UNET, "{\"layers_per_block\": [2, 2, 2]}", ERROR_FORMAT, "4 are needed"},
    {UNET, "{\"layers_per_block\": 3}", ERROR_FORMAT, "has no tensor"},
    {UNET, "{\"attention_head_dim\": 0}", ERROR_FORMAT, "attention_head_dim"},
    {UNET, "{\"attention_head_dim\": [8, 8, 8, 7]}", ERROR_FORMAT, "7 heads"},
    {UNET, "{\"num_attention_heads\": 7}", ERROR_FORMAT, "7 heads"},
    {UNET, "{\"transformer_layers_per_block\": 1e10}", ERROR_FORMAT, "transformer_layers_per_block"},
    {UNET, "{\"transformer_layers_per_block\": 2}", ERROR_FORMAT, "transformer_blocks.1"},
    {UNET, "{\"cross_attention_dim\": 33}", ERROR_FORMAT, "attn2.to_"},
    {UNET, "{\"cross_attention_dim\": null}", ERROR_FORMAT, "cross_attention_dim is missing"},
    {UNET, "{\"cross_attention_dim\": [32, 32, 32, 64]}", ERROR_UNSUPPORTED, "cross_attention_dim"},
    {UNET, "{\"down_block_types\": [\"DownBlock2D\", \"AttnDownBlock2D\", \"DownBlock2D\", \"DownBlock2D\"]}", ERROR_UNSUPPORTED,
     "AttnDownBlock2D"},
    {UNET, "{\"up_block_types\": [\"UpBlock2D\", 5, \"UpBlock2D\", \"UpBlock2D\"]}", ERROR_UNSUPPORTED, "up_block_types"},
    {UNET, "{\"up_block_types\": \"UpBlock2D\"}", ERROR_FORMAT, "up_block_types"},
    {UNET, "{\"mid_block_type\": \"UNetMidBlock2D\\u001b[31m\"}", ERROR_UNSUPPORTED, "UNetMidBlock2D?[31m"},
    {UNET, "{\"use_linear_projection\": true}", ERROR_FORMAT, "proj_in"},
    {UNET, "{\"use_linear_projection\": 1}", ERROR_FORMAT, "true or false"},
    {UNET, "{\"downsample_padding\": 2}", ERROR_FORMAT, "downsample_padding"},
    {UNET, "{\"act_fn\": \"gelu\"}", ERROR_UNSUPPORTED, "act_fn"},
    {UNET, "{\"class_embed_type\": \"timestep\"}", ERROR_UNSUPPORTED, "class_embed_type"},
    {UNET, "{\"only_cross_attention\": [true, true, true, false]}", ERROR_UNSUPPORTED, "only_cross_attention"},
    {UNET, "{\"mid_block_scale_factor\": 1.4}", ERROR_UNSUPPORTED, "mid_block_scale_factor"},
    {UNET, "{\"sample_size\": [16]}", ERROR_FORMAT, "sample_size"},
    {UNET, "{\"_class_name\": \"UNetMotionModel\"}", ERROR_UNSUPPORTED, "UNetMotionModel"},
    {VAE, "{\"_class_name\": \"VQModel\"}", ERROR_UNSUPPORTED, "VQModel"},
    {VAE, "{\"_class_name\": null}", ERROR_UNSUPPORTED, "AutoencoderKL"},
    {VAE, "{\"block_out_channels\": [32, 32, 64]}", ERROR_UNSUPPORTED, "block_out_channels"},
    {VAE, "{\"block_out_channels\": [32, 32, 64, 128]}", ERROR_FORMAT, "encoder.down_blocks.3"},
    {VAE, "{\"latent_channels\": 16}", ERROR_UNSUPPORTED, "latent_channels"},
    {VAE, "{\"layers_per_block\": 99}", ERROR_FORMAT, "layers_per_block"},
    {VAE, "{\"norm_num_groups\": 7}", ERROR_FORMAT, "norm_num_groups"},
    {VAE, "{\"scaling_factor\": 0}", ERROR_FORMAT, "scaling_factor"},
    {VAE, "{\"scaling_factor\": -1}", ERROR_FORMAT, "scaling_factor"},
    {VAE, "{\"latents_mean\": [0, 0, 0, 0]}", ERROR_UNSUPPORTED, "latents_mean"},
    {VAE, "{\"down_block_types\": [\"DownEncoderBlock2D\", \"AttnDownEncoderBlock2D\", \"DownEncoderBlock2D\", \"DownEncoderBlock2D\"]}",
     ERROR_UNSUPPORTED, "AttnDownEncoderBlock2D"},
    {TINY_VAE, "{\"num_encoder_blocks\": [1, 2, 2]}", ERROR_UNSUPPORTED, "num_encoder_blocks"},
    {TINY_VAE, "{\"num_decoder_blocks\": [2, 2, 2, 1e6]}", ERROR_FORMAT, "num_decoder_blocks"},
    {TINY_VAE, "{\"num_decoder_blocks\": [3, 2, 2, 1]}", ERROR_FORMAT, "decoder.layers"},
    {TINY_VAE, "{\"encoder_block_out_channels\": [32, 64, 64, 64]}", ERROR_FORMAT, "can't change"},
    {TINY_VAE, "{\"act_fn\": \"silu\"}", ERROR_UNSUPPORTED, "act_fn"},
    {TINY_VAE, "{\"upsampling_scaling_factor\": 4}", ERROR_UNSUPPORTED, "upsampling_scaling_factor"},
    {TEXT, "{\"hidden_size\": 0}", ERROR_FORMAT, "hidden_size"},
    {TEXT, "{\"hidden_size\": null}", ERROR_FORMAT, "hidden_size is missing"},
    {TEXT, "{\"hidden_size\": 33}", ERROR_FORMAT, "4 heads"},
    {TEXT, "{\"hidden_size\": 64}", ERROR_FORMAT, "embedding"},
    {TEXT, "{\"hidden_act\": \"swish\"}", ERROR_UNSUPPORTED, "swish"},
    {TEXT, "{\"num_hidden_layers\": 1e300}", ERROR_FORMAT, "num_hidden_layers"},
    {TEXT, "{\"num_hidden_layers\": 3}", ERROR_FORMAT, "encoder.layers.2"},
    {TEXT, "{\"max_position_embeddings\": 50}", ERROR_FORMAT, "max_position_embeddings"},
    {TEXT, "{\"vocab_size\": 49409}", ERROR_FORMAT, "token_embedding"},
    {TEXT, "{\"layer_norm_eps\": -1}", ERROR_FORMAT, "layer_norm_eps"},
    {SAFETY, "{\"vision_config\": 5}", ERROR_FORMAT, "vision_config"},
    {SAFETY, "{\"vision_config\": {\"image_size\": 336}}", ERROR_FORMAT, "image_size"},
    {SAFETY, "{\"vision_config\": {\"patch_size\": 50}}", ERROR_FORMAT, "patch_size"},
    {SAFETY, "{\"vision_config\": {\"patch_size\": 0}}", ERROR_FORMAT, "patch_size"},
    {SAFETY, "{\"projection_dim\": 64}", ERROR_FORMAT, "special_care_embeds"},
};

static void hostile_configs_end_in_a_sentence(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof hostile_configs / sizeof *hostile_configs; i++) {
        const struct hostile *hostile = &hostile_configs[i];
        struct copy copy;
        struct error error;
        copy_begin(&copy, components[hostile->component].stem);
        copy_config(&copy, components[hostile->component].folder, hostile->patch);
        copy_link(&copy, components[hostile->component].folder, components[hostile->component].stem);
        bool opened = opens(hostile->component, copy.folder, &error);
        copy_end(&copy);
        if (opened) fail_msg("opened in spite of %s", hostile->patch);
        if (error.code != hostile->code) fail_msg("%s gave %s: %s", hostile->patch, error_name(error.code), error.message);
        if (!strstr(error.message, hostile->says)) fail_msg("%s only said: %s", hostile->patch, error.message);
    }
}

static void no_json_ends_in_a_sentence(void **state) {
    (void)state;
    static const char *const texts[] = {"", "{", "[]", "5", "{\"in_channels\": 9,}", "\xff\xfe"};
    for (int component = 0; component < COMPONENTS; component++) {
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            struct copy copy;
            struct error error;
            copy_begin(&copy, components[component].stem);
            write_file(copy.config, texts[i], strlen(texts[i]));
            assert_false(opens((enum component)component, copy.folder, &error));
            assert_int_equal(error.code, ERROR_FORMAT);
            copy_end(&copy);
        }
        struct error error;
        assert_false(opens((enum component)component, "/nonexistent", &error));
        assert_int_equal(error.code, ERROR_NOT_FOUND);
    }
}

/* ==== Weights ==== */

static const struct {
    enum component component;
    struct rename rename;
    const char *says;
} damages[] = {
    {UNET, {"conv_in.weight", "conv_in.wight", NULL}, "conv_in.weight"},
    {UNET, {"conv_in.weight", "conv_in.weight", "[9, 32, 3, 3]"}, "conv_in.weight"},
    {UNET, {"conv_in.weight", "conv_in.weight", "[32, 81]"}, "conv_in.weight"},
    {UNET, {"mid_block.attentions.0.transformer_blocks.0.attn2.to_v", "x", NULL}, "attn2.to_v"},
    {UNET, {"up_blocks.3.resnets.2.time_emb_proj.bias", "x", NULL}, "time_emb_proj.bias"},
    {UNET, {"time_embedding.linear_2.weight", "x", NULL}, "time_embedding.linear_2.weight"},
    {UNET, {"conv_out.bias", "x", NULL}, "conv_out.bias"},
    {VAE, {"encoder.mid_block.attentions.0.to_k.weight", "x", NULL}, "attentions.0"},
    {VAE, {"post_quant_conv.bias", "x", NULL}, "post_quant_conv.bias"},
    {TINY_VAE, {"decoder.layers.15.weight", "decoder.layers.15.weight", "[32, 3, 3, 3]"}, "decoder.layers.15.weight"},
    {TEXT, {"text_model.final_layer_norm.bias", "x", NULL}, "final_layer_norm.bias"},
    {TEXT, {"text_model.encoder.layers.1.self_attn.q_proj.weight", "x", NULL}, "q_proj.weight"},
    {SAFETY, {"visual_projection.weight", "x", NULL}, "visual_projection.weight"},
    {SAFETY, {"concept_embeds_weights", "x", NULL}, "concept_embeds_weights"},
};

static void missing_and_misshapen_tensors_are_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct copy copy;
        struct error error;
        copy_begin(&copy, components[damages[i].component].stem);
        copy_config(&copy, components[damages[i].component].folder, "{}");
        copy_weights(&copy, components[damages[i].component].folder, components[damages[i].component].stem, &damages[i].rename, 1);
        bool opened = opens(damages[i].component, copy.folder, &error);
        copy_end(&copy);
        if (opened) fail_msg("opened without %s", damages[i].rename.from);
        assert_int_equal(error.code, ERROR_FORMAT);
        if (!strstr(error.message, damages[i].says)) fail_msg("without %s it only said: %s", damages[i].rename.from, error.message);
    }
}

/* ==== Memory ==== */

static void every_failing_allocation_is_survived(void **state) {
    (void)state;
    for (int component = 0; component < COMPONENTS; component++) {
        struct error error;
        memory_fail_at(0, 0);
        assert_true(opens((enum component)component, components[component].folder, &error));
        size_t calls = memory_calls();
        assert_true(calls > 10);
        /* All of the first and last ones, and a sample of the many alike between them. */
        for (size_t n = 1; n <= calls; n += n > 60 && n + 60 < calls ? 37 : 1) {
            memory_fail_at(n, 0);
            bool opened = opens((enum component)component, components[component].folder, &error);
            memory_fail_at(0, 0);
            if (opened) fail_msg("component %d opened without allocation %zu of %zu", component, n, calls);
            if (error.code != ERROR_MEMORY) fail_msg("component %d, allocation %zu: %s", component, n, error.message);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_configs_end_in_a_sentence),
        cmocka_unit_test(no_json_ends_in_a_sentence),
        cmocka_unit_test(missing_and_misshapen_tensors_are_named),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
