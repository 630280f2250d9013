/* Checkpoints that are one file: what kind it is, and one component of it under diffusers' names. */
#include "weights/original.h"

#include "base/memory.h"
#include "weights/table.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define GET "get an inpainting checkpoint, such as stable-diffusion-v1-5/stable-diffusion-inpainting"

/* ==== What the file is ==== */

/* Signs of files that are not what is needed; the first that occurs in a tensor's name decides. */
static const struct {
    const char *sign;
    bool begins; /* at the name's beginning, or anywhere */
    const char *what;
} others[] = {
    {"lora_", false, "this is a LoRA, a change to be made to a checkpoint, not a checkpoint"},
    {"_lora.", false, "this is a LoRA, a change to be made to a checkpoint, not a checkpoint"},
    {".lora.", false, "this is a LoRA, a change to be made to a checkpoint, not a checkpoint"},
    {".lora_A.", false, "this is a LoRA, a change to be made to a checkpoint, not a checkpoint"},
    {".hada_w1_a", false, "this is a LoHa, a change to be made to a checkpoint, not a checkpoint"},
    {".lokr_w1", false, "this is a LoKr, a change to be made to a checkpoint, not a checkpoint"},
    {"emb_params", true, "this is a textual inversion, a word for a prompt, not a checkpoint"},
    {"control_model.", true, "this is a ControlNet, which guides a checkpoint and is none itself"},
    {"conditioner.embedders.", true, "this is an SDXL checkpoint, which can't be used here; " GET},
    {"model.diffusion_model.label_emb.", true, "this is an SDXL or unCLIP checkpoint, which can't be used here; " GET},
    {"model.diffusion_model.joint_blocks.", true, "this is a Stable Diffusion 3 checkpoint, which can't be used here; " GET},
    {"model.diffusion_model.double_blocks.", true, "this is a Flux checkpoint, which can't be used here; " GET},
    {"double_blocks.", true, "this is a Flux model, which can't be used here; " GET},
    {"control_lora", false, "this is a ControlNet, which guides a checkpoint and is none itself"},
    {"controlnet_cond_embedding.", true, "this is a ControlNet, which guides a checkpoint and is none itself"},
    {"ip_adapter.", true, "this is an IP-Adapter, which guides a checkpoint and is none itself"},
    {"motion_modules.", false, "this is a motion module (AnimateDiff), which moves a checkpoint's pictures and is none itself"},
    {"add_embedding.linear_1.", true, "this is the UNet of an SDXL checkpoint, which can't be used here; " GET},
    {"ztsnr", true, "this checkpoint was trained with a noise schedule that ends in pure noise (ztsnr), which is not supported; " GET},
};

/* Tensors that only files with one component begin with. */
static const struct {
    const char *tensor, *what;
} parts[] = {
    {"encoder.conv_in.weight", "an autoencoder (VAE) alone"},
    {"decoder.conv_in.weight", "an autoencoder (VAE) alone"},
    {"first_stage_model.decoder.conv_in.weight", "an autoencoder (VAE) alone"},
    {"decoder.layers.0.weight", "a tiny autoencoder (TAESD), which --decoder and --previewer take"},
    {"3.conv.0.weight", "a tiny autoencoder (TAESD), which --decoder and --previewer take"},
    {"concept_embeds", "a safety checker alone"},
    {"text_model.embeddings.token_embedding.weight", "a text encoder alone"},
    {"token_embedding.weight", "a text encoder alone"},
};

static bool shows(const struct weights *file, const char *sign, bool begins) {
    for (size_t i = 0; i < file->count; i++) {
        const char *found = strstr(file->entries[i].name, sign);
        if (found && (!begins || found == file->entries[i].name)) return true;
    }
    return false;
}

/* Which version, by the text that its cross-attention takes; "" when it is neither. */
static const char *version_of(const struct weights *file) {
    const struct tensor *keys = weights_find(file, "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight");
    size_t width = keys && keys->rank == 2 ? keys->shape[1] : 0;
    return open_clip_is_there(file) || width == 1024 ? "Stable Diffusion 2 " : width == 768 ? "Stable Diffusion 1 " : "";
}

static bool check_channels(const struct weights *file, const struct tensor *first, struct error *error) {
    static const struct {
        size_t channels;
        const char *what;
    } known[] = {
        {4, "so it paints whole pictures and can't inpaint"},
        {5, "as Stable Diffusion 2's depth model does, and can't inpaint"},
        {7, "as Stable Diffusion's upscaler does, and can't inpaint"},
        {8, "as InstructPix2Pix does, and can't inpaint"},
    };
    size_t channels = first->rank == 4 ? first->shape[1] : 0;
    const char *version = version_of(file);
    if (channels == 9) return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (channels == known[i].channels)
            return error_set(error, ERROR_UNSUPPORTED, "this %scheckpoint's UNet takes %zu channels, %s; " GET, version, channels,
                             known[i].what);
    return error_set(error, ERROR_UNSUPPORTED, "this %scheckpoint's UNet takes %zu channels where inpainting needs 9; " GET, version,
                     channels);
}

bool original_check(const struct weights *file, struct error *error) {
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (shows(file, others[i].sign, others[i].begins)) return error_set(error, ERROR_UNSUPPORTED, "%s", others[i].what);
    const struct tensor *first = weights_find(file, "model.diffusion_model.input_blocks.0.0.weight");
    if (first) return check_channels(file, first, error);
    if (shows(file, "model.diffusion_model.", true))
        return error_set(
            error, ERROR_UNSUPPORTED,
            "this checkpoint's UNet has no first convolution (model.diffusion_model.input_blocks.0.0.weight): it was cut, or is "
            "of a family that can't be used here; " GET);
    if (weights_find(file, "conv_in.weight") && weights_find(file, "time_embedding.linear_1.weight"))
        return error_set(error, ERROR_UNSUPPORTED, "this is a UNet alone, in diffusers' names; give the folder of the whole checkpoint");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (weights_find(file, parts[i].tensor))
            return error_set(error, ERROR_UNSUPPORTED, "this is %s; a checkpoint has more: " GET, parts[i].what);
    if (shows(file, "model_ema.", true))
        return error_set(error, ERROR_UNSUPPORTED, "this file holds the averaged (EMA) weights alone, under names of their own; " GET);
    return error_set(error, ERROR_UNSUPPORTED,
                     "this file is no Stable Diffusion checkpoint: it has no tensor model.diffusion_model.input_blocks.0.0.weight; " GET);
}

/* ==== One component ==== */

static const char *const missing[] = {
    [WEIGHTS_UNET] = "UNet (model.diffusion_model.*)",
    [WEIGHTS_VAE] = "autoencoder (first_stage_model.*)",
    [WEIGHTS_TEXT_ENCODER] = "text encoder (cond_stage_model.transformer.*)",
};

/* One tensor of a file under another name, into the table, which has room for all of the file's. */
static bool add_renamed(const struct entry *from, const char *name, struct weights *table, struct error *error) {
    char shown[QUOTED_SIZE];
    struct entry *entry = &table->entries[table->count];
    *entry = *from;
    entry->name = memory_string(name);
    if (!entry->name) return error_set(error, ERROR_MEMORY, "out of memory for the name of tensor %s", quoted(name, shown));
    table->count++;
    return true;
}

/* Rows [i, i + 1) * shape[0] / OPEN_CLIP_STACKED of what is stacked. */
static void cut_stack(struct entry *entry, size_t i) {
    struct tensor *tensor = &entry->tensor;
    tensor->shape[0] /= OPEN_CLIP_STACKED;
    size_t bytes = tensor_count(tensor) * dtype_size(tensor->dtype);
    tensor->data = (const char *)tensor->data + i * bytes;
    entry->first += i * bytes;
    entry->end = entry->first + bytes;
}

static bool rename_open_clip(const struct weights *file, struct weights *table, struct error *error) {
    struct open_clip_name name;
    size_t layers = open_clip_layers(file);
    for (size_t i = 0; i < file->count; i++) {
        const struct entry *entry = &file->entries[i];
        if (!open_clip_name(entry->name, layers, &name)) continue;
        bool stacked = name.count > 1;
        if (stacked && (entry->tensor.rank < 1 || entry->tensor.shape[0] % OPEN_CLIP_STACKED != 0)) continue;
        for (size_t k = 0; k < name.count; k++) {
            if (!add_renamed(entry, name.name[k], table, error)) return false;
            if (stacked) cut_stack(&table->entries[table->count - 1], k);
        }
    }
    return true;
}

/* The part's tensors, renamed. */
static bool rename_part(const struct weights *file, int part, struct weights *table, struct error *error) {
    struct original_layout layout;
    char name[ORIGINAL_NAME_SIZE];
    original_layout(file, &layout);
    table->open_clip = open_clip_is_there(file);
    table->velocity = weights_find(file, "v_pred") != NULL;
    bool open_clip = part == WEIGHTS_TEXT_ENCODER && table->open_clip;
    if (open_clip && !rename_open_clip(file, table, error)) return false;
    for (size_t i = 0; i < file->count && !open_clip; i++)
        if (original_name(&layout, (enum weights_part)part, file->entries[i].name, name) &&
            !add_renamed(&file->entries[i], name, table, error))
            return false;
    if (table->count == 0)
        return error_set(error, ERROR_FORMAT, "the file has no %s: it was cut down to less than a checkpoint", missing[part]);
    return weights_sort(table, error);
}

bool weights_is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* A table over the file's tensors, filled by `fill`; owns the file, also when it fails. */
static bool open_renamed(const char *path, struct weights *file,
                         bool (*fill)(const struct weights *file, int part, struct weights *table, struct error *error), int part,
                         struct weights **out, struct error *error) {
    size_t most = OPEN_CLIP_STACKED * file->count;
    struct weights *table = weights_create(path, most, 1, error);
    if (!table) {
        weights_close(file);
        return false;
    }
    table->parts[table->part_count++] = file;
    if (fill(file, part, table, error)) {
        for (size_t i = 0; i < table->count; i++) table->size += table->entries[i].end - table->entries[i].first;
        *out = table;
        return true;
    }
    weights_close(table);
    return error_context(error, "%s", path);
}

bool weights_open_part(const char *path, enum weights_part part, struct weights **weights, struct error *error) {
    struct weights *file;
    if (!weights_open_file(path, &file, error)) return false;
    if (original_check(file, error)) return open_renamed(path, file, rename_part, (int)part, weights, error);
    weights_close(file);
    return error_context(error, "%s", path);
}

/* ==== TAESD ==== */

/* "1.weight" is decoder.layers.0.weight: the author counts the clamp in front as a layer. */
static bool tiny_name(const char *name, char out[ORIGINAL_NAME_SIZE]) {
    size_t digits = strspn(name, "0123456789"), number = 0;
    if (strncmp(name, "decoder.layers.", 15) == 0) return snprintf(out, ORIGINAL_NAME_SIZE, "%s", name) < ORIGINAL_NAME_SIZE;
    if (digits == 0 || digits > 3 || name[digits] != '.') return false;
    for (size_t i = 0; i < digits; i++) number = 10 * number + (size_t)(name[i] - '0');
    return number > 0 && snprintf(out, ORIGINAL_NAME_SIZE, "decoder.layers.%zu%s", number - 1, name + digits) < ORIGINAL_NAME_SIZE;
}

static bool rename_tiny(const struct weights *file, int unused, struct weights *table, struct error *error) {
    char name[ORIGINAL_NAME_SIZE];
    (void)unused;
    for (size_t i = 0; i < file->count; i++)
        if (tiny_name(file->entries[i].name, name) && !add_renamed(&file->entries[i], name, table, error)) return false;
    const struct tensor *first = weights_sort(table, error) ? weights_find(table, "decoder.layers.0.weight") : NULL;
    if (!table->by_name) return false;
    return first || error_set(error, ERROR_UNSUPPORTED,
                              "this is no decoder of a TAESD: give taesd_decoder.safetensors, or the folder of an AutoencoderTiny");
}

bool weights_open_tiny_decoder(const char *path, struct weights **weights, struct error *error) {
    struct weights *file;
    return weights_open_file(path, &file, error) && open_renamed(path, file, rename_tiny, 0, weights, error);
}
