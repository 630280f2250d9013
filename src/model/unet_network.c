/* The UNet of Rombach et al. 2022 (after Ronneberger et al. 2015): record it into a plan.
 *
 * What does not change from step to step is in sections of its own: the text's keys and values, the
 * time embeddings, and the part of the first convolution that looks at the mask. In the step itself
 * both halves of guidance are one computation up to the first cross-attention, which is where they
 * begin to differ: it takes `samples` and gives `results`. */
#include "model/unet_internal.h"

static const double LAYER_NORM_EPSILON = 1e-5;
static const float TRANSFORMER_NORM_EPSILON = 1e-6f;

/* ==== Once per prompt ==== */

void unet_record_context(struct network *network, const struct unet *unet, struct value context, struct unet_layer_values *values) {
    size_t width = unet->config.context_width;
    for (size_t i = 0; i < unet->layer_count; i++) {
        const struct unet_layer *layer = &unet->layers[i];
        for (size_t j = 0; layer->part == UNET_TRANSFORMER && j < layer->depth; j++) {
            const char *format = "%s.transformer_blocks.%zu.attn2.%s.weight";
            values[i].keys_values[j] =
                plan_linear(network->plan,
                            &(struct linear){.x = context,
                                             .weight = {weight(network, SHAPE(layer->out, width), format, layer->name.text, j, "to_k"),
                                                        weight(network, SHAPE(layer->out, width), format, layer->name.text, j, "to_v")}});
        }
    }
}

/* ==== Once per schedule ==== */

void unet_record_times(struct network *network, const struct unet *unet, struct value timesteps, struct unet_layer_values *values) {
    const struct unet_config *config = &unet->config;
    size_t c = config->channels[0], t = config->time_width;
    struct value time = plan_timestep_embed(network->plan, timesteps, c, config->flip, (float)config->shift);
    time = dense(network, time, c, t, VALUE_NONE, ACT_SILU, true, "time_embedding.linear_1");
    /* Every residual block begins with a SiLU of the embedding: done here, once. */
    time = dense(network, time, t, t, VALUE_NONE, ACT_SILU, true, "time_embedding.linear_2");
    for (size_t i = 0; i < unet->layer_count; i++) {
        const struct unet_layer *layer = &unet->layers[i];
        if (layer->part != UNET_RESNET) continue;
        values[i].times = dense(network, time, t, layer->out, VALUE_NONE, ACT_NONE, true, NAME("%s.time_emb_proj", layer->name.text));
        values[i].time = plan_input(network->plan, 1, 1, 1, layer->out);
        plan_keep(network->plan, values[i].times);
    }
}

/* ==== Once per picture, and the first convolution ==== */

/* conv_in sees [latent, mask, masked latent]; `first` is the first of these channels that x has. */
static struct value conv_in(struct network *network, const struct unet *unet, struct value x, size_t first, const struct tensor *bias,
                            struct value residual) {
    size_t c = unet->config.channels[0];
    return plan_conv(network->plan, &(struct conv){.x = x,
                                                   .weight = weight(network, SHAPE(c, UNET_IN, 3, 3), "conv_in.weight"),
                                                   .weight_first = first,
                                                   .bias = bias,
                                                   .residual = residual,
                                                   .pad_top = 1,
                                                   .pad_left = 1,
                                                   .pad_bottom = 1,
                                                   .pad_right = 1,
                                                   .wide = true});
}

struct value unet_record_condition(struct network *network, const struct unet *unet, struct value masked) {
    const struct tensor *bias = weight(network, SHAPE(unet->config.channels[0]), "conv_in.bias");
    return conv_in(network, unet, masked, UNET_LATENT, bias, VALUE_NONE);
}

/* ==== Once per step: transformers ==== */

/* softmax(q k^T) v of the tokens among themselves, added to the stream x. */
static struct value self_attention(struct network *network, struct value x, const struct unet_layer *layer, const char *block) {
    size_t c = layer->out;
    struct value qkv =
        plan_linear(network->plan, &(struct linear){.x = layer_norm(network, x, c, LAYER_NORM_EPSILON, false, NAME("%s.norm1", block)),
                                                    .weight = {weight(network, SHAPE(c, c), "%s.attn1.to_q.weight", block),
                                                               weight(network, SHAPE(c, c), "%s.attn1.to_k.weight", block),
                                                               weight(network, SHAPE(c, c), "%s.attn1.to_v.weight", block)}});
    struct value heads = plan_attention(network->plan, &(struct attention){.q = plan_channels(network->plan, qkv, 0, c),
                                                                           .k = plan_channels(network->plan, qkv, c, c),
                                                                           .v = plan_channels(network->plan, qkv, 2 * c, c),
                                                                           .heads = layer->heads});
    return dense(network, heads, c, c, x, ACT_NONE, true, NAME("%s.attn1.to_out.0", block));
}

/* The tokens look at the text, whose keys and values are known; from here on there are `results`. */
static struct value cross_attention(struct network *network, struct value x, struct value keys_values, const struct unet_layer *layer,
                                    size_t results, const char *block) {
    size_t c = layer->out;
    struct value q =
        plan_linear(network->plan, &(struct linear){.x = layer_norm(network, x, c, LAYER_NORM_EPSILON, false, NAME("%s.norm2", block)),
                                                    .weight = {weight(network, SHAPE(c, c), "%s.attn2.to_q.weight", block)}});
    struct value heads = plan_attention(network->plan, &(struct attention){.q = q,
                                                                           .k = plan_channels(network->plan, keys_values, 0, c),
                                                                           .v = plan_channels(network->plan, keys_values, c, c),
                                                                           .samples = results,
                                                                           .heads = layer->heads});
    return dense(network, heads, c, c, x, ACT_NONE, true, NAME("%s.attn2.to_out.0", block));
}

static struct value feed_forward(struct network *network, struct value x, const struct unet_layer *layer, const char *block) {
    size_t c = layer->out, inner = 4 * c;
    struct value h =
        plan_linear(network->plan, &(struct linear){.x = layer_norm(network, x, c, LAYER_NORM_EPSILON, false, NAME("%s.norm3", block)),
                                                    .weight = {weight(network, SHAPE(2 * inner, c), "%s.ff.net.0.proj.weight", block)},
                                                    .bias = {weight(network, SHAPE(2 * inner), "%s.ff.net.0.proj.bias", block)},
                                                    .geglu = true});
    return dense(network, h, inner, c, x, ACT_NONE, true, NAME("%s.ff.net.2", block));
}

/* proj_in or proj_out: [c, c] or [c, c, 1, 1], the same product. */
static struct value projection(struct network *network, const struct unet *unet, struct value x, size_t c, struct value residual,
                               const char *layer, const char *name) {
    const size_t *shape = unet->config.linear_projection ? SHAPE(c, c) : SHAPE(c, c, 1, 1);
    return plan_linear(network->plan, &(struct linear){.x = x,
                                                       .weight = {weight(network, shape, "%s.%s.weight", layer, name)},
                                                       .bias = {weight(network, SHAPE(c), "%s.%s.bias", layer, name)},
                                                       .residual = residual,
                                                       .wide = true});
}

static struct value transformer(struct network *network, const struct unet *unet, struct value x, const struct unet_layer *layer,
                                const struct unet_layer_values *values, size_t results) {
    size_t c = layer->out, shape[4];
    plan_shape(network->plan, x, shape);
    struct value h = group_norm(network, x, VALUE_NONE, &(struct norm){c, unet->config.groups, TRANSFORMER_NORM_EPSILON, .silu = false},
                                NAME("%s.norm", layer->name.text));
    h = projection(network, unet, plan_tokens(network->plan, h), c, VALUE_NONE, layer->name.text, "proj_in");
    for (size_t j = 0; j < layer->depth; j++) {
        struct layer_name block = layer_name("%s.transformer_blocks.%zu", layer->name.text, j);
        h = self_attention(network, h, layer, block.text);
        h = cross_attention(network, h, values->keys_values[j], layer, results, block.text);
        h = feed_forward(network, h, layer, block.text);
    }
    h = projection(network, unet, h, c, plan_tokens(network->plan, x), layer->name.text, "proj_out");
    return plan_picture(network->plan, h, shape[1], shape[2]);
}

/* ==== Once per step: the whole ==== */

/* Twice the size, or what the next skip connection has: not every size can be halved evenly. */
static struct value upsample(struct network *network, struct value x, struct value next_skip, const struct unet_layer *layer) {
    size_t size[4];
    plan_shape(network->plan, next_skip, size);
    return enlarging_conv(network, x, size[1], size[2], layer->in, layer->out, NAME("%s.conv", layer->name.text));
}

static struct value record_layer(struct network *network, const struct unet *unet, size_t index, struct value x, struct value skip,
                                 size_t results, const struct unet_layer_values *values) {
    const struct unet_config *config = &unet->config;
    const struct unet_layer *layer = &unet->layers[index];
    switch (layer->part) {
    case UNET_RESNET: {
        struct resnet resnet = {layer->in, layer->skip, layer->out, config->groups, (float)config->epsilon, values[index].time};
        return resnet_block(network, x, layer->skip ? skip : VALUE_NONE, &resnet, layer->name.text);
    }
    case UNET_TRANSFORMER:
        return transformer(network, unet, x, layer, &values[index], results);
    case UNET_UPSAMPLE:
        return upsample(network, x, skip, layer);
    case UNET_DOWNSAMPLE:
        break;
    }
    return halving_conv(network, x, layer->in, layer->out, config->downsample_padding, NAME("%s.conv", layer->name.text));
}

struct value unet_record_step(struct network *network, const struct unet *unet, struct value latent, struct value condition, size_t results,
                              const struct unet_layer_values *values) {
    const struct unet_config *config = &unet->config;
    size_t kept = 1, c = config->channels[0];
    struct value x = conv_in(network, unet, latent, 0, NULL, condition);
    struct value skips[1 + UNET_LAYERS_MAX] = {x};
    for (size_t i = 0; i < unet->layer_count; i++) {
        const struct unet_layer *layer = &unet->layers[i];
        x = record_layer(network, unet, i, x, kept ? skips[kept - 1] : VALUE_NONE, results, values);
        if (layer->skip) kept--;
        if (layer->keeps) skips[kept++] = x;
    }
    x = group_norm(network, x, VALUE_NONE, &(struct norm){c, config->groups, (float)config->epsilon, .silu = true}, "conv_norm_out");
    return same_conv(network, x, c, UNET_LATENT, 3, true, "conv_out");
}
