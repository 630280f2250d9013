#include "model/vae_internal.h"

#include <string.h>

enum { GROUPS_MAX = 512 };

/* A list of exactly one number a resolution. */
static bool read_four(const json_t *root, const char *key, size_t minimum, size_t maximum, size_t *values, struct error *error) {
    size_t count, found[16];
    if (!config_list(root, key, minimum, maximum, 16, found, &count, error)) return false;
    if (count != VAE_BLOCKS)
        return error_set(error, ERROR_UNSUPPORTED, "%s has %zu entries; only %d, which scale by 8, are supported", key, count, VAE_BLOCKS);
    memcpy(values, found, VAE_BLOCKS * sizeof *values);
    return true;
}

static bool check_block_types(const json_t *root, const char *key, const char *known, struct error *error) {
    const json_t *list = json_object_get(root, key);
    if (!json_is_array(list) || json_array_size(list) != VAE_BLOCKS)
        return error_set(error, ERROR_FORMAT, "%s must be a list of %d names", key, VAE_BLOCKS);
    for (size_t i = 0; i < VAE_BLOCKS; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        char quoted[CONFIG_QUOTE_SIZE];
        if (!name || strcmp(name, known) != 0)
            return error_set(error, ERROR_UNSUPPORTED, "%s has a block \"%s\"; only %s is supported", key, config_quote(name, quoted),
                             known);
    }
    return true;
}

static bool read_kl(const json_t *root, struct vae_config *config, struct error *error) {
    static const struct config_fixed fixed[] = {
        {"act_fn", "\"silu\""},   {"in_channels", "3"},    {"out_channels", "3"}, {"latent_channels", "4"},
        {"latents_mean", "null"}, {"latents_std", "null"}, {"shift_factor", "0"},
    };
    config->per_block = 2;
    config->groups = 32;
    config->attention = config->quant_conv = config->post_quant_conv = true;
    if (!config_check_fixed(root, fixed, sizeof fixed / sizeof *fixed, error) ||
        !read_four(root, "block_out_channels", 1, VAE_CHANNELS_MAX, config->channels, error) ||
        !check_block_types(root, "down_block_types", "DownEncoderBlock2D", error) ||
        !check_block_types(root, "up_block_types", "UpDecoderBlock2D", error) ||
        !config_size(root, "layers_per_block", 1, VAE_PER_BLOCK_MAX, &config->per_block, error) ||
        !config_size(root, "norm_num_groups", 1, GROUPS_MAX, &config->groups, error) ||
        !config_bool(root, "mid_block_add_attention", &config->attention, error) ||
        !config_bool(root, "use_quant_conv", &config->quant_conv, error) ||
        !config_bool(root, "use_post_quant_conv", &config->post_quant_conv, error))
        return false;
    for (size_t i = 0; i < VAE_BLOCKS; i++)
        if (config->channels[i] % config->groups != 0)
            return error_set(error, ERROR_FORMAT, "%zu channels can't be shared by %zu groups (norm_num_groups)", config->channels[i],
                             config->groups);
    return true;
}

static bool read_tiny(const json_t *root, struct vae_config *config, struct error *error) {
    static const struct config_fixed fixed[] = {
        {"act_fn", "\"relu\""},   {"in_channels", "3"},           {"out_channels", "3"},
        {"latent_channels", "4"}, {"upsample_fn", "\"nearest\""}, {"upsampling_scaling_factor", "2"},
        {"shift_factor", "0"},
    };
    if (!config_check_fixed(root, fixed, sizeof fixed / sizeof *fixed, error) ||
        !read_four(root, "encoder_block_out_channels", 1, VAE_CHANNELS_MAX, config->encoder_channels, error) ||
        !read_four(root, "decoder_block_out_channels", 1, VAE_CHANNELS_MAX, config->decoder_channels, error) ||
        !read_four(root, "num_encoder_blocks", 0, VAE_PER_BLOCK_MAX, config->encoder_blocks, error) ||
        !read_four(root, "num_decoder_blocks", 0, VAE_PER_BLOCK_MAX, config->decoder_blocks, error))
        return false;
    /* The layers between two resolutions have as many channels on both sides. */
    for (size_t i = 1; i < VAE_BLOCKS; i++)
        if (config->encoder_channels[i] != config->encoder_channels[0] || config->decoder_channels[i] != config->decoder_channels[0])
            return error_set(error, ERROR_FORMAT, "the channels of an AutoencoderTiny can't change from block to block");
    return true;
}

bool vae_config_read(const json_t *root, struct vae_config *config, struct error *error) {
    memset(config, 0, sizeof *config);
    const char *class = json_string_value(json_object_get(root, "_class_name"));
    char quoted[CONFIG_QUOTE_SIZE];
    config->tiny = class && strcmp(class, "AutoencoderTiny") == 0;
    if (!config->tiny && (!class || strcmp(class, "AutoencoderKL") != 0))
        return error_set(error, ERROR_UNSUPPORTED, "an autoencoder \"%s\"; only AutoencoderKL and AutoencoderTiny are supported",
                         config_quote(class, quoted));
    config->scaling_factor = config->tiny ? 1 : 0.18215;
    return config_number(root, "scaling_factor", 1e-4, 1e4, &config->scaling_factor, error) &&
           (config->tiny ? read_tiny(root, config, error) : read_kl(root, config, error));
}
