/* WebP files. The length in the file's head is put right first, else nearly every file that the
 * fuzzer makes longer or shorter would end there. */
#include "picture.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (image_sniff(data, size) != IMAGE_WEBP) return -1;
    uint8_t *copy = malloc(size);
    if (!copy) return 0;
    memcpy(copy, data, size);
    size_t length = (size - 8) & ~(size_t)1;
    for (size_t i = 0; i < 4; i++) copy[4 + i] = (uint8_t)(length >> 8 * i);
    fuzz_picture(copy, size);
    free(copy);
    return 0;
}
