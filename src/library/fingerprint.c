#include "library/fingerprint.h"

#include "base/archive.h"
#include "base/file.h"
#include "base/memory.h"
#include "library/library.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SAMPLE = 1 << 20, FILES_MAX = 200, WHOLE_MAX = 4 << 20 };

static void add_text(struct sha256_sum *sum, const char *text) { sha256_add(sum, text, strlen(text) + 1); }

static void add_number(struct sha256_sum *sum, uint64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    add_text(sum, text);
}

static void note_time(const char *path, int64_t *changed) {
    struct stat info;
    if (stat(path, &info) != 0) return;
    int64_t time = (int64_t)info.st_mtim.tv_sec * 1000000 + info.st_mtim.tv_nsec / 1000;
    if (time > *changed) *changed = time;
}

/* Short files whole, long ones in three samples. */
static bool add_file(struct sha256_sum *sum, const char *path, struct error *error) {
    const unsigned char *bytes;
    size_t length;
    if (!file_map(path, &bytes, &length, error)) return false;
    add_number(sum, length);
    if (length <= WHOLE_MAX) {
        sha256_add(sum, bytes, length);
    } else {
        sha256_add(sum, bytes, SAMPLE);
        sha256_add(sum, bytes + (length - SAMPLE) / 2, SAMPLE);
        sha256_add(sum, bytes + length - SAMPLE, SAMPLE);
    }
    file_unmap(bytes, length);
    return true;
}

static void add_record(struct sha256_sum *sum, const struct record *record) {
    for (size_t i = 0; i < record->count; i++) {
        add_text(sum, record->files[i].path);
        add_text(sum, record->files[i].sha256);
    }
}

/* What it was made of, not for which kernels. */
static bool add_archive(struct sha256_sum *sum, const char *path, struct error *error) {
    struct archive archive;
    if (!archive_read(path, &archive, error)) return false;
    for (size_t i = 0; i < archive.count; i++) {
        if (strncmp(archive.members[i].name, "packed/", 7) == 0) continue;
        add_text(sum, archive.members[i].name);
        add_text(sum, archive.members[i].sha256);
    }
    archive_free(&archive);
    return true;
}

/* ==== Folders ==== */

struct names {
    char *path[FILES_MAX];
    size_t count;
};

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), size = strlen(ending);
    return length >= size && strcmp(text + length - size, ending) == 0;
}

static bool is_of_model(const char *name) {
    return ends_with(name, ".json") || ends_with(name, ".txt") || ends_with(name, ".safetensors") || ends_with(name, ".bin");
}

/* Files of `folder`/`below` ("": itself), as paths relative to the folder. */
static bool list(const char *folder, const char *below, struct names *names, struct error *error) {
    char *path = *below ? file_join(folder, below) : memory_string(folder);
    DIR *open = path ? opendir(path) : NULL;
    memory_free(path);
    if (!open) return errno == ENOENT || error_from_errno(error, "can't look into %s", folder);
    bool fine = true;
    for (struct dirent *entry; fine && (entry = readdir(open));) {
        if (entry->d_name[0] == '.' || !is_of_model(entry->d_name)) continue;
        fine = names->count < FILES_MAX || error_set(error, ERROR_LIMIT, "%s holds more than %d files", folder, FILES_MAX);
        char *name = !fine ? NULL : *below ? file_join(below, entry->d_name) : memory_string(entry->d_name);
        if (name) names->path[names->count++] = name;
        fine = fine && (name || error_set(error, ERROR_MEMORY, "out of memory"));
    }
    closedir(open);
    return fine;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool add_folder(struct sha256_sum *sum, const char *folder, int64_t *changed, struct error *error) {
    static const char *const below[] = {"", "unet", "vae", "text_encoder", "safety_checker", "scheduler", "tokenizer", "feature_extractor"};
    struct names names = {.count = 0};
    bool fine = true;
    for (size_t i = 0; fine && i < sizeof below / sizeof *below; i++) fine = list(folder, below[i], &names, error);
    qsort(names.path, names.count, sizeof *names.path, by_name);
    for (size_t i = 0; i < names.count; i++) {
        char *path = file_join(folder, names.path[i]);
        add_text(sum, names.path[i]);
        fine = fine && (path ? add_file(sum, path, error) : error_set(error, ERROR_MEMORY, "out of memory"));
        if (path) note_time(path, changed);
        memory_free(path);
        memory_free(names.path[i]);
    }
    return fine;
}

bool library_fingerprint(const char *path, char text[SHA256_TEXT], int64_t *changed, struct error *error) {
    struct sha256_sum *sum = sha256_begin();
    struct record record;
    struct stat info;
    if (!sum) return error_set(error, ERROR_MEMORY, "out of memory");
    *changed = 0;
    note_time(path, changed);
    bool fine = true;
    if (stat(path, &info) != 0) {
        fine = error_from_errno(error, "%s", path);
    } else if (archive_is(path)) {
        fine = add_archive(sum, path, error);
    } else if (!S_ISDIR(info.st_mode)) {
        fine = add_file(sum, path, error);
    } else if (record_read(path, &record, NULL)) {
        add_record(sum, &record);
        record_free(&record);
    } else {
        fine = add_folder(sum, path, changed, error);
    }
    sha256_end(sum, fine ? text : NULL);
    return fine;
}
