#include "service/input_files.h"
#include "base/memory.h"
#include "predict/input.h"
#include "service/prediction_json.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *suffix_of(const unsigned char *data, size_t length) {
    if (length >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0) return ".png";
    if (length >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0) return ".jpg";
    if (length >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0) return ".webp";
    return ".bin";
}

static bool set_blob(json_t *known, const char *name, const char *blob, struct error *error) {
    char key[80], value[128];
    snprintf(key, sizeof key, "_%s", name);
    snprintf(value, sizeof value, "blob:%s", blob);
    return json_object_set_new(known, key, json_string(value)) == 0 || error_set(error, ERROR_MEMORY, "out of memory");
}

/* The base64 text of a data URI, standard or URL-safe, padded or not, as a blob. */
static bool hold_data_uri(struct request *request, json_t *known, const char *name, const char *uri, struct error *error) {
    char blob[101];
    const char *comma = strchr(uri, ',');
    if (comma == NULL || (size_t)(comma - uri) < 7 || strncasecmp(comma - 7, ";base64", 7) != 0)
        return error_set(error, ERROR_ARGUMENT, "not base64");
    size_t text = strlen(comma + 1), length;
    while (text > 0 && strchr("=\r\n ", comma[text]) != NULL) text--;
    unsigned char *data = memory_alloc(text / 4 * 3 + 3);
    if (data == NULL) return error_set(error, ERROR_MEMORY, "out of memory");
    int variant = strpbrk(comma + 1, "-_") != NULL ? sodium_base64_VARIANT_URLSAFE_NO_PADDING : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
    bool fine = sodium_base642bin(data, text / 4 * 3 + 3, comma + 1, text, "\r\n ", &length, NULL, variant) == 0;
    fine = fine ? blob_put(request->service->blobs, suffix_of(data, length), data, length, blob, error)
                : error_set(error, ERROR_ARGUMENT, "not base64");
    memory_free(data);
    if (!fine || !set_blob(known, name, blob, error)) return false;
    char *url = blob_url(request->base, blob, name);
    fine = url != NULL && json_object_set_new(known, name, json_string(url)) == 0;
    memory_free(url);
    return fine || error_set(error, ERROR_MEMORY, "out of memory");
}

/* The path of an http(s) URL, without our version prefix; NULL when it is none. */
static const char *url_path(const char *url) {
    const char *rest = strncasecmp(url, "http://", 7) == 0 ? url + 7 : strncasecmp(url, "https://", 8) == 0 ? url + 8 : NULL;
    if (rest == NULL) return NULL;
    rest = strstr(rest, "/v1/");
    return rest == NULL ? strchr(strstr(url, "://") + 3, '/') : rest + 3;
}

/* /files/ID of the caller's own, or /outputs/BLOB/NAME: the worker need not ask us over the network,
 * where it would have no token (and perhaps no leave to reach this machine). blob "": it is none of ours.
 * False when the store or the disk does not answer: then nobody knows whose it is. */
static bool find_own(struct request *request, const char *path, char blob[101], struct error *error) {
    blob[0] = 0;
    struct stored_file file;
    char id[64];
    size_t length;
    if (strncmp(path, "/files/", 7) == 0) {
        length = strcspn(path + 7, "/?#");
        if (length == 0 || length >= sizeof id || (path[7 + length] == '/' && strncmp(path + 7 + length, "/download", 9) != 0)) return true;
        memcpy(id, path + 7, length);
        id[length] = 0;
        if (!store_file_get(request->reader, id, request_owner(request), &file, error)) return error->code == ERROR_NOT_FOUND;
        snprintf(blob, 101, "%s", file.blob);
        stored_file_free(&file);
        return true;
    }
    if (strncmp(path, "/outputs/", 9) != 0) return true;
    length = strcspn(path + 9, "/?#");
    if (length == 0 || length > 100) return true;
    char name[101];
    memcpy(name, path + 9, length);
    name[length] = 0;
    int descriptor;
    size_t size;
    if (!blob_name_valid(name)) return true;
    if (!blob_open(request->service->blobs, name, &descriptor, &size, NULL, error)) return error->code == ERROR_NOT_FOUND;
    close(descriptor);
    memcpy(blob, name, length + 1);
    return true;
}

bool input_files_hold(struct request *request, json_t *known, const char **key, struct error *error) {
    for (size_t i = 0; i < input_fields_count; i++) {
        const char *name = input_fields[i].name, *value = json_string_value(json_object_get(known, name));
        char blob[101];
        if (input_fields[i].type != INPUT_FILE || value == NULL) continue;
        *key = name;
        if (strncasecmp(value, "data:", 5) == 0) {
            if (strlen(value) > INLINE_INPUT_BYTES && !hold_data_uri(request, known, name, value, error)) return false;
            continue;
        }
        const char *path = url_path(value);
        if (path == NULL) continue;
        if (!find_own(request, path, blob, error) || (blob[0] != 0 && !set_blob(known, name, blob, error))) return false;
    }
    return true;
}
