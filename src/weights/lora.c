/* Opening a LoRA: its tensors, gathered layer by layer. */
#include "weights/lora.h"

#include "base/file.h"
#include "base/memory.h"
#include "weights/lora_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ==== Layers ==== */

struct piece {
    struct lora_place place;
    const struct entry *entry;
};

static int compare_layers(enum weights_part a_part, const char *a, enum weights_part b_part, const char *b) {
    return a_part != b_part ? (a_part < b_part ? -1 : 1) : strcmp(a, b);
}

static int compare_pieces(const void *a, const void *b) {
    const struct piece *left = a, *right = b;
    int order = compare_layers(left->place.part, left->place.layer, right->place.part, right->place.layer);
    return order ? order : (int)left->place.side - (int)right->place.side;
}

static bool is_float(const struct tensor *tensor) {
    return tensor->dtype == DTYPE_F32 || tensor->dtype == DTYPE_F16 || tensor->dtype == DTYPE_BF16 || tensor->dtype == DTYPE_F64;
}

/* up [out, rank (, 1, 1)], down [rank, in ...]; alpha one number. */
static bool check_layer(struct lora_layer *layer, struct error *error) {
    const struct tensor *down = layer->side[LORA_DOWN], *up = layer->side[LORA_UP], *alpha = layer->side[LORA_ALPHA];
    char shown[QUOTED_SIZE];
    if (!down || !up)
        return error_set(error, ERROR_FORMAT, "%s has only one of the two matrices that a LoRA needs: was the file cut?",
                         quoted(layer->name, shown));
    bool sound = down->rank >= 2 && up->rank >= 2 && is_float(down) && is_float(up) && up->shape[1] == down->shape[0] &&
                 tensor_count(up) == up->shape[0] * up->shape[1] && tensor_count(down) > 0 && tensor_count(up) > 0;
    if (!sound) return error_set(error, ERROR_FORMAT, "the two matrices of %s do not fit together", quoted(layer->name, shown));
    if (!alpha) return true;
    float value = 0;
    if (tensor_count(alpha) == 1) tensor_read_f32(alpha, 0, 1, &value);
    layer->alpha = (double)value;
    if (tensor_count(alpha) != 1 || !isfinite(value))
        return error_set(error, ERROR_FORMAT, "the alpha of %s is not a number", quoted(layer->name, shown));
    /* 0 would mean "its rank" to us: a layer that is to be left alone. */
    if (value == 0) layer->merged = true;
    return true;
}

static bool gather(struct lora *lora, struct piece *pieces, size_t count, struct error *error) {
    char shown[QUOTED_SIZE];
    for (size_t i = 0; i < count; i++) {
        const struct lora_place *place = &pieces[i].place;
        struct lora_layer *layer = lora->count ? &lora->layers[lora->count - 1] : NULL;
        if (!layer || compare_layers(layer->part, layer->layer, place->part, place->layer) != 0) {
            layer = &lora->layers[lora->count];
            *layer = (struct lora_layer){.part = place->part, .layer = memory_string(place->layer), .name = pieces[i].entry->name};
            if (!layer->layer) return error_set(error, ERROR_MEMORY, "out of memory for the layers of a LoRA");
            lora->count++;
        }
        if (layer->side[place->side])
            return error_set(error, ERROR_FORMAT, "%s is there twice, under two names", quoted(pieces[i].entry->name, shown));
        layer->side[place->side] = &pieces[i].entry->tensor;
    }
    for (size_t i = 0; i < lora->count; i++)
        if (!check_layer(&lora->layers[i], error)) return false;
    return true;
}

static bool read_layers(struct lora *lora, struct error *error) {
    const struct weights *file = lora->file;
    if (!lora_check(file, error)) return false;
    struct piece *pieces = memory_array(file->count ? file->count : 1, sizeof *pieces);
    lora->layers = memory_array(file->count ? file->count : 1, sizeof *lora->layers);
    bool fine = (pieces && lora->layers) || error_set(error, ERROR_MEMORY, "out of memory for the layers of a LoRA");
    size_t count = 0;
    for (size_t i = 0; fine && i < file->count; i++) {
        pieces[count].entry = &file->entries[i];
        if (lora_read_name(file->entries[i].name, &pieces[count].place)) {
            count++;
        } else if (lora->unknown++ == 0) {
            lora->first_unknown = file->entries[i].name;
        }
    }
    if (fine && count == 0) fine = error_set(error, ERROR_UNSUPPORTED, "this is no LoRA: none of its tensors has a LoRA's name");
    if (fine) {
        qsort(pieces, count, sizeof *pieces, compare_pieces);
        fine = gather(lora, pieces, count, error);
    }
    memory_free(pieces);
    return fine;
}

/* ==== Opening ==== */

static bool open_file(const char *path, struct weights **file, struct error *error) {
    if (weights_is_file(path)) return weights_open_file(path, file, error);
    struct error second;
    if (weights_open_folder(path, "pytorch_lora_weights", file, error)) return true;
    if (error->code != ERROR_NOT_FOUND) return false;
    if (weights_open_folder(path, "adapter_model", file, &second)) return true;
    return error_set(error, ERROR_NOT_FOUND, "no LoRA in %s: give the file, or a folder with pytorch_lora_weights.safetensors", path);
}

bool lora_open(const char *path, struct lora **out, struct error *error) {
    struct lora *lora = memory_zero(sizeof *lora);
    if (!lora) return error_set(error, ERROR_MEMORY, "out of memory for a LoRA");
    if (open_file(path, &lora->file, error)) {
        if (read_layers(lora, error) && lora_read_settings(lora, path, error)) {
            *out = lora;
            return true;
        }
        error_context(error, "%s", path);
    }
    lora_close(lora);
    return false;
}

void lora_close(struct lora *lora) {
    if (!lora) return;
    for (size_t i = 0; i < lora->count; i++) memory_free(lora->layers[i].layer);
    memory_free(lora->layers);
    weights_close(lora->file);
    memory_free(lora);
}

void lora_report(const struct lora *lora, struct lora_report *report) {
    *report = (struct lora_report){.left = lora->unknown, .first_left = lora->first_unknown};
    for (size_t i = 0; i < lora->count; i++) {
        if (lora->layers[i].merged) {
            report->merged++;
            continue;
        }
        if (!report->first_left) report->first_left = lora->layers[i].name;
        report->left++;
    }
}
