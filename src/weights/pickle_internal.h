/* What the files of the pickle reader share. */
#ifndef WEIGHTS_PICKLE_INTERNAL_H
#define WEIGHTS_PICKLE_INTERNAL_H

#include "weights/pickle.h"

enum { PICKLE_TABLE_MAX = 1 << 20 }; /* entries of each table: twenty times what a large checkpoint takes */

/* An array that grows. */
struct pickle_array {
    void *items;
    size_t count, capacity;
};

/* A tuple, list or dictionary: a chain of items. Places in tables are counted from 1; 0 is none. */
struct pickle_object {
    size_t first, last, count;
};
struct pickle_item {
    struct pickle_value key, value;
    size_t next;
};

struct pickle {
    const unsigned char *bytes;
    size_t size, at;
    struct pickle_array stack, memo;                     /* struct pickle_value */
    struct pickle_array objects, items, tensors, stored; /* object, item, tensor, storage */
    struct error *error;                                 /* of the call that reads */
};

/* A new last place of the array, all zero; NULL when out of memory (and said so). */
void *pickle_add(struct pickle *pickle, struct pickle_array *array, size_t item_size);

/* A new, empty tuple, list or dictionary; and one more item at its end. */
bool pickle_new_object(struct pickle *pickle, enum pickle_kind kind, struct pickle_value *value);
bool pickle_append(struct pickle *pickle, struct pickle_value object, struct pickle_value key, struct pickle_value value);

/* ==== torch's side (pickle_torch.c) ==== */

/* The value that stands for MODULE.NAME, or an error that says the name. */
bool pickle_find_name(struct pickle *pickle, struct pickle_value module, struct pickle_value name, struct pickle_value *value);
/* What calling `callable` with the tuple `arguments` would have given. */
bool pickle_call(struct pickle *pickle, struct pickle_value callable, struct pickle_value arguments, struct pickle_value *value);
/* The storage that a persistent id (a tuple) describes. */
bool pickle_find_storage(struct pickle *pickle, struct pickle_value id, struct pickle_value *value);

#endif
