#include "model/config.h"

#include "base/file.h"
#include "base/memory.h"

#include <string.h>

enum { CONFIG_BYTES_MAX = 1 << 20 };

bool config_open(const char *folder, const char *name, json_t **root, struct error *error) {
    char *path = name ? file_join(folder, name) : memory_string(folder), *text = NULL;
    size_t length = 0;
    if (!path) return error_set(error, ERROR_MEMORY, "out of memory to read %s", folder);
    json_error_t where;
    json_t *parsed = NULL;
    if (file_read(path, CONFIG_BYTES_MAX, &text, &length, error)) {
        parsed = json_loadb(text, length, 0, &where);
        if (!parsed) error_set(error, ERROR_FORMAT, "%s is no JSON: line %d", path, where.line);
    }
    if (parsed && !json_is_object(parsed)) {
        error_set(error, ERROR_FORMAT, "%s holds no JSON object", path);
        json_decref(parsed);
        parsed = NULL;
    }
    memory_free(text);
    memory_free(path);
    *root = parsed;
    return parsed != NULL;
}

const char *config_quote(const char *text, char quoted[CONFIG_QUOTE_SIZE]) {
    if (!text) text = "?";
    size_t length = 0;
    for (; length < CONFIG_QUOTE_SIZE - 1 && text[length]; length++) {
        bool printable = text[length] >= ' ' && text[length] <= '~';
        quoted[length] = printable ? text[length] : '?';
    }
    quoted[length] = 0;
    return quoted;
}

/* ==== Numbers ==== */

/* The field, or NULL when it is absent or null. */
static const json_t *given(const json_t *root, const char *key) {
    const json_t *field = json_object_get(root, key);
    return json_is_null(field) ? NULL : field;
}

static bool wrong_number(const char *key, const json_t *field, double minimum, double maximum, struct error *error) {
    if (!field) return error_set(error, ERROR_FORMAT, "%s is missing", key);
    if (!json_is_number(field)) return error_set(error, ERROR_FORMAT, "%s must be a number", key);
    return error_set(error, ERROR_FORMAT, "%s is %g; from %g to %g is supported", key, json_number_value(field), minimum, maximum);
}

static bool read_size(const json_t *field, const char *key, size_t minimum, size_t maximum, size_t *value, struct error *error) {
    double number = field ? json_number_value(field) : (double)*value;
    bool fits = (!field || json_is_number(field)) && number >= (double)minimum && number <= (double)maximum;
    if (!fits) return wrong_number(key, field, (double)minimum, (double)maximum, error);
    if (number != (double)(size_t)number) return error_set(error, ERROR_FORMAT, "%s must be a whole number", key);
    *value = (size_t)number;
    return true;
}

bool config_size(const json_t *root, const char *key, size_t minimum, size_t maximum, size_t *value, struct error *error) {
    return read_size(given(root, key), key, minimum, maximum, value, error);
}

static bool read_number(const json_t *field, const char *key, double minimum, double maximum, double *value, struct error *error) {
    double number = field ? json_number_value(field) : *value;
    bool fits = (!field || json_is_number(field)) && number >= minimum && number <= maximum;
    if (!fits) return wrong_number(key, field, minimum, maximum, error);
    *value = number;
    return true;
}

bool config_number(const json_t *root, const char *key, double minimum, double maximum, double *value, struct error *error) {
    return read_number(given(root, key), key, minimum, maximum, value, error);
}

bool config_bool(const json_t *root, const char *key, bool *value, struct error *error) {
    const json_t *field = given(root, key);
    if (!field) return true;
    if (!json_is_boolean(field)) return error_set(error, ERROR_FORMAT, "%s must be true or false", key);
    *value = json_is_true(field);
    return true;
}

/* ==== Lists ==== */

bool config_list(const json_t *root, const char *key, size_t minimum, size_t maximum, size_t most, size_t *values, size_t *count,
                 struct error *error) {
    const json_t *list = given(root, key);
    size_t length = json_array_size(list);
    if (!json_is_array(list) || length == 0) return error_set(error, ERROR_FORMAT, "%s must be a list of numbers", key);
    if (length > most) return error_set(error, ERROR_FORMAT, "%s has %zu entries; at most %zu are supported", key, length, most);
    for (size_t i = 0; i < length; i++)
        if (!read_size(json_array_get(list, i), key, minimum, maximum, &values[i], error)) return false;
    *count = length;
    return true;
}

static bool check_length(const json_t *list, const char *key, size_t count, struct error *error) {
    if (json_array_size(list) == count) return true;
    return error_set(error, ERROR_FORMAT, "%s has %zu entries where %zu are needed", key, json_array_size(list), count);
}

bool config_each(const json_t *root, const char *key, size_t minimum, size_t maximum, size_t *values, size_t count, struct error *error) {
    const json_t *field = given(root, key);
    bool list = json_is_array(field);
    if (list && !check_length(field, key, count, error)) return false;
    for (size_t i = 0; i < count; i++)
        if (!read_size(list ? json_array_get(field, i) : field, key, minimum, maximum, &values[i], error)) return false;
    return true;
}

bool config_numbers(const json_t *root, const char *key, double minimum, double maximum, double *values, size_t count,
                    struct error *error) {
    const json_t *field = given(root, key);
    if (!field) return true;
    if (!json_is_array(field)) return error_set(error, ERROR_FORMAT, "%s must be a list of numbers", key);
    if (!check_length(field, key, count, error)) return false;
    for (size_t i = 0; i < count; i++)
        if (!read_number(json_array_get(field, i), key, minimum, maximum, &values[i], error)) return false;
    return true;
}

/* ==== What we know with one value only ==== */

static bool same(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

bool config_check_fixed(const json_t *root, const struct config_fixed *fixed, size_t count, struct error *error) {
    for (size_t i = 0; i < count; i++) {
        const json_t *field = given(root, fixed[i].key);
        if (!field) continue;
        json_t *known = json_loads(fixed[i].value, JSON_DECODE_ANY, NULL);
        if (!known) return error_set(error, ERROR_MEMORY, "out of memory to read a config");
        bool fits = same(field, known);
        json_decref(known);
        if (fits) continue;
        char quoted[CONFIG_QUOTE_SIZE];
        if (json_is_string(field))
            return error_set(error, ERROR_UNSUPPORTED, "%s is \"%s\"; only %s is supported", fixed[i].key,
                             config_quote(json_string_value(field), quoted), fixed[i].value);
        return error_set(error, ERROR_UNSUPPORTED, "%s is set; only %s is supported", fixed[i].key, fixed[i].value);
    }
    return true;
}
