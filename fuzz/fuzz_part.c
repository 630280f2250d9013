/* Any bytes as a checkpoint in one file, safetensors or torch's: an error, or components whose tensors
 * can all be read. */
#include "memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[MEMORY_PATH_SIZE];
    int file = memory_file(data, size, path);
    struct weights *weights;
    struct error error;
    for (int part = WEIGHTS_UNET; part <= WEIGHTS_TEXT_ENCODER; part++) {
        if (!weights_open_part(path, (enum weights_part)part, &weights, &error)) continue;
        read_tensors(weights);
        weights_close(weights);
    }
    if (weights_open_tiny_decoder(path, &weights, &error)) {
        read_tensors(weights);
        weights_close(weights);
    }
    close(file);
    return 0;
}
