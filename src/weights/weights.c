#include "weights/weights.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "weights/table.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *quoted_bytes(const unsigned char *name, size_t length, char text[QUOTED_SIZE]) {
    char whole[QUOTED_SIZE + 1];
    size_t copied = length < QUOTED_SIZE ? length : QUOTED_SIZE;
    for (size_t i = 0; i < copied; i++) whole[i] = name[i] < ' ' || name[i] > '~' ? '?' : (char)name[i];
    whole[copied] = 0;
    return quoted(whole, text);
}

const char *quoted(const char *name, char text[QUOTED_SIZE]) {
    size_t length = 0;
    for (; length < QUOTED_SIZE - 1 && name[length]; length++)
        text[length] = (unsigned char)name[length] < ' ' || name[length] == 127 ? '?' : name[length];
    if (name[length]) { /* cut: not inside a character, and to be seen */
        length -= 3;
        while (((unsigned char)name[length] & 0xc0) == 0x80) length--;
        for (int i = 0; i < 3; i++) text[length++] = '.';
    }
    text[length] = 0;
    return text;
}

/* ==== Opening ==== */

static bool begins_with(const struct weights *weights, const char *text) {
    size_t length = strlen(text);
    return weights->size >= length && memcmp(weights->bytes, text, length) == 0;
}

/* Other things that lie under such names, told apart by how they begin; then safetensors. */
static bool read_table(struct weights *weights, struct error *error) {
    if (begins_with(weights, "PK\x03\x04")) return torch_read(weights, error);
    if (begins_with(weights, "\x80\x02\x8a\x0a"))
        return error_set(error, ERROR_UNSUPPORTED,
                         "this is a file of torch's format from before version 1.6; load and save it with a newer torch, or get the "
                         ".safetensors file");
    if (begins_with(weights, "GGUF"))
        return error_set(error, ERROR_UNSUPPORTED, "this is a GGUF file, which can't be read; get the .safetensors file");
    if (begins_with(weights, "version https://git-lfs"))
        return error_set(error, ERROR_FORMAT,
                         "this is only Git LFS's pointer to the weights; fetch the file itself (git lfs pull, or download it)");
    if (begins_with(weights, "<!") || begins_with(weights, "<html"))
        return error_set(error, ERROR_FORMAT, "this is a web page, not weights: the download went to a page about the file");
    return safetensors_read(weights, error);
}

static int compare_names(const void *a, const void *b) {
    const struct entry *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

bool weights_sort(struct weights *weights, struct error *error) {
    weights->by_name = memory_array(weights->count ? weights->count : 1, sizeof *weights->by_name);
    if (!weights->by_name) return error_set(error, ERROR_MEMORY, "out of memory for the names of %zu tensors", weights->count);
    for (size_t i = 0; i < weights->count; i++) weights->by_name[i] = &weights->entries[i];
    qsort(weights->by_name, weights->count, sizeof *weights->by_name, compare_names);
    for (size_t i = 1; i < weights->count; i++) {
        char shown[QUOTED_SIZE];
        if (strcmp(weights->by_name[i - 1]->name, weights->by_name[i]->name) == 0)
            return error_set(error, ERROR_FORMAT, "tensor %s is there twice", quoted(weights->by_name[i]->name, shown));
    }
    return true;
}

struct weights *weights_create(const char *path, size_t count, size_t parts, struct error *error) {
    struct weights *weights = memory_zero(sizeof *weights);
    if (weights) {
        weights->path = memory_string(path);
        weights->entries = memory_array(count ? count : 1, sizeof *weights->entries);
        weights->parts = memory_array(parts ? parts : 1, sizeof *weights->parts);
        if (weights->path && weights->entries && weights->parts) return weights;
    }
    error_set(error, ERROR_MEMORY, "out of memory to open %s", path);
    weights_close(weights);
    return NULL;
}

bool weights_open_file(const char *path, struct weights **weights, struct error *error) {
    struct weights *opened = memory_zero(sizeof *opened);
    if (!opened) return error_set(error, ERROR_MEMORY, "out of memory to open %s", path);
    opened->path = memory_string(path);
    if (!opened->path) {
        error_set(error, ERROR_MEMORY, "out of memory to open %s", path);
    } else if (file_map(opened->path, &opened->bytes, &opened->size, error)) {
        if (read_table(opened, error) && weights_sort(opened, error)) {
            *weights = opened;
            return true;
        }
        error_context(error, "%s", path);
    }
    weights_close(opened);
    return false;
}

void weights_close(struct weights *weights) {
    if (!weights) return;
    for (size_t i = 0; i < weights->count; i++) {
        memory_free(weights->entries[i].name);
        memory_free(weights->entries[i].merged);
    }
    memory_free(weights->entries);
    memory_free(weights->lora_settings);
    memory_free(weights->by_name);
    for (size_t i = 0; i < weights->part_count; i++) weights_close(weights->parts[i]);
    memory_free(weights->parts);
    file_unmap(weights->bytes, weights->size);
    memory_free(weights->path);
    memory_free(weights);
}

/* ==== Looking up ==== */

size_t weights_count(const struct weights *weights) { return weights->count; }

size_t weights_bytes(const struct weights *weights) { return weights->size; }

bool weights_region(const struct weights *weights, const unsigned char **first, size_t *size) {
    *first = weights->bytes;
    *size = weights->size;
    return weights->bytes != NULL;
}

bool weights_has_open_clip(const struct weights *part) { return part->open_clip; }

bool weights_says_velocity(const struct weights *part) { return part->velocity; }

const char *weights_path(const struct weights *weights) { return weights->path; }

const struct tensor *weights_at(const struct weights *weights, size_t index, const char **name) {
    if (name) *name = weights->entries[index].name;
    return &weights->entries[index].tensor;
}

static int compare_with_name(const void *key, const void *element) {
    const struct entry *const *entry = element;
    return strcmp(key, (*entry)->name);
}

const struct tensor *weights_find(const struct weights *weights, const char *name) {
    const struct entry **found = bsearch(name, weights->by_name, weights->count, sizeof *weights->by_name, compare_with_name);
    return found ? &(*found)->tensor : NULL;
}

/* "[320, 9, 3, 3]" */
enum { SHAPE_TEXT_SIZE = TENSOR_RANK_MAX * 22 + 3 };
static const char *shape_text(int rank, const size_t *shape, char text[SHAPE_TEXT_SIZE]) {
    struct buffer buffer;
    buffer_init(&buffer, SHAPE_TEXT_SIZE - 1);
    buffer_text(&buffer, "[");
    for (int i = 0; i < rank; i++) buffer_format(&buffer, i ? ", %zu" : "%zu", shape[i]);
    buffer_text(&buffer, "]");
    snprintf(text, SHAPE_TEXT_SIZE, "%s", buffer.failed ? "[?]" : buffer.data);
    buffer_free(&buffer);
    return text;
}

static bool has_shape(const struct tensor *tensor, int rank, const size_t *shape) {
    if (tensor->rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (tensor->shape[i] != shape[i]) return false;
    return true;
}

static bool is_float(enum dtype dtype) { return dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16 || dtype == DTYPE_F64; }

const struct tensor *weights_get(const struct weights *weights, const char *name, int rank, const size_t *shape, struct error *error) {
    char wanted[SHAPE_TEXT_SIZE], there[SHAPE_TEXT_SIZE], shown[QUOTED_SIZE];
    const struct tensor *tensor = weights_find(weights, name);
    if (!tensor) {
        error_set(error, ERROR_FORMAT, "%s has no tensor %s (of shape %s)", weights->path, quoted(name, shown),
                  shape_text(rank, shape, wanted));
        return NULL;
    }
    if (!has_shape(tensor, rank, shape)) {
        error_set(error, ERROR_FORMAT, "%s: tensor %s should have the shape %s, but has %s", weights->path, quoted(name, shown),
                  shape_text(rank, shape, wanted), shape_text(tensor->rank, tensor->shape, there));
        return NULL;
    }
    if (!is_float(tensor->dtype)) {
        error_set(error, ERROR_FORMAT, "%s: tensor %s should hold floating-point numbers, but holds %s", weights->path, quoted(name, shown),
                  dtype_name(tensor->dtype));
        return NULL;
    }
    return tensor;
}

void weights_rest_at(const struct weights *weights, const void *data, size_t bytes) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)data + bytes) / page * page, begin = (uintptr_t)weights->bytes;
    bool inside = weights->bytes && (uintptr_t)data >= begin && (uintptr_t)data - begin < weights->size;
    /* Elsewhere lie numbers that were made, such as those with a LoRA: they must stay. */
    if (inside && first < end) madvise((void *)first, end - first, MADV_DONTNEED);
    for (size_t i = 0; i < weights->part_count; i++) weights_rest_at(weights->parts[i], data, bytes);
}

void weights_rest(const struct weights *weights) {
    if (weights->bytes) madvise((void *)(uintptr_t)weights->bytes, weights->size, MADV_DONTNEED);
    for (size_t i = 0; i < weights->part_count; i++) weights_rest(weights->parts[i]);
}
