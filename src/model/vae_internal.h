/* What the autoencoders' files share. */
#ifndef MODEL_VAE_INTERNAL_H
#define MODEL_VAE_INTERNAL_H

#include "model/config.h"
#include "model/layers.h"
#include "model/vae.h"

enum {
    VAE_BLOCKS = 4,         /* resolutions: three halvings make the factor of 8 */
    VAE_PER_BLOCK_MAX = 16, /* residual blocks of one of them */
    VAE_LATENT = 4,
    VAE_COLOURS = 3,
    VAE_CHANNELS_MAX = 4096
};

struct vae_config {
    bool tiny;
    double scaling_factor;
    /* AutoencoderKL; from the finest resolution */
    size_t channels[VAE_BLOCKS], per_block, groups;
    bool attention; /* in the middle */
    bool quant_conv, post_quant_conv;
    /* AutoencoderTiny; each in the order of its own layers */
    size_t encoder_channels[VAE_BLOCKS], encoder_blocks[VAE_BLOCKS];
    size_t decoder_channels[VAE_BLOCKS], decoder_blocks[VAE_BLOCKS];
};
bool vae_config_read(const json_t *root, struct vae_config *config, struct error *error);

/* image [1, 8 h, 8 w, 3] -> [1, h, w, 8], means then log-variances (Tiny: [1, h, w, 4], the latent) */
struct value vae_kl_encode(struct network *network, const struct vae_config *config, struct value image);
struct value vae_tiny_encode(struct network *network, const struct vae_config *config, struct value image);
/* latent [1, h, w, 4] -> image [1, 8 h, 8 w, 3] */
struct value vae_kl_decode(struct network *network, const struct vae_config *config, struct value latent);
struct value vae_tiny_decode(struct network *network, const struct vae_config *config, struct value latent);

#endif
