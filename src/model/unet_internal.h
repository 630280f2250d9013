/* What the UNet's files share: its config, its layers as a list, and the recording of both. */
#ifndef MODEL_UNET_INTERNAL_H
#define MODEL_UNET_INTERNAL_H

#include "model/layers.h"
#include "model/unet.h"

#include <jansson.h>

enum {
    UNET_BLOCKS_MAX = 8,    /* resolutions */
    UNET_PER_BLOCK_MAX = 8, /* residual blocks of one of them */
    UNET_DEPTH_MAX = 16,    /* transformer blocks after one residual block */
    UNET_LAYERS_MAX = 2 + UNET_BLOCKS_MAX * (2 * UNET_PER_BLOCK_MAX + 1) + 3 + UNET_BLOCKS_MAX * (2 * (UNET_PER_BLOCK_MAX + 1) + 1),
    UNET_TOKENS = 77,
    UNET_LATENT = 4, /* channels of a latent */
    UNET_MASKED = 5, /* of what is constant over the steps: mask, masked latent */
    UNET_IN = UNET_LATENT + UNET_MASKED
};

struct unet_config {
    size_t blocks;
    size_t channels[UNET_BLOCKS_MAX];  /* block_out_channels: of each resolution, from the finest */
    size_t per_block[UNET_BLOCKS_MAX]; /* layers_per_block */
    size_t heads[UNET_BLOCKS_MAX];     /* attention_head_dim means the number of heads in these configs */
    size_t depth[UNET_BLOCKS_MAX];     /* transformer_layers_per_block */
    bool attends_down[UNET_BLOCKS_MAX], attends_up[UNET_BLOCKS_MAX];
    size_t context_width; /* cross_attention_dim */
    size_t groups;
    double epsilon;
    bool linear_projection; /* proj_in and proj_out are stored as [c, c], not [c, c, 1, 1] */
    bool flip;              /* cosines before sines */
    double shift;           /* freq_shift */
    size_t downsample_padding;
    size_t sample_size;
    size_t time_width; /* of the time embedding */
};
bool unet_config_read(const json_t *root, struct unet_config *config, struct error *error);

/* The UNet as a list, in the order in which it computes. */
enum unet_part { UNET_RESNET, UNET_TRANSFORMER, UNET_DOWNSAMPLE, UNET_UPSAMPLE };
struct unet_layer {
    enum unet_part part;
    struct layer_name name; /* "down_blocks.1.resnets.0" */
    size_t in, skip, out;   /* channels; skip: of the connection that is joined to the input */
    size_t heads, depth;    /* transformers only */
    bool keeps;             /* its result is a skip connection for the way up */
};
struct unet {
    struct weights *weights;
    struct unet_config config;
    struct unet_layer layers[UNET_LAYERS_MAX];
    size_t layer_count;
};
void unet_list_layers(struct unet *unet);

/* Values that one layer gets from the sections that run less often than once a step. */
struct unet_layer_values {
    struct value times;                       /* resnets: [steps, 1, 1, out] */
    struct value time;                        /* resnets: the row of the step, [1, 1, 1, out] */
    struct value keys_values[UNET_DEPTH_MAX]; /* transformers: [contexts, 1, 77, 2 c] */
};

/* Each records one section; `values` has one entry a layer, filled by the first two. */
void unet_record_context(struct network *network, const struct unet *unet, struct value context, struct unet_layer_values *values);
void unet_record_times(struct network *network, const struct unet *unet, struct value timesteps, struct unet_layer_values *values);
struct value unet_record_condition(struct network *network, const struct unet *unet, struct value masked);
/* latent [samples, h, w, 4] -> prediction [results, h, w, 4] */
struct value unet_record_step(struct network *network, const struct unet *unet, struct value latent, struct value condition, size_t results,
                              const struct unet_layer_values *values);

#endif
