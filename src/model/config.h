/* A component's config.json, read with suspicion: every number has a range, and what we don't know
 * is refused. Only for this folder.
 *
 * A reader leaves its value alone when the key is absent or null; a value that then lies outside
 * its range means that the key is required. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include "base/error.h"

#include <jansson.h>

/* folder/name (or the file `folder` itself when name is NULL) as an object; json_decref() it. */
bool config_open(const char *folder, const char *name, json_t **root, struct error *error);

bool config_size(const json_t *root, const char *key, size_t minimum, size_t maximum, size_t *value, struct error *error);
bool config_number(const json_t *root, const char *key, double minimum, double maximum, double *value, struct error *error);
bool config_bool(const json_t *root, const char *key, bool *value, struct error *error);

/* A list of whole numbers, at most `most` of them; it is required. */
bool config_list(const json_t *root, const char *key, size_t minimum, size_t maximum, size_t most, size_t *values, size_t *count,
                 struct error *error);
/* One number for all, or a list of exactly `count`; absent: every value is left alone. */
bool config_each(const json_t *root, const char *key, size_t minimum, size_t maximum, size_t *values, size_t count, struct error *error);
/* A list of exactly `count` numbers; absent: left alone. */
bool config_numbers(const json_t *root, const char *key, double minimum, double maximum, double *values, size_t count, struct error *error);

/* Settings that change the computation and that we know with one value only. */
struct config_fixed {
    const char *key;
    const char *value; /* JSON; absent and null are fine too */
};
/* ERROR_UNSUPPORTED that names the first setting with another value. */
bool config_check_fixed(const json_t *root, const struct config_fixed *fixed, size_t count, struct error *error);

/* A text from the file, fit for a sentence: short, printable ASCII. "?" for NULL. */
enum { CONFIG_QUOTE_SIZE = 64 };
const char *config_quote(const char *text, char quoted[CONFIG_QUOTE_SIZE]);

#endif
