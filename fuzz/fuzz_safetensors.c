/* Any bytes as a safetensors file: an error, or tensors that can all be read. */
#include "weights/weights.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct weights *weights) {
    float values[64];
    for (size_t i = 0; i < weights_count(weights); i++) {
        const char *name;
        const struct tensor *tensor = weights_at(weights, i, &name);
        if (weights_find(weights, name) != tensor) abort();
        size_t count = tensor_count(tensor);
        for (size_t first = 0; first < count; first += 64) tensor_read_f32(tensor, first, count - first < 64 ? count - first : 64, values);
        struct error error;
        weights_get(weights, name, tensor->rank, tensor->shape, &error);
        weights_get(weights, name, 1, (size_t[]){7}, &error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int file = memfd_create("weights", 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    struct weights *weights;
    struct error error;
    if (file >= 0 && write(file, data, size) == (ssize_t)size && weights_open_file(path, &weights, &error)) {
        read_all(weights);
        weights_close(weights);
    }
    close(file);
    return 0;
}
