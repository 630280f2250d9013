/* Uploaded files. */
#include "store/postgres.h"

#include "base/memory.h"

#include <string.h>

#define FILE_COLUMNS "id, owner, name, content_type, blob, size, md5, sha256, metadata, created, expires"

static void read_file(struct statement *row, struct stored_file *file) {
    memset(file, 0, sizeof *file);
    value_array(row, 0, file->id, sizeof file->id);
    value_string(row, 1, &file->owner);
    value_string(row, 2, &file->name);
    value_string(row, 3, &file->content_type);
    value_string(row, 4, &file->blob);
    file->size = (size_t)value_integer(row, 5);
    value_array(row, 6, file->md5, sizeof file->md5);
    value_array(row, 7, file->sha256, sizeof file->sha256);
    value_json(row, 8, &file->metadata);
    file->created = value_integer(row, 9);
    file->expires = value_integer(row, 10);
}

static bool insert(struct postgres_store *store, const struct stored_file *file, struct error *error) {
    size_t inserted;
    struct statement statement = statement_begin(store, "INSERT INTO files (" FILE_COLUMNS
                                                        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING");
    statement_text(&statement, file->id);
    statement_text(&statement, file->owner ? file->owner : "");
    statement_text(&statement, file->name);
    statement_text(&statement, file->content_type);
    statement_text(&statement, file->blob);
    statement_integer(&statement, (int64_t)file->size);
    statement_text(&statement, file->md5);
    statement_text(&statement, file->sha256);
    statement_json(&statement, file->metadata);
    statement_integer(&statement, file->created);
    statement_integer(&statement, file->expires);
    if (!statement_run(&statement, &inserted, error)) return false;
    return inserted == 1 || error_set(error, ERROR_CONFLICT, "there is a file %s already", file->id);
}

struct upload {
    const struct stored_file *file;
};

static bool create(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct stored_file *file = ((const struct upload *)user)->file;
    (void)wake;
    return insert(store, file, error) && hold_blob(store, file->blob, file->id, error);
}

bool postgres_file_create(struct store *store, const struct stored_file *file, struct error *error) {
    struct upload upload = {file};
    if (!file->id[0] || !file->name || !file->content_type || !file->blob)
        return error_set(error, ERROR_INTERNAL, "a file was to be stored that isn't filled in");
    return postgres_write(store, create, &upload, error);
}

struct named {
    const char *id, *owner;
    struct stored_file *file;
};

static bool not_found(struct error *error) { return error_set(error, ERROR_NOT_FOUND, "there is no such file"); }

static bool get(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct named *named = user;
    (void)wake;
    struct statement statement =
        statement_begin(store, "SELECT " FILE_COLUMNS " FROM files WHERE id = $1 AND ($2::text IS NULL OR owner = $2)");
    statement_text(&statement, named->id);
    statement_text(&statement, named->owner);
    bool found = statement_row(&statement);
    if (found) read_file(&statement, named->file);
    if (statement_end(&statement, error)) return found || not_found(error);
    stored_file_free(named->file);
    return false;
}

bool postgres_file_get(struct store *store, const char *id, const char *owner, struct stored_file *file, struct error *error) {
    struct named named = {id, owner, file};
    memset(file, 0, sizeof *file);
    return is_text(id) ? postgres_read(store, get, &named, error) : not_found(error);
}

struct listing {
    const char *owner, *cursor_id;
    int64_t cursor_created;
    size_t limit, count;
    struct stored_file *files; /* room for limit + 1 */
    bool more;
};

static bool read_list(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct listing *listing = user;
    (void)wake;
    listing->more = false;
    struct statement statement = statement_begin(
        store, listing->owner ? "SELECT " FILE_COLUMNS
                                " FROM files WHERE (created, id) < ($1, $2) AND owner = $4 ORDER BY created DESC, id DESC LIMIT $3"
                              : "SELECT " FILE_COLUMNS
                                " FROM files WHERE (created, id) < ($1, $2) ORDER BY created DESC, id DESC LIMIT $3");
    statement_integer(&statement, listing->cursor_created ? listing->cursor_created : INT64_MAX);
    statement_text(&statement, listing->cursor_created && listing->cursor_id ? listing->cursor_id : "");
    statement_integer(&statement, (int64_t)listing->limit + 1);
    if (listing->owner) statement_text(&statement, listing->owner);
    while (!listing->more && statement_row(&statement)) {
        listing->more = listing->count == listing->limit;
        if (!listing->more) read_file(&statement, &listing->files[listing->count++]);
    }
    if (statement_end(&statement, error)) return true;
    for (size_t i = 0; i < listing->count; i++) stored_file_free(&listing->files[i]);
    listing->count = 0;
    return false;
}

bool postgres_file_list(struct store *store, const char *owner, int64_t cursor_created, const char *cursor_id, size_t limit,
                        struct stored_file **files, size_t *count, bool *more, struct error *error) {
    struct listing listing = {.owner = owner, .cursor_id = cursor_id, .cursor_created = cursor_created, .limit = limit};
    *files = NULL;
    *count = 0;
    *more = false;
    if (cursor_id && !is_text(cursor_id)) return error_set(error, ERROR_ARGUMENT, "a list's cursor is not UTF-8");
    listing.files = memory_array(limit + 1, sizeof *listing.files);
    if (!listing.files) return error_set(error, ERROR_MEMORY, "out of memory for a list of files");
    if (!postgres_read(store, read_list, &listing, error)) {
        memory_free(listing.files);
        return false;
    }
    *files = listing.files;
    *count = listing.count;
    *more = listing.more;
    return true;
}

static bool delete_file(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct named *named = user;
    size_t deleted;
    (void)wake;
    struct statement statement = statement_begin(store, "DELETE FROM files WHERE id = $1 AND ($2::text IS NULL OR owner = $2)");
    statement_text(&statement, named->id);
    statement_text(&statement, named->owner);
    if (!statement_run(&statement, &deleted, error)) return false;
    return deleted > 0 ? let_blobs_go(store, named->id, error) : not_found(error);
}

bool postgres_file_delete(struct store *store, const char *id, const char *owner, struct error *error) {
    struct named named = {.id = id, .owner = owner};
    return is_text(id) ? postgres_write(store, delete_file, &named, error) : not_found(error);
}
