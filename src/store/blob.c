/* Blobs' public functions: their names, which backend a URL means, and calls through its table. */
#include "store/blob.h"

#include "base/file.h"
#include "base/memory.h"
#include "store/blob_backend.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { SUFFIX_MAX_LENGTH = 32 };

/* ---- names ---- */

static bool allowed(const char *text) { return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-")] == 0; }

/* The first four characters name folders, so they are letters or digits. */
bool blob_name_valid(const char *name) {
    return name && strlen(name) < BLOB_NAME_SIZE && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") >= 4 && allowed(name);
}

/* 160 random bits in base32, then the suffix. */
static bool make_name(const char *suffix, char name[BLOB_NAME_SIZE], struct error *error) {
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char bytes[BLOB_RANDOM_DIGITS];
    if (strlen(suffix) > SUFFIX_MAX_LENGTH || !allowed(suffix))
        return error_set(error, ERROR_INTERNAL, "a blob's suffix can't be \"%s\"", suffix);
    if (!random_bytes(bytes, sizeof bytes, error)) return false;
    for (size_t i = 0; i < BLOB_RANDOM_DIGITS; i++) name[i] = alphabet[bytes[i] & 31];
    memcpy(name + BLOB_RANDOM_DIGITS, suffix, strlen(suffix) + 1);
    return true;
}

/* ---- opening ---- */

bool blobs_open(const char *url, struct blobs **blobs, struct error *error) {
    *blobs = NULL;
    if (!url || !*url) return error_set(error, ERROR_ARGUMENT, "no place for blobs was named: give a folder's path, or s3://BUCKET/PREFIX");
    if (strncmp(url, "s3://", 5) == 0) return blob_s3_open(url, blobs, error);
    if (strstr(url, "://")) return error_set(error, ERROR_UNSUPPORTED, "blobs are kept in a folder or in s3://BUCKET/PREFIX, nothing else");
    return blob_folder_open(url, blobs, error);
}

void blobs_close(struct blobs *blobs) {
    if (blobs) blobs->backend->close(blobs);
}

/* ---- writing ---- */

bool blob_put(struct blobs *blobs, const char *suffix, const void *data, size_t length, char name[101], struct error *error) {
    char made[BLOB_NAME_SIZE];
    if (!make_name(suffix, made, error) || !blobs->backend->put(blobs, made, data, length, error)) return false;
    memcpy(name, made, sizeof made);
    return true;
}

bool blob_begin(struct blobs *blobs, const char *suffix, struct blob_writer **writer, struct error *error) {
    char name[BLOB_NAME_SIZE];
    *writer = NULL;
    return make_name(suffix, name, error) && blobs->backend->begin(blobs, name, writer, error);
}

bool blob_append(struct blob_writer *writer, const void *data, size_t length, struct error *error) {
    return writer->blobs->backend->append(writer, data, length, error);
}

bool blob_commit(struct blob_writer *writer, char name[101], struct error *error) {
    char made[BLOB_NAME_SIZE];
    memcpy(made, writer->name, sizeof made);
    if (!writer->blobs->backend->commit(writer, error)) return false;
    memcpy(name, made, sizeof made);
    return true;
}

void blob_abandon(struct blob_writer *writer) {
    if (writer) writer->blobs->backend->abandon(writer);
}

bool blob_write_all(int descriptor, const void *data, size_t length) {
    for (const char *at = data; length > 0;) {
        ssize_t written = write(descriptor, at, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        at += written;
        length -= (size_t)written;
    }
    return true;
}

/* ---- reading ---- */

static bool open_up_to(struct blobs *blobs, const char *name, size_t maximum, int *descriptor, size_t *size, int64_t *modified,
                       struct error *error) {
    *descriptor = -1;
    if (!blob_name_valid(name)) return error_set(error, ERROR_NOT_FOUND, "there is no such blob");
    return blobs->backend->open(blobs, name, maximum, descriptor, size, modified, error);
}

bool blob_open(struct blobs *blobs, const char *name, int *descriptor, size_t *size, int64_t *modified, struct error *error) {
    return open_up_to(blobs, name, SIZE_MAX, descriptor, size, modified, error);
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
    if (!open_up_to(blobs, name, maximum, &descriptor, length, NULL, error)) return false;
    bool ok = *length < SIZE_MAX && (*data = memory_alloc(*length + 1)) != NULL;
    if (!ok) error_set(error, ERROR_MEMORY, "out of memory for a blob of %zu bytes", *length);
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

/* ---- the rest ---- */

bool blob_delete(struct blobs *blobs, const char *name, struct error *error) {
    return !blob_name_valid(name) || blobs->backend->remove(blobs, name, error);
}

bool blobs_each(struct blobs *blobs, blob_visit *visit, void *user, struct error *error) {
    return blobs->backend->each(blobs, visit, user, error);
}
