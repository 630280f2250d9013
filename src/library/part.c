#include "library/part.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPAN_MIN = 1 << 18, SPAN_MAX = 1 << 26, SPANS_A_FILE = 8, SPANS_BYTES_MAX = 4 << 20 };

char *part_path(const char *path, const char *ending) { return memory_format("%s%s", path, ending); }

/* Enough ranges for all connections, none so small that asking takes longer than receiving. */
static uint64_t span_size(uint64_t size) {
    uint64_t span = size / SPANS_A_FILE;
    return span < SPAN_MIN ? SPAN_MIN : span > SPAN_MAX ? SPAN_MAX : span;
}

static bool divide(struct part *part, struct error *error) {
    uint64_t size = part->to->file->size, step = part->single ? size : span_size(size);
    size_t count = size ? (size_t)((size + step - 1) / step) : 0;
    memory_free(part->spans);
    part->count = 0;
    part->spans = memory_array(count ? count : 1, sizeof *part->spans);
    if (!part->spans) return error_set(error, ERROR_MEMORY, "out of memory for a download");
    for (; part->count < count; part->count++) {
        uint64_t first = part->count * step;
        part->spans[part->count] = (struct span){.first = first, .end = first + step < size ? first + step : size};
    }
    return true;
}

static const char *identity(const struct hub_file *file) { return file->sha256[0] ? file->sha256 : file->git; }

/* What an earlier run wrote down, if it was about this very content. */
static bool recall(struct part *part, const json_t *state) {
    const char *content = json_string_value(json_object_get(state, "content")), *etag = json_string_value(json_object_get(state, "etag"));
    const json_t *done = json_object_get(state, "done");
    if (!content || !*content || strcmp(content, identity(part->to->file)) != 0 || json_array_size(done) != part->count) return false;
    for (size_t i = 0; i < part->count; i++) {
        json_int_t bytes = json_integer_value(json_array_get(done, i));
        struct span *span = &part->spans[i];
        if (bytes < 0 || (uint64_t)bytes > span->end - span->first) return false;
        span->done = (uint64_t)bytes;
    }
    snprintf(part->etag, sizeof part->etag, "%s", etag ? etag : "");
    return true;
}

static bool load(struct part *part) {
    char *path = part_path(part->to->path, ".spans"), *text = NULL;
    size_t length;
    json_t *state = path && file_read(path, SPANS_BYTES_MAX, &text, &length, NULL) ? json_loadb(text, length, 0, NULL) : NULL;
    bool fine = state && recall(part, state);
    json_decref(state);
    memory_free(text);
    memory_free(path);
    return fine;
}

static bool has_size(const char *path, uint64_t size) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size == size;
}

static bool open_file(struct part *part, struct error *error) {
    char *path = part_path(part->to->path, ".part");
    if (!path) return error_set(error, ERROR_MEMORY, "out of memory for a download");
    part->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool fine = part->file >= 0 || error_from_errno(error, "can't write %s", path);
    memory_free(path);
    return fine;
}

bool part_open(struct part *part, const struct transfer_file *to, struct error *error) {
    *part = (struct part){.to = to, .file = -1};
    part->whole = has_size(to->path, to->file->size);
    if (part->whole) return true;
    if (!divide(part, error)) return false;
    if (load(part)) return open_file(part, error);
    return open_file(part, error) && part_restart(part, false, error);
}

void part_close(struct part *part) {
    if (part->file >= 0) close(part->file);
    memory_free(part->spans);
    part->spans = NULL;
    part->file = -1;
}

bool part_restart(struct part *part, bool single, struct error *error) {
    part->single = single;
    part->etag[0] = 0;
    part->changed = true;
    if (ftruncate(part->file, 0) != 0) return error_from_errno(error, "can't write %s", part->to->path);
    return divide(part, error);
}

bool part_write(struct part *part, struct span *span, const void *data, size_t length, struct error *error) {
    const char *bytes = data;
    while (length > 0) {
        ssize_t written = pwrite(part->file, bytes, length, (off_t)(span->first + span->done));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return error_from_errno(error, "can't write %s", part->to->path);
        bytes += written;
        length -= (size_t)written;
        span->done += (uint64_t)written;
        part->changed = true;
    }
    return true;
}

bool part_save(struct part *part, struct error *error) {
    if (!part->changed || part->whole || part->file < 0) return true;
    json_t *done = json_array();
    for (size_t i = 0; i < part->count; i++) json_array_append_new(done, json_integer((json_int_t)part->spans[i].done));
    json_t *state = json_pack("{s:s,s:s,s:o}", "content", identity(part->to->file), "etag", part->single ? "" : part->etag, "done", done);
    char *text = state ? json_text(state, JSON_COMPACT) : NULL, *path = part_path(part->to->path, ".spans");
    bool fine = text && path ? file_write(path, text, strlen(text), error) : error_set(error, ERROR_MEMORY, "out of memory for a download");
    part->changed = !fine;
    memory_free(path);
    json_decref(state);
    memory_free(text);
    return fine;
}

uint64_t part_done(const struct part *part) {
    uint64_t done = part->whole ? part->to->file->size : 0;
    for (size_t i = 0; !part->whole && i < part->count; i++) done += part->spans[i].done;
    return done;
}

struct span *part_next(struct part *part) {
    for (size_t i = 0; i < part->count; i++)
        if (!part->spans[i].busy && part->spans[i].done < part->spans[i].end - part->spans[i].first) return &part->spans[i];
    return NULL;
}

bool part_finish(struct part *part, struct error *error) {
    char *from = part_path(part->to->path, ".part"), *spans = part_path(part->to->path, ".spans");
    bool fine = from && spans;
    if (!fine)
        error_set(error, ERROR_MEMORY, "out of memory for a download");
    else if (fsync(part->file) != 0 || rename(from, part->to->path) != 0)
        fine = error_from_errno(error, "can't write %s", part->to->path);
    else
        unlink(spans);
    memory_free(from);
    memory_free(spans);
    if (!fine) return false;
    close(part->file);
    part->file = -1;
    part->whole = true;
    return true;
}

uint64_t transfer_received(const struct transfer_file *file) {
    struct part part = {.to = file, .file = -1};
    part.whole = has_size(file->path, file->file->size);
    uint64_t done = 0;
    if (part.whole || (divide(&part, NULL) && load(&part))) done = part_done(&part);
    part_close(&part);
    return done;
}
