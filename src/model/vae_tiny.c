/* AutoencoderTiny, as TAESD by Ollin Boer Bohan: convolutions and ReLU, no norms, no attention, and
 * no posterior. Its layers are numbered through, those without weights included. */
#include "model/vae_internal.h"

/* Above this the decoder's input is squeezed softly. */
static const float MAGNITUDE = 3;

/* NAME.weight [out, in, 3, 3]; NAME.bias [out] where there is one. */
struct tiny_conv {
    size_t in, out, stride;
    bool bias, wide;
    size_t upsample_h, upsample_w;
    struct value residual;
    enum activation act;
};
static struct value conv(struct network *network, struct value x, const struct tiny_conv *conv, const char *name) {
    return plan_conv(network->plan, &(struct conv){.x = x,
                                                   .weight = weight(network, SHAPE(conv->out, conv->in, 3, 3), "%s.weight", name),
                                                   .bias = conv->bias ? weight(network, SHAPE(conv->out), "%s.bias", name) : NULL,
                                                   .residual = conv->residual,
                                                   .stride = (int)conv->stride,
                                                   .pad_top = 1,
                                                   .pad_left = 1,
                                                   .pad_bottom = 1,
                                                   .pad_right = 1,
                                                   .upsample_h = conv->upsample_h,
                                                   .upsample_w = conv->upsample_w,
                                                   .act = conv->act,
                                                   .wide = conv->wide});
}

/* relu(conv(relu(conv(relu(conv(x))))) + x) */
static struct value block(struct network *network, struct value x, size_t c, const char *layer) {
    struct value h = conv(network, x, &(struct tiny_conv){.in = c, .out = c, .bias = true, .act = ACT_RELU}, NAME("%s.conv.0", layer));
    h = conv(network, h, &(struct tiny_conv){.in = c, .out = c, .bias = true, .act = ACT_RELU}, NAME("%s.conv.2", layer));
    return conv(network, h, &(struct tiny_conv){.in = c, .out = c, .bias = true, .residual = x, .act = ACT_RELU, .wide = true},
                NAME("%s.conv.4", layer));
}

struct value vae_tiny_encode(struct network *network, const struct vae_config *config, struct value image) {
    size_t c = config->encoder_channels[0], layer = 0;
    struct value x = plan_map(network->plan, image, MAP_SCALE_SHIFT, 0.5f, 0.5f, true); /* to [0, 1] */
    for (size_t i = 0; i < VAE_BLOCKS; i++) {
        struct tiny_conv first = {.in = i ? c : VAE_COLOURS, .out = c, .stride = i ? 2 : 1, .bias = i == 0, .wide = true};
        x = conv(network, x, &first, NAME("encoder.layers.%zu", layer++));
        for (size_t j = 0; j < config->encoder_blocks[i]; j++) x = block(network, x, c, NAME("encoder.layers.%zu", layer++));
    }
    return conv(network, x, &(struct tiny_conv){.in = c, .out = VAE_LATENT, .bias = true, .wide = true}, NAME("encoder.layers.%zu", layer));
}

struct value vae_tiny_decode(struct network *network, const struct vae_config *config, struct value latent) {
    size_t c = config->decoder_channels[0], shape[4];
    struct value x = plan_map(network->plan, latent, MAP_SOFT_CLAMP, MAGNITUDE, 0, true);
    x = conv(network, x, &(struct tiny_conv){.in = VAE_LATENT, .out = c, .bias = true, .act = ACT_RELU, .wide = true}, "decoder.layers.0");
    size_t layer = 2; /* 1 is the ReLU */
    for (size_t i = 0; i < VAE_BLOCKS; i++) {
        for (size_t j = 0; j < config->decoder_blocks[i]; j++) x = block(network, x, c, NAME("decoder.layers.%zu", layer++));
        if (i + 1 == VAE_BLOCKS) break;
        layer++; /* the enlargement */
        plan_shape(network->plan, x, shape);
        struct tiny_conv enlarging = {.in = c, .out = c, .upsample_h = 2 * shape[1], .upsample_w = 2 * shape[2], .wide = true};
        x = conv(network, x, &enlarging, NAME("decoder.layers.%zu", layer++));
    }
    x = conv(network, x, &(struct tiny_conv){.in = c, .out = VAE_COLOURS, .bias = true, .wide = true}, NAME("decoder.layers.%zu", layer));
    return plan_map(network->plan, x, MAP_SCALE_SHIFT, 2, -1, true); /* back to [-1, 1] */
}
