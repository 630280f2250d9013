#include "base/file.h"

#include "base/archive.h"
#include "base/memory.h"
#include "base/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static bool read_all(int descriptor, char *data, size_t length, size_t *got, struct error *error, const char *path) {
    *got = 0;
    while (*got < length) {
        ssize_t n = read(descriptor, data + *got, length - *got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_from_errno(error, "can't read %s", path);
        if (n == 0) return true; /* shrank meanwhile */
        *got += (size_t)n;
    }
    return true;
}

/* A member of a packed file, checked: it is small. */
static bool read_member(const char *path, size_t maximum, char **data, size_t *length, struct error *error) {
    int descriptor;
    struct archive_member member;
    if (!archive_open_member(path, &descriptor, &member, error)) return false;
    char *block = NULL, text[SHA256_TEXT] = "";
    bool fine = false;
    if (member.size > maximum)
        error_set(error, ERROR_LIMIT, "%s has more than the %zu bytes that are accepted", path, maximum);
    else if (!(block = memory_alloc((size_t)member.size + 1)))
        error_set(error, ERROR_MEMORY, "out of memory while reading %s", path);
    else if (lseek(descriptor, (off_t)member.offset, SEEK_SET) < 0)
        error_from_errno(error, "can't read %s", path);
    else
        fine = read_all(descriptor, block, (size_t)member.size, length, error, path);
    close(descriptor);
    if (fine) {
        unsigned char digest[SHA256_BYTES];
        sha256(block, *length, digest);
        sha256_text(digest, text);
        fine = strcmp(text, member.sha256) == 0 || error_set(error, ERROR_FORMAT, "%s is damaged: its SHA-256 is another", path);
    }
    if (!fine) {
        memory_free(block);
        return false;
    }
    block[*length] = 0;
    *data = block;
    return true;
}

bool file_read(const char *path, size_t maximum, char **data, size_t *length, struct error *error) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0 && errno == ENOTDIR) return read_member(path, maximum, data, length, error);
    if (descriptor < 0) return error_from_errno(error, "can't open %s", path);
    struct stat info;
    bool fine = false;
    char *block = NULL;
    if (fstat(descriptor, &info) != 0)
        error_from_errno(error, "can't look at %s", path);
    else if (!S_ISREG(info.st_mode))
        error_set(error, ERROR_FORMAT, "%s is not a file", path);
    else if ((uintmax_t)info.st_size > maximum)
        error_set(error, ERROR_LIMIT, "%s has %jd bytes; at most %zu are accepted", path, (intmax_t)info.st_size, maximum);
    else if (!(block = memory_alloc((size_t)info.st_size + 1)))
        error_set(error, ERROR_MEMORY, "out of memory while reading %s", path);
    else
        fine = read_all(descriptor, block, (size_t)info.st_size, length, error, path);
    close(descriptor);
    if (!fine) {
        memory_free(block);
        return false;
    }
    block[*length] = 0;
    *data = block;
    return true;
}

static bool write_all(int descriptor, const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = write(descriptor, data, length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        data += n;
        length -= (size_t)n;
    }
    return true;
}

/* A rename is durable only once its folder is. */
static bool sync_folder_of(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof folder) return false;
    memcpy(folder, path, length);
    folder[length] = 0;
    int descriptor = open(length ? folder : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return false;
    bool fine = fsync(descriptor) == 0;
    close(descriptor);
    return fine;
}

bool file_write(const char *path, const void *data, size_t length, struct error *error) {
    char *beside = memory_format("%s.%ld.part", path, (long)getpid());
    if (!beside) return error_set(error, ERROR_MEMORY, "out of memory while writing %s", path);
    int descriptor = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool fine = descriptor >= 0 && write_all(descriptor, data, length) && fsync(descriptor) == 0;
    if (descriptor >= 0 && close(descriptor) != 0) fine = false;
    fine = fine && rename(beside, path) == 0 && sync_folder_of(path);
    if (!fine) {
        error_from_errno(error, "can't write %s", path);
        if (descriptor >= 0) unlink(beside);
    }
    memory_free(beside);
    return fine;
}

bool file_free_bytes(const char *path, uint64_t *bytes, struct error *error) {
    struct statvfs status;
    const char *slash = strrchr(path, '/');
    int result = statvfs(path, &status);
    if (result != 0 && errno == ENOENT) {
        char *folder = slash ? memory_string_n(path, slash == path ? 1 : (size_t)(slash - path)) : memory_string(".");
        if (!folder) return error_set(error, ERROR_MEMORY, "out of memory");
        result = statvfs(folder, &status);
        memory_free(folder);
    }
    if (result != 0) return error_from_errno(error, "can't see how much space is left at %s", path);
    *bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return true;
}

bool file_exists(const char *path) {
    int descriptor;
    struct archive_member member;
    if (access(path, F_OK) == 0) return true;
    if (errno != ENOTDIR || !archive_open_member(path, &descriptor, &member, NULL)) return false;
    close(descriptor);
    return true;
}

static bool map_range(int descriptor, const char *path, uint64_t offset, uint64_t size, const unsigned char **bytes, size_t *length,
                      struct error *error) {
    if (size == 0) return error_set(error, ERROR_FORMAT, "%s is empty", path);
    void *mapped = size > SIZE_MAX ? MAP_FAILED : mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, descriptor, (off_t)offset);
    if (mapped == MAP_FAILED) return error_from_errno(error, "map %s", path);
    *bytes = mapped;
    *length = (size_t)size;
    return true;
}

/* A FIFO or a device must not make us wait: hence O_NONBLOCK. */
bool file_map(const char *path, const unsigned char **bytes, size_t *length, struct error *error) {
    struct archive_member member;
    struct stat info;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool mapped = false;
    if (descriptor < 0 && errno == ENOTDIR) {
        if (!archive_open_member(path, &descriptor, &member, error)) return false;
        mapped = member.size == UINT64_MAX ? error_set(error, ERROR_FORMAT, "%s is not a file", path)
                                           : map_range(descriptor, path, member.offset, member.size, bytes, length, error);
    } else if (descriptor < 0) {
        return error_from_errno(error, "%s", path);
    } else if (fstat(descriptor, &info) != 0) {
        error_from_errno(error, "%s", path);
    } else if (!S_ISREG(info.st_mode)) {
        error_set(error, ERROR_FORMAT, "%s is not a file", path);
    } else {
        mapped = map_range(descriptor, path, 0, (uint64_t)info.st_size, bytes, length, error);
    }
    close(descriptor);
    return mapped;
}

void file_unmap(const unsigned char *bytes, size_t length) {
    if (bytes) munmap((void *)(uintptr_t)bytes, length);
}

bool file_make_folders(const char *path, struct error *error) {
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) return error_set(error, ERROR_ARGUMENT, "the folder's path is empty or too long");
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        bool made = mkdir(part, 0755) == 0;
        if (!made && errno != EEXIST) return error_from_errno(error, "can't make the folder %s", part);
        if (made && !sync_folder_of(part)) return error_from_errno(error, "can't make the folder %s last", part);
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) return error_set(error, ERROR_IO, "%s is not a folder", path);
    return true;
}

char *file_join(const char *folder, const char *name) {
    size_t length = strlen(folder);
    return memory_format(length && folder[length - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
}

bool random_bytes(void *data, size_t length, struct error *error) {
    char *p = data;
    while (length > 0) {
        ssize_t n = getrandom(p, length, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_from_errno(error, "no random bytes");
        p += n;
        length -= (size_t)n;
    }
    return true;
}
