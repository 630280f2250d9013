/* The fuzzer's bytes as a file that can be opened by a path. */
#ifndef FUZZ_MEMORY_FILE_H
#define FUZZ_MEMORY_FILE_H

#include "weights/weights.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MEMORY_PATH_SIZE = 64 };

/* The descriptor, to be closed; the path is good until then. */
static inline int memory_file(const uint8_t *data, size_t size, char path[MEMORY_PATH_SIZE]) {
    int file = memfd_create("fuzz", 0);
    if (file < 0 || write(file, data, size) != (ssize_t)size) abort();
    snprintf(path, MEMORY_PATH_SIZE, "/proc/self/fd/%d", file);
    return file;
}

/* Every number of every tensor. */
static inline void read_tensors(const struct weights *weights) {
    float values[64];
    for (size_t i = 0; i < weights_count(weights); i++) {
        const char *name;
        const struct tensor *tensor = weights_at(weights, i, &name);
        if (weights_find(weights, name) != tensor) abort();
        size_t count = tensor_count(tensor);
        for (size_t first = 0; first < count; first += 64) tensor_read_f32(tensor, first, count - first < 64 ? count - first : 64, values);
    }
}

#endif
