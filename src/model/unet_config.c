/* unet/config.json -> struct unet_config -> the list of layers. */
#include "model/config.h"
#include "model/unet_internal.h"

#include <string.h>

enum { CHANNELS_MAX = 8192, HEADS_MAX = 256, CONTEXT_MAX = 8192, GROUPS_MAX = 1024, SAMPLE_SIZE_MAX = 4096 };

/* ==== Reading ==== */

/* What would change the computation and that no Stable Diffusion 1 or 2 checkpoint sets. */
static const struct config_fixed fixed[] = {
    {"_class_name", "\"UNet2DConditionModel\""},
    {"act_fn", "\"silu\""},
    {"addition_embed_type", "null"},
    {"attention_type", "\"default\""},
    {"center_input_sample", "false"},
    {"class_embed_type", "null"},
    {"class_embeddings_concat", "false"},
    {"conv_in_kernel", "3"},
    {"conv_out_kernel", "3"},
    {"cross_attention_norm", "null"},
    {"dual_cross_attention", "false"},
    {"encoder_hid_dim", "null"},
    {"encoder_hid_dim_type", "null"},
    {"mid_block_only_cross_attention", "false"},
    {"mid_block_scale_factor", "1"},
    {"mid_block_type", "\"UNetMidBlock2DCrossAttn\""},
    {"num_class_embeds", "null"},
    {"only_cross_attention", "false"},
    {"out_channels", "4"},
    {"resnet_out_scale_factor", "1"},
    {"resnet_skip_time_act", "false"},
    {"resnet_time_scale_shift", "\"default\""},
    {"reverse_transformer_layers_per_block", "null"},
    {"time_cond_proj_dim", "null"},
    {"time_embedding_act_fn", "null"},
    {"time_embedding_type", "\"positional\""},
    {"timestep_post_act", "null"},
};

static bool check_channels_in(const json_t *root, struct error *error) {
    size_t in = UNET_LATENT; /* diffusers' default */
    if (!config_size(root, "in_channels", 1, CHANNELS_MAX, &in, error)) return false;
    if (in == UNET_IN) return true;
    double width = json_number_value(json_object_get(root, "cross_attention_dim"));
    const char *version = width == 768 ? "Stable Diffusion 1 " : width == 1024 ? "Stable Diffusion 2 " : width == 2048 ? "SDXL " : "";
    if (in == UNET_LATENT)
        return error_set(error, ERROR_UNSUPPORTED,
                         "this %sUNet takes 4 channels, so it paints whole pictures and can't inpaint; get an inpainting checkpoint, "
                         "whose UNet takes 9, such as stable-diffusion-v1-5/stable-diffusion-inpainting",
                         version);
    return error_set(error, ERROR_UNSUPPORTED,
                     "this %sUNet takes %zu channels where inpainting needs 9; get an inpainting checkpoint, such as "
                     "stable-diffusion-v1-5/stable-diffusion-inpainting",
                     version, in);
}

/* Which blocks have attention: NAMECrossAttn... or plain. */
static bool read_block_types(const json_t *root, const char *key, const char *plain, const char *attending, size_t count, bool *attends,
                             struct error *error) {
    const json_t *list = json_object_get(root, key);
    if (!json_is_array(list) || json_array_size(list) != count)
        return error_set(error, ERROR_FORMAT, "%s must be a list of %zu names, one for each of block_out_channels", key, count);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        char quoted[CONFIG_QUOTE_SIZE];
        attends[i] = name && strcmp(name, attending) == 0;
        if (!attends[i] && (!name || strcmp(name, plain) != 0))
            return error_set(error, ERROR_UNSUPPORTED, "%s has a block \"%s\"; only %s and %s are supported", key,
                             config_quote(name, quoted), plain, attending);
    }
    return true;
}

static bool read_blocks(const json_t *root, struct unet_config *config, struct error *error) {
    size_t count;
    if (!config_list(root, "block_out_channels", 1, CHANNELS_MAX, UNET_BLOCKS_MAX, config->channels, &count, error)) return false;
    config->blocks = count;
    for (size_t i = 0; i < count; i++) {
        config->per_block[i] = 2;
        config->heads[i] = 8;
        config->depth[i] = 1;
    }
    /* attention_head_dim is the number of heads: a misnomer that the files have kept. */
    const json_t *heads = json_object_get(root, "num_attention_heads");
    const char *heads_key = heads && !json_is_null(heads) ? "num_attention_heads" : "attention_head_dim";
    return read_block_types(root, "down_block_types", "DownBlock2D", "CrossAttnDownBlock2D", count, config->attends_down, error) &&
           read_block_types(root, "up_block_types", "UpBlock2D", "CrossAttnUpBlock2D", count, config->attends_up, error) &&
           config_each(root, "layers_per_block", 1, UNET_PER_BLOCK_MAX, config->per_block, count, error) &&
           config_each(root, heads_key, 1, HEADS_MAX, config->heads, count, error) &&
           config_each(root, "transformer_layers_per_block", 1, UNET_DEPTH_MAX, config->depth, count, error);
}

static bool read_sizes(const json_t *root, struct unet_config *config, struct error *error) {
    size_t contexts[UNET_BLOCKS_MAX] = {0}, samples[2] = {64, 64};
    config->groups = 32;
    config->epsilon = 1e-5;
    config->flip = true;
    config->downsample_padding = 1;
    config->time_width = 4 * config->channels[0];
    bool list = json_is_array(json_object_get(root, "sample_size"));
    if (!config_each(root, "cross_attention_dim", 1, CONTEXT_MAX, contexts, config->blocks, error) ||
        !config_size(root, "norm_num_groups", 1, GROUPS_MAX, &config->groups, error) ||
        !config_number(root, "norm_eps", 1e-12, 0.1, &config->epsilon, error) ||
        !config_bool(root, "use_linear_projection", &config->linear_projection, error) ||
        !config_bool(root, "flip_sin_to_cos", &config->flip, error) || !config_number(root, "freq_shift", 0, 1, &config->shift, error) ||
        !config_size(root, "downsample_padding", 0, 1, &config->downsample_padding, error) ||
        !config_size(root, "time_embedding_dim", 1, 4 * CHANNELS_MAX, &config->time_width, error) ||
        !config_each(root, "sample_size", 1, SAMPLE_SIZE_MAX, samples, list ? 2 : 1, error))
        return false;
    for (size_t i = 1; i < config->blocks; i++)
        if (contexts[i] != contexts[0]) return error_set(error, ERROR_UNSUPPORTED, "cross_attention_dim differs from block to block");
    config->context_width = contexts[0];
    config->sample_size = samples[0];
    return true;
}

static bool check_divisions(const struct unet_config *config, struct error *error) {
    if (config->channels[0] % 2 != 0 || config->channels[0] < 4)
        return error_set(error, ERROR_FORMAT, "block_out_channels begins with %zu; an even number from 4 is needed", config->channels[0]);
    for (size_t i = 0; i < config->blocks; i++) {
        if (config->channels[i] % config->groups != 0)
            return error_set(error, ERROR_FORMAT, "%zu channels can't be shared by %zu groups (norm_num_groups)", config->channels[i],
                             config->groups);
        if (config->channels[i] % config->heads[i] != 0)
            return error_set(error, ERROR_FORMAT, "%zu channels can't be shared by %zu heads", config->channels[i], config->heads[i]);
    }
    return true;
}

bool unet_config_read(const json_t *root, struct unet_config *config, struct error *error) {
    memset(config, 0, sizeof *config);
    return check_channels_in(root, error) && config_check_fixed(root, fixed, sizeof fixed / sizeof *fixed, error) &&
           read_blocks(root, config, error) && read_sizes(root, config, error) && check_divisions(config, error);
}

/* ==== The list of layers ==== */

static struct unet_layer *add(struct unet *unet, enum unet_part part, size_t in, size_t out, struct layer_name name) {
    struct unet_layer *layer = &unet->layers[unet->layer_count++];
    *layer = (struct unet_layer){.part = part, .name = name, .in = in, .out = out};
    return layer;
}

static struct unet_layer *add_transformer(struct unet *unet, size_t block, struct layer_name name) {
    size_t c = unet->config.channels[block];
    struct unet_layer *layer = add(unet, UNET_TRANSFORMER, c, c, name);
    layer->heads = unet->config.heads[block];
    layer->depth = unet->config.depth[block];
    return layer;
}

/* Channels of the skip connections on their way from the down blocks to the up blocks. */
struct skips {
    size_t channels[1 + UNET_BLOCKS_MAX * (UNET_PER_BLOCK_MAX + 1)];
    size_t count;
};

static void list_down_block(struct unet *unet, size_t block, size_t *c, struct skips *skips) {
    const struct unet_config *config = &unet->config;
    size_t out = config->channels[block];
    for (size_t j = 0; j < config->per_block[block]; j++) {
        struct unet_layer *last = add(unet, UNET_RESNET, *c, out, layer_name("down_blocks.%zu.resnets.%zu", block, j));
        if (config->attends_down[block]) last = add_transformer(unet, block, layer_name("down_blocks.%zu.attentions.%zu", block, j));
        last->keeps = true;
        skips->channels[skips->count++] = *c = out;
    }
    if (block + 1 == config->blocks) return;
    add(unet, UNET_DOWNSAMPLE, out, out, layer_name("down_blocks.%zu.downsamplers.0", block))->keeps = true;
    skips->channels[skips->count++] = out;
}

/* The middle, at the coarsest resolution. */
static void list_middle(struct unet *unet) {
    size_t block = unet->config.blocks - 1, c = unet->config.channels[block];
    add(unet, UNET_RESNET, c, c, layer_name("mid_block.resnets.0"));
    add_transformer(unet, block, layer_name("mid_block.attentions.0"));
    add(unet, UNET_RESNET, c, c, layer_name("mid_block.resnets.1"));
}

/* number: up blocks count from the coarsest resolution. */
static void list_up_block(struct unet *unet, size_t number, size_t *c, struct skips *skips) {
    const struct unet_config *config = &unet->config;
    size_t block = config->blocks - 1 - number, out = config->channels[block];
    for (size_t j = 0; j < config->per_block[block] + 1; j++) {
        size_t skip = skips->channels[--skips->count];
        add(unet, UNET_RESNET, *c, out, layer_name("up_blocks.%zu.resnets.%zu", number, j))->skip = skip;
        if (config->attends_up[number]) add_transformer(unet, block, layer_name("up_blocks.%zu.attentions.%zu", number, j));
        *c = out;
    }
    if (block > 0) add(unet, UNET_UPSAMPLE, out, out, layer_name("up_blocks.%zu.upsamplers.0", number));
}

void unet_list_layers(struct unet *unet) {
    const struct unet_config *config = &unet->config;
    size_t c = config->channels[0];
    struct skips skips = {.channels = {c}, .count = 1}; /* of the first convolution */
    unet->layer_count = 0;
    for (size_t block = 0; block < config->blocks; block++) list_down_block(unet, block, &c, &skips);
    list_middle(unet);
    for (size_t number = 0; number < config->blocks; number++) list_up_block(unet, number, &c, &skips);
}
