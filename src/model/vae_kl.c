/* AutoencoderKL: the convolutional autoencoder of Rombach et al. 2022, with the posterior of Kingma
 * and Welling 2013. */
#include "model/vae_internal.h"

static const float EPSILON = 1e-6f;

/* ==== The middle: residual block, attention, residual block ==== */

/* Old files call the projections query, key, value and proj_attn and may store them as 1x1
 * convolutions. The part to read is the first of these names that exists. */
static const char *part_name(const struct network *network, const char *attention, const char *newer, const char *older) {
    return weights_find(network->weights, NAME("%s.%s.weight", attention, newer)) ? newer : older;
}

static const struct tensor *part_weight(struct network *network, size_t c, const char *attention, const char *part) {
    const struct tensor *found = weights_find(network->weights, NAME("%s.%s.weight", attention, part));
    return weight(network, found && found->rank == 4 ? SHAPE(c, c, 1, 1) : SHAPE(c, c), "%s.%s.weight", attention, part);
}

/* One head as wide as the stream. */
static struct value attention(struct network *network, const struct vae_config *config, struct value x, size_t c, const char *name) {
    size_t shape[4];
    plan_shape(network->plan, x, shape);
    const char *q = part_name(network, name, "to_q", "query"), *k = part_name(network, name, "to_k", "key");
    const char *v = part_name(network, name, "to_v", "value"), *out = part_name(network, name, "to_out.0", "proj_attn");
    struct value h =
        group_norm(network, x, VALUE_NONE, &(struct norm){c, config->groups, EPSILON, .silu = false}, NAME("%s.group_norm", name));
    struct value qkv =
        plan_linear(network->plan, &(struct linear){.x = plan_tokens(network->plan, h),
                                                    .weight = {part_weight(network, c, name, q), /* [c, c] each */
                                                               part_weight(network, c, name, k), part_weight(network, c, name, v)},
                                                    .bias = {weight(network, SHAPE(c), "%s.%s.bias", name, q),
                                                             weight(network, SHAPE(c), "%s.%s.bias", name, k),
                                                             weight(network, SHAPE(c), "%s.%s.bias", name, v)}});
    h = plan_attention(network->plan, &(struct attention){.q = plan_channels(network->plan, qkv, 0, c),
                                                          .k = plan_channels(network->plan, qkv, c, c),
                                                          .v = plan_channels(network->plan, qkv, 2 * c, c),
                                                          .heads = 1});
    h = plan_linear(network->plan, &(struct linear){.x = h,
                                                    .weight = {part_weight(network, c, name, out)}, /* [c, c] */
                                                    .bias = {weight(network, SHAPE(c), "%s.%s.bias", name, out)},
                                                    .residual = plan_tokens(network->plan, x),
                                                    .wide = true});
    return plan_picture(network->plan, h, shape[1], shape[2]);
}

static struct value block(struct network *network, const struct vae_config *config, struct value x, size_t in, size_t out,
                          const char *name) {
    return resnet_block(network, x, VALUE_NONE, &(struct resnet){in, 0, out, config->groups, EPSILON, VALUE_NONE}, name);
}

static struct value middle(struct network *network, const struct vae_config *config, struct value x, size_t c, const char *side) {
    x = block(network, config, x, c, c, NAME("%s.mid_block.resnets.0", side));
    if (config->attention) x = attention(network, config, x, c, NAME("%s.mid_block.attentions.0", side));
    return block(network, config, x, c, c, NAME("%s.mid_block.resnets.1", side));
}

/* ==== Both ways ==== */

static struct value last_convolution(struct network *network, const struct vae_config *config, struct value x, size_t in, size_t channels,
                                     const char *side) {
    x = group_norm(network, x, VALUE_NONE, &(struct norm){in, config->groups, EPSILON, .silu = true}, NAME("%s.conv_norm_out", side));
    return same_conv(network, x, in, channels, 3, true, NAME("%s.conv_out", side));
}

struct value vae_kl_encode(struct network *network, const struct vae_config *config, struct value image) {
    size_t c = config->channels[0], moments = 2 * VAE_LATENT;
    struct value x = same_conv(network, image, VAE_COLOURS, c, 3, true, "encoder.conv_in");
    for (size_t i = 0; i < VAE_BLOCKS; i++) {
        for (size_t j = 0; j < config->per_block; j++) {
            x = block(network, config, x, c, config->channels[i], NAME("encoder.down_blocks.%zu.resnets.%zu", i, j));
            c = config->channels[i];
        }
        if (i + 1 < VAE_BLOCKS) x = halving_conv(network, x, c, c, 0, NAME("encoder.down_blocks.%zu.downsamplers.0.conv", i));
    }
    x = middle(network, config, x, c, "encoder");
    x = last_convolution(network, config, x, c, moments, "encoder");
    return config->quant_conv ? same_conv(network, x, moments, moments, 1, true, "quant_conv") : x;
}

struct value vae_kl_decode(struct network *network, const struct vae_config *config, struct value latent) {
    size_t c = config->channels[VAE_BLOCKS - 1], shape[4];
    struct value x = latent;
    if (config->post_quant_conv) x = same_conv(network, x, VAE_LATENT, VAE_LATENT, 1, true, "post_quant_conv");
    x = same_conv(network, x, VAE_LATENT, c, 3, true, "decoder.conv_in");
    x = middle(network, config, x, c, "decoder");
    for (size_t i = 0; i < VAE_BLOCKS; i++) {
        size_t channels = config->channels[VAE_BLOCKS - 1 - i];
        for (size_t j = 0; j < config->per_block + 1; j++) {
            x = block(network, config, x, c, channels, NAME("decoder.up_blocks.%zu.resnets.%zu", i, j));
            c = channels;
        }
        plan_shape(network->plan, x, shape);
        if (i + 1 < VAE_BLOCKS)
            x = enlarging_conv(network, x, 2 * shape[1], 2 * shape[2], c, c, NAME("decoder.up_blocks.%zu.upsamplers.0.conv", i));
    }
    return last_convolution(network, config, x, c, VAE_COLOURS, "decoder");
}
