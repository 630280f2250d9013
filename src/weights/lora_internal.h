/* What the files of the LoRA reader share. */
#ifndef WEIGHTS_LORA_INTERNAL_H
#define WEIGHTS_LORA_INTERNAL_H

#include "weights/lora.h"
#include "weights/table.h"

enum { LORA_LAYER_SIZE = 256 };

enum lora_side { LORA_DOWN, LORA_UP, LORA_ALPHA, LORA_SIDES };

/* Where a tensor of the file belongs: a layer's name with underscores for dots
 * ("down_blocks_0_attentions_0_proj_in", "encoder_layers_0_self_attn_q_proj"), and which side of it. */
struct lora_place {
    enum weights_part part;
    enum lora_side side;
    char layer[LORA_LAYER_SIZE];
};
/* False: a name that is not understood. */
bool lora_read_name(const char *name, struct lora_place *place);

/* The same form of a checkpoint's tensor "LAYER.weight"; false for other tensors. */
bool lora_layer_name(const char *name, char layer[LORA_LAYER_SIZE]);

/* ERROR_UNSUPPORTED, with a sentence, for what is another thing than a LoRA for Stable Diffusion 1 or 2. */
bool lora_check(const struct weights *file, struct error *error);

struct lora_layer {
    enum weights_part part;
    char *layer;      /* owned */
    const char *name; /* of one of its tensors */
    const struct tensor *side[LORA_SIDES];
    double alpha; /* 0: its rank */
    bool root;    /* divided by the root of the rank, not by the rank */
    bool merged;
};

struct lora {
    struct weights *file;
    struct lora_layer *layers; /* sorted by part and layer */
    size_t count;
    size_t unknown; /* names not understood */
    const char *first_unknown;
};

/* Alphas that are written beside the tensors: diffusers' metadata, peft's adapter_config.json. */
bool lora_read_settings(struct lora *lora, const char *path, struct error *error);

#endif
