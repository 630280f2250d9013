/* Name by name. The UNet's blocks are counted through in the original (input_blocks.0, 1, ... with
 * the first convolution as 0 and downsamplers as blocks of their own), by resolution in diffusers. */
#include "weights/original.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct renamed {
    const char *from, *to;
};

/* The rest of `text` after `prefix`, or NULL. */
static const char *after(const char *text, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

const char *original_number(const char *text, size_t *number) {
    size_t digits = 0;
    *number = 0;
    for (; digits < 3 && text[digits] >= '0' && text[digits] <= '9'; digits++) *number = *number * 10 + (size_t)(text[digits] - '0');
    return digits > 0 && text[digits] == '.' ? text + digits + 1 : NULL;
}

/* PREFIX + name, whose beginning is replaced by the first row that fits; false when none does. */
static bool replace(const struct renamed *rows, size_t count, const char *prefix, const char *name, char out[ORIGINAL_NAME_SIZE]) {
    for (size_t i = 0; i < count; i++) {
        const char *rest = after(name, rows[i].from);
        if (rest) return snprintf(out, ORIGINAL_NAME_SIZE, "%s%s%s", prefix, rows[i].to, rest) < ORIGINAL_NAME_SIZE;
    }
    return false;
}
#define REPLACE(rows, prefix, name, out) replace(rows, sizeof(rows) / sizeof *(rows), prefix, name, out)

static bool join(char out[ORIGINAL_NAME_SIZE], const char *prefix, const char *rest) {
    return snprintf(out, ORIGINAL_NAME_SIZE, "%s%s", prefix, rest) < ORIGINAL_NAME_SIZE;
}

/* ==== UNet ==== */

static const struct renamed resnet_parts[] = {
    {"in_layers.0.", "norm1."},  {"in_layers.2.", "conv1."},  {"emb_layers.1.", "time_emb_proj."},
    {"out_layers.0.", "norm2."}, {"out_layers.3.", "conv2."}, {"skip_connection.", "conv_shortcut."},
};

static bool unet_resnet(const char *prefix, const char *part, char out[ORIGINAL_NAME_SIZE]) {
    return REPLACE(resnet_parts, prefix, part, out);
}

/* input_blocks.INDEX.PLACE.rest */
static bool unet_input(const struct original_layout *layout, size_t index, size_t place, const char *rest, char out[ORIGINAL_NAME_SIZE]) {
    char prefix[ORIGINAL_NAME_SIZE / 2];
    if (index == 0) return place == 0 && join(out, "conv_in.", rest);
    size_t block = (index - 1) / (layout->per_block + 1), layer = (index - 1) % (layout->per_block + 1);
    const char *down = place == 0 ? after(rest, "op.") : NULL;
    if (down) {
        snprintf(prefix, sizeof prefix, "down_blocks.%zu.downsamplers.0.conv.", block);
        return join(out, prefix, down);
    }
    snprintf(prefix, sizeof prefix, "down_blocks.%zu.%s.%zu.", block, place == 0 ? "resnets" : "attentions", layer);
    if (place == 0) return unet_resnet(prefix, rest, out);
    return place == 1 && join(out, prefix, rest);
}

/* output_blocks.INDEX.PLACE.rest: an upsampler comes last, after the attention if there is one */
static bool unet_output(const struct original_layout *layout, size_t index, size_t place, const char *rest, char out[ORIGINAL_NAME_SIZE]) {
    char prefix[ORIGINAL_NAME_SIZE / 2];
    size_t block = index / (layout->per_block + 1), layer = index % (layout->per_block + 1);
    const char *up = place > 0 ? after(rest, "conv.") : NULL;
    if (up) {
        snprintf(prefix, sizeof prefix, "up_blocks.%zu.upsamplers.0.conv.", block);
        return join(out, prefix, up);
    }
    snprintf(prefix, sizeof prefix, "up_blocks.%zu.%s.%zu.", block, place == 0 ? "resnets" : "attentions", layer);
    if (place == 0) return unet_resnet(prefix, rest, out);
    return place == 1 && join(out, prefix, rest);
}

static bool unet_middle(size_t place, const char *rest, char out[ORIGINAL_NAME_SIZE]) {
    if (place == 1) return join(out, "mid_block.attentions.0.", rest);
    return place <= 2 && unet_resnet(place == 0 ? "mid_block.resnets.0." : "mid_block.resnets.1.", rest, out);
}

static bool unet_name(const struct original_layout *layout, const char *name, char out[ORIGINAL_NAME_SIZE]) {
    static const struct renamed ends[] = {
        {"time_embed.0.", "time_embedding.linear_1."},
        {"time_embed.2.", "time_embedding.linear_2."},
        {"out.0.", "conv_norm_out."},
        {"out.2.", "conv_out."},
    };
    size_t index, place;
    const char *rest;
    if ((rest = after(name, "middle_block."))) return (rest = original_number(rest, &place)) && unet_middle(place, rest, out);
    bool input = (rest = after(name, "input_blocks.")) != NULL;
    if (!input && !(rest = after(name, "output_blocks."))) return REPLACE(ends, "", name, out);
    if (!(rest = original_number(rest, &index)) || !(rest = original_number(rest, &place))) return false;
    return input ? unet_input(layout, index, place, rest, out) : unet_output(layout, index, place, rest, out);
}

/* ==== Autoencoder ==== */

static const struct renamed attention_parts[] = {
    {"norm.", "group_norm."}, {"q.", "to_q."}, {"k.", "to_k."}, {"v.", "to_v."}, {"proj_out.", "to_out.0."},
};

/* mid.block_1, attn_1, block_2 */
static bool vae_middle(const char *side, const char *name, char out[ORIGINAL_NAME_SIZE]) {
    char prefix[64];
    const char *attention = after(name, "attn_1."), *first = after(name, "block_1."), *second = after(name, "block_2.");
    if (attention) {
        snprintf(prefix, sizeof prefix, "%s.mid_block.attentions.0.", side);
        return REPLACE(attention_parts, prefix, attention, out);
    }
    snprintf(prefix, sizeof prefix, "%s.mid_block.resnets.%d.", side, first ? 0 : 1);
    return (first || second) && join(out, prefix, first ? first : second);
}

/* down.BLOCK.rest of the encoder, up.BLOCK.rest of the decoder, which counts from the finest */
static bool vae_block(const struct original_layout *layout, bool up, size_t block, const char *rest, char out[ORIGINAL_NAME_SIZE]) {
    static const struct renamed parts[] = {
        {"norm1.", "norm1."}, {"conv1.", "conv1."}, {"norm2.", "norm2."}, {"conv2.", "conv2."}, {"nin_shortcut.", "conv_shortcut."},
    };
    char prefix[64];
    if (up && block >= layout->vae_blocks) return false;
    const char *side = up ? "decoder.up_blocks" : "encoder.down_blocks";
    const char *scaling = after(rest, up ? "upsample.conv." : "downsample.conv."), *layer = after(rest, "block.");
    size_t number, place = up ? layout->vae_blocks - 1 - block : block;
    if (scaling) {
        snprintf(prefix, sizeof prefix, "%s.%zu.%s.0.conv.", side, place, up ? "upsamplers" : "downsamplers");
        return join(out, prefix, scaling);
    }
    if (!layer || !(layer = original_number(layer, &number))) return false;
    snprintf(prefix, sizeof prefix, "%s.%zu.resnets.%zu.", side, place, number);
    return REPLACE(parts, prefix, layer, out);
}

static bool vae_name(const struct original_layout *layout, const char *name, char out[ORIGINAL_NAME_SIZE]) {
    static const struct renamed ends[] = {
        {"encoder.conv_in.", "encoder.conv_in."},
        {"encoder.norm_out.", "encoder.conv_norm_out."},
        {"encoder.conv_out.", "encoder.conv_out."},
        {"decoder.conv_in.", "decoder.conv_in."},
        {"decoder.norm_out.", "decoder.conv_norm_out."},
        {"decoder.conv_out.", "decoder.conv_out."},
        {"quant_conv.", "quant_conv."},
        {"post_quant_conv.", "post_quant_conv."},
    };
    const char *rest;
    size_t block;
    if ((rest = after(name, "encoder.mid."))) return vae_middle("encoder", rest, out);
    if ((rest = after(name, "decoder.mid."))) return vae_middle("decoder", rest, out);
    bool up = (rest = after(name, "decoder.up.")) != NULL;
    if (up || (rest = after(name, "encoder.down.")))
        return (rest = original_number(rest, &block)) && vae_block(layout, up, block, rest, out);
    return REPLACE(ends, "", name, out);
}

/* ==== All ==== */

bool original_name(const struct original_layout *layout, enum weights_part part, const char *name, char out[ORIGINAL_NAME_SIZE]) {
    const char *rest;
    switch (part) {
    case WEIGHTS_UNET:
        return (rest = after(name, "model.diffusion_model.")) && unet_name(layout, rest, out);
    case WEIGHTS_VAE:
        return (rest = after(name, "first_stage_model.")) && vae_name(layout, rest, out);
    case WEIGHTS_TEXT_ENCODER:
        break;
    }
    /* transformers' own names; newer versions of it write them without "text_model." */
    return (rest = after(name, "cond_stage_model.transformer.")) && !strstr(rest, "position_ids") && join(out, "", rest);
}

void original_layout(const struct weights *file, struct original_layout *layout) {
    char name[96];
    *layout = (struct original_layout){.per_block = 2};
    for (size_t i = 1; i < 32; i++) {
        snprintf(name, sizeof name, "model.diffusion_model.input_blocks.%zu.0.op.weight", i);
        if (!weights_find(file, name)) continue;
        layout->per_block = i - 1;
        break;
    }
    do {
        snprintf(name, sizeof name, "first_stage_model.decoder.up.%zu.block.0.conv1.weight", layout->vae_blocks);
    } while (weights_find(file, name) && ++layout->vae_blocks < 16);
}
