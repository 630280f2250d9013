/* A disk that forgets: what was written and not synced may be there after a power loss or not, in
 * parts or not. The functions below stand in front of the C library's, watch what happens under one
 * folder, and can lay out beside it what a power loss at this moment might leave. Include in one file of a
 * test program only.
 *
 * The rules are POSIX's and no file system's own: a file's bytes are safe after fsync of it, an entry of
 * a folder after fsync of the folder; before that each write since is kept, dropped or cut short at a
 * sector, each on its own, and each changed entry is as it was or as it is. */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DISK_NODES = 2000, DISK_NAME = 128, DISK_SECTOR = 512 };

struct disk_write {
    off64_t offset;
    char *data; /* NULL: the file is cut to `offset` */
    size_t length;
    struct disk_write *next;
};

struct disk_entry {
    char name[DISK_NAME];
    ino_t inode;
};

/* A file or folder, by its inode. */
struct disk_node {
    ino_t inode;
    char *safe; /* the bytes at the last fsync */
    size_t safe_length;
    struct disk_write *first, **last; /* since then */
    struct disk_entry *entries;       /* of a folder, at its last fsync */
    size_t entries_count;
};

static struct {
    char root[256]; /* "" while nothing is watched */
    struct disk_node nodes[DISK_NODES];
    size_t nodes_count;
    uint64_t random;
    void (*before_change)(void); /* called in front of everything that changes the disk */
} disk;

static inline uint64_t disk_random(uint64_t bound) {
    uint64_t z = disk.random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % bound;
}

static inline struct disk_node *disk_node(ino_t inode) {
    for (size_t i = 0; i < disk.nodes_count; i++)
        if (disk.nodes[i].inode == inode) return &disk.nodes[i];
    if (disk.nodes_count == DISK_NODES) abort();
    struct disk_node *node = &disk.nodes[disk.nodes_count++];
    node->inode = inode;
    node->last = &node->first;
    return node;
}

/* The node behind a descriptor, or NULL when it is none of ours. Files whose content means nothing
 * after a crash are not watched. */
static inline struct disk_node *disk_of(int descriptor) {
    char link[64], path[512];
    struct stat status;
    if (!disk.root[0]) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return NULL;
    path[length] = 0;
    if (strncmp(path, disk.root, strlen(disk.root)) != 0 || strstr(path, "-shm") || strstr(path, "-wake")) return NULL;
    return fstat(descriptor, &status) == 0 ? disk_node(status.st_ino) : NULL;
}

static inline void disk_change(struct disk_node *node) {
    if (node && disk.before_change) disk.before_change();
}

static inline void disk_remember(struct disk_node *node, off64_t offset, const void *data, size_t length) {
    struct disk_write *change = calloc(1, sizeof *change);
    change->offset = offset;
    change->length = length;
    if (data) {
        change->data = malloc(length + 1);
        memcpy(change->data, data, length);
    }
    *node->last = change;
    node->last = &change->next;
}

/* ---- what an fsync makes safe ---- */

static inline void disk_forget_writes(struct disk_node *node) {
    while (node->first) {
        struct disk_write *next = node->first->next;
        free(node->first->data);
        free(node->first);
        node->first = next;
    }
    node->last = &node->first;
}

static inline size_t disk_list(int folder, struct disk_entry **entries) {
    size_t count = 0;
    *entries = NULL;
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY);
    DIR *listing = fdopendir(copy);
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (entry->d_name[0] == '.' || strstr(entry->d_name, "-shm") || strstr(entry->d_name, "-wake")) continue;
        *entries = realloc(*entries, (count + 1) * sizeof **entries);
        snprintf((*entries)[count].name, DISK_NAME, "%.127s", entry->d_name);
        (*entries)[count++].inode = entry->d_ino;
    }
    closedir(listing);
    return count;
}

static inline void disk_sync(struct disk_node *node, int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) abort();
    if (S_ISDIR(status.st_mode)) {
        free(node->entries);
        node->entries_count = disk_list(descriptor, &node->entries);
        return;
    }
    char link[64]; /* opened again, because it may be open for writing only */
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    int again = open(link, O_RDONLY);
    disk_forget_writes(node);
    node->safe_length = (size_t)status.st_size;
    node->safe = realloc(node->safe, node->safe_length + 1);
    if (again < 0 || pread(again, node->safe, node->safe_length, 0) != (ssize_t)node->safe_length) abort();
    close(again);
}

/* ---- the calls ---- */

#define DISK_EXPORT __attribute__((visibility("default")))
#define DISK_REAL(type, name, ...)                                                                                                         \
    static type (*real)(__VA_ARGS__);                                                                                                      \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

DISK_EXPORT ssize_t write(int descriptor, const void *data, size_t length) {
    DISK_REAL(ssize_t, write, int, const void *, size_t);
    struct disk_node *node = disk_of(descriptor);
    disk_change(node);
    if (node) disk_remember(node, lseek(descriptor, 0, SEEK_CUR), data, length);
    return real(descriptor, data, length);
}

DISK_EXPORT ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t offset) {
    DISK_REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    struct disk_node *node = disk_of(descriptor);
    disk_change(node);
    if (node) disk_remember(node, offset, data, length);
    return real(descriptor, data, length, offset);
}

DISK_EXPORT int ftruncate64(int descriptor, off64_t length) {
    DISK_REAL(int, ftruncate64, int, off64_t);
    struct disk_node *node = disk_of(descriptor);
    disk_change(node);
    if (node) disk_remember(node, length, NULL, 0);
    return real(descriptor, length);
}

static inline int disk_flush(int descriptor, int (*real)(int)) {
    struct disk_node *node = disk_of(descriptor);
    disk_change(node);
    int result = real(descriptor);
    if (node && result == 0) disk_sync(node, descriptor);
    return result;
}

DISK_EXPORT int fsync(int descriptor) {
    DISK_REAL(int, fsync, int);
    return disk_flush(descriptor, real);
}

DISK_EXPORT int fdatasync(int descriptor) {
    DISK_REAL(int, fdatasync, int);
    return disk_flush(descriptor, real);
}

/* Entries are read from the folders themselves; only the moment matters here. */
DISK_EXPORT int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    DISK_REAL(int, renameat, int, const char *, int, const char *);
    disk_change(disk_of(from_folder));
    return real(from_folder, from, to_folder, to);
}

DISK_EXPORT int unlinkat(int folder, const char *path, int flags) {
    DISK_REAL(int, unlinkat, int, const char *, int);
    disk_change(disk_of(folder));
    return real(folder, path, flags);
}

/* ---- what a power loss leaves ---- */

static inline void disk_put(int descriptor, const char *data, size_t length, off64_t offset) {
    if (length > 0 && pwrite(descriptor, data, length, offset) != (ssize_t)length) abort();
}

static inline void disk_lay_out_file(const struct disk_node *node, int folder, const char *name) {
    int descriptor = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (descriptor < 0) abort();
    disk_put(descriptor, node->safe, node->safe_length, 0);
    for (const struct disk_write *change = node->first; change; change = change->next) {
        uint64_t fate = disk_random(3);
        if (fate == 0) continue;
        if (!change->data) {
            if (ftruncate(descriptor, change->offset) != 0) abort();
            continue;
        }
        size_t length = change->length, sectors = length / DISK_SECTOR;
        if (fate == 1 && sectors > 0) length = disk_random(sectors + 1) * DISK_SECTOR;
        disk_put(descriptor, change->data, length, change->offset);
    }
    close(descriptor);
}

/* Is `name` in this state of the folder, and which inode is it? */
static inline ino_t disk_lookup(const struct disk_entry *entries, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].name, name) == 0) return entries[i].inode;
    return 0;
}

static inline void disk_lay_out_folder(const char *path, ino_t inode, int to);

static inline void disk_lay_out_entry(const char *path, const char *name, ino_t inode, int to) {
    char inner[512];
    struct stat status;
    const struct disk_node *node = disk_node(inode);
    snprintf(inner, sizeof inner, "%.300s/%.127s", path, name);
    bool is_folder = node->entries_count > 0 || (lstat(inner, &status) == 0 && S_ISDIR(status.st_mode));
    if (!is_folder) {
        disk_lay_out_file(node, to, name);
        return;
    }
    if (mkdirat(to, name, 0700) != 0) abort();
    int folder = openat(to, name, O_RDONLY | O_DIRECTORY);
    disk_lay_out_folder(inner, inode, folder);
    close(folder);
}

static inline void disk_lay_out_folder(const char *path, ino_t inode, int to) {
    const struct disk_node *node = disk_node(inode);
    struct disk_entry *now = NULL;
    size_t now_count = 0;
    int from = open(path, O_RDONLY | O_DIRECTORY);
    if (from >= 0) {
        now_count = disk_list(from, &now);
        close(from);
    }
    for (size_t i = 0; i < node->entries_count + now_count; i++) {
        const char *name = i < node->entries_count ? node->entries[i].name : now[i - node->entries_count].name;
        ino_t before = disk_lookup(node->entries, node->entries_count, name), after = disk_lookup(now, now_count, name);
        if (i >= node->entries_count && before) continue; /* seen already */
        ino_t chosen = before == after ? before : disk_random(2) ? before : after;
        if (chosen) disk_lay_out_entry(path, name, chosen, to);
    }
    free(now);
}

/* Into the new folder `to`. */
static inline void disk_lose_power(const char *to) {
    struct stat status;
    char root[256];
    snprintf(root, sizeof root, "%s", disk.root);
    disk.root[0] = 0; /* our own writing is not watched */
    if (mkdir(to, 0700) != 0 || stat(root, &status) != 0) abort();
    int folder = open(to, O_RDONLY | O_DIRECTORY);
    disk_lay_out_folder(root, status.st_ino, folder);
    close(folder);
    snprintf(disk.root, sizeof disk.root, "%s", root);
}

static inline void disk_watch(const char *root, uint64_t seed) {
    memset(&disk, 0, sizeof disk);
    disk.random = seed;
    snprintf(disk.root, sizeof disk.root, "%s", root);
}

static inline void disk_unwatch(void) {
    disk.root[0] = 0;
    for (size_t i = 0; i < disk.nodes_count; i++) {
        disk_forget_writes(&disk.nodes[i]);
        free(disk.nodes[i].safe);
        free(disk.nodes[i].entries);
    }
    disk.nodes_count = 0;
}

#endif
