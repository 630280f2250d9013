/* Hashes of files: SHA-256, and git's name of a file's content (SHA-1 over "blob SIZE", 0 and the content). */
#ifndef LIBRARY_CHECKSUM_H
#define LIBRARY_CHECKSUM_H

#include "base/error.h"

#include <stdint.h>

struct checksum {
    uint64_t size;
    char sha256[65], git[41]; /* lower-case hex */
};

/* Both in one reading. `seen` (may be NULL) is told of bytes read, and ends it by returning false. */
bool checksum_file(const char *path, bool (*seen)(void *user, uint64_t bytes), void *user, struct checksum *checksum, struct error *error);

#endif
