/* JPEG files. */
#include "picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (image_sniff(data, size) != IMAGE_JPEG) return -1;
    fuzz_picture(data, size);
    return 0;
}
