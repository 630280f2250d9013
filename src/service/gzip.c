#include "service/gzip.h"
#include "base/memory.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

/* One element of the list: "gzip", "gzip;q=0.5", "*". */
static bool element_takes(const char *element, size_t length, const char *coding) {
    size_t name = strcspn(element, ",; \t");
    if (name > length || name != strlen(coding) || strncasecmp(element, coding, name) != 0) return false;
    for (const char *at = element + name; at < element + length; at++)
        if (strncasecmp(at, "q=", 2) == 0) return strtod(at + 2, NULL) > 0;
    return true;
}

bool gzip_accepted(const char *accept) {
    while (accept != NULL && *accept != 0) {
        accept += strspn(accept, ", \t");
        size_t length = strcspn(accept, ",");
        if (element_takes(accept, length, "gzip")) return true;
        accept += length;
    }
    return false;
}

bool gzip_compress(const void *data, size_t length, struct buffer *out) {
    enum { GZIP_FORMAT = 16, WINDOW_BITS = 15, MEMORY_LEVEL = 8 };
    z_stream stream = {0};
    if (length > INT_MAX ||
        deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS + GZIP_FORMAT, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    uLong bound = deflateBound(&stream, (uLong)length);
    unsigned char *packed = memory_alloc(bound);
    stream.next_in = (z_const Bytef *)(uintptr_t)data;
    stream.avail_in = (uInt)length;
    stream.next_out = packed;
    stream.avail_out = (uInt)bound;
    bool fine = packed != NULL && deflate(&stream, Z_FINISH) == Z_STREAM_END && buffer_append(out, packed, stream.total_out);
    deflateEnd(&stream);
    memory_free(packed);
    return fine;
}
