/* Blobs in a folder:
 *
 *     FOLDER/ab/cd/abcd....png    named by the first four characters of the name
 *     FOLDER/tmp/....part         being written
 *
 * A blob is written to tmp/, fsynced, renamed into its place, and the folder fsynced: it is there
 * whole or not at all. What a crash leaves in tmp/ is removed when it is a day old. All paths are
 * relative to the folder's descriptor. */
#include "store/blob.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_LENGTH = 100, SUFFIX_MAX_LENGTH = 32, RANDOM_DIGITS = 32, TEMPORARY_SECONDS = 24 * 3600 };
enum { PLACE_SIZE = NAME_MAX_LENGTH + 8 };

struct blobs {
    int folder, temporary;
};

struct blob_writer {
    struct blobs *blobs;
    int descriptor;
    char name[NAME_MAX_LENGTH + 1];
    char temporary[NAME_MAX_LENGTH + 8];
};

static bool allowed(const char *text) { return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-")] == 0; }

/* The first four characters name folders, so they are letters or digits. */
bool blob_name_valid(const char *name) {
    return name && strlen(name) <= NAME_MAX_LENGTH && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") >= 4 && allowed(name);
}

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

bool blobs_open(const char *url, struct blobs **opened, struct error *error) {
    *opened = NULL;
    if (!url || !*url) return error_set(error, ERROR_ARGUMENT, "no folder for blobs was named");
    if (strstr(url, "://")) return error_set(error, ERROR_UNSUPPORTED, "this build keeps blobs in a folder: give its path, not %s", url);
    if (!file_make_folders(url, error)) return false;
    struct blobs *blobs = memory_zero(sizeof *blobs);
    if (!blobs) return error_set(error, ERROR_MEMORY, "out of memory");
    blobs->temporary = -1;
    blobs->folder = open(url, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = blobs->folder >= 0 && make_folder(blobs->folder, "tmp", ".") && sync_folder(blobs->folder, "..");
    if (ok) blobs->temporary = openat(blobs->folder, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (!ok || blobs->temporary < 0) {
        error_from_errno(error, "can't use %s for blobs", url);
        blobs_close(blobs);
        return false;
    }
    clean_temporary(blobs->temporary);
    *opened = blobs;
    return true;
}

void blobs_close(struct blobs *blobs) {
    if (!blobs) return;
    if (blobs->temporary >= 0) close(blobs->temporary);
    if (blobs->folder >= 0) close(blobs->folder);
    memory_free(blobs);
}

/* ---- writing ---- */

/* 160 random bits in base32, then the suffix. */
static bool make_name(const char *suffix, char name[NAME_MAX_LENGTH + 1], struct error *error) {
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char bytes[RANDOM_DIGITS];
    if (strlen(suffix) > SUFFIX_MAX_LENGTH || !allowed(suffix))
        return error_set(error, ERROR_INTERNAL, "a blob's suffix can't be \"%s\"", suffix);
    if (!random_bytes(bytes, sizeof bytes, error)) return false;
    for (size_t i = 0; i < RANDOM_DIGITS; i++) name[i] = alphabet[bytes[i] & 31];
    memcpy(name + RANDOM_DIGITS, suffix, strlen(suffix) + 1);
    return true;
}

bool blob_begin(struct blobs *blobs, const char *suffix, struct blob_writer **begun, struct error *error) {
    struct blob_writer *writer = memory_zero(sizeof *writer);
    *begun = NULL;
    if (!writer) return error_set(error, ERROR_MEMORY, "out of memory");
    writer->blobs = blobs;
    if (!make_name(suffix, writer->name, error)) {
        memory_free(writer);
        return false;
    }
    snprintf(writer->temporary, sizeof writer->temporary, "%s.part", writer->name);
    writer->descriptor = openat(blobs->temporary, writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (writer->descriptor < 0) {
        error_from_errno(error, "can't create a blob");
        memory_free(writer);
        return false;
    }
    *begun = writer;
    return true;
}

bool blob_append(struct blob_writer *writer, const void *data, size_t length, struct error *error) {
    for (const char *at = data; length > 0;) {
        ssize_t written = write(writer->descriptor, at, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return error_from_errno(error, "can't write a blob");
        at += written;
        length -= (size_t)written;
    }
    return true;
}

void blob_abandon(struct blob_writer *writer) {
    if (!writer) return;
    if (writer->descriptor >= 0) close(writer->descriptor);
    unlinkat(writer->blobs->temporary, writer->temporary, 0);
    memory_free(writer);
}

static bool move_into_place(struct blob_writer *writer) {
    int folder = writer->blobs->folder;
    char place[PLACE_SIZE], first[3], second[6];
    place_of(writer->name, place);
    snprintf(first, sizeof first, "%.2s", place);
    snprintf(second, sizeof second, "%.5s", place);
    if (!make_folder(folder, first, ".") || !make_folder(folder, second, first)) return false;
    if (renameat(writer->blobs->temporary, writer->temporary, folder, place) != 0) return false;
    if (sync_folder(folder, second)) return true;
    int number = errno;
    unlinkat(folder, place, 0); /* it is not promised, so it shall not stay */
    errno = number;
    return false;
}

bool blob_commit(struct blob_writer *writer, char name[101], struct error *error) {
    bool ok = fsync(writer->descriptor) == 0;
    int number = errno;
    ok = close(writer->descriptor) == 0 && ok;
    writer->descriptor = -1;
    errno = number;
    ok = ok && move_into_place(writer);
    if (!ok) {
        error_from_errno(error, "can't write a blob");
        blob_abandon(writer);
        return false;
    }
    memcpy(name, writer->name, sizeof writer->name);
    memory_free(writer);
    return true;
}

bool blob_put(struct blobs *blobs, const char *suffix, const void *data, size_t length, char name[101], struct error *error) {
    struct blob_writer *writer;
    if (!blob_begin(blobs, suffix, &writer, error)) return false;
    if (blob_append(writer, data, length, error)) return blob_commit(writer, name, error);
    blob_abandon(writer);
    return false;
}

/* ---- reading ---- */

bool blob_open(struct blobs *blobs, const char *name, int *descriptor, size_t *size, int64_t *modified, struct error *error) {
    char place[PLACE_SIZE];
    struct stat status;
    *descriptor = -1;
    if (!blob_name_valid(name)) return error_set(error, ERROR_NOT_FOUND, "there is no such blob");
    place_of(name, place);
    int opened = openat(blobs->folder, place, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (opened < 0 && errno == ENOENT) return error_set(error, ERROR_NOT_FOUND, "there is no such blob");
    if (opened < 0) return error_from_errno(error, "can't open blob %s", name);
    if (fstat(opened, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(opened);
        return error_set(error, ERROR_IO, "blob %s is not a file", name);
    }
    *descriptor = opened;
    *size = (size_t)status.st_size;
    if (modified) *modified = (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
    return true;
}

static bool read_all(int descriptor, char *data, size_t length, struct error *error) {
    for (size_t done = 0; done < length;) {
        ssize_t count = read(descriptor, data + done, length - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return error_from_errno(error, "can't read a blob");
        if (count == 0) return error_set(error, ERROR_IO, "a blob is shorter than it was");
        done += (size_t)count;
    }
    return true;
}

bool blob_read(struct blobs *blobs, const char *name, size_t maximum, char **data, size_t *length, struct error *error) {
    int descriptor;
    *data = NULL;
    if (!blob_open(blobs, name, &descriptor, length, NULL, error)) return false;
    bool ok = *length <= maximum || error_set(error, ERROR_LIMIT, "blob %s has %zu bytes, above the %zu allowed", name, *length, maximum);
    if (ok && !(*data = memory_alloc(*length + 1))) ok = error_set(error, ERROR_MEMORY, "out of memory for a blob of %zu bytes", *length);
    ok = ok && read_all(descriptor, *data, *length, error);
    close(descriptor);
    if (ok) {
        (*data)[*length] = 0;
        return true;
    }
    memory_free(*data);
    *data = NULL;
    return false;
}

bool blob_delete(struct blobs *blobs, const char *name, struct error *error) {
    char place[PLACE_SIZE];
    if (!blob_name_valid(name)) return true;
    place_of(name, place);
    if (unlinkat(blobs->folder, place, 0) == 0 || errno == ENOENT) return true;
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
        *going = visit(user, name, (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000);
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

bool blobs_each(struct blobs *blobs, blob_visit *visit, void *user, struct error *error) {
    DIR *listing = open_listing(blobs->folder, ".");
    bool ok = listing != NULL, going = true;
    for (const char *name; ok && going && (name = next_name(listing, 2));) ok = visit_outer(blobs->folder, name, visit, user, &going);
    if (!ok) error_from_errno(error, "can't list the blobs");
    if (listing) closedir(listing);
    return ok;
}
