/* LoRA files: names of every kind, what is refused and how, damage. (That the sums are diffusers' is
 * parity-pipeline's to show.) */
#include "weights/lora.h"

#include "base/file.h"
#include "base/memory.h"
#include "weights/lora_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define LORA SOURCE_DIR "/tests/reference/lora/"
#define UNET SOURCE_DIR "/tests/reference/tiny-checkpoint/unet"

/* ==== Names ==== */

static void names_of_every_kind_are_one(void **state) {
    (void)state;
    static const char query[] = "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
                      out[] = "mid_block_attentions_0_attn2_to_out_0";
    static const char text[] = "encoder_layers_3_self_attn_q_proj";
    static const struct {
        const char *name;
        enum weights_part part;
        enum lora_side side;
        const char *layer;
    } cases[] = {
        {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight", WEIGHTS_UNET, LORA_DOWN, query},
        {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.alpha", WEIGHTS_UNET, LORA_ALPHA, query},
        {"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight", WEIGHTS_UNET, LORA_UP, query},
        {"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.default.weight", WEIGHTS_UNET, LORA_DOWN, query},
        {"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora.up.weight", WEIGHTS_UNET, LORA_UP, query},
        {"down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight", WEIGHTS_UNET, LORA_DOWN, query},
        {"base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight", WEIGHTS_UNET, LORA_DOWN, query},
        {"unet.mid_block.attentions.0.attn2.processor.to_out_lora.up.weight", WEIGHTS_UNET, LORA_UP, out},
        {"lora_unet_mid_block_attentions_0_attn2_to_out_0.lora_up.weight", WEIGHTS_UNET, LORA_UP, out},
        {"lora_te_text_model_encoder_layers_3_self_attn_q_proj.lora_up.weight", WEIGHTS_TEXT_ENCODER, LORA_UP, text},
        {"text_encoder.text_model.encoder.layers.3.self_attn.q_proj.lora_A.weight", WEIGHTS_TEXT_ENCODER, LORA_DOWN, text},
        {"text_encoder.encoder.layers.3.self_attn.q_proj.lora_linear_layer.up.weight", WEIGHTS_TEXT_ENCODER, LORA_UP, text},
        {"text_encoder.text_model.encoder.layers.3.self_attn.to_q_lora.up.weight", WEIGHTS_TEXT_ENCODER, LORA_UP, text},
        {"base_model.model.text_model.encoder.layers.3.self_attn.q_proj.lora_B.weight", WEIGHTS_TEXT_ENCODER, LORA_UP, text},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lora_place place;
        if (!lora_read_name(cases[i].name, &place)) fail_msg("%s is not understood", cases[i].name);
        assert_int_equal(place.part, cases[i].part);
        assert_int_equal(place.side, cases[i].side);
        assert_string_equal(place.layer, cases[i].layer);
    }
    static const char *const strange[] = {"",         ".alpha", "lora_unet_.alpha", "conv_in.weight", "unet.x.diff", "text_model..alpha.x",
                                          "x.lora_up"};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        struct lora_place place;
        assert_false(lora_read_name(strange[i], &place));
    }
    char layer[LORA_LAYER_SIZE];
    assert_true(lora_layer_name("text_model.encoder.layers.3.self_attn.q_proj.weight", layer));
    assert_string_equal(layer, text);
    assert_false(lora_layer_name("conv_in.bias", layer));
}

/* ==== Files made here ==== */

struct made {
    const char *name;
    int rank;
    size_t shape[4];
    float value;
};

/* A file in memory; its path is good until close(). */
static int make_file(const struct made *tensors, size_t count, const char *metadata, char path[64]) {
    struct buffer header;
    buffer_init(&header, 1 << 20);
    buffer_text(&header, "{");
    if (metadata) buffer_format(&header, "\"__metadata__\":{\"lora_adapter_metadata\":\"%s\"},", metadata);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        size_t elements = 1;
        buffer_format(&header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? "," : "", tensors[i].name);
        for (int k = 0; k < tensors[i].rank; k++) {
            buffer_format(&header, "%s%zu", k ? "," : "", tensors[i].shape[k]);
            elements *= tensors[i].shape[k];
        }
        buffer_format(&header, "],\"data_offsets\":[%zu,%zu]}", at, at + 4 * elements);
        at += 4 * elements;
    }
    buffer_text(&header, "}");
    int file = memfd_create("lora", 0);
    uint64_t length = header.length;
    assert_int_equal(write(file, &length, 8), 8);
    assert_int_equal(write(file, header.data, header.length), header.length);
    buffer_free(&header);
    for (size_t i = 0; i < count; i++) {
        size_t elements = 1;
        for (int k = 0; k < tensors[i].rank; k++) elements *= tensors[i].shape[k];
        for (size_t k = 0; k < elements; k++) assert_int_equal(write(file, &tensors[i].value, 4), 4);
    }
    snprintf(path, 64, "/proc/self/fd/%d", file);
    return file;
}

static void refused(const struct made *tensors, size_t count, const char *metadata, enum error_code code, const char *part) {
    char path[64];
    int file = make_file(tensors, count, metadata, path);
    struct lora *lora;
    struct error error = {0};
    if (lora_open(path, &lora, &error)) fail_msg("opened, but should say: %s", part);
    if (error.code != code || !strstr(error.message, part)) fail_msg("%s: %s", error_name(error.code), error.message);
    close(file);
}

static void what_is_no_plain_lora_is_told_apart(void **state) {
    (void)state;
    static const struct {
        const char *name, *part;
    } cases[] = {
        {"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", "SDXL"},
        {"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", "Flux"},
        {"transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", "Flux"},
        {"transformer.transformer_blocks.0.attn.to_q.lora_A.weight", "transformer"},
        {"lora_unet_joint_blocks_0_x.lora_down.weight", "Stable Diffusion 3"},
        {"lora_unet_mid_block_attentions_0_proj_in.dora_scale", "DoRA"},
        {"lora_unet_mid_block_attentions_0_proj_in.hada_w1_a", "LoHa"},
        {"lora_unet_mid_block_attentions_0_proj_in.lokr_w1", "LoKr"},
        {"lora_unet_down_blocks_0_resnets_0_conv1.lora_mid.weight", "lora_mid"},
        {"model.diffusion_model.input_blocks.0.0.weight", "checkpoint, not a LoRA"},
        {"emb_params", "textual inversion"},
        {"something.else", "no LoRA"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(&(struct made){cases[i].name, 2, {2, 4}, 1}, 1, NULL, ERROR_UNSUPPORTED, cases[i].part);
}

#define LAYER "lora_unet_mid_block_attentions_0_proj_in"

static void broken_layers_are_refused(void **state) {
    (void)state;
    const struct made down = {LAYER ".lora_down.weight", 2, {2, 64}, 1}, up = {LAYER ".lora_up.weight", 2, {64, 2}, 1};
    refused(&down, 1, NULL, ERROR_FORMAT, "only one of the two");
    refused((struct made[]){down, {LAYER ".lora_up.weight", 2, {64, 3}, 1}}, 2, NULL, ERROR_FORMAT, "do not fit together");
    refused((struct made[]){down, {LAYER ".lora_up.weight", 4, {64, 2, 3, 3}, 1}}, 2, NULL, ERROR_FORMAT, "do not fit together");
    refused((struct made[]){{LAYER ".lora_down.weight", 2, {0, 64}, 1}, {LAYER ".lora_up.weight", 2, {64, 0}, 1}}, 2, NULL, ERROR_FORMAT,
            "do not fit together");
    refused((struct made[]){down, {LAYER ".lora_up.weight", 1, {64}, 1}}, 2, NULL, ERROR_FORMAT, "do not fit together");
    refused((struct made[]){down, up, {LAYER ".alpha", 1, {2}, 1}}, 3, NULL, ERROR_FORMAT, "alpha");
    refused((struct made[]){down, up, {LAYER ".alpha", 0, {0}, INFINITY}}, 3, NULL, ERROR_FORMAT, "alpha");
    refused((struct made[]){down, up, {"mid_block.attentions.0.proj_in.lora.up.weight", 2, {64, 2}, 1}}, 3, NULL, ERROR_FORMAT, "twice");
    refused((struct made[]){down, up}, 2, "nonsense", ERROR_FORMAT, "lora_adapter_metadata");
    refused((struct made[]){down, up}, 2, "{\\\"unet.use_dora\\\": true}", ERROR_UNSUPPORTED, "DoRA");
    refused((struct made[]){{"base_model.model.mid_block.attentions.0.proj_in.lora_A.weight", 2, {2, 64}, 1},
                            {"base_model.model.mid_block.attentions.0.proj_in.lora_B.weight", 2, {64, 2}, 1}},
            2, NULL, ERROR_NOT_FOUND, "adapter_config.json");
}

/* ==== Merging ==== */

static struct weights *open_unet(void) {
    struct weights *weights;
    struct error error;
    if (!weights_open_folder(UNET, "diffusion_pytorch_model", &weights, &error)) fail_msg("%s", error.message);
    return weights;
}

static float first_of(const struct weights *weights, const char *name) {
    float value;
    tensor_read_f32(weights_find(weights, name), 0, 1, &value);
    return value;
}

/* By how much the first weight of mid_block.attentions.0.proj_in grows; the report of the merge. */
static float growth(const struct made *tensors, size_t count, const char *metadata, double weight, struct lora_report *report,
                    char first[128]) {
    static const char layer[] = "mid_block.attentions.0.proj_in.weight";
    char path[64];
    int file = make_file(tensors, count, metadata, path);
    struct lora *lora;
    struct error error;
    struct weights *weights = open_unet();
    float before = first_of(weights, layer);
    if (!lora_open(path, &lora, &error) || !lora_merge(lora, WEIGHTS_UNET, weights, weight, NULL, &error)) fail_msg("%s", error.message);
    float after = first_of(weights, layer);
    lora_report(lora, report);
    snprintf(first, 128, "%s", report->first_left ? report->first_left : "");
    lora_close(lora);
    weights_close(weights);
    close(file);
    return after - before;
}

static void alpha_rank_and_weight_count(void **state) {
    (void)state;
    const struct made down = {LAYER ".lora_down.weight", 2, {2, 64}, 0.5f}, up = {LAYER ".lora_up.weight", 2, {64, 2}, 0.25f};
    struct lora_report report;
    char first[128];
    struct {
        const char *metadata;
        float alpha, weight, expected; /* alpha -1: none */
    } cases[] = {
        {NULL, -1, 1, 0.25f},
        {NULL, -1, -0.5f, -0.125f},
        {NULL, 1, 1, 0.125f},
        {NULL, 0, 1, 0},
        {NULL, -4, 1, -0.5f},
        {"{\\\"unet.lora_alpha\\\": 8}", -1, 1, 1},
        {"{\\\"unet.lora_alpha\\\": 8, \\\"unet.alpha_pattern\\\": {\\\"attentions.0.proj_in\\\": 1}}", -1, 1, 0.125f},
        {"{\\\"unet.lora_alpha\\\": 8, \\\"unet.alpha_pattern\\\": {\\\"roj_in\\\": 1}}", -1, 1, 1},
        {"{\\\"unet.lora_alpha\\\": 8, \\\"unet.use_rslora\\\": true}", -1, 1, 1.41421356f},
        {"{\\\"text_encoder.lora_alpha\\\": 8}", -1, 1, 0.25f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct made all[] = {down, up, {LAYER ".alpha", 0, {0}, cases[i].alpha}};
        float got = growth(all, cases[i].alpha == -1 ? 2 : 3, cases[i].metadata, (double)cases[i].weight, &report, first);
        if (fabsf(got - cases[i].expected) > 1e-6f) fail_msg("case %zu: %g, not %g", i, (double)got, (double)cases[i].expected);
        assert_int_equal(report.merged, 1);
        assert_int_equal(report.left, 0);
    }
    /* What is not known is counted and named. */
    const struct made strange[] = {down,
                                   up,
                                   {"lora_unet_nowhere.lora_down.weight", 2, {2, 4}, 1},
                                   {"lora_unet_nowhere.lora_up.weight", 2, {4, 2}, 1},
                                   {"odd", 1, {1}, 1}};
    assert_true(fabsf(growth(strange, 5, NULL, 1, &report, first) - 0.25f) < 1e-6f);
    assert_int_equal(report.merged, 1);
    assert_int_equal(report.left, 2);
    assert_string_equal(first, "odd");
}

static void other_models_layers_are_refused(void **state) {
    (void)state;
    static const struct {
        struct made down, up;
        const char *part;
    } cases[] = {
        {{"unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight", 2, {2, 1024}, 1},
         {"unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.lora_B.weight", 2, {64, 2}, 1},
         "Stable Diffusion 2"},
        {{"unet.mid_block.attentions.0.proj_in.lora_A.weight", 2, {2, 640}, 1},
         {"unet.mid_block.attentions.0.proj_in.lora_B.weight", 2, {640, 2}, 1},
         "made for another model"},
        {{"unet.conv_in.lora_A.weight", 4, {2, 9, 9, 1}, 1}, {"unet.conv_in.lora_B.weight", 4, {31, 2, 1, 1}, 1}, "made for another model"},
        {{"unet.conv_in.lora_A.weight", 4, {2, 1, 9, 9}, 1}, {"unet.conv_in.lora_B.weight", 4, {32, 2, 1, 1}, 1}, "made for another model"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[64];
        int file = make_file((struct made[]){cases[i].down, cases[i].up}, 2, NULL, path);
        struct lora *lora;
        struct error error = {0};
        struct weights *weights = open_unet();
        if (!lora_open(path, &lora, &error)) fail_msg("%s", error.message);
        assert_false(lora_merge(lora, WEIGHTS_UNET, weights, 1, NULL, &error));
        assert_int_equal(error.code, ERROR_UNSUPPORTED);
        if (!strstr(error.message, cases[i].part)) fail_msg("%s", error.message);
        lora_close(lora);
        weights_close(weights);
        close(file);
    }
}

static void threads_change_nothing(void **state) {
    (void)state;
    struct weights *weights[2];
    struct error error;
    for (int i = 0; i < 2; i++) {
        struct pool *pool = i ? pool_create(3, &error) : NULL;
        struct lora *lora;
        weights[i] = open_unet();
        if (!lora_open(LORA "kohya.safetensors", &lora, &error) || !lora_merge(lora, WEIGHTS_UNET, weights[i], 0.3, pool, &error))
            fail_msg("%s", error.message);
        lora_close(lora);
        pool_free(pool);
    }
    for (size_t i = 0; i < weights_count(weights[0]); i++) {
        const struct tensor *a = weights_at(weights[0], i, NULL), *b = weights_at(weights[1], i, NULL);
        assert_int_equal(a->dtype, b->dtype);
        assert_memory_equal(a->data, b->data, tensor_count(a) * dtype_size(a->dtype));
    }
    weights_close(weights[0]);
    weights_close(weights[1]);
}

/* ==== Damage ==== */

static void survive(const char *bytes, size_t size) {
    char path[64];
    int file = memfd_create("lora", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    assert_int_equal(write(file, bytes, size), size);
    struct lora *lora;
    struct error error = {0};
    if (lora_open(path, &lora, &error))
        lora_close(lora);
    else
        assert_true(error.message[0] != 0);
    close(file);
}

static void changed_bytes_are_survived(void **state) {
    (void)state;
    char *bytes;
    size_t size, header;
    struct error error;
    assert_true(file_read(LORA "processors.safetensors", 1 << 20, &bytes, &size, &error));
    header = (unsigned char)bytes[0] | (size_t)(unsigned char)bytes[1] << 8;
    assert_true(header > 1000 && header < size);
    for (size_t length = 1; length < header; length += 37) survive(bytes, length);
    for (size_t i = 0; i < 4000; i++) {
        char kept = bytes[i];
        for (int bit = 0; bit < 8; bit += 3) {
            bytes[i] = (char)(kept ^ 1 << bit);
            survive(bytes, size);
        }
        bytes[i] = kept;
    }
    memory_free(bytes);
}

static void every_failing_allocation_is_survived(void **state) {
    (void)state;
    bool done = false;
    for (size_t n = 1; !done; n += n < 20 ? 1 : 53) {
        struct weights *weights = open_unet();
        struct lora *lora = NULL;
        struct error error = {0};
        memory_fail_at(n, 0);
        done = lora_open(LORA "metadata.safetensors", &lora, &error) && lora_merge(lora, WEIGHTS_UNET, weights, 1, NULL, &error);
        memory_fail_at(0, 0);
        if (!done) assert_int_equal(error.code, ERROR_MEMORY);
        lora_close(lora);
        weights_close(weights);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_every_kind_are_one),     cmocka_unit_test(what_is_no_plain_lora_is_told_apart),
        cmocka_unit_test(broken_layers_are_refused),       cmocka_unit_test(alpha_rank_and_weight_count),
        cmocka_unit_test(other_models_layers_are_refused), cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(changed_bytes_are_survived),      cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
