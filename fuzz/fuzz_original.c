/* Any text as a tensor's original name: another name that fits, or none. */
#include "weights/original.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const prefixes[] = {"model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."};
    if (size < 3) return 0;
    const struct original_layout layout = {.per_block = data[0], .vae_blocks = data[1]};
    size_t prefix = data[2] % 3, length = strlen(prefixes[prefix]);
    char *name = malloc(length + size), out[ORIGINAL_NAME_SIZE];
    memcpy(name, prefixes[prefix], length);
    memcpy(name + length, data + 3, size - 3);
    name[length + size - 3] = 0;
    for (int part = WEIGHTS_UNET; part <= WEIGHTS_TEXT_ENCODER; part++)
        if (original_name(&layout, (enum weights_part)part, name, out) && strlen(out) >= sizeof out) abort();
    free(name);
    return 0;
}
