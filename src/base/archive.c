/* Reading packed files. */
#include "base/archive.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_BYTES = 72, DIRECTORY_MAX = 16 << 20, MEMBERS_MAX = 10000, NAME_MAX_LENGTH = 200 };

static uint64_t little_endian(const unsigned char *bytes, int count) {
    uint64_t value = 0;
    while (count-- > 0) value = value << 8 | bytes[count];
    return value;
}

static bool read_at(int descriptor, void *data, size_t length, uint64_t offset, struct error *error) {
    char *to = data;
    while (length > 0) {
        ssize_t got = pread(descriptor, to, length, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return error_from_errno(error, "can't read it");
        if (got == 0) return error_set(error, ERROR_FORMAT, "it ends too early");
        to += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return true;
}

bool archive_is(const char *path) {
    char magic[sizeof ARCHIVE_MAGIC - 1];
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return false;
    bool same = read_at(descriptor, magic, sizeof magic, 0, NULL) && memcmp(magic, ARCHIVE_MAGIC, sizeof magic) == 0;
    close(descriptor);
    return same;
}

/* ==== The directory ==== */

static bool read_size(const json_t *object, const char *key, uint64_t *value) {
    const json_t *number = json_object_get(object, key);
    *value = json_is_integer(number) ? (uint64_t)json_integer_value(number) : 0;
    return json_is_integer(number) && json_integer_value(number) >= 0;
}

static bool good_name(const char *name) {
    size_t length = name ? strlen(name) : 0;
    return length > 0 && length <= NAME_MAX_LENGTH && name[0] != '/' && name[length - 1] != '/' && !strstr(name, "//") &&
           !strstr(name, "..");
}

static bool read_member(const json_t *object, uint64_t limit, struct archive_member *member, struct error *error) {
    const char *name = json_string_value(json_object_get(object, "name")), *sha256 = json_string_value(json_object_get(object, "sha256"));
    *member = (struct archive_member){0};
    if (!good_name(name)) return error_set(error, ERROR_FORMAT, "a member has no name, or a name that can't be");
    if (!sha256 || strlen(sha256) != 64 || strspn(sha256, "0123456789abcdef") != 64)
        return error_set(error, ERROR_FORMAT, "%s has no SHA-256", name);
    if (!read_size(object, "offset", &member->offset) || !read_size(object, "size", &member->size))
        return error_set(error, ERROR_FORMAT, "%s has no offset or no size", name);
    if (member->offset % ARCHIVE_ALIGNMENT || member->offset < ARCHIVE_ALIGNMENT || member->offset > limit ||
        member->size > limit - member->offset)
        return error_set(error, ERROR_FORMAT, "%s lies outside of the file, or not at a multiple of %d", name, ARCHIVE_ALIGNMENT);
    memcpy(member->sha256, sha256, 65);
    member->name = memory_string(name);
    return member->name || error_set(error, ERROR_MEMORY, "out of memory");
}

static int by_place(const void *a, const void *b) {
    const struct archive_member *left = a, *right = b;
    if (left->offset != right->offset) return left->offset < right->offset ? -1 : 1;
    return (left->size > right->size) - (left->size < right->size);
}

/* limit: members end there, where the directory begins. */
static bool read_members(const json_t *list, uint64_t limit, struct archive *archive, struct error *error) {
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > MEMBERS_MAX) return error_set(error, ERROR_FORMAT, "its directory lists no members, or too many");
    archive->members = memory_array(count ? count : 1, sizeof *archive->members);
    if (!archive->members) return error_set(error, ERROR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        if (!read_member(json_array_get(list, i), limit, &archive->members[i], error)) return false;
        archive->count++;
    }
    qsort(archive->members, count, sizeof *archive->members, by_place);
    for (size_t i = 1; i < count; i++)
        if (archive->members[i].offset < archive->members[i - 1].offset + archive->members[i - 1].size)
            return error_set(error, ERROR_FORMAT, "%s and %s overlap", archive->members[i - 1].name, archive->members[i].name);
    return true;
}

static bool read_directory(int descriptor, const unsigned char header[HEADER_BYTES], uint64_t size, struct archive *archive,
                           struct error *error) {
    uint64_t offset = little_endian(header + 24, 8), length = little_endian(header + 32, 8);
    unsigned char digest[SHA256_BYTES];
    if (length > DIRECTORY_MAX || offset > size || length > size - offset)
        return error_set(error, ERROR_FORMAT, "its directory lies outside of it: is it complete?");
    char *text = memory_alloc((size_t)length + 1);
    if (!text) return error_set(error, ERROR_MEMORY, "out of memory");
    bool fine = read_at(descriptor, text, (size_t)length, offset, error);
    if (fine) sha256(text, (size_t)length, digest);
    if (fine && memcmp(digest, header + 40, SHA256_BYTES) != 0) fine = error_set(error, ERROR_FORMAT, "its directory is damaged");
    json_t *object = fine ? json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (fine && !object) fine = error_set(error, ERROR_FORMAT, "its directory is no JSON");
    fine = fine && read_members(json_object_get(object, "members"), offset, archive, error);
    json_decref(object);
    memory_free(text);
    return fine;
}

static bool read_open(int descriptor, struct archive *archive, struct error *error) {
    unsigned char header[HEADER_BYTES];
    struct stat info;
    *archive = (struct archive){0};
    if (fstat(descriptor, &info) != 0) return error_from_errno(error, "can't look at it");
    if (!S_ISREG(info.st_mode)) return error_set(error, ERROR_FORMAT, "it is not a file");
    if (!read_at(descriptor, header, sizeof header, 0, error)) return false;
    if (memcmp(header, ARCHIVE_MAGIC, sizeof ARCHIVE_MAGIC - 1) != 0) return error_set(error, ERROR_FORMAT, "it is no packed file");
    uint64_t version = little_endian(header + 16, 4);
    if (version != ARCHIVE_VERSION)
        return error_set(error, ERROR_UNSUPPORTED,
                         "it is of format %" PRIu64 ", and format %d can be read: make it again (inpaintd model convert)", version,
                         ARCHIVE_VERSION);
    if (little_endian(header + 20, 4) != ARCHIVE_ALIGNMENT) return error_set(error, ERROR_FORMAT, "its header is damaged");
    bool fine = read_directory(descriptor, header, (uint64_t)info.st_size, archive, error);
    if (!fine) archive_free(archive);
    return fine;
}

bool archive_read(const char *path, struct archive *archive, struct error *error) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return error_from_errno(error, "can't open %s", path);
    bool fine = read_open(descriptor, archive, error) || error_context(error, "%s", path);
    close(descriptor);
    return fine;
}

void archive_free(struct archive *archive) {
    for (size_t i = 0; i < archive->count; i++) memory_free(archive->members[i].name);
    memory_free(archive->members);
    *archive = (struct archive){0};
}

/* ==== Paths into a packed file ==== */

/* The regular file that `path` goes on behind: its length in the path; 0: there is none. */
static size_t file_part(const char *path) {
    char part[PATH_MAX];
    struct stat info;
    size_t length = strlen(path);
    if (length >= sizeof part) return 0;
    memcpy(part, path, length + 1);
    while (length > 0) {
        while (length > 0 && part[length - 1] != '/') length--;
        while (length > 0 && part[length - 1] == '/') length--;
        part[length] = 0;
        if (length > 0 && stat(part, &info) == 0) return S_ISREG(info.st_mode) ? length : 0;
    }
    return 0;
}

static bool find(const struct archive *archive, const char *name, struct archive_member *member) {
    for (size_t i = 0; i < archive->count; i++) {
        size_t length = strlen(name);
        const struct archive_member *here = &archive->members[i];
        /* A folder is there when something in it is. */
        if (strncmp(here->name, name, length) != 0 || (here->name[length] != 0 && here->name[length] != '/')) continue;
        *member = *here;
        member->name = NULL;
        if (here->name[length] == '/') member->size = UINT64_MAX;
        return true;
    }
    return false;
}

bool archive_open_member(const char *path, int *descriptor, struct archive_member *member, struct error *error) {
    size_t length = file_part(path);
    char *file = length ? memory_string_n(path, length) : NULL;
    struct archive archive;
    if (!file) return error_set(error, length ? ERROR_MEMORY : ERROR_NOT_FOUND, "can't open %s: no such file", path);
    *descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool fine = *descriptor >= 0 || error_from_errno(error, "can't open %s", file);
    if (fine && !read_open(*descriptor, &archive, error)) {
        fine = error_context(error, "%s", file);
    } else if (fine) {
        const char *name = path + length + strspn(path + length, "/");
        fine = find(&archive, name, member) || error_set(error, ERROR_NOT_FOUND, "%s holds no %s", file, name);
        archive_free(&archive);
    }
    if (!fine && *descriptor >= 0) close(*descriptor);
    memory_free(file);
    return fine;
}
