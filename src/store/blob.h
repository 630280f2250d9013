/* Blobs: named immutable bytes (inputs, outputs, uploads, previews). A folder now; S3 behind the
 * same functions later. Names are ours ([a-z0-9._-], at most 100), never built from input. */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include "base/error.h"

#include <stdint.h>

struct blobs;

bool blobs_open(const char *url, struct blobs **blobs, struct error *error); /* a folder's path */
void blobs_close(struct blobs *blobs);

/* Store bytes under a new unguessable name ending in `suffix` (".png"); durable on return. */
bool blob_put(struct blobs *blobs, const char *suffix, const void *data, size_t length, char name[101], struct error *error);
/* The same in pieces: begin, append, then commit or abandon. */
struct blob_writer;
bool blob_begin(struct blobs *blobs, const char *suffix, struct blob_writer **writer, struct error *error);
bool blob_append(struct blob_writer *writer, const void *data, size_t length, struct error *error);
bool blob_commit(struct blob_writer *writer, char name[101], struct error *error); /* frees the writer, whatever happens */
void blob_abandon(struct blob_writer *writer);

/* Read: a descriptor open for reading (the caller closes it) and its size; *modified may be NULL. */
bool blob_open(struct blobs *blobs, const char *name, int *descriptor, size_t *size, int64_t *modified, struct error *error);
bool blob_read(struct blobs *blobs, const char *name, size_t maximum, char **data, size_t *length, struct error *error);
bool blob_delete(struct blobs *blobs, const char *name, struct error *error); /* a missing one is fine */
bool blob_name_valid(const char *name);

/* Visit every blob, in no order, with the time of its writing (wall); one that is being written is none
 * yet. visit returns false to stop. False on failure, not when stopped. */
typedef bool blob_visit(void *user, const char *name, int64_t modified);
bool blobs_each(struct blobs *blobs, blob_visit *visit, void *user, struct error *error);

#endif
