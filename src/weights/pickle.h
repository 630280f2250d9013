/* Python's pickle, read but never run. What can come out: None, booleans, numbers, strings, tuples,
 * lists, dictionaries, and torch's tensors as a description of where they lie. Every other name that
 * the file would have called is refused by that name. Only for this folder.
 *
 * Strings point into the bytes read. Memory stays within a small multiple of their number. */
#ifndef WEIGHTS_PICKLE_H
#define WEIGHTS_PICKLE_H

#include "base/error.h"
#include "tensor/tensor.h"

enum { PICKLE_BYTES_MAX = 8 << 20 }; /* twenty times what a large checkpoint takes */

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INTEGER,
    PICKLE_NUMBER,
    PICKLE_TEXT,
    PICKLE_BYTES,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_STORAGE, /* a tensor's memory */
    PICKLE_TENSOR,
    PICKLE_NAME,   /* of something callable that we know */
    PICKLE_OPAQUE, /* something harmless that is passed over, such as a training program's settings */
    PICKLE_MARK    /* the machine's own */
};

struct pickle_value {
    enum pickle_kind kind;
    uint32_t length; /* of a text, in bytes */
    union {
        int64_t integer; /* booleans too */
        double number;
        const unsigned char *text; /* not ended by 0 */
        size_t index;              /* of what lies in a table */
    };
};

/* The memory of tensors: a file of its own, named by `key`. */
struct pickle_storage {
    struct pickle_value key; /* a text */
    enum dtype dtype;
    uint64_t count; /* elements */
};

/* Elements [first, first + count of the shape) of a storage, row-major. */
struct pickle_tensor {
    struct pickle_storage storage;
    uint64_t first;
    int rank;
    size_t shape[TENSOR_RANK_MAX];
    bool contiguous; /* false: its elements lie in another order, and are of no use here */
};

struct pickle;

/* ERROR_FORMAT: not a whole pickle; ERROR_UNSUPPORTED: it needs more than the above; ERROR_LIMIT. */
bool pickle_read(const unsigned char *bytes, size_t size, struct pickle **pickle, struct error *error);
void pickle_free(struct pickle *pickle);

struct pickle_value pickle_root(const struct pickle *pickle);
const struct pickle_tensor *pickle_tensor(const struct pickle *pickle, struct pickle_value value);
/* The next pair of a dictionary (or item of a list or tuple: only *value is set). *cursor begins as
 * 0. False when there are no more. */
bool pickle_next(const struct pickle *pickle, struct pickle_value container, size_t *cursor, struct pickle_value *key,
                 struct pickle_value *value);
bool pickle_is_text(struct pickle_value value, const char *text);

#endif
