/* Any bytes as a packed file: an error, or members that can all be read, and packed weights that lie where they say. */
#include "base/archive.h"
#include "base/file.h"
#include "base/memory.h"
#include "tensor/plan.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long touch(const char *path) {
    const unsigned char *bytes;
    size_t length;
    unsigned long sum = 0;
    char *text;
    if (file_map(path, &bytes, &length, NULL)) {
        for (size_t i = 0; i < length; i++) sum += bytes[i];
        file_unmap(bytes, length);
    }
    if (file_read(path, 1 << 20, &text, &length, NULL)) memory_free(text);
    return sum;
}

static void read_archive(const char *path) {
    struct archive archive;
    if (!archive_read(path, &archive, NULL)) return;
    for (size_t i = 0; i < archive.count; i++) {
        char *member = file_join(path, archive.members[i].name);
        if (member) touch(member);
        memory_free(member);
    }
    archive_free(&archive);
}

/* The index may say anything: its SHA-256 is whatever its writer says. */
static void read_index(const uint8_t *data, size_t size) {
    static const unsigned char region[8192], blobs[16384];
    json_t *index = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    struct packed_weights *packed = index ? packed_weights_create(NULL) : NULL;
    if (packed) {
        packed_weights_region(packed, "unet", region, sizeof region);
        packed_weights_load(packed, index, blobs, sizeof blobs, NULL);
        packed_weights_free(packed);
    }
    json_decref(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    read_index(data, size);
    int file = memfd_create("packed", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (file >= 0 && write(file, data, size) == (ssize_t)size) read_archive(path);
    close(file);
    return 0;
}
