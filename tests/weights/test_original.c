/* Checkpoints in one file: each component's tensors as in its folder, and files that are something
 * else told apart. */
#include "weights/forms.h"
#include "weights/original.h"

#include <unistd.h>

static char folder[64], file[128];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/test_original_XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(file, sizeof file, "%s/checkpoint", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    return unlink(file) || rmdir(folder);
}

static void same_parts(void) {
    for (int part = 0; part < 3; part++) {
        struct weights *want, *got;
        struct error error;
        assert_true(weights_open_folder(form_components[part].folder, form_components[part].stem, &want, &error));
        if (!weights_open_part(file, (enum weights_part)part, &got, &error)) fail_msg("%s", error.message);
        assert_int_equal(weights_count(got), weights_count(want));
        size_t bytes = 0;
        for (size_t i = 0; i < weights_count(want); i++) {
            const char *name;
            const struct tensor *wanted = weights_at(want, i, &name), *found = weights_find(got, name);
            if (!found) fail_msg("no %s", name);
            assert_int_equal(found->dtype, wanted->dtype);
            assert_memory_equal(found->shape, wanted->shape, (size_t)wanted->rank * sizeof *wanted->shape);
            assert_int_equal(form_bytes(found), form_bytes(wanted));
            assert_memory_equal(found->data, wanted->data, form_bytes(wanted));
            bytes += form_bytes(wanted);
        }
        assert_int_equal(weights_bytes(got), bytes);
        assert_string_equal(weights_path(got), file);
        weights_close(got);
        weights_close(want);
    }
}

/* Averages, schedules and a buffer of the text encoder lie in such files too. */
static void add_ballast(struct form *form) {
    const struct tensor one = form->tensors[0].tensor;
    form_add(form, "model_ema.diffusion_modelinput_blocks00weight", &one);
    form_add(form, "model_ema.decay", &one);
    form_add(form, "betas", &one);
    form_add(form, "alphas_cumprod", &one);
    form_add(form, "cond_stage_model.transformer.text_model.embeddings.position_ids", &one);
    form_add(form, "first_stage_model.loss.discriminator.main.0.weight", &one);
}

static void parts_are_those_of_the_folder(void **state) {
    (void)state;
    struct form *form = form_original();
    assert_true(form->count > 900);
    form_write_safetensors(form, file);
    same_parts();
    add_ballast(form);
    form_write_safetensors(form, file);
    same_parts();
    form_write_torch(form, true, file);
    same_parts();
    form_write_torch(form, false, file);
    same_parts();
    form_free(form);
}

/* Newer versions of transformers write the text encoder without "text_model.". */
static void both_names_of_the_text_encoder_are_read(void **state) {
    (void)state;
    struct form *form = form_original();
    static const char older[] = "cond_stage_model.transformer.text_model.";
    for (size_t i = 0; i < form->count; i++) {
        char *name = form->tensors[i].name, rest[FORMS_NAME_SIZE];
        if (strncmp(name, older, sizeof older - 1) != 0) continue;
        snprintf(rest, sizeof rest, "%s", name + sizeof older - 1);
        snprintf(name, FORMS_NAME_SIZE, "cond_stage_model.transformer.%.100s", rest);
    }
    form_write_safetensors(form, file);
    struct weights *weights;
    struct error error;
    if (!weights_open_part(file, WEIGHTS_TEXT_ENCODER, &weights, &error)) fail_msg("%s", error.message);
    assert_non_null(weights_find(weights, "embeddings.token_embedding.weight"));
    weights_close(weights);
    form_free(form);
}

static void refused(const struct form *form, enum weights_part part, enum error_code code, const char *says) {
    struct weights *weights;
    struct error error = {0};
    form_write_safetensors(form, file);
    assert_false(weights_open_part(file, part, &weights, &error));
    if (error.code != code || !strstr(error.message, says) || !strstr(error.message, file))
        fail_msg("expected \"%s\", got \"%s\"", says, error.message);
}

#define FIRST "model.diffusion_model.input_blocks.0.0.weight"

static void what_cannot_inpaint_is_told_apart(void **state) {
    (void)state;
    static const struct {
        const char *name; /* of the first tensor, or of one more */
        bool more;
        size_t channels;
        const char *says;
    } cases[] = {
        {FIRST, false, 4, "takes 4 channels"},
        {FIRST, false, 8, "InstructPix2Pix"},
        {FIRST, false, 5, "takes 5 channels"},
        {"conditioner.embedders.0.transformer.text_model.final_layer_norm.bias", true, 9, "SDXL"},
        {"model.diffusion_model.label_emb.0.0.weight", true, 9, "SDXL"},
        {"cond_stage_model.model.token_embedding.weight", true, 4, "this Stable Diffusion 2 checkpoint's UNet takes 4 channels"},
        {FIRST, false, 7, "upscaler"},
        {FIRST, false, 3, "takes 3 channels where"},
        {"ztsnr", true, 9, "ztsnr"},
        {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", false, 9, "LoRA"},
        {"unet.down_blocks.0.attentions.0.attn1.to_q.lora_A.weight", false, 9, "LoRA"},
        {"unet.down_blocks.0.attentions.0.attn1.processor.to_q_lora.down.weight", false, 9, "LoRA"},
        {"text_encoder.text_model.encoder.layers.0.self_attn.k_proj.lora.up.weight", false, 9, "LoRA"},
        {"emb_params", false, 9, "textual inversion"},
        {"control_model.input_blocks.0.0.weight", false, 9, "ControlNet"},
        {"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", false, 9, "Stable Diffusion 3"},
        {"double_blocks.0.img_attn.qkv.weight", false, 9, "Flux"},
        {"model_ema.diffusion_modelinput_blocks00weight", false, 9, "EMA"},
        {"model.diffusion_model.out.2.weight", false, 9, "was cut"},
        {"first_stage_model.decoder.conv_in.weight", false, 9, "autoencoder (VAE) alone"},
        {"encoder.conv_in.weight", false, 9, "autoencoder (VAE) alone"},
        {"3.conv.0.weight", false, 9, "TAESD"},
        {"decoder.layers.0.weight", false, 9, "TAESD"},
        {"concept_embeds", false, 9, "safety checker alone"},
        {"text_model.embeddings.token_embedding.weight", false, 9, "text encoder alone"},
        {"controlnet_cond_embedding.conv_in.weight", false, 9, "ControlNet"},
        {"ip_adapter.1.to_k_ip.weight", false, 9, "IP-Adapter"},
        {"down_blocks.0.motion_modules.0.norm.weight", false, 9, "motion module"},
        {"add_embedding.linear_1.weight", false, 9, "SDXL"},
        {"anything", false, 9, "no Stable Diffusion checkpoint"},
    };
    struct form *form = form_original();
    struct tensor first = form_find(form, FIRST)->tensor;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        form->count = 0;
        first.shape[1] = cases[i].channels;
        first.shape[0] = 2;
        form_add(form, cases[i].more ? FIRST : cases[i].name, &first);
        if (cases[i].more) form_add(form, cases[i].name, &first);
        refused(form, WEIGHTS_UNET, ERROR_UNSUPPORTED, cases[i].says);
    }
    /* A file cut down to its UNet; one of diffusers' own. */
    form->count = 0;
    first.shape[1] = 9;
    form_add(form, FIRST, &first);
    refused(form, WEIGHTS_VAE, ERROR_FORMAT, "no autoencoder");
    refused(form, WEIGHTS_TEXT_ENCODER, ERROR_FORMAT, "no text encoder");
    form->count = 0;
    form_add(form, "conv_in.weight", &first);
    form_add(form, "time_embedding.linear_1.weight", &first);
    refused(form, WEIGHTS_UNET, ERROR_UNSUPPORTED, "UNet alone");
    form_free(form);
}

/* OpenCLIP's names: what is stacked is cut in three, the last layer is not used, and odd shapes end in
 * an error when the text encoder misses them. */
static void open_clips_names_are_cut_and_counted(void **state) {
    (void)state;
    static const char base[] = "cond_stage_model.model.";
    static const struct {
        const char *name, *first;
        size_t count;
    } cases[] = {
        {"token_embedding.weight", "text_model.embeddings.token_embedding.weight", 1},
        {"positional_embedding", "text_model.embeddings.position_embedding.weight", 1},
        {"ln_final.bias", "text_model.final_layer_norm.bias", 1},
        {"transformer.resblocks.1.attn.in_proj_weight", "text_model.encoder.layers.1.self_attn.q_proj.weight", 3},
        {"transformer.resblocks.0.attn.in_proj_bias", "text_model.encoder.layers.0.self_attn.q_proj.bias", 3},
        {"transformer.resblocks.1.mlp.c_proj.bias", "text_model.encoder.layers.1.mlp.fc2.bias", 1},
        {"transformer.resblocks.2.ln_1.weight", NULL, 0}, /* the last layer */
        {"transformer.resblocks.0.attn.in_proj_other", NULL, 0},
        {"transformer.resblocks.0.mlp", NULL, 0},
        {"transformer.resblocks.x.ln_1.weight", NULL, 0},
        {"text_projection", NULL, 0},
        {"logit_scale", NULL, 0},
        {"", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[128];
        struct open_clip_name got = {0};
        snprintf(name, sizeof name, "%s%s", base, cases[i].name);
        bool named = open_clip_name(name, 2, &got);
        if (named != (cases[i].first != NULL) || got.count != cases[i].count || (named && strcmp(got.name[0], cases[i].first) != 0))
            fail_msg("%s: %s", name, named ? got.name[0] : "no name");
    }
    struct form *form = form_original();
    struct tensor stack = form_find(form, FIRST)->tensor;
    form_add(form, "cond_stage_model.model.token_embedding.weight",
             &form_find(form, "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight")->tensor);
    form_add(form, "cond_stage_model.model.transformer.resblocks.0.ln_1.weight", &stack);
    stack.shape[0] = 4;
    form_add(form, "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight", &stack);
    stack.shape[0] = 6;
    form_add(form, "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_bias", &stack);
    form_write_safetensors(form, file);
    struct weights *weights;
    struct error error;
    if (!weights_open_part(file, WEIGHTS_TEXT_ENCODER, &weights, &error)) fail_msg("%s", error.message);
    assert_true(weights_has_open_clip(weights));
    assert_null(weights_find(weights, "text_model.encoder.layers.0.self_attn.q_proj.weight"));
    const struct tensor *q = weights_find(weights, "text_model.encoder.layers.0.self_attn.q_proj.bias");
    const struct tensor *v = weights_find(weights, "text_model.encoder.layers.0.self_attn.v_proj.bias");
    assert_true(q && v && q->shape[0] == 2);
    assert_int_equal((const char *)v->data - (const char *)q->data, 2 * tensor_count(q) * dtype_size(q->dtype));
    weights_close(weights);
    form_free(form);
}

static void a_single_file_may_say_velocity(void **state) {
    (void)state;
    for (int says = 0; says < 2; says++) {
        struct form *form = form_original();
        struct tensor empty = form_find(form, FIRST)->tensor;
        empty.shape[0] = 0;
        if (says) form_add(form, "v_pred", &empty);
        form_write_safetensors(form, file);
        struct weights *weights;
        struct error error;
        if (!weights_open_part(file, WEIGHTS_UNET, &weights, &error)) fail_msg("%s", error.message);
        assert_int_equal(weights_says_velocity(weights), says);
        assert_false(weights_has_open_clip(weights));
        weights_close(weights);
        form_free(form);
    }
}

/* Names that only look like the right ones end nowhere, and never outside a buffer. */
static void strange_names_are_passed_over(void **state) {
    (void)state;
    static const char *const names[] = {
        "model.diffusion_model.input_blocks",
        "model.diffusion_model.input_blocks.",
        "model.diffusion_model.input_blocks.1",
        "model.diffusion_model.input_blocks.1.",
        "model.diffusion_model.input_blocks.9999.0.in_layers.0.weight",
        "model.diffusion_model.input_blocks.-1.0.in_layers.0.weight",
        "model.diffusion_model.input_blocks.1.7.norm.weight",
        "model.diffusion_model.input_blocks.0.1.norm.weight",
        "model.diffusion_model.middle_block.3.in_layers.0.weight",
        "model.diffusion_model.middle_block.",
        "model.diffusion_model.output_blocks.1.0.other.weight",
        "first_stage_model.decoder.up.9.block.0.conv1.bias",
        "first_stage_model.decoder.up.1.block.x.conv1.bias",
        "first_stage_model.decoder.mid.block_3.conv1.bias",
        "first_stage_model.encoder.down.1.attn.0.q.weight",
        "first_stage_model.",
        "cond_stage_model.transformer",
        "model.diffusion_model.",
    };
    struct form *form = form_original();
    const struct tensor one = form->tensors[0].tensor;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) form_add(form, names[i], &one);
    form_write_safetensors(form, file);
    same_parts();
    /* Two that come out as one. */
    form_add(form, "model.diffusion_model.input_blocks.00.0.bias", &one);
    refused(form, WEIGHTS_UNET, ERROR_FORMAT, "conv_in.bias is there twice");
    form_free(form);
}

static void every_failing_allocation_is_survived(void **state) {
    (void)state;
    struct form *form = form_original();
    form_write_safetensors(form, file);
    bool opened = false;
    for (size_t n = 1; !opened; n += n < 20 ? 1 : 61) {
        struct weights *weights = NULL;
        struct error error = {0};
        memory_fail_at(n, 0);
        opened = weights_open_part(file, WEIGHTS_VAE, &weights, &error);
        memory_fail_at(0, 0);
        if (opened)
            weights_close(weights);
        else
            assert_int_equal(error.code, ERROR_MEMORY);
    }
    form_free(form);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_those_of_the_folder),        cmocka_unit_test(both_names_of_the_text_encoder_are_read),
        cmocka_unit_test(what_cannot_inpaint_is_told_apart),    cmocka_unit_test(strange_names_are_passed_over),
        cmocka_unit_test(open_clips_names_are_cut_and_counted), cmocka_unit_test(a_single_file_may_say_velocity),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
