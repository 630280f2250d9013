/* Content-Encoding: gzip. */
#ifndef SERVICE_GZIP_H
#define SERVICE_GZIP_H

#include "base/buffer.h"

/* Does an Accept-Encoding header (NULL: none was sent) take gzip? */
bool gzip_accepted(const char *accept);

/* Append the bytes as one gzip member; false when out of memory or above the buffer's maximum. */
bool gzip_compress(const void *data, size_t length, struct buffer *out);

#endif
