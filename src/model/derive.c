#include "model/derive.h"

#include <stdarg.h>
#include <stdio.h>

enum { BLOCKS_MAX = 8, COUNT_MAX = 100, NAME_SIZE = 128, CLIP_HEAD = 64, UNET_HEADS = 8 };

/* The size of a tensor's dimension; 0 when there is no such tensor or dimension. */
__attribute__((format(printf, 3, 4))) static size_t size_of(const struct weights *weights, int dimension, const char *format, ...) {
    char name[NAME_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    const struct tensor *tensor = weights_find(weights, name);
    return tensor && dimension < tensor->rank ? tensor->shape[dimension] : 0;
}

static json_t *number(size_t value) { return json_integer((json_int_t)value); }

static json_t *finish(json_t *config, struct error *error) {
    if (!config) error_set(error, ERROR_MEMORY, "out of memory to derive a config");
    return config;
}

/* ==== UNet ==== */

static const char *const sides[] = {"down", "up"};

/* The types of `count` blocks of one side: with attention where there is some. */
static json_t *unet_block_types(const struct weights *weights, int side, size_t count) {
    static const char *const types[2][2] = {{"DownBlock2D", "CrossAttnDownBlock2D"}, {"UpBlock2D", "CrossAttnUpBlock2D"}};
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        bool attends = size_of(weights, 0, "%s_blocks.%zu.attentions.0.norm.weight", sides[side], i) != 0;
        json_array_append_new(list, json_string(types[side][attends]));
    }
    return list;
}

json_t *derive_unet_config(const struct weights *weights, struct error *error) {
    size_t per_block = 0, depth = 0, blocks = 0;
    json_t *channels = json_array(), *heads = json_array();
    static const char attention[] = "mid_block.attentions.0";
    bool linear = !size_of(weights, 2, "%s.proj_in.weight", attention);
    for (; blocks < BLOCKS_MAX; blocks++) {
        size_t c = size_of(weights, 0, "down_blocks.%zu.resnets.0.conv1.weight", blocks);
        if (!c) break;
        json_array_append_new(channels, number(c));
        /* Version 1 has 8 heads everywhere; version 2 heads of 64. */
        json_array_append_new(heads, number(linear && c >= CLIP_HEAD ? c / CLIP_HEAD : UNET_HEADS));
    }
    while (per_block < COUNT_MAX && size_of(weights, 0, "down_blocks.0.resnets.%zu.conv1.weight", per_block)) per_block++;
    while (depth < COUNT_MAX && size_of(weights, 0, "%s.transformer_blocks.%zu.norm1.weight", attention, depth)) depth++;
    return finish(json_pack("{ss so so so so so so so so sb}", "_class_name", "UNet2DConditionModel", "block_out_channels", channels,
                            "attention_head_dim", heads, "down_block_types", unet_block_types(weights, 0, blocks), "up_block_types",
                            unet_block_types(weights, 1, blocks), "layers_per_block", number(per_block), "transformer_layers_per_block",
                            number(depth), "in_channels", number(size_of(weights, 1, "conv_in.weight")), "cross_attention_dim",
                            number(size_of(weights, 1, "%s.transformer_blocks.0.attn2.to_k.weight", attention)), "use_linear_projection",
                            linear),
                  error);
}

/* ==== Autoencoder ==== */

json_t *derive_vae_config(const struct weights *weights, struct error *error) {
    size_t per_block = 0, blocks = 0;
    json_t *channels = json_array(), *down = json_array(), *up = json_array();
    for (; blocks < BLOCKS_MAX; blocks++) {
        size_t c = size_of(weights, 0, "encoder.down_blocks.%zu.resnets.0.conv1.weight", blocks);
        if (!c) break;
        json_array_append_new(channels, number(c));
        json_array_append_new(down, json_string("DownEncoderBlock2D"));
        json_array_append_new(up, json_string("UpDecoderBlock2D"));
    }
    while (per_block < COUNT_MAX && size_of(weights, 0, "encoder.down_blocks.0.resnets.%zu.conv1.weight", per_block)) per_block++;
    return finish(json_pack("{ss so so so so sb sb}", "_class_name", "AutoencoderKL", "block_out_channels", channels, "down_block_types",
                            down, "up_block_types", up, "layers_per_block", number(per_block), "use_quant_conv",
                            size_of(weights, 0, "quant_conv.weight") != 0, "use_post_quant_conv",
                            size_of(weights, 0, "post_quant_conv.weight") != 0),
                  error);
}

/* An AutoencoderTiny numbers its layers through: a convolution, an activation, then at each resolution
 * blocks, and between two of them an enlargement and a convolution. */
json_t *derive_tiny_vae_config(const struct weights *weights, struct error *error) {
    enum { RESOLUTIONS = 4 };
    size_t layer = 2, c = size_of(weights, 0, "decoder.layers.0.weight");
    json_t *channels = json_array(), *blocks = json_array();
    for (size_t i = 0; i < RESOLUTIONS; i++, layer += 2) {
        size_t count = 0;
        for (; count < COUNT_MAX && size_of(weights, 0, "decoder.layers.%zu.conv.0.weight", layer); layer++) count++;
        json_array_append_new(channels, number(c));
        json_array_append_new(blocks, number(count));
    }
    /* The encoder is not there, or not used: any layout will do. */
    return finish(json_pack("{ss sO sO so so}", "_class_name", "AutoencoderTiny", "encoder_block_out_channels", channels,
                            "num_encoder_blocks", blocks, "decoder_block_out_channels", channels, "num_decoder_blocks", blocks),
                  error);
}

/* ==== Text encoder ==== */

json_t *derive_text_encoder_config(const struct weights *weights, struct error *error) {
    const char *prefix = size_of(weights, 0, "text_model.embeddings.token_embedding.weight") ? "text_model." : "";
    size_t width = size_of(weights, 1, "%sembeddings.token_embedding.weight", prefix), layers = 0;
    while (layers < COUNT_MAX && size_of(weights, 0, "%sencoder.layers.%zu.mlp.fc1.weight", prefix, layers)) layers++;
    return finish(json_pack("{ss so so so so so so}", "hidden_act", weights_has_open_clip(weights) ? "gelu" : "quick_gelu", "hidden_size",
                            number(width), "num_attention_heads", number(width > CLIP_HEAD ? width / CLIP_HEAD : 1), "num_hidden_layers",
                            number(layers), "intermediate_size", number(size_of(weights, 0, "%sencoder.layers.0.mlp.fc1.weight", prefix)),
                            "vocab_size", number(size_of(weights, 0, "%sembeddings.token_embedding.weight", prefix)),
                            "max_position_embeddings", number(size_of(weights, 0, "%sembeddings.position_embedding.weight", prefix))),
                  error);
}
