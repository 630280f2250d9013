/* W + scale * up down, layer by layer, in f32. */
#include "base/memory.h"
#include "weights/lora_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 8, TOGETHER = 4 }; /* rows of a task; ranks added in one walk over a row */

struct merge {
    const struct tensor *weight; /* [out, ...]: as it was, or `out` itself */
    float *out;                  /* [rows][columns] */
    const float *down, *up;      /* [rank][columns], [rows][rank] */
    size_t rows, columns, rank;
    float scale;
};

static void add_rank(const struct merge *merge, size_t row, float *out) {
    const float *up = merge->up + row * merge->rank;
    size_t n = merge->columns, p = 0;
    for (; p + TOGETHER <= merge->rank; p += TOGETHER) {
        const float *d = merge->down + p * n;
        float a = merge->scale * up[p], b = merge->scale * up[p + 1], c = merge->scale * up[p + 2], e = merge->scale * up[p + 3];
        for (size_t i = 0; i < n; i++) out[i] += a * d[i] + b * d[n + i] + c * d[2 * n + i] + e * d[3 * n + i];
    }
    for (; p < merge->rank; p++) {
        const float *d = merge->down + p * n;
        float a = merge->scale * up[p];
        for (size_t i = 0; i < n; i++) out[i] += a * d[i];
    }
}

static void merge_rows(void *context, size_t task, size_t thread) {
    const struct merge *merge = context;
    (void)thread;
    size_t last = (task + 1) * ROWS < merge->rows ? (task + 1) * ROWS : merge->rows;
    for (size_t row = task * ROWS; row < last; row++) {
        float *out = merge->out + row * merge->columns;
        if (merge->weight->data != merge->out) tensor_read_f32(merge->weight, row * merge->columns, merge->columns, out);
        add_rank(merge, row, out);
    }
}

static float *read_all(const struct tensor *tensor) {
    size_t count = tensor_count(tensor);
    float *values = memory_array(count, sizeof *values);
    if (values) tensor_read_f32(tensor, 0, count, values);
    return values;
}

/* ==== Fitting ==== */

/* Elements of all dimensions but the first. */
static size_t columns_of(const struct tensor *tensor) { return tensor->shape[0] ? tensor_count(tensor) / tensor->shape[0] : 0; }

static bool check_fit(const struct lora_layer *layer, const struct entry *entry, struct error *error) {
    const struct tensor *down = layer->side[LORA_DOWN], *up = layer->side[LORA_UP], *weight = &entry->tensor;
    size_t inner = columns_of(down), wanted = columns_of(weight);
    char shown[QUOTED_SIZE];
    if (strstr(layer->layer, "attn2_to_k") && inner != wanted && up->shape[0] == weight->shape[0])
        return error_set(error, ERROR_UNSUPPORTED,
                         "this LoRA was made for another family: its text is %zu numbers wide%s, the checkpoint's is %zu", inner,
                         inner == 768    ? " (Stable Diffusion 1)"
                         : inner == 1024 ? " (Stable Diffusion 2)"
                         : inner == 2048 ? " (SDXL)"
                                         : "",
                         wanted);
    /* A 1x1 convolution may be written as a matrix; kernels of other sizes may not be mixed up. */
    bool fits = up->shape[0] == weight->shape[0] && inner == wanted && down->shape[1] == weight->shape[1];
    return fits || error_set(error, ERROR_UNSUPPORTED,
                             "this LoRA was made for another model: %s changes a layer of %zu x %zu numbers, which has %zu x %zu here",
                             quoted(layer->name, shown), up->shape[0], inner, weight->shape[0], wanted);
}

static bool merge_layer(const struct lora_layer *layer, struct entry *entry, double factor, struct pool *pool, struct error *error) {
    if (!check_fit(layer, entry, error)) return false;
    struct merge merge = {.weight = &entry->tensor,
                          .out = entry->merged,
                          .down = NULL,
                          .rows = entry->tensor.shape[0],
                          .columns = columns_of(&entry->tensor),
                          .rank = layer->side[LORA_DOWN]->shape[0]};
    double rank = (double)merge.rank, scale = layer->alpha == 0 ? 1 : layer->alpha / (layer->root ? sqrt(rank) : rank);
    merge.scale = (float)(factor * scale);
    float *down = read_all(layer->side[LORA_DOWN]), *up = read_all(layer->side[LORA_UP]);
    if (!merge.out) merge.out = memory_array(merge.rows * merge.columns, sizeof *merge.out);
    bool fine = down && up && merge.out;
    if (fine) {
        merge.down = down;
        merge.up = up;
        size_t tasks = (merge.rows + ROWS - 1) / ROWS;
        if (pool) pool_run(pool, tasks, merge_rows, &merge);
        for (size_t task = 0; !pool && task < tasks; task++) merge_rows(&merge, task, 0);
        entry->merged = merge.out;
        entry->tensor.data = merge.out;
        entry->tensor.dtype = DTYPE_F32;
    } else {
        if (!entry->merged) memory_free(merge.out);
        error_set(error, ERROR_MEMORY, "out of memory to merge a LoRA");
    }
    memory_free(down);
    memory_free(up);
    return fine;
}

/* ==== All layers ==== */

static int compare_with_layer(const void *key, const void *element) {
    const struct lora_layer *wanted = key, *layer = element;
    if (wanted->part != layer->part) return wanted->part < layer->part ? -1 : 1;
    return strcmp(wanted->layer, layer->layer);
}

bool lora_merge(struct lora *lora, enum weights_part part, struct weights *weights, double weight, struct pool *pool, struct error *error) {
    char name[LORA_LAYER_SIZE];
    for (size_t i = 0; i < weights->count; i++) {
        struct entry *entry = &weights->entries[i];
        if (entry->tensor.rank < 2 || !lora_layer_name(entry->name, name)) continue;
        const struct lora_layer key = {.part = part, .layer = name};
        struct lora_layer *layer = bsearch(&key, lora->layers, lora->count, sizeof *layer, compare_with_layer);
        if (!layer || layer->merged) continue;
        if (!merge_layer(layer, entry, weight, pool, error)) return error_context(error, "%s", lora->file->path);
        layer->merged = true;
    }
    return true;
}
