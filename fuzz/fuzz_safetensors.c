/* Any bytes as a file of weights (safetensors, torch's zip): an error, or tensors that can all be read. */
#include "memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[MEMORY_PATH_SIZE];
    int file = memory_file(data, size, path);
    struct weights *weights;
    struct error error;
    if (weights_open_file(path, &weights, &error)) {
        read_tensors(weights);
        for (size_t i = 0; i < weights_count(weights); i++) {
            const char *name;
            const struct tensor *tensor = weights_at(weights, i, &name);
            weights_get(weights, name, tensor->rank, tensor->shape, &error);
            weights_get(weights, name, 1, (size_t[]){7}, &error);
        }
        weights_close(weights);
    }
    close(file);
    return 0;
}
