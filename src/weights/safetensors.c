/* The safetensors format: 8 bytes, the header's length (little endian); the header, a JSON object of
 * {"name": {"dtype": "F16", "shape": [2, 3], "data_offsets": [first, end]}, "__metadata__": {...}},
 * perhaps followed by spaces; the data. Offsets count from the data's beginning; together they
 * must cover the data without holes or overlap. */
#include "base/memory.h"
#include "weights/table.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The format's own library allows headers of 100 MB. Read as JSON they take some forty times their length, so
 * what WEIGHTS_TENSORS_MAX tensors need must do. */
enum { LENGTH_BYTES = 8, HEADER_MAX = 16 << 20 };

static const struct {
    const char *name;
    enum dtype dtype;
} dtypes[] = {
    {"F32", DTYPE_F32}, {"F16", DTYPE_F16}, {"BF16", DTYPE_BF16}, {"F64", DTYPE_F64}, {"I64", DTYPE_I64},
    {"I32", DTYPE_I32}, {"I16", DTYPE_I16}, {"I8", DTYPE_I8},     {"U8", DTYPE_U8},   {"BOOL", DTYPE_BOOL},
};

static bool read_dtype(const json_t *value, const char *name, enum dtype *dtype, struct error *error) {
    const char *text = json_string_value(value);
    if (!text) return error_set(error, ERROR_FORMAT, "tensor %s has no dtype", name);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            *dtype = dtypes[i].dtype;
            return true;
        }
    }
    char unknown[QUOTED_SIZE];
    return error_set(error, ERROR_UNSUPPORTED, "tensor %s has the dtype %s, which can't be read here", name, quoted(text, unknown));
}

/* A JSON integer >= 0 as a size. */
static bool read_size(const json_t *value, size_t *size) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *size = (size_t)json_integer_value(value);
    return true;
}

/* Shape, and the bytes that it takes. */
static bool read_shape(const json_t *value, const char *name, struct tensor *tensor, size_t *bytes, struct error *error) {
    if (!json_is_array(value)) return error_set(error, ERROR_FORMAT, "tensor %s has no shape", name);
    size_t rank = json_array_size(value);
    if (rank > TENSOR_RANK_MAX)
        return error_set(error, ERROR_FORMAT, "tensor %s has %zu dimensions; %d are the most", name, rank, TENSOR_RANK_MAX);
    size_t total = dtype_size(tensor->dtype);
    tensor->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        size_t *dimension = &tensor->shape[i];
        if (!read_size(json_array_get(value, i), dimension))
            return error_set(error, ERROR_FORMAT, "dimension %zu of tensor %s is not a size", i, name);
        if (__builtin_mul_overflow(total, *dimension, &total))
            return error_set(error, ERROR_FORMAT, "the shape of tensor %s is larger than any memory", name);
    }
    *bytes = total;
    return true;
}

static bool read_offsets(const json_t *value, const char *name, size_t data_size, struct entry *entry, struct error *error) {
    if (json_array_size(value) != 2 || !read_size(json_array_get(value, 0), &entry->first) ||
        !read_size(json_array_get(value, 1), &entry->end))
        return error_set(error, ERROR_FORMAT, "tensor %s has no pair of data_offsets", name);
    if (entry->first > entry->end)
        return error_set(error, ERROR_FORMAT, "tensor %s ends at byte %zu, before its beginning at %zu", name, entry->end, entry->first);
    if (entry->end > data_size)
        return error_set(error, ERROR_FORMAT,
                         "tensor %s ends at byte %zu of the data, but only %zu bytes are there (is the file complete?)", name, entry->end,
                         data_size);
    return true;
}

static bool read_entry(const char *name, const json_t *value, const unsigned char *data, size_t data_size, struct entry *entry,
                       struct error *error) {
    char shown[QUOTED_SIZE];
    quoted(name, shown);
    if (!json_is_object(value)) return error_set(error, ERROR_FORMAT, "what the header says about tensor %s is not an object", shown);
    size_t bytes = 0;
    if (!read_dtype(json_object_get(value, "dtype"), shown, &entry->tensor.dtype, error) ||
        !read_shape(json_object_get(value, "shape"), shown, &entry->tensor, &bytes, error) ||
        !read_offsets(json_object_get(value, "data_offsets"), shown, data_size, entry, error))
        return false;
    if (entry->end - entry->first != bytes)
        return error_set(error, ERROR_FORMAT, "tensor %s should take %zu bytes by its shape and dtype, but its offsets give it %zu", shown,
                         bytes, entry->end - entry->first);
    entry->tensor.data = data + entry->first;
    entry->name = memory_string(name);
    if (!entry->name) return error_set(error, ERROR_MEMORY, "out of memory for the name of tensor %s", shown);
    return true;
}

static bool read_entries(struct weights *weights, json_t *header, size_t data_offset, struct error *error) {
    size_t count = json_object_size(header);
    if (count > WEIGHTS_TENSORS_MAX)
        return error_set(error, ERROR_LIMIT, "%zu tensors are in the header; %d are the most", count, WEIGHTS_TENSORS_MAX);
    weights->entries = memory_array(count ? count : 1, sizeof *weights->entries);
    if (!weights->entries) return error_set(error, ERROR_MEMORY, "out of memory for the names of %zu tensors", count);
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value) {
        if (strcmp(name, "__metadata__") == 0) {
            const char *settings = json_string_value(json_object_get(value, "lora_adapter_metadata"));
            weights->lora_settings = memory_string(settings);
            if (settings && !weights->lora_settings) return error_set(error, ERROR_MEMORY, "out of memory for a file's metadata");
            continue;
        }
        struct entry *entry = &weights->entries[weights->count];
        *entry = (struct entry){0};
        if (!read_entry(name, value, weights->bytes + data_offset, weights->size - data_offset, entry, error)) return false;
        weights->count++;
    }
    return true;
}

/* By place; empty tensors come before the one that begins at the same byte. */
static int compare_places(const void *a, const void *b) {
    const struct entry *left = a, *right = b;
    if (left->first != right->first) return left->first < right->first ? -1 : 1;
    return (left->end > right->end) - (left->end < right->end);
}

static bool check_places(const struct weights *weights, size_t data_size, struct error *error) {
    size_t covered = 0;
    char shown[QUOTED_SIZE];
    for (size_t i = 0; i < weights->count; i++) {
        const struct entry *entry = &weights->entries[i];
        if (entry->first < covered)
            return error_set(error, ERROR_FORMAT, "tensor %s begins at byte %zu of the data, inside another tensor that ends at %zu",
                             quoted(entry->name, shown), entry->first, covered);
        if (entry->first > covered)
            return error_set(error, ERROR_FORMAT, "bytes %zu to %zu of the data, before tensor %s, belong to no tensor", covered,
                             entry->first, quoted(entry->name, shown));
        covered = entry->end;
    }
    if (covered != data_size)
        return error_set(error, ERROR_FORMAT, "the last %zu bytes of the data belong to no tensor", data_size - covered);
    return true;
}

/* Where the data begin, or false. */
static bool find_header(const struct weights *weights, size_t *data_offset, struct error *error) {
    if (weights->size < LENGTH_BYTES) return error_set(error, ERROR_FORMAT, "%zu bytes are too few for a safetensors file", weights->size);
    uint64_t length = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | weights->bytes[i];
    if (length > HEADER_MAX)
        return error_set(error, ERROR_FORMAT, "not a safetensors file: its first 8 bytes give its header %llu bytes, above the limit of %d",
                         (unsigned long long)length, HEADER_MAX);
    if (length > weights->size - LENGTH_BYTES)
        return error_set(error, ERROR_FORMAT, "the header should have %llu bytes, but the file ends after %zu (is it complete?)",
                         (unsigned long long)length, weights->size - LENGTH_BYTES);
    if (length == 0 || weights->bytes[LENGTH_BYTES] != '{')
        return error_set(error, ERROR_FORMAT, "not a safetensors file: no JSON object after its first 8 bytes");
    *data_offset = LENGTH_BYTES + (size_t)length;
    return true;
}

bool safetensors_read(struct weights *weights, struct error *error) {
    size_t data_offset = 0;
    if (!find_header(weights, &data_offset, error)) return false;
    json_error_t where;
    json_t *header = json_loadb((const char *)weights->bytes + LENGTH_BYTES, data_offset - LENGTH_BYTES, JSON_REJECT_DUPLICATES, &where);
    if (!header) {
        char text[QUOTED_SIZE];
        bool memory = json_error_code(&where) == json_error_out_of_memory;
        return error_set(error, memory ? ERROR_MEMORY : ERROR_FORMAT, "the header can't be read, at byte %d: %s", where.position,
                         quoted(where.text, text));
    }
    bool read = read_entries(weights, header, data_offset, error);
    json_decref(header);
    if (!read) return false;
    qsort(weights->entries, weights->count, sizeof *weights->entries, compare_places);
    return check_places(weights, weights->size - data_offset, error);
}
