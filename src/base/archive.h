/* A packed file: many files in one, each at a place from which it can be mapped (docs/packed-format.md).
 * It is read like the folder it was made of: file_read(), file_exists() and file_map() take
 * "FILE.inpaint/unet/config.json" as they take any path, so that nothing above knows the difference. */
#ifndef BASE_ARCHIVE_H
#define BASE_ARCHIVE_H

#include "base/error.h"

#include <stdint.h>

#define ARCHIVE_MAGIC "inpaintd packed\n"
enum { ARCHIVE_VERSION = 1, ARCHIVE_ALIGNMENT = 4096 };

struct archive_member {
    char *name; /* "unet/config.json" */
    uint64_t offset, size;
    char sha256[65];
};
struct archive {
    struct archive_member *members; /* in the order of their places */
    size_t count;
};

/* Does it begin as a packed file does? */
bool archive_is(const char *path);

/* Its directory. ERROR_FORMAT: it is damaged, cut off, or members overlap or lie outside of it. */
bool archive_read(const char *path, struct archive *archive, struct error *error);
void archive_free(struct archive *archive);

/* The member that a path like "FILE/NAME" means. *descriptor: the packed file, open; the caller closes
 * it. *member: name is NULL. ERROR_NOT_FOUND: there is no such file or member. */
bool archive_open_member(const char *path, int *descriptor, struct archive_member *member, struct error *error);

/* ---- writing ---- */

struct archive_writer;
/* A new file at `path`, replaced if it is there. */
bool archive_create(const char *path, struct archive_writer **writer, struct error *error);
/* One member after the other: begin, write as often as need be. */
bool archive_begin(struct archive_writer *writer, const char *name, struct error *error);
bool archive_write(struct archive_writer *writer, const void *data, size_t length, struct error *error);
bool archive_add(struct archive_writer *writer, const char *name, const void *data, size_t length, struct error *error);
/* Write the directory: the file can be read now. More members may follow, and another commit. */
bool archive_commit(struct archive_writer *writer, struct error *error);
uint64_t archive_size(const struct archive_writer *writer); /* bytes so far */
void archive_close(struct archive_writer *writer);

#endif
