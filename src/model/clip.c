#include "model/clip.h"

#include <string.h>

enum { WIDTH_MAX = 8192, INNER_MAX = 65536, LAYERS_MAX = 96, HEADS_MAX = 128 };

static bool read_activation(const json_t *root, enum activation *act, struct error *error) {
    const char *name = json_string_value(json_object_get(root, "hidden_act"));
    char quoted[CONFIG_QUOTE_SIZE];
    if (!name || strcmp(name, "quick_gelu") == 0)
        *act = ACT_QUICK_GELU;
    else if (strcmp(name, "gelu") == 0)
        *act = ACT_GELU;
    else
        return error_set(error, ERROR_UNSUPPORTED, "hidden_act \"%s\": only quick_gelu and gelu are known", config_quote(name, quoted));
    return true;
}

bool clip_config(const json_t *root, struct clip *clip, struct error *error) {
    *clip = (struct clip){.epsilon = 1e-5};
    if (!config_size(root, "hidden_size", 1, WIDTH_MAX, &clip->width, error) ||
        !config_size(root, "intermediate_size", 1, INNER_MAX, &clip->inner, error) ||
        !config_size(root, "num_hidden_layers", 1, LAYERS_MAX, &clip->layers, error) ||
        !config_size(root, "num_attention_heads", 1, HEADS_MAX, &clip->heads, error) ||
        !config_number(root, "layer_norm_eps", 1e-12, 0.1, &clip->epsilon, error) || !read_activation(root, &clip->act, error))
        return false;
    if (clip->width % clip->heads != 0)
        return error_set(error, ERROR_FORMAT, "hidden_size %zu can't be shared by %zu heads", clip->width, clip->heads);
    return true;
}

static struct value self_attention(struct network *network, struct value x, struct value residual, const struct clip *clip, size_t layer) {
    size_t c = clip->width;
    struct value qkv = plan_linear(
        network->plan, &(struct linear){.x = x,
                                        .weight = {weight(network, SHAPE(c, c), "encoder.layers.%zu.self_attn.q_proj.weight", layer),
                                                   weight(network, SHAPE(c, c), "encoder.layers.%zu.self_attn.k_proj.weight", layer),
                                                   weight(network, SHAPE(c, c), "encoder.layers.%zu.self_attn.v_proj.weight", layer)},
                                        .bias = {weight(network, SHAPE(c), "encoder.layers.%zu.self_attn.q_proj.bias", layer),
                                                 weight(network, SHAPE(c), "encoder.layers.%zu.self_attn.k_proj.bias", layer),
                                                 weight(network, SHAPE(c), "encoder.layers.%zu.self_attn.v_proj.bias", layer)}});
    struct value heads = plan_attention(network->plan, &(struct attention){.q = plan_channels(network->plan, qkv, 0, c),
                                                                           .k = plan_channels(network->plan, qkv, c, c),
                                                                           .v = plan_channels(network->plan, qkv, 2 * c, c),
                                                                           .heads = clip->heads,
                                                                           .causal = clip->causal});
    return dense(network, heads, c, c, residual, ACT_NONE, true, NAME("encoder.layers.%zu.self_attn.out_proj", layer));
}

static struct value feed_forward(struct network *network, struct value x, struct value residual, const struct clip *clip, size_t layer) {
    x = dense(network, x, clip->width, clip->inner, VALUE_NONE, clip->act, false, NAME("encoder.layers.%zu.mlp.fc1", layer));
    return dense(network, x, clip->inner, clip->width, residual, ACT_NONE, true, NAME("encoder.layers.%zu.mlp.fc2", layer));
}

struct value clip_layers(struct network *network, struct value x, const struct clip *clip) {
    for (size_t layer = 0; layer < clip->layers; layer++) {
        x = self_attention(network,
                           layer_norm(network, x, clip->width, clip->epsilon, false, NAME("encoder.layers.%zu.layer_norm1", layer)), x,
                           clip, layer);
        x = feed_forward(network, layer_norm(network, x, clip->width, clip->epsilon, false, NAME("encoder.layers.%zu.layer_norm2", layer)),
                         x, clip, layer);
    }
    return x;
}
