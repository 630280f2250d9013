/* inpaintd.json: where a pulled model came from, and what its files were. */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "library/hub.h"
#include "library/library.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { RECORD_BYTES_MAX = 1 << 20, RECORD_FILES_MAX = 10000 };

static char *text_of(const json_t *object, const char *key) { return memory_string(json_string_value(json_object_get(object, key))); }

static bool read_file(const json_t *value, struct record_file *file) {
    const char *path = json_string_value(json_object_get(value, "path")), *sha256 = json_string_value(json_object_get(value, "sha256"));
    const json_t *size = json_object_get(value, "size");
    if (!path || !hub_valid_path(path) || !sha256 || strlen(sha256) != 64 || !json_is_integer(size) || json_integer_value(size) < 0)
        return false;
    *file = (struct record_file){.path = memory_string(path), .size = (uint64_t)json_integer_value(size)};
    memcpy(file->sha256, sha256, 65);
    return file->path != NULL;
}

static bool read_all(const json_t *object, struct record *record) {
    const json_t *files = json_object_get(object, "files");
    const char *revision = json_string_value(json_object_get(object, "revision"));
    size_t count = json_array_size(files);
    record->id = text_of(object, "id");
    record->source = text_of(object, "source");
    record->license = text_of(object, "license");
    record->main = text_of(object, "main");
    snprintf(record->revision, sizeof record->revision, "%s", revision ? revision : "");
    if (!record->id || !hub_valid_id(record->id) || count > RECORD_FILES_MAX || (record->main && !hub_valid_path(record->main)))
        return false;
    record->files = memory_array(count ? count : 1, sizeof *record->files);
    if (!record->files) return false;
    for (; record->count < count; record->count++) {
        if (!read_file(json_array_get(files, record->count), &record->files[record->count])) return false;
        record->bytes += record->files[record->count].size;
    }
    return true;
}

bool record_read(const char *model_folder, struct record *record, struct error *error) {
    char *path = file_join(model_folder, LIBRARY_RECORD), *text = NULL;
    size_t length;
    *record = (struct record){0};
    if (!path) return error_set(error, ERROR_MEMORY, "out of memory");
    bool fine = file_read(path, RECORD_BYTES_MAX, &text, &length, error);
    json_t *object = fine ? json_loadb(text, length, 0, NULL) : NULL;
    if (fine && !(object && read_all(object, record))) {
        record_free(record);
        fine = error_set(error, ERROR_FORMAT, "%s is not what a pull writes", path);
    }
    json_decref(object);
    memory_free(text);
    memory_free(path);
    return fine;
}

bool record_write(const char *model_folder, const struct record *record, struct error *error) {
    json_t *files = json_array();
    for (size_t i = 0; i < record->count; i++)
        json_array_append_new(files, json_pack("{s:s,s:I,s:s}", "path", record->files[i].path, "size", (json_int_t)record->files[i].size,
                                               "sha256", record->files[i].sha256));
    json_t *object = json_pack("{s:s,s:s,s:s,s:s,s:s*,s:o}", "id", record->id, "source", record->source, "revision", record->revision,
                               "license", record->license, "main", record->main, "files", files);
    char *text = object ? json_text(object, JSON_INDENT(1)) : NULL, *path = file_join(model_folder, LIBRARY_RECORD);
    bool fine = text && path ? file_write(path, text, strlen(text), error) : error_set(error, ERROR_MEMORY, "out of memory");
    json_decref(object);
    memory_free(text);
    memory_free(path);
    return fine;
}

void record_free(struct record *record) {
    for (size_t i = 0; i < record->count; i++) memory_free(record->files[i].path);
    memory_free(record->files);
    memory_free(record->id);
    memory_free(record->source);
    memory_free(record->license);
    memory_free(record->main);
    *record = (struct record){0};
}
