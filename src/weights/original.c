/* Checkpoints that are one file: what kind it is, and one component of it under diffusers' names. */
#include "weights/original.h"

#include "base/memory.h"
#include "weights/table.h"

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

/* The part's tensors, renamed, into `table`, which has room for all of the file's. */
static bool rename_part(const struct weights *file, enum weights_part part, struct weights *table, struct error *error) {
    struct original_layout layout;
    char name[ORIGINAL_NAME_SIZE], shown[QUOTED_SIZE];
    original_layout(file, &layout);
    for (size_t i = 0; i < file->count; i++) {
        if (!original_name(&layout, part, file->entries[i].name, name)) continue;
        struct entry *entry = &table->entries[table->count];
        *entry = file->entries[i];
        entry->name = memory_string(name);
        if (!entry->name) return error_set(error, ERROR_MEMORY, "out of memory for the name of tensor %s", quoted(name, shown));
        table->count++;
        table->size += entry->end - entry->first;
    }
    if (table->count == 0)
        return error_set(error, ERROR_FORMAT, "the file has no %s: it was cut down to less than a checkpoint", missing[part]);
    return weights_sort(table, error);
}

bool weights_is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool weights_open_part(const char *path, enum weights_part part, struct weights **weights, struct error *error) {
    struct weights *file, *table;
    if (!weights_open_file(path, &file, error)) return false;
    if (!original_check(file, error)) {
        weights_close(file);
        return error_context(error, "%s", path);
    }
    table = weights_create(path, file->count, 1, error);
    if (!table) {
        weights_close(file);
        return false;
    }
    table->parts[table->part_count++] = file;
    if (rename_part(file, part, table, error)) {
        *weights = table;
        return true;
    }
    weights_close(table);
    return error_context(error, "%s", path);
}
