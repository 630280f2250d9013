/* The only names that a pickle may say, and what they build. */
#include "weights/pickle_internal.h"
#include "weights/table.h"

#include <string.h>

enum name { NAME_DICT, NAME_TENSOR, NAME_PARAMETER, NAME_STORAGE, NAME_PASSED_OVER };

static const struct {
    const char *module, *name;
    enum name meaning;
    enum dtype dtype; /* of a storage */
} names[] = {
    {"collections", "OrderedDict", NAME_DICT, 0},
    {"torch._utils", "_rebuild_tensor_v2", NAME_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", NAME_PARAMETER, 0},
    {"torch", "FloatStorage", NAME_STORAGE, DTYPE_F32},
    {"torch", "HalfStorage", NAME_STORAGE, DTYPE_F16},
    {"torch", "BFloat16Storage", NAME_STORAGE, DTYPE_BF16},
    {"torch", "DoubleStorage", NAME_STORAGE, DTYPE_F64},
    {"torch", "LongStorage", NAME_STORAGE, DTYPE_I64},
    {"torch", "IntStorage", NAME_STORAGE, DTYPE_I32},
    {"torch", "ShortStorage", NAME_STORAGE, DTYPE_I16},
    {"torch", "CharStorage", NAME_STORAGE, DTYPE_I8},
    {"torch", "ByteStorage", NAME_STORAGE, DTYPE_U8},
    {"torch", "BoolStorage", NAME_STORAGE, DTYPE_BOOL},
    /* Training programs leave these beside the weights. They are read over; nothing is made of them. */
    {"pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", NAME_PASSED_OVER, 0},
    {"numpy.core.multiarray", "scalar", NAME_PASSED_OVER, 0},
    {"numpy._core.multiarray", "scalar", NAME_PASSED_OVER, 0},
    {"numpy", "dtype", NAME_PASSED_OVER, 0},
    {"_codecs", "encode", NAME_PASSED_OVER, 0},
};

static bool wrong(struct pickle *pickle, const char *what) {
    error_set(pickle->error, ERROR_FORMAT, "the pickle is damaged: %s", what);
    return false;
}

bool pickle_find_name(struct pickle *pickle, struct pickle_value module, struct pickle_value name, struct pickle_value *value) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!pickle_is_text(module, names[i].module) || !pickle_is_text(name, names[i].name)) continue;
        bool passed = names[i].meaning == NAME_PASSED_OVER;
        *value = (struct pickle_value){.kind = passed ? PICKLE_OPAQUE : PICKLE_NAME, .index = i};
        return true;
    }
    char first[QUOTED_SIZE], second[QUOTED_SIZE];
    return error_set(pickle->error, ERROR_UNSUPPORTED,
                     "the file asks for %s.%s, which is nothing that weights need: refused (nothing of the file was run)",
                     quoted_bytes(module.text, module.length, first), quoted_bytes(name.text, name.length, second));
}

/* ==== Arguments ==== */

enum { ARGUMENTS_MAX = 8 };

/* The items of a tuple, of which there are from `least` to `most`. */
static bool take_items(struct pickle *pickle, struct pickle_value tuple, size_t least, size_t most, struct pickle_value *items,
                       size_t *count) {
    size_t cursor = 0;
    struct pickle_value key, value;
    *count = 0;
    if (tuple.kind != PICKLE_TUPLE) return wrong(pickle, "a call without a tuple of arguments");
    while (pickle_next(pickle, tuple, &cursor, &key, &value)) {
        if (*count == most) return wrong(pickle, "a tuple is longer than it may be");
        items[(*count)++] = value;
    }
    return *count >= least || wrong(pickle, "a tuple is shorter than it may be");
}

static bool is_size(struct pickle_value value) { return value.kind == PICKLE_INTEGER && value.integer >= 0; }

/* ==== Storages ==== */

/* ("storage", its class, the key, where it once lay, its elements) */
bool pickle_find_storage(struct pickle *pickle, struct pickle_value id, struct pickle_value *value) {
    struct pickle_value part[5];
    size_t count;
    if (!take_items(pickle, id, 5, 5, part, &count)) return false;
    bool sound = pickle_is_text(part[0], "storage") && part[1].kind == PICKLE_NAME && names[part[1].index].meaning == NAME_STORAGE &&
                 part[2].kind == PICKLE_TEXT && is_size(part[4]);
    if (!sound) return wrong(pickle, "a tensor's memory is not described as torch does it");
    *value = (struct pickle_value){.kind = PICKLE_STORAGE, .index = pickle->stored.count};
    struct pickle_storage *storage = pickle_add(pickle, &pickle->stored, sizeof *storage);
    if (!storage) return false;
    *storage = (struct pickle_storage){part[2], names[part[1].index].dtype, (uint64_t)part[4].integer};
    return true;
}

/* ==== Tensors ==== */

/* Sizes and strides of equally many dimensions; `reach`: elements from the first to behind the last. */
static bool read_layout(struct pickle *pickle, struct pickle_value sizes, struct pickle_value strides, struct pickle_tensor *tensor,
                        uint64_t *reach) {
    struct pickle_value size[TENSOR_RANK_MAX], stride[TENSOR_RANK_MAX];
    size_t rank, count;
    if (!take_items(pickle, sizes, 0, TENSOR_RANK_MAX, size, &rank) || !take_items(pickle, strides, rank, rank, stride, &count))
        return false;
    uint64_t elements = 1;
    tensor->rank = (int)rank;
    tensor->contiguous = true;
    for (size_t i = rank; i > 0; i--) {
        if (!is_size(size[i - 1]) || !is_size(stride[i - 1])) return wrong(pickle, "a tensor's shape is not made of sizes");
        if (size[i - 1].integer != 1 && (uint64_t)stride[i - 1].integer != elements) tensor->contiguous = false;
        tensor->shape[i - 1] = (size_t)size[i - 1].integer;
        if (__builtin_mul_overflow(elements, (uint64_t)size[i - 1].integer, &elements))
            return wrong(pickle, "a tensor's shape is larger than any memory");
    }
    if (elements == 0) tensor->contiguous = true;
    *reach = elements;
    return true;
}

/* (storage, first element, sizes, strides, needs a gradient, hooks, and perhaps metadata) */
static bool build_tensor(struct pickle *pickle, struct pickle_value arguments, struct pickle_value *value) {
    struct pickle_value part[ARGUMENTS_MAX];
    size_t count;
    if (!take_items(pickle, arguments, 4, 7, part, &count)) return false;
    if (part[0].kind != PICKLE_STORAGE || !is_size(part[1])) return wrong(pickle, "a tensor without a place in memory");
    struct pickle_tensor made = {.storage = ((const struct pickle_storage *)pickle->stored.items)[part[0].index],
                                 .first = (uint64_t)part[1].integer};
    uint64_t reach;
    if (!read_layout(pickle, part[2], part[3], &made, &reach)) return false;
    bool inside = made.first <= made.storage.count && reach <= made.storage.count - made.first;
    if (made.contiguous && !inside) return wrong(pickle, "a tensor reaches beyond its memory");
    *value = (struct pickle_value){.kind = PICKLE_TENSOR, .index = pickle->tensors.count};
    struct pickle_tensor *tensor = pickle_add(pickle, &pickle->tensors, sizeof *tensor);
    if (tensor) *tensor = made;
    return tensor != NULL;
}

/* (tensor, needs a gradient, hooks): the tensor itself */
static bool build_parameter(struct pickle *pickle, struct pickle_value arguments, struct pickle_value *value) {
    struct pickle_value part[ARGUMENTS_MAX];
    size_t count;
    if (!take_items(pickle, arguments, 1, 3, part, &count)) return false;
    if (part[0].kind != PICKLE_TENSOR) return wrong(pickle, "a parameter that is no tensor");
    *value = part[0];
    return true;
}

static bool build_dict(struct pickle *pickle, struct pickle_value arguments, struct pickle_value *value) {
    struct pickle_value none[1];
    size_t count;
    return take_items(pickle, arguments, 0, 0, none, &count) && pickle_new_object(pickle, PICKLE_DICT, value);
}

bool pickle_call(struct pickle *pickle, struct pickle_value callable, struct pickle_value arguments, struct pickle_value *value) {
    if (callable.kind == PICKLE_OPAQUE) {
        *value = callable;
        return true;
    }
    if (callable.kind != PICKLE_NAME) return wrong(pickle, "a call of what has no name");
    switch (names[callable.index].meaning) {
    case NAME_DICT:
        return build_dict(pickle, arguments, value);
    case NAME_TENSOR:
        return build_tensor(pickle, arguments, value);
    case NAME_PARAMETER:
        return build_parameter(pickle, arguments, value);
    case NAME_STORAGE:
    case NAME_PASSED_OVER:
        break;
    }
    return wrong(pickle, "a storage is described by a call");
}
