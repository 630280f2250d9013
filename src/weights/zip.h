/* Zip archives as torch writes them: every member stored as it is, so that it can be used where it
 * lies in the mapped file. Only for this folder. */
#ifndef WEIGHTS_ZIP_H
#define WEIGHTS_ZIP_H

#include "base/error.h"

#include <stddef.h>

enum { ZIP_MEMBERS_MAX = 200000 };

struct zip_member {
    const unsigned char *name; /* not ended by 0 */
    size_t name_length;
    const unsigned char *data;
    size_t size;
};

struct zip {
    struct zip_member *members; /* sorted by name */
    size_t count;
};

/* Read the central directory of the archive in bytes[size], which must stay where they are. Every
 * member lies inside them. ERROR_FORMAT: not a whole archive; ERROR_UNSUPPORTED: compressed or
 * encrypted members. */
bool zip_read(const unsigned char *bytes, size_t size, struct zip *zip, struct error *error);
void zip_free(struct zip *zip);

/* NULL when there is none of this name. */
const struct zip_member *zip_find(const struct zip *zip, const char *name);

#endif
