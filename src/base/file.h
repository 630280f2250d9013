/* Whole files, safely. Paths may lead into a packed file (archive.h). */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"

#include <stdint.h>

/* Read all of a regular file into a new heap block (followed by a 0 that is not counted).
 * ERROR_LIMIT above `maximum` bytes. The caller frees `*data` with memory_free(). */
bool file_read(const char *path, size_t maximum, char **data, size_t *length, struct error *error);

/* Write beside, fsync, rename over `path`, fsync the folder: after a crash the file is the old one
 * or the new one, never a part. */
bool file_write(const char *path, const void *data, size_t length, struct error *error);

/* What is left for us on the file system that holds `path` (or, while there is no such file, its folder). */
bool file_free_bytes(const char *path, uint64_t *bytes, struct error *error);

/* All of a regular file, mapped read-only; what changes in the file changes there. */
bool file_map(const char *path, const unsigned char **bytes, size_t *length, struct error *error);
void file_unmap(const unsigned char *bytes, size_t length);

bool file_exists(const char *path);
bool file_make_folders(const char *path, struct error *error); /* mkdir -p */
/* "folder/name" as a new heap string; NULL when out of memory. */
char *file_join(const char *folder, const char *name);

/* length random bytes from the system. */
bool random_bytes(void *data, size_t length, struct error *error);

#endif
