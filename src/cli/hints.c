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

double hints_number(const char *hints, const char *input, double minimum, double maximum, double otherwise) {
    json_t *document = hints ? json_loads(hints, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *advised = json_object_get(json_object_get(document, "input"), input);
    double number = json_is_number(advised) ? json_number_value(advised) : otherwise;
    json_decref(document);
    return number >= minimum && number <= maximum ? number : otherwise;
}
