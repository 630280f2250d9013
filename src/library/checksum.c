#include "library/checksum.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 20 };

static void to_hex(const unsigned char *bytes, size_t count, char *text) {
    for (size_t i = 0; i < count; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static bool hash_all(int file, const char *path, unsigned char *block, bool (*seen)(void *, uint64_t), void *user,
                     struct checksum *checksum, struct error *error) {
    struct sha256_ctx sha256;
    struct sha1_ctx sha1;
    char prefix[40];
    sha256_init(&sha256);
    sha1_init(&sha1);
    int length = snprintf(prefix, sizeof prefix, "blob %" PRIu64, checksum->size) + 1; /* the 0 belongs to it */
    sha1_update(&sha1, (size_t)length, (const uint8_t *)prefix);
    bool small = checksum->size <= (64 << 20); /* what is large has a SHA-256 */
    for (uint64_t at = 0; at < checksum->size;) {
        ssize_t got = read(file, block, BLOCK);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return error_from_errno(error, "can't read %s", path);
        if (got == 0) return error_set(error, ERROR_IO, "%s became shorter while it was read", path);
        sha256_update(&sha256, (size_t)got, block);
        if (small) sha1_update(&sha1, (size_t)got, block);
        at += (uint64_t)got;
        if (seen && !seen(user, (uint64_t)got)) return error_set(error, ERROR_CANCELED, "stopped");
    }
    unsigned char digest[SHA256_DIGEST_SIZE];
    sha256_digest(&sha256, SHA256_DIGEST_SIZE, digest);
    to_hex(digest, SHA256_DIGEST_SIZE, checksum->sha256);
    sha1_digest(&sha1, SHA1_DIGEST_SIZE, digest);
    to_hex(digest, SHA1_DIGEST_SIZE, checksum->git);
    if (!small) checksum->git[0] = 0;
    return true;
}

bool checksum_file(const char *path, bool (*seen)(void *user, uint64_t bytes), void *user, struct checksum *checksum, struct error *error) {
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return error_from_errno(error, "can't open %s", path);
    unsigned char *block = memory_alloc(BLOCK);
    bool fine = false;
    if (!block)
        error_set(error, ERROR_MEMORY, "out of memory");
    else if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode))
        error_set(error, ERROR_FORMAT, "%s is not a file", path);
    else {
        *checksum = (struct checksum){.size = (uint64_t)info.st_size};
        fine = hash_all(file, path, block, seen, user, checksum, error);
    }
    memory_free(block);
    close(file);
    return fine;
}
