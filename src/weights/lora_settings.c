/* Alphas that stand beside the tensors instead of among them: in the metadata of diffusers' files
 * ("unet.lora_alpha"), and in the adapter_config.json of peft's. */
#include "base/file.h"
#include "base/memory.h"
#include "weights/lora_internal.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SETTINGS_BYTES_MAX = 4 << 20, KEY_SIZE = 64 };

static json_t *get(const json_t *settings, const char *prefix, const char *name) {
    char key[KEY_SIZE];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    return json_object_get(settings, key);
}

/* The alpha of one layer: of the first pattern that is its name or the end of it, else everybody's. */
static double alpha_of(const json_t *settings, const char *prefix, const char *layer) {
    const json_t *patterns = get(settings, prefix, "alpha_pattern");
    const char *name;
    json_t *value;
    size_t length = strlen(layer);
    json_object_foreach((json_t *)(uintptr_t)patterns, name, value) {
        char weight[2 * LORA_LAYER_SIZE], flat[LORA_LAYER_SIZE];
        snprintf(weight, sizeof weight, "%s.weight", name);
        if (!json_is_number(value) || !lora_layer_name(weight, flat)) continue;
        size_t size = strlen(flat);
        bool ends = length >= size && strcmp(layer + length - size, flat) == 0;
        if (ends && (length == size || layer[length - size - 1] == '_')) return json_number_value(value);
    }
    return json_number_value(get(settings, prefix, "lora_alpha")); /* 0 when there is none */
}

/* Of the layers of one part, or, `all`, of every one. */
static bool apply(struct lora *lora, const json_t *settings, const char *prefix, enum weights_part part, bool all, struct error *error) {
    if (json_is_true(get(settings, prefix, "use_dora")))
        return error_set(error, ERROR_UNSUPPORTED,
                         "this is a DoRA, which rescales layers besides changing them; that can't be merged here: get a plain LoRA");
    bool root = json_is_true(get(settings, prefix, "use_rslora"));
    for (size_t i = 0; i < lora->count; i++) {
        struct lora_layer *layer = &lora->layers[i];
        if ((!all && layer->part != part) || layer->side[LORA_ALPHA]) continue;
        layer->alpha = alpha_of(settings, prefix, layer->layer);
        layer->root = root;
        if (!isfinite(layer->alpha)) return error_set(error, ERROR_FORMAT, "an alpha is no number");
    }
    return true;
}

static json_t *read_adapter_config(const char *path, struct error *error) {
    const char *slash = strrchr(path, '/');
    size_t folder = weights_is_file(path) ? (slash ? (size_t)(slash - path) + 1 : 0) : strlen(path);
    char *name = memory_format("%.*s%sadapter_config.json", (int)folder, path, weights_is_file(path) ? "" : "/"), *text = NULL;
    size_t length = 0;
    if (!name) {
        error_set(error, ERROR_MEMORY, "out of memory for a LoRA");
        return NULL;
    }
    json_t *settings = NULL;
    if (!file_read(name, SETTINGS_BYTES_MAX, &text, &length, error)) {
        if (error->code == ERROR_NOT_FOUND)
            error_set(error, ERROR_NOT_FOUND,
                      "this LoRA has peft's own names, and its alpha is in adapter_config.json, which is not beside it");
    } else if (!(settings = json_loadb(text, length, 0, NULL))) {
        error_set(error, ERROR_FORMAT, "%s is no JSON", name);
    }
    memory_free(text);
    memory_free(name);
    return settings;
}

bool lora_read_settings(struct lora *lora, const char *path, struct error *error) {
    bool peft = lora->count > 0 && strncmp(lora->layers[0].name, "base_model.model.", 17) == 0;
    json_t *settings = NULL;
    if (peft) {
        settings = read_adapter_config(path, error);
    } else {
        if (!lora->file->lora_settings) return true;
        settings = json_loads(lora->file->lora_settings, 0, NULL);
        if (!settings) error_set(error, ERROR_FORMAT, "what the header says of the LoRA (lora_adapter_metadata) is no JSON");
    }
    bool fine = settings && (peft ? apply(lora, settings, "", WEIGHTS_UNET, true, error)
                                  : apply(lora, settings, "unet.", WEIGHTS_UNET, false, error) &&
                                        apply(lora, settings, "text_encoder.", WEIGHTS_TEXT_ENCODER, false, error));
    json_decref(settings);
    return fine;
}
