/* A component's folder: which of the files there is the one, and files in pieces ("shards"). */
#include "base/file.h"
#include "base/memory.h"
#include "weights/table.h"
#include "weights/weights.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_BYTES_MAX = 32 << 20, SHARDS_MAX = 1000 };

/* ==== Pieces ==== */

static int compare_texts(const void *a, const void *b) {
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

/* The distinct file names of weight_map, sorted; they belong to the map. */
static bool list_files(const json_t *map, const char ***files, size_t *count, struct error *error) {
    size_t all = json_object_size(map);
    if (!json_is_object(map) || all == 0) return error_set(error, ERROR_FORMAT, "there is no weight_map, or nothing in it");
    if (all > WEIGHTS_TENSORS_MAX)
        return error_set(error, ERROR_LIMIT, "%zu tensors are in the index; %d are the most", all, WEIGHTS_TENSORS_MAX);
    const char **names = memory_array(all, sizeof *names);
    if (!names) return error_set(error, ERROR_MEMORY, "out of memory for the names of %zu tensors", all);
    *files = names;
    *count = 0;
    const char *key;
    json_t *value;
    size_t listed = 0;
    json_object_foreach((json_t *)(uintptr_t)map, key, value) {
        const char *name = json_string_value(value);
        char shown[QUOTED_SIZE];
        if (!name || !*name || *name == '.' || strchr(name, '/'))
            return error_set(error, ERROR_FORMAT, "the file of tensor %s is not the name of a file beside the index", quoted(key, shown));
        names[listed++] = name;
    }
    qsort(names, listed, sizeof *names, compare_texts);
    for (size_t i = 0; i < listed; i++)
        if (i == 0 || strcmp(names[i], names[*count - 1]) != 0) names[(*count)++] = names[i];
    return *count <= SHARDS_MAX || error_set(error, ERROR_LIMIT, "the weights are in %zu files; %d are the most", *count, SHARDS_MAX);
}

static bool open_shards(const char *folder, const char *const *files, struct weights *weights, size_t count, struct error *error) {
    for (size_t i = 0; i < count; i++) {
        char *path = file_join(folder, files[i]);
        bool opened = path ? weights_open_file(path, &weights->parts[i], error) : error_set(error, ERROR_MEMORY, "out of memory");
        memory_free(path);
        if (!opened) return false;
        weights->part_count++;
        weights->size += weights->parts[i]->size;
    }
    return true;
}

/* All tensors into one table, which takes over their names. */
static bool join_shards(struct weights *weights, struct error *error) {
    size_t count = 0;
    for (size_t i = 0; i < weights->part_count; i++) count += weights->parts[i]->count;
    if (count > WEIGHTS_TENSORS_MAX)
        return error_set(error, ERROR_LIMIT, "%zu tensors are in the files; %d are the most", count, WEIGHTS_TENSORS_MAX);
    memory_free(weights->entries);
    weights->entries = memory_array(count ? count : 1, sizeof *weights->entries);
    if (!weights->entries) return error_set(error, ERROR_MEMORY, "out of memory for the names of %zu tensors", count);
    for (size_t i = 0; i < weights->part_count; i++) {
        struct weights *part = weights->parts[i];
        memcpy(weights->entries + weights->count, part->entries, part->count * sizeof *part->entries);
        weights->count += part->count;
        part->count = 0;
    }
    return weights_sort(weights, error);
}

/* What the index promises is there. */
static bool check_index(const json_t *map, const struct weights *weights, struct error *error) {
    const char *key;
    json_t *value;
    char shown[QUOTED_SIZE];
    json_object_foreach((json_t *)(uintptr_t)map, key, value) {
        if (!weights_find(weights, key))
            return error_set(error, ERROR_FORMAT, "tensor %s is in the index, but in none of the files", quoted(key, shown));
    }
    return true;
}

static bool open_map(const char *folder, const char *path, const json_t *map, struct weights **out, struct error *error) {
    const char **files = NULL;
    size_t count = 0;
    struct weights *weights = NULL;
    bool opened = list_files(map, &files, &count, error) && (weights = weights_create(path, 0, count, error)) &&
                  open_shards(folder, files, weights, count, error) && join_shards(weights, error) && check_index(map, weights, error);
    memory_free(files);
    if (opened)
        *out = weights;
    else
        weights_close(weights);
    return opened;
}

static bool open_index(const char *folder, const char *path, struct weights **weights, struct error *error) {
    char *text;
    size_t length;
    if (!file_read(path, INDEX_BYTES_MAX, &text, &length, error)) return false;
    json_error_t where;
    json_t *index = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    memory_free(text);
    bool memory = !index && json_error_code(&where) == json_error_out_of_memory;
    bool opened = index ? open_map(folder, path, json_object_get(index, "weight_map"), weights, error)
                        : error_set(error, memory ? ERROR_MEMORY : ERROR_FORMAT, "no JSON: line %d", where.line);
    json_decref(index);
    return opened || error_context(error, "%s", path);
}

/* ==== Which file ==== */

static const struct {
    const char *ending;
    bool torch; /* then transformers' own stem is possible too */
    bool index;
} forms[] = {
    {".safetensors", false, false},
    {".safetensors.index.json", false, true},
    {".fp16.safetensors", false, false},
    {".safetensors.index.fp16.json", false, true},
    {".bin", true, false},
    {".bin.index.json", true, true},
    {".fp16.bin", true, false},
    {".bin.index.fp16.json", true, true},
};

/* Open folder/stem.form if it exists. *exists says whether it did. */
static bool open_form(const char *folder, const char *stem, size_t form, bool *exists, struct weights **weights, struct error *error) {
    char *path = memory_format("%s/%s%s", folder, stem, forms[form].ending);
    *exists = true; /* no memory is no reason to look further */
    if (!path) return error_set(error, ERROR_MEMORY, "out of memory to look into %s", folder);
    *exists = file_exists(path);
    bool opened = *exists && (forms[form].index ? open_index(folder, path, weights, error) : weights_open_file(path, weights, error));
    memory_free(path);
    return opened;
}

bool weights_open_folder(const char *folder, const char *stem, struct weights **weights, struct error *error) {
    for (size_t form = 0; form < sizeof forms / sizeof *forms; form++) {
        bool exists;
        bool opened = open_form(folder, stem, form, &exists, weights, error);
        if (!exists && forms[form].torch) opened = open_form(folder, "pytorch_model", form, &exists, weights, error);
        if (exists) return opened;
    }
    return error_set(error, ERROR_NOT_FOUND, "no weights in %s: neither %s.safetensors nor %s.bin, their fp16 forms or an index of pieces",
                     folder, stem, stem);
}
