/* PNG files. Each chunk's checksum is put right first: a fuzzer would not guess them, and would
 * never get past them. */
#include "picture.h"

#include <string.h>

static uint32_t crc32_of(const uint8_t *data, size_t length) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

static void repair_checksums(uint8_t *file, size_t size) {
    for (size_t at = 8; at < size && size - at >= 12;) {
        uint8_t *chunk = file + at;
        size_t length = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
        if (length > size - at - 12) return;
        uint32_t crc = crc32_of(chunk + 4, length + 4);
        for (size_t i = 0; i < 4; i++) chunk[8 + length + i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (image_sniff(data, size) != IMAGE_PNG) return -1;
    uint8_t *copy = malloc(size);
    if (!copy) return 0;
    memcpy(copy, data, size);
    repair_checksums(copy, size);
    fuzz_picture(copy, size);
    free(copy);
    return 0;
}
