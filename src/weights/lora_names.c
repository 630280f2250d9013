/* The names that programs have given to the tensors of LoRAs. All become one form: the layer's name
 * with underscores for dots, which is kohya's. */
#include "weights/lora_internal.h"

#include <stdio.h>
#include <string.h>

/* ==== What it is ==== */

#define ANOTHER "; it can't change a Stable Diffusion 1 or 2 checkpoint"
static const struct {
    const char *sign;
    bool begins; /* at the name's beginning, or anywhere */
    const char *what;
} others[] = {
    {"lora_te2_", true, "this LoRA was made for SDXL" ANOTHER},
    {"text_encoder_2.", true, "this LoRA was made for SDXL" ANOTHER},
    {"lora_unet_double_blocks", true, "this LoRA was made for Flux" ANOTHER},
    {"lora_unet_single_blocks", true, "this LoRA was made for Flux" ANOTHER},
    {"transformer.single_transformer_blocks", true, "this LoRA was made for Flux" ANOTHER},
    {"diffusion_model.double_blocks", true, "this LoRA was made for Flux" ANOTHER},
    {"double_blocks.", true, "this LoRA was made for Flux" ANOTHER},
    {"lora_unet_joint_blocks", true, "this LoRA was made for Stable Diffusion 3" ANOTHER},
    {"diffusion_model.joint_blocks", true, "this LoRA was made for Stable Diffusion 3" ANOTHER},
    {"transformer.", true, "this LoRA was made for a diffusion transformer (Stable Diffusion 3, Flux or the like)" ANOTHER},
    {"lora_prior_unet_", true, "this LoRA was made for Stable Cascade" ANOTHER},
    {".dora_scale", false, "this is a DoRA, which rescales layers besides changing them; that can't be merged here: get a plain LoRA"},
    {".lora_magnitude_vector", false,
     "this is a DoRA, which rescales layers besides changing them; that can't be merged here: get a plain LoRA"},
    {".hada_w1_a", false, "this is a LoHa (a product of two LoRAs), which can't be merged here: get a plain LoRA or LoCon"},
    {".lokr_w1", false, "this is a LoKr (a Kronecker product), which can't be merged here: get a plain LoRA or LoCon"},
    {".lora_mid.weight", false, "this LoCon is decomposed in three (lora_mid), which can't be merged here: get a plain LoRA or LoCon"},
    {"model.diffusion_model.", true, "this is a checkpoint, not a LoRA: give it with --model"},
    {"control_model.", true, "this is a ControlNet, not a LoRA"},
    {"emb_params", true, "this is a textual inversion, a word for a prompt, not a LoRA"},
};

bool lora_check(const struct weights *file, struct error *error) {
    for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
        for (size_t i = 0; i < file->count; i++) {
            const char *found = strstr(file->entries[i].name, others[k].sign);
            if (found && (!others[k].begins || found == file->entries[i].name))
                return error_set(error, ERROR_UNSUPPORTED, "%s", others[k].what);
        }
    }
    return true;
}

/* ==== Names ==== */

static const struct {
    const char *end;
    enum lora_side side;
} ends[] = {
    {".lora_down.weight", LORA_DOWN},
    {".lora_up.weight", LORA_UP},
    {".alpha", LORA_ALPHA},
    {".lora_A.weight", LORA_DOWN},
    {".lora_B.weight", LORA_UP},
    {".lora_A.default.weight", LORA_DOWN},
    {".lora_B.default.weight", LORA_UP},
    {".lora_A.default_0.weight", LORA_DOWN},
    {".lora_B.default_0.weight", LORA_UP},
    {".lora.down.weight", LORA_DOWN},
    {".lora.up.weight", LORA_UP},
    {".lora_linear_layer.down.weight", LORA_DOWN},
    {".lora_linear_layer.up.weight", LORA_UP},
    {"_lora.down.weight", LORA_DOWN}, /* attn1.processor.to_q_lora: of attention processors */
    {"_lora.up.weight", LORA_UP},
};

static const struct {
    const char *begin;
    enum weights_part part;
} begins[] = {
    {"lora_unet_", WEIGHTS_UNET},
    {"lora_te_", WEIGHTS_TEXT_ENCODER},
    {"lora_te1_", WEIGHTS_TEXT_ENCODER},
    {"unet.", WEIGHTS_UNET},
    {"text_encoder.", WEIGHTS_TEXT_ENCODER},
    {"base_model.model.text_model.", WEIGHTS_TEXT_ENCODER},
    {"base_model.model.", WEIGHTS_UNET},
    {"text_model.", WEIGHTS_TEXT_ENCODER},
    {"", WEIGHTS_UNET}, /* the oldest files had the UNet's layers only */
};

static bool ends_with(const char *text, size_t length, const char *end) {
    size_t size = strlen(end);
    return length >= size && memcmp(text + length - size, end, size) == 0;
}

/* name[length] with underscores for dots, without "processor" and the "text_model" in front, which
 * newer names lack. */
static bool flatten(const char *name, size_t length, char layer[LORA_LAYER_SIZE]) {
    static const char processor[] = ".processor.", model[] = "text_model_";
    if (length == 0 || length >= LORA_LAYER_SIZE) return false;
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        if (length - i >= sizeof processor - 1 && memcmp(name + i, processor, sizeof processor - 1) == 0) i += sizeof processor - 2;
        layer[used++] = name[i] == '.' ? '_' : name[i];
    }
    layer[used] = 0;
    if (strncmp(layer, model, sizeof model - 1) == 0) memmove(layer, layer + sizeof model - 1, used - sizeof model + 2);
    return layer[0] != 0;
}

/* Attention processors had other names than the layers that they changed. */
static bool rename_processor(enum weights_part part, char layer[LORA_LAYER_SIZE]) {
    static const struct {
        enum weights_part part;
        const char *from, *to;
    } renamed[] = {
        {WEIGHTS_UNET, "_to_out", "_to_out_0"},         {WEIGHTS_TEXT_ENCODER, "_to_q", "_q_proj"},
        {WEIGHTS_TEXT_ENCODER, "_to_k", "_k_proj"},     {WEIGHTS_TEXT_ENCODER, "_to_v", "_v_proj"},
        {WEIGHTS_TEXT_ENCODER, "_to_out", "_out_proj"},
    };
    size_t length = strlen(layer);
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
        if (renamed[i].part != part || !ends_with(layer, length, renamed[i].from)) continue;
        size_t kept = length - strlen(renamed[i].from), more = strlen(renamed[i].to);
        if (kept + more >= LORA_LAYER_SIZE) return false;
        memcpy(layer + kept, renamed[i].to, more + 1);
        return true;
    }
    return true;
}

bool lora_read_name(const char *name, struct lora_place *place) {
    size_t length = strlen(name), end = 0, begin = 0;
    while (end < sizeof ends / sizeof *ends && !ends_with(name, length, ends[end].end)) end++;
    if (end == sizeof ends / sizeof *ends) return false;
    length -= strlen(ends[end].end);
    while (strncmp(name, begins[begin].begin, strlen(begins[begin].begin)) != 0) begin++;
    size_t skipped = strlen(begins[begin].begin);
    if (skipped >= length) return false;
    place->part = begins[begin].part;
    place->side = ends[end].side;
    return flatten(name + skipped, length - skipped, place->layer) &&
           (ends[end].end[0] != '_' || rename_processor(place->part, place->layer));
}

bool lora_layer_name(const char *name, char layer[LORA_LAYER_SIZE]) {
    static const char end[] = ".weight";
    size_t length = strlen(name);
    return ends_with(name, length, end) && flatten(name, length - (sizeof end - 1), layer);
}
