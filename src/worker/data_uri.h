/* Reading data: URIs (RFC 2397) as clients write them. */
#ifndef WORKER_DATA_URI_H
#define WORKER_DATA_URI_H

#include "base/error.h"

/* The bytes of "data:[TYPE][;base64],DATA" as a new heap block (memory_free()). The type is not looked
 * at: senders seldom know it. Base64 may be of either alphabet, without padding, broken into lines or
 * percent-encoded. ERROR_FORMAT, ERROR_LIMIT above `maximum` bytes, ERROR_MEMORY. */
bool data_uri_decode(const char *uri, size_t maximum, char **data, size_t *length, struct error *error);

#endif
