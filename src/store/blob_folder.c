/* Blobs in a folder:
 *
 *     FOLDER/ab/cd/abcd....png    named by the first four characters of the name
 *     FOLDER/tmp/....part         being written
 *
 * A blob is written to tmp/, fsynced, renamed into its place, and the folder fsynced: it is there
 * whole or not at all. What a crash leaves in tmp/ is removed when it is a day old. All paths are
 * relative to the folder's descriptor. */
#include "base/file.h"
#include "base/memory.h"
#include "base/time.h"
#include "store/blob_backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLACE_SIZE = BLOB_NAME_SIZE + 7, TEMPORARY_SECONDS = 24 * 3600 };

struct folder_blobs {
    struct blobs base;
    int folder, temporary;
};

struct folder_writer {
    struct blob_writer base;
    int descriptor;
    char temporary[BLOB_NAME_SIZE + 7];
};

static struct folder_blobs *folder_of(struct blobs *blobs) { return (struct folder_blobs *)blobs; }
static struct folder_writer *writer_of(struct blob_writer *writer) { return (struct folder_writer *)writer; }

static void place_of(const char *name, char place[PLACE_SIZE]) { snprintf(place, PLACE_SIZE, "%.2s/%.2s/%s", name, name + 2, name); }

static bool sync_folder(int folder, const char *path) {
    int descriptor = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return false;
    bool ok = fsync(descriptor) == 0;
    int number = errno;
    close(descriptor);
    errno = number;
    return ok;
}

/* Whoever made the folder, it is on the disk afterwards: its maker may not have come so far yet. */
static bool make_folder(int folder, const char *path, const char *parent) {
    return (mkdirat(folder, path, 0700) == 0 || errno == EEXIST) && sync_folder(folder, parent);
}

/* ---- opening ---- */

static DIR *open_listing(int folder, const char *path) {
    int descriptor = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *listing = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (descriptor >= 0 && !listing) close(descriptor);
    return listing;
}

/* Remove what a crash left behind; whoever still writes has touched its file within the day. */
static void clean_temporary(int folder) {
    DIR *listing = open_listing(folder, ".");
    if (!listing) return;
    int64_t oldest = time_wall() / 1000000 - TEMPORARY_SECONDS;
    for (struct dirent *entry; (entry = readdir(listing));) {
        struct stat status;
        if (fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) && status.st_mtime < oldest)
            unlinkat(folder, entry->d_name, 0);
    }
    closedir(listing);
}

static void folder_close(struct blobs *base) {
    struct folder_blobs *blobs = folder_of(base);
    if (blobs->temporary >= 0) close(blobs->temporary);
    if (blobs->folder >= 0) close(blobs->folder);
    memory_free(blobs);
}

/* ---- writing ---- */

/* A folder that is gone is our trouble, not the absence of what somebody asked for. */
static bool write_error(struct error *error) {
    error_from_errno(error, "can't write a blob");
    if (error && error->code == ERROR_NOT_FOUND) error->code = ERROR_IO;
    return false;
}

static bool folder_begin(struct blobs *base, const char *name, struct blob_writer **begun, struct error *error) {
    struct folder_writer *writer = memory_zero(sizeof *writer);
    if (!writer) return error_set(error, ERROR_MEMORY, "out of memory");
    writer->base.blobs = base;
    snprintf(writer->base.name, sizeof writer->base.name, "%s", name);
    snprintf(writer->temporary, sizeof writer->temporary, "%s.part", name);
    writer->descriptor = openat(folder_of(base)->temporary, writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (writer->descriptor < 0) {
        write_error(error);
        memory_free(writer);
        return false;
    }
    *begun = &writer->base;
    return true;
}

static bool folder_append(struct blob_writer *writer, const void *data, size_t length, struct error *error) {
    return blob_write_all(writer_of(writer)->descriptor, data, length) || write_error(error);
}

static void folder_abandon(struct blob_writer *base) {
    struct folder_writer *writer = writer_of(base);
    if (writer->descriptor >= 0) close(writer->descriptor);
    unlinkat(folder_of(base->blobs)->temporary, writer->temporary, 0);
    memory_free(writer);
}

static bool move_into_place(struct folder_writer *writer) {
    const struct folder_blobs *blobs = folder_of(writer->base.blobs);
    int folder = blobs->folder;
    char place[PLACE_SIZE], first[3], second[6];
    place_of(writer->base.name, place);
    snprintf(first, sizeof first, "%.2s", place);
    snprintf(second, sizeof second, "%.5s", place);
    if (!make_folder(folder, first, ".") || !make_folder(folder, second, first)) return false;
    if (renameat(blobs->temporary, writer->temporary, folder, place) != 0) return false;
    if (sync_folder(folder, second)) return true;
    int number = errno;
    unlinkat(folder, place, 0); /* it is not promised, so it shall not stay */
    errno = number;
    return false;
}

static bool folder_commit(struct blob_writer *base, struct error *error) {
    struct folder_writer *writer = writer_of(base);
    bool ok = fsync(writer->descriptor) == 0;
    int number = ok ? 0 : errno;
    if (close(writer->descriptor) != 0 && ok) {
        ok = false;
        number = errno;
    }
    writer->descriptor = -1;
    if (ok && !move_into_place(writer)) {
        ok = false;
        number = errno;
    }
    if (!ok) {
        errno = number;
        write_error(error);
        folder_abandon(base);
        return false;
    }
    memory_free(writer);
    return true;
}

static bool folder_put(struct blobs *blobs, const char *name, const void *data, size_t length, struct error *error) {
    struct blob_writer *writer;
    if (!folder_begin(blobs, name, &writer, error)) return false;
    if (folder_append(writer, data, length, error)) return folder_commit(writer, error);
    folder_abandon(writer);
    return false;
}

/* ---- reading ---- */

static bool folder_open(struct blobs *blobs, const char *name, size_t maximum, int *descriptor, size_t *size, int64_t *modified,
                        struct error *error) {
    char place[PLACE_SIZE];
    struct stat status;
    place_of(name, place);
    int opened = openat(folder_of(blobs)->folder, place, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (opened < 0 && errno == ENOENT) return error_set(error, ERROR_NOT_FOUND, "there is no such blob");
    if (opened < 0) return error_from_errno(error, "can't open blob %s", name);
    bool ok = (fstat(opened, &status) == 0 && S_ISREG(status.st_mode)) || error_set(error, ERROR_IO, "blob %s is not a file", name);
    *size = ok ? (size_t)status.st_size : 0;
    if (*size > maximum) ok = error_set(error, ERROR_LIMIT, "blob %s has %zu bytes, above the %zu allowed", name, *size, maximum);
    if (!ok) {
        close(opened);
        return false;
    }
    *descriptor = opened;
    if (modified) *modified = (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
    return true;
}

static bool folder_remove(struct blobs *blobs, const char *name, struct error *error) {
    char place[PLACE_SIZE];
    place_of(name, place);
    if (unlinkat(folder_of(blobs)->folder, place, 0) == 0 || errno == ENOENT) return true;
    return error_from_errno(error, "can't delete blob %s", name);
}

/* ---- visiting ---- */

/* The next entry that may be ours; NULL at the end. */
static const char *next_name(DIR *listing, size_t length) {
    for (struct dirent *entry; (entry = readdir(listing));)
        if (length ? strlen(entry->d_name) == length && entry->d_name[0] != '.' : blob_name_valid(entry->d_name)) return entry->d_name;
    return NULL;
}

static bool visit_inner(int folder, const char *path, blob_visit *visit, void *user, bool *going) {
    DIR *listing = open_listing(folder, path);
    if (!listing) return errno == ENOENT || errno == ENOTDIR;
    for (const char *name; *going && (name = next_name(listing, 0));) {
        struct stat status;
        if (fstatat(dirfd(listing), name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode)) continue;
        *going = visit(user, name, (uint64_t)status.st_size, (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000);
    }
    closedir(listing);
    return true;
}

static bool visit_outer(int folder, const char *path, blob_visit *visit, void *user, bool *going) {
    DIR *listing = open_listing(folder, path);
    if (!listing) return errno == ENOENT || errno == ENOTDIR;
    bool ok = true;
    for (const char *name; ok && *going && (name = next_name(listing, 2));) {
        ok = visit_inner(dirfd(listing), name, visit, user, going);
    }
    closedir(listing);
    return ok;
}

static bool folder_each(struct blobs *base, blob_visit *visit, void *user, struct error *error) {
    int folder = folder_of(base)->folder;
    DIR *listing = open_listing(folder, ".");
    bool ok = listing != NULL, going = true;
    for (const char *name; ok && going && (name = next_name(listing, 2));) ok = visit_outer(folder, name, visit, user, &going);
    if (!ok) error_from_errno(error, "can't list the blobs");
    if (listing) closedir(listing);
    return ok;
}

/* ---- the table ---- */

static const struct blob_backend folder_backend = {
    .close = folder_close,
    .put = folder_put,
    .begin = folder_begin,
    .append = folder_append,
    .commit = folder_commit,
    .abandon = folder_abandon,
    .open = folder_open,
    .remove = folder_remove,
    .each = folder_each,
};

bool blob_folder_open(const char *path, struct blobs **opened, struct error *error) {
    if (!file_make_folders(path, error)) return false;
    struct folder_blobs *blobs = memory_zero(sizeof *blobs);
    if (!blobs) return error_set(error, ERROR_MEMORY, "out of memory");
    blobs->base.backend = &folder_backend;
    blobs->temporary = -1;
    blobs->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = blobs->folder >= 0 && make_folder(blobs->folder, "tmp", ".") && sync_folder(blobs->folder, "..");
    if (ok) blobs->temporary = openat(blobs->folder, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (!ok || blobs->temporary < 0) {
        error_from_errno(error, "can't use %s for blobs", path);
        folder_close(&blobs->base);
        return false;
    }
    clean_temporary(blobs->temporary);
    *opened = &blobs->base;
    return true;
}
