/* Writing packed files. */
#include "base/archive.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

struct archive_writer {
    int descriptor;
    char *path;
    uint64_t end;  /* of the last member */
    uint64_t size; /* of the member being written */
    struct sha256_sum *sum;
    char *name; /* of the member being written; NULL: none */
    json_t *members;
};

static uint64_t aligned(uint64_t offset) { return (offset + ARCHIVE_ALIGNMENT - 1) / ARCHIVE_ALIGNMENT * ARCHIVE_ALIGNMENT; }

static bool write_at(const struct archive_writer *writer, const void *data, size_t length, uint64_t offset, struct error *error) {
    const char *from = data;
    while (length > 0) {
        ssize_t written = pwrite(writer->descriptor, from, length, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return error_from_errno(error, "can't write %s", writer->path);
        from += written;
        offset += (uint64_t)written;
        length -= (size_t)written;
    }
    return true;
}

bool archive_create(const char *path, struct archive_writer **out, struct error *error) {
    struct archive_writer *writer = memory_zero(sizeof *writer);
    if (!writer) return error_set(error, ERROR_MEMORY, "out of memory");
    writer->path = memory_string(path);
    writer->members = json_array();
    writer->end = ARCHIVE_ALIGNMENT;
    writer->descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool fine = writer->descriptor >= 0 || error_from_errno(error, "can't write %s", path);
    if (fine && !(writer->path && writer->members)) fine = error_set(error, ERROR_MEMORY, "out of memory");
    if (fine)
        *out = writer;
    else
        archive_close(writer);
    return fine;
}

static bool end_member(struct archive_writer *writer, struct error *error) {
    char text[SHA256_TEXT];
    if (!writer->name) return true;
    sha256_end(writer->sum, text);
    writer->sum = NULL;
    json_t *member = json_pack("{s:s,s:I,s:I,s:s}", "name", writer->name, "offset", (json_int_t)aligned(writer->end), "size",
                               (json_int_t)writer->size, "sha256", text);
    writer->end = aligned(writer->end) + writer->size;
    memory_free(writer->name);
    writer->name = NULL;
    return json_array_append_new(writer->members, member) == 0 || error_set(error, ERROR_MEMORY, "out of memory");
}

bool archive_begin(struct archive_writer *writer, const char *name, struct error *error) {
    if (!end_member(writer, error)) return false;
    writer->size = 0;
    writer->sum = sha256_begin();
    writer->name = memory_string(name);
    return (writer->sum && writer->name) || error_set(error, ERROR_MEMORY, "out of memory");
}

bool archive_write(struct archive_writer *writer, const void *data, size_t length, struct error *error) {
    if (!write_at(writer, data, length, aligned(writer->end) + writer->size, error)) return false;
    sha256_add(writer->sum, data, length);
    writer->size += length;
    return true;
}

bool archive_add(struct archive_writer *writer, const char *name, const void *data, size_t length, struct error *error) {
    return archive_begin(writer, name, error) && archive_write(writer, data, length, error) && end_member(writer, error);
}

static void put(unsigned char *bytes, int count, uint64_t value) {
    for (int i = 0; i < count; i++) bytes[i] = (unsigned char)(value >> 8 * i);
}

bool archive_commit(struct archive_writer *writer, struct error *error) {
    unsigned char header[ARCHIVE_ALIGNMENT] = ARCHIVE_MAGIC;
    if (!end_member(writer, error)) return false;
    json_t *directory = json_pack("{s:O}", "members", writer->members);
    char *text = directory ? json_text(directory, JSON_COMPACT) : NULL;
    uint64_t offset = aligned(writer->end);
    bool fine = text != NULL || error_set(error, ERROR_MEMORY, "out of memory");
    if (fine) {
        put(header + 16, 4, ARCHIVE_VERSION);
        put(header + 20, 4, ARCHIVE_ALIGNMENT);
        put(header + 24, 8, offset);
        put(header + 32, 8, strlen(text));
        sha256(text, strlen(text), header + 40);
        fine = write_at(writer, text, strlen(text), offset, error);
    }
    if (fine && (ftruncate(writer->descriptor, (off_t)(offset + strlen(text))) != 0 || fsync(writer->descriptor) != 0))
        fine = error_from_errno(error, "can't write %s", writer->path);
    /* The header last: until then it is no packed file. */
    fine = fine && write_at(writer, header, sizeof header, 0, error);
    if (fine && fsync(writer->descriptor) != 0) fine = error_from_errno(error, "can't write %s", writer->path);
    memory_free(text);
    json_decref(directory);
    return fine;
}

uint64_t archive_size(const struct archive_writer *writer) { return writer->end; }

void archive_close(struct archive_writer *writer) {
    if (!writer) return;
    if (writer->descriptor >= 0) close(writer->descriptor);
    sha256_end(writer->sum, NULL);
    memory_free(writer->name);
    memory_free(writer->path);
    json_decref(writer->members);
    memory_free(writer);
}
