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
    {"cond_stage_model.model.", true,
     "this is a Stable Diffusion 2 checkpoint in one file, whose text encoder is OpenCLIP's and can't be read from it; get "
     "the folder in diffusers' layout (stabilityai/stable-diffusion-2-inpainting)"},
};

static bool shows(const struct weights *file, const char *sign, bool begins) {
    for (size_t i = 0; i < file->count; i++) {
        const char *found = strstr(file->entries[i].name, sign);
        if (found && (!begins || found == file->entries[i].name)) return true;
    }
    return false;
}

static bool check_channels(const struct tensor *first, struct error *error) {
    size_t channels = first->rank == 4 ? first->shape[1] : 0;
    if (channels == 9) return true;
    if (channels == 4)
        return error_set(error, ERROR_UNSUPPORTED,
                         "this checkpoint's UNet takes 4 channels, so it paints whole pictures and can't inpaint; " GET);
    if (channels == 8)
        return error_set(error, ERROR_UNSUPPORTED,
                         "this checkpoint's UNet takes 8 channels, as InstructPix2Pix does, and can't inpaint; " GET);
    return error_set(error, ERROR_UNSUPPORTED, "this checkpoint's UNet takes %zu channels where inpainting needs 9; " GET, channels);
}

bool original_check(const struct weights *file, struct error *error) {
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (shows(file, others[i].sign, others[i].begins)) return error_set(error, ERROR_UNSUPPORTED, "%s", others[i].what);
    const struct tensor *first = weights_find(file, "model.diffusion_model.input_blocks.0.0.weight");
    if (first) return check_channels(first, error);
    if (weights_find(file, "conv_in.weight") && weights_find(file, "time_embedding.linear_1.weight"))
        return error_set(error, ERROR_UNSUPPORTED, "this is a UNet alone, in diffusers' names; give the folder of the whole checkpoint");
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
    table->size += entry->end - entry->first;
    return true;
}

/* The part's tensors, renamed. */
static bool rename_part(const struct weights *file, int part, struct weights *table, struct error *error) {
    struct original_layout layout;
    char name[ORIGINAL_NAME_SIZE];
    original_layout(file, &layout);
    for (size_t i = 0; i < file->count; i++)
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
    struct weights *table = weights_create(path, file->count, 1, error);
    if (!table) {
        weights_close(file);
        return false;
    }
    table->parts[table->part_count++] = file;
    if (fill(file, part, table, error)) {
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
