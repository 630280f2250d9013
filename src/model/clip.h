/* The transformer that CLIP's text and vision encoders share (Radford et al. 2021). Only for this folder. */
#ifndef MODEL_CLIP_H
#define MODEL_CLIP_H

#include "model/config.h"
#include "model/layers.h"

struct clip {
    size_t width, inner; /* of the stream, and inside the feed-forward part */
    size_t layers, heads;
    enum activation act;
    double epsilon;
    bool causal;
};

/* hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, hidden_act, layer_norm_eps. */
bool clip_config(const json_t *root, struct clip *clip, struct error *error);

/* x [n, 1, tokens, width] through encoder.layers.0, 1, ... */
struct value clip_layers(struct network *network, struct value x, const struct clip *clip);

#endif
