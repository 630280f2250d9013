/* Any bytes as a pickle: an error, or values that can all be looked at. */
#include "weights/pickle.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The containers in a container, so far down; the bytes of texts must be there. */
static unsigned look(const struct pickle *pickle, struct pickle_value value, int depth) {
    unsigned sum = 0;
    size_t cursor = 0, seen = 0;
    struct pickle_value key, inner;
    if (value.kind == PICKLE_TEXT || value.kind == PICKLE_BYTES)
        for (uint32_t i = 0; i < value.length; i++) sum += value.text[i];
    const struct pickle_tensor *tensor = pickle_tensor(pickle, value);
    if (tensor) sum += look(pickle, tensor->storage.key, 0) + (unsigned)tensor->rank;
    while (depth > 0 && seen++ < 100 && pickle_next(pickle, value, &cursor, &key, &inner))
        sum += look(pickle, key, depth - 1) + look(pickle, inner, depth - 1);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pickle *pickle;
    struct error error;
    if (pickle_read(data, size, &pickle, &error)) {
        volatile unsigned sum = look(pickle, pickle_root(pickle), 2);
        (void)sum;
        pickle_free(pickle);
    }
    return 0;
}
