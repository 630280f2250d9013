/* Uploaded files. */
#include "store/sqlite.h"

#include "base/memory.h"

#include <string.h>

#define FILE_COLUMNS "id, owner, name, content_type, blob, size, md5, sha256, metadata, created, expires"

static void read_file(struct query *query, struct stored_file *file) {
    memset(file, 0, sizeof *file);
    column_array(query, 0, file->id, sizeof file->id);
    column_string(query, 1, &file->owner);
    column_string(query, 2, &file->name);
    column_string(query, 3, &file->content_type);
    column_string(query, 4, &file->blob);
    file->size = (size_t)column_integer(query, 5);
    column_array(query, 6, file->md5, sizeof file->md5);
    column_array(query, 7, file->sha256, sizeof file->sha256);
    column_json(query, 8, &file->metadata);
    file->created = column_integer(query, 9);
    file->expires = column_integer(query, 10);
}

static bool insert_file(struct sqlite_store *store, const struct stored_file *file, struct error *error) {
    struct query query = query_begin(&store->writer, "INSERT INTO files (" FILE_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_text(&query, file->id);
    query_text(&query, file->owner ? file->owner : "");
    query_text(&query, file->name);
    query_text(&query, file->content_type);
    query_text(&query, file->blob);
    query_integer(&query, (int64_t)file->size);
    query_text(&query, file->md5);
    query_text(&query, file->sha256);
    query_json(&query, file->metadata);
    query_integer(&query, file->created);
    query_integer(&query, file->expires);
    while (query_row(&query)) {
    }
    if (query.result == SQLITE_CONSTRAINT_PRIMARYKEY) {
        query_end(&query, NULL);
        return error_set(error, ERROR_CONFLICT, "there is a file %s already", file->id);
    }
    return query_end(&query, error);
}

bool sqlite_file_create(struct store *base, const struct stored_file *file, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    if (!file->id[0] || !file->name || !file->content_type || !file->blob)
        return error_set(error, ERROR_INTERNAL, "a file was to be stored that isn't filled in");
    if (!write_begin(store, error)) return false;
    bool ok = insert_file(store, file, error) && blob_use(store, file->blob, file->id, error);
    return write_end(store, ok, false, error);
}

bool sqlite_file_get(struct store *base, const char *id, const char *owner, struct stored_file *file, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    memset(file, 0, sizeof *file);
    read_begin(store);
    struct query query = query_begin(&store->reader, "SELECT " FILE_COLUMNS " FROM files WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)");
    query_text(&query, id);
    query_text(&query, owner);
    bool found = query_row(&query);
    if (found) read_file(&query, file);
    bool ok = query_end(&query, error);
    read_end(store);
    if (!ok) stored_file_free(file);
    return ok && (found || error_set(error, ERROR_NOT_FOUND, "there is no such file"));
}

bool sqlite_file_list(struct store *base, const char *owner, int64_t cursor_created, const char *cursor_id, size_t limit,
                      struct stored_file **files, size_t *count, bool *more, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    *count = 0;
    *more = false;
    *files = memory_array(limit + 1, sizeof **files);
    if (!*files) return error_set(error, ERROR_MEMORY, "out of memory for a list of files");
    read_begin(store);
    struct query query = query_begin(
        &store->reader,
        owner ? "SELECT " FILE_COLUMNS " FROM files WHERE (created, id) < (?1, ?2) AND owner = ?4 ORDER BY created DESC, id DESC LIMIT ?3"
              : "SELECT " FILE_COLUMNS " FROM files WHERE (created, id) < (?1, ?2) ORDER BY created DESC, id DESC LIMIT ?3");
    query_integer(&query, cursor_created ? cursor_created : INT64_MAX);
    query_text(&query, cursor_created && cursor_id ? cursor_id : "");
    query_integer(&query, (int64_t)limit + 1);
    if (owner) query_text(&query, owner);
    while (query_row(&query)) {
        if (*count == limit) {
            *more = true;
            break;
        }
        read_file(&query, &(*files)[(*count)++]);
    }
    bool ok = query_end(&query, error);
    read_end(store);
    if (ok) return true;
    stored_files_free(*files, *count);
    *files = NULL;
    *count = 0;
    return false;
}

bool sqlite_file_delete(struct store *base, const char *id, const char *owner, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    if (!write_begin(store, error)) return false;
    struct query query = query_begin(&store->writer, "DELETE FROM files WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)");
    query_text(&query, id);
    query_text(&query, owner);
    bool ok = query_run(&query, error);
    if (ok && sqlite3_changes(store->writer.database) == 0) ok = error_set(error, ERROR_NOT_FOUND, "there is no such file");
    ok = ok && blob_unuse(store, id, error);
    return write_end(store, ok, false, error);
}
