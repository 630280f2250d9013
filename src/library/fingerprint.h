/* What a model is, in 64 hex digits: other contents, other digits, wherever it lies. */
#ifndef LIBRARY_FINGERPRINT_H
#define LIBRARY_FINGERPRINT_H

#include "base/error.h"
#include "base/sha256.h"

#include <stdint.h>

/* A pulled model's, from its record of hashes; a packed file's, from its directory's; of anything else, its configs
 * and of each file of weights the length and a million bytes from its beginning, middle and end: reading gigabytes
 * at each start would be too much. *changed: when it was last (wall clock, microseconds). */
bool library_fingerprint(const char *path, char text[SHA256_TEXT], int64_t *changed, struct error *error);

#endif
