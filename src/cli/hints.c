#include "cli/hints.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <jansson.h>

enum { HINTS_BYTES_MAX = 64 * 1024 };

static bool is_object(const char *data, size_t length) {
    json_t *hints = json_loadb(data, length, JSON_REJECT_DUPLICATES, NULL);
    bool object = json_is_object(hints);
    json_decref(hints);
    return object;
}

char *hints_read(const char *model) {
    struct error error = {.code = ERROR_NONE};
    char *path = file_join(model, "hints.json"), *data = NULL;
    size_t length = 0;
    if (path != NULL && file_exists(path)) {
        if (!file_read(path, HINTS_BYTES_MAX, &data, &length, &error)) {
            log_warning("no hints from %s: %s", path, error.message);
        } else if (!is_object(data, length)) {
            log_warning("no hints from %s: it is not a JSON object", path);
            memory_free(data);
            data = NULL;
        }
    }
    memory_free(path);
    return data;
}
