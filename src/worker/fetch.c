#include "worker/fetch.h"

#include "worker/data_uri.h"

#include <string.h>
#include <strings.h>

static bool has_scheme(const char *uri, const char *scheme) { return strncasecmp(uri, scheme, strlen(scheme)) == 0; }

static bool fetch_blob(struct blobs *blobs, const char *name, size_t maximum, char **data, size_t *length, struct error *error) {
    struct error reason = {.code = ERROR_NONE};
    if (blob_read(blobs, name, maximum, data, length, &reason)) return true;
    if (reason.code == ERROR_NOT_FOUND) return error_set(error, ERROR_NOT_FOUND, "it is no longer stored here");
    return error_set(error, reason.code, "%s", reason.message);
}

bool fetch(struct blobs *blobs, const char *uri, const struct download_limits *limits, char **data, size_t *length, struct error *error) {
    if (!uri) return error_set(error, ERROR_ARGUMENT, "none was given");
    if (strncmp(uri, "blob:", 5) == 0) return fetch_blob(blobs, uri + 5, limits->bytes, data, length, error);
    if (has_scheme(uri, "data:")) return data_uri_decode(uri, limits->bytes, data, length, error);
    if (has_scheme(uri, "http:") || has_scheme(uri, "https:")) return download(uri, limits, data, length, error);
    return error_set(error, ERROR_ARGUMENT, "its URI is not one of http:, https: and data:");
}
