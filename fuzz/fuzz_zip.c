/* Any bytes as a zip archive: an error, or members that lie inside. */
#include "weights/zip.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct zip zip;
    struct error error;
    if (!zip_read(data, size, &zip, &error)) return 0;
    for (size_t i = 0; i < zip.count; i++) {
        const struct zip_member *member = &zip.members[i];
        if (member->data < data || member->size > size - (size_t)(member->data - data)) abort();
        if (member->name < data || member->name_length > size - (size_t)(member->name - data)) abort();
    }
    zip_find(&zip, "archive/data.pkl");
    zip_free(&zip);
    return 0;
}
