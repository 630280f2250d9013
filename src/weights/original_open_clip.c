/* The text encoder of Stable Diffusion 2 in single files: OpenCLIP's names to transformers'. Query, key
 * and value are one matrix there, stacked; here they become three views of it. */
#include "weights/original.h"

#include "weights/table.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "cond_stage_model.model."
enum { LAYERS_MAX = 100, VIT_H_CUT = 23 };

bool open_clip_is_there(const struct weights *file) { return weights_find(file, PREFIX "token_embedding.weight") != NULL; }

size_t open_clip_layers(const struct weights *file) {
    char name[96];
    size_t layers = 0;
    do {
        snprintf(name, sizeof name, PREFIX "transformer.resblocks.%zu.ln_1.weight", layers);
    } while (weights_find(file, name) && ++layers < LAYERS_MAX);
    /* The last layer is not used (the "penultimate" is): ViT-H has 24, and some files come without it. */
    return layers > 1 && layers != VIT_H_CUT ? layers - 1 : layers;
}

static const struct {
    const char *from, *to;
} ends[] =
    {
        {"token_embedding.weight", "embeddings.token_embedding.weight"},
        {"positional_embedding", "embeddings.position_embedding.weight"},
        {"ln_final.weight", "final_layer_norm.weight"},
        {"ln_final.bias", "final_layer_norm.bias"},
},
  parts[] = {
      {"ln_1.weight", "layer_norm1.weight"},
      {"ln_1.bias", "layer_norm1.bias"},
      {"ln_2.weight", "layer_norm2.weight"},
      {"ln_2.bias", "layer_norm2.bias"},
      {"mlp.c_fc.weight", "mlp.fc1.weight"},
      {"mlp.c_fc.bias", "mlp.fc1.bias"},
      {"mlp.c_proj.weight", "mlp.fc2.weight"},
      {"mlp.c_proj.bias", "mlp.fc2.bias"},
      {"attn.out_proj.weight", "self_attn.out_proj.weight"},
      {"attn.out_proj.bias", "self_attn.out_proj.bias"},
};

static bool layer_name(size_t layer, const char *rest, struct open_clip_name *out) {
    static const char stacked[] = "attn.in_proj_";
    if (strncmp(rest, stacked, sizeof stacked - 1) == 0) {
        const char *leaf = rest + sizeof stacked - 1;
        if (strcmp(leaf, "weight") != 0 && strcmp(leaf, "bias") != 0) return false;
        for (int i = 0; i < OPEN_CLIP_STACKED; i++)
            snprintf(out->name[i], ORIGINAL_NAME_SIZE, "text_model.encoder.layers.%zu.self_attn.%c_proj.%s", layer, "qkv"[i], leaf);
        out->count = OPEN_CLIP_STACKED;
        return true;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(rest, parts[i].from) != 0) continue;
        snprintf(out->name[0], ORIGINAL_NAME_SIZE, "text_model.encoder.layers.%zu.%s", layer, parts[i].to);
        out->count = 1;
        return true;
    }
    return false;
}

bool open_clip_name(const char *name, size_t layers, struct open_clip_name *out) {
    static const char blocks[] = "transformer.resblocks.";
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0) return false;
    name += sizeof PREFIX - 1;
    if (strncmp(name, blocks, sizeof blocks - 1) == 0) {
        size_t layer = 0;
        const char *rest = original_number(name + sizeof blocks - 1, &layer);
        return rest && layer < layers && layer_name(layer, rest, out);
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (strcmp(name, ends[i].from) != 0) continue;
        snprintf(out->name[0], ORIGINAL_NAME_SIZE, "text_model.%s", ends[i].to);
        out->count = 1;
        return true;
    }
    return false;
}
