/* The one thing wanted from EXIF: how the camera was held (TIFF 6.0, tag 0x0112). Everything here
 * comes from a stranger's file, so each read is checked against the block's end. */
#include "image/decode.h"

#include <string.h>

enum { TIFF_HEADER = 8, ENTRY_SIZE = 12, TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4 };

struct tiff {
    const uint8_t *data;
    size_t length;
    bool big_endian;
};

static uint32_t read_u16(const struct tiff *tiff, size_t offset) {
    const uint8_t *at = tiff->data + offset;
    return tiff->big_endian ? (uint32_t)at[0] << 8 | at[1] : (uint32_t)at[1] << 8 | at[0];
}

static uint32_t read_u32(const struct tiff *tiff, size_t offset) {
    uint32_t first = read_u16(tiff, offset), second = read_u16(tiff, offset + 2);
    return tiff->big_endian ? first << 16 | second : second << 16 | first;
}

int exif_orientation(const uint8_t *data, size_t length) {
    if (length >= 6 && memcmp(data, "Exif\0\0", 6) == 0) {
        data += 6;
        length -= 6;
    }
    if (length < TIFF_HEADER || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0)) return 1;
    struct tiff tiff = {.data = data, .length = length, .big_endian = data[0] == 'M'};
    size_t directory = read_u32(&tiff, 4);
    if (directory > length || length - directory < 2) return 1;
    size_t entries = read_u16(&tiff, directory), fitting = (length - directory - 2) / ENTRY_SIZE;
    if (entries > fitting) entries = fitting;
    for (size_t i = 0; i < entries; i++) {
        size_t entry = directory + 2 + i * ENTRY_SIZE;
        if (read_u16(&tiff, entry) != TAG_ORIENTATION) continue;
        uint32_t type = read_u16(&tiff, entry + 2), count = read_u32(&tiff, entry + 4);
        if (count != 1 || (type != TYPE_SHORT && type != TYPE_LONG)) return 1;
        uint32_t value = type == TYPE_SHORT ? read_u16(&tiff, entry + 8) : read_u32(&tiff, entry + 8);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
