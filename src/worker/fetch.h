/* The bytes behind an input's URI: "blob:NAME" from our own blobs, data:, http: and https:. */
#ifndef WORKER_FETCH_H
#define WORKER_FETCH_H

#include "store/blob.h"
#include "worker/download.h"

/* A new heap block (memory_free()). The error's sentence goes on from "The image can't be used: ". */
bool fetch(struct blobs *blobs, const char *uri, const struct download_limits *limits, char **data, size_t *length, struct error *error);

#endif
