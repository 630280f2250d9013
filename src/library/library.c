#include "library/library.h"

#include "base/archive.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "library/checksum.h"
#include "library/hub.h"
#include "library/pull.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODELS_MAX = 10000, DEPTH_MAX = 8 };

char *library_folder(struct error *error) {
    const char *named = getenv("INPAINT_MODELS"), *share = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    char *folder;
    if (named && *named)
        folder = memory_string(named);
    else if (share && *share == '/')
        folder = memory_format("%s/inpaintd/models", share);
    else
        folder = memory_format("%s/.local/share/inpaintd/models", home && *home ? home : ".");
    if (!folder) error_set(error, ERROR_MEMORY, "out of memory");
    return folder;
}

char *library_resolve(const char *name) {
    if (file_exists(name) || !hub_valid_id(name)) return memory_string(name);
    char *folder = library_folder(NULL), *model = folder ? file_join(folder, name) : NULL, *path = NULL;
    struct record record;
    if (model && record_read(model, &record, NULL)) {
        path = record.main ? file_join(model, record.main) : memory_string(model);
        record_free(&record);
    } else if (folder && model) {
        path = memory_string(name);
    }
    memory_free(model);
    memory_free(folder);
    return path;
}

/* ==== Listing ==== */

static bool add_model(const char *owner_folder, const char *name, struct record **records, size_t *count, struct error *error) {
    char *path = file_join(owner_folder, name);
    struct record record;
    if (!path) return error_set(error, ERROR_MEMORY, "out of memory");
    bool there = name[0] != '.' && record_read(path, &record, NULL);
    memory_free(path);
    if (!there) return true;
    struct record *grown = memory_resize(*records, (*count + 1) * sizeof *grown);
    if (!grown) {
        record_free(&record);
        return error_set(error, ERROR_MEMORY, "out of memory");
    }
    *records = grown;
    grown[(*count)++] = record;
    return *count < MODELS_MAX || error_set(error, ERROR_LIMIT, "there are more than %d models", MODELS_MAX);
}

typedef bool with_name(const char *folder, const char *name, struct record **records, size_t *count, struct error *error);

/* A folder that is not there has nothing in it. */
static bool each_name(const char *folder, with_name *with, struct record **records, size_t *count, struct error *error) {
    DIR *open = opendir(folder);
    if (!open) return errno == ENOENT || errno == ENOTDIR || error_from_errno(error, "can't look into %s", folder);
    bool fine = true;
    for (struct dirent *entry; fine && (entry = readdir(open));)
        if (entry->d_name[0] != '.') fine = with(folder, entry->d_name, records, count, error);
    closedir(open);
    return fine;
}

static bool add_owner(const char *folder, const char *name, struct record **records, size_t *count, struct error *error) {
    char *path = file_join(folder, name);
    bool fine = path ? each_name(path, add_model, records, count, error) : error_set(error, ERROR_MEMORY, "out of memory");
    memory_free(path);
    return fine;
}

static int by_id(const void *a, const void *b) { return strcmp(((const struct record *)a)->id, ((const struct record *)b)->id); }

bool library_list(const char *folder, struct record **records, size_t *count, struct error *error) {
    *records = NULL;
    *count = 0;
    if (!each_name(folder, add_owner, records, count, error)) {
        records_free(*records, *count);
        return false;
    }
    if (*count) qsort(*records, *count, sizeof **records, by_id);
    return true;
}

void records_free(struct record *records, size_t count) {
    for (size_t i = 0; i < count; i++) record_free(&records[i]);
    memory_free(records);
}

/* ==== Verifying ==== */

struct reading {
    const struct verify *verify;
    uint64_t done, total;
};

static bool on_read(void *user, uint64_t bytes) {
    struct reading *reading = user;
    reading->done += bytes;
    return !reading->verify->seen || reading->verify->seen(reading->verify->user, reading->done, reading->total);
}

static const char *compare(const struct record_file *file, const struct checksum *found) {
    if (found->size < file->size) return "is too short";
    if (found->size > file->size) return "is too long";
    return strcmp(found->sha256, file->sha256) == 0 ? NULL : "was changed: its SHA-256 is another";
}

bool library_verify(const char *model_folder, const struct record *record, const struct verify *verify, size_t *damaged,
                    struct error *error) {
    struct reading reading = {.verify = verify, .total = record->bytes};
    *damaged = 0;
    for (size_t i = 0; i < record->count; i++) {
        struct checksum found;
        struct error reason = {.code = ERROR_NONE};
        char *path = file_join(model_folder, record->files[i].path);
        if (!path) return error_set(error, ERROR_MEMORY, "out of memory");
        bool read = checksum_file(path, on_read, &reading, &found, &reason);
        memory_free(path);
        if (!read && (reason.code == ERROR_CANCELED || reason.code == ERROR_MEMORY))
            return error_set(error, reason.code, "%s", reason.message);
        const char *what = read ? compare(&record->files[i], &found) : reason.code == ERROR_NOT_FOUND ? "is missing" : "can't be read";
        if (!what) continue;
        ++*damaged;
        verify->wrong(verify->user, record->files[i].path, what);
    }
    return true;
}

/* Mapped and read in stretches, so that it can be stopped. */
static bool hash_member(const char *path, uint64_t size, struct reading *reading, char text[SHA256_TEXT], struct error *error) {
    enum { STRETCH = 8 << 20 };
    const unsigned char *bytes = NULL;
    size_t length = 0;
    if (size > 0 && !file_map(path, &bytes, &length, error)) return false;
    struct sha256_sum *sum = sha256_begin();
    bool fine = sum || error_set(error, ERROR_MEMORY, "out of memory");
    for (size_t at = 0; fine && at < length; at += STRETCH) {
        size_t piece = length - at < STRETCH ? length - at : STRETCH;
        sha256_add(sum, bytes + at, piece);
        if (!on_read(reading, piece)) fine = error_set(error, ERROR_CANCELED, "stopped");
    }
    sha256_end(sum, fine ? text : NULL);
    file_unmap(bytes, length);
    return fine;
}

bool library_verify_packed(const char *path, const struct verify *verify, size_t *count, size_t *damaged, struct error *error) {
    struct reading reading = {.verify = verify};
    struct archive archive;
    *damaged = 0;
    if (!archive_read(path, &archive, error)) return false;
    *count = archive.count;
    for (size_t i = 0; i < archive.count; i++) reading.total += archive.members[i].size;
    bool fine = true;
    for (size_t i = 0; fine && i < archive.count; i++) {
        char text[SHA256_TEXT], *member = file_join(path, archive.members[i].name);
        fine =
            member ? hash_member(member, archive.members[i].size, &reading, text, error) : error_set(error, ERROR_MEMORY, "out of memory");
        if (fine && strcmp(text, archive.members[i].sha256) != 0) {
            ++*damaged;
            verify->wrong(verify->user, archive.members[i].name, "was changed: its SHA-256 is another");
        }
        memory_free(member);
    }
    archive_free(&archive);
    return fine;
}

/* ==== Removing ==== */

/* What is below a folder, never through a link; then the folder. */
static bool remove_below(int parent, const char *name, int depth, uint64_t *bytes, struct error *error) {
    struct stat info;
    if (depth > DEPTH_MAX) return error_set(error, ERROR_LIMIT, "%s: folders within folders, deeper than any pulled model's", name);
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return error_from_errno(error, "can't look at %s", name);
    if (!S_ISDIR(info.st_mode)) {
        *bytes += (uint64_t)info.st_blocks * 512;
        return unlinkat(parent, name, 0) == 0 || error_from_errno(error, "can't remove %s", name);
    }
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *open = folder >= 0 ? fdopendir(folder) : NULL;
    if (!open) {
        if (folder >= 0) close(folder);
        return error_from_errno(error, "can't look into %s", name);
    }
    bool fine = true;
    for (struct dirent *entry; fine && (entry = readdir(open));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fine = remove_below(folder, entry->d_name, depth + 1, bytes, error);
    closedir(open);
    return fine && (unlinkat(parent, name, AT_REMOVEDIR) == 0 || error_from_errno(error, "can't remove %s", name));
}

bool folder_remove(const char *path, uint64_t *bytes, struct error *error) { return remove_below(AT_FDCWD, path, 0, bytes, error); }

static bool remove_if_there(const char *path, bool *there, uint64_t *bytes, struct error *error) {
    if (!path) return error_set(error, ERROR_MEMORY, "out of memory");
    if (!file_exists(path)) return true;
    *there = true;
    return folder_remove(path, bytes, error);
}

bool library_remove(const char *folder, const char *id, uint64_t *bytes, struct error *error) {
    *bytes = 0;
    if (!hub_valid_id(id))
        return error_set(error, ERROR_ARGUMENT, "\"%s\" is no model's name (OWNER/NAME); only pulled models can be removed", id);
    char *model = file_join(folder, id), *record = model ? file_join(model, LIBRARY_RECORD) : NULL, *partial = pull_folder(folder, id);
    bool there = false, fine = true;
    /* The record goes first: what is left of a model that is being removed is none. */
    if (record && file_exists(record)) fine = unlink(record) == 0 || error_from_errno(error, "can't remove %s", record);
    fine = fine && remove_if_there(model, &there, bytes, error) && remove_if_there(partial, &there, bytes, error);
    if (fine && !there)
        fine = error_set(error, ERROR_NOT_FOUND, "there is no model %s in %s; \"inpaintd model list\" shows them", id, folder);
    if (fine) {
        char *owner = file_join(folder, id);
        if (owner) *strrchr(owner, '/') = 0;
        if (owner) rmdir(owner); /* when it was the owner's last */
        memory_free(owner);
    }
    memory_free(partial);
    memory_free(record);
    memory_free(model);
    return fine;
}
