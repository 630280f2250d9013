/* Blobs: named immutable bytes (inputs, outputs, uploads, previews), in a folder or in S3. Names are ours
 * ([a-z0-9._-], at most 100), never built from input. All functions may be called from several threads
 * (a writer's from one at a time).
 *
 * Errors: NOT_FOUND no such blob, LIMIT too many bytes, FULL no space, MEMORY, IO everything that lasts
 * (a disk's trouble; a wrong key or bucket), and only from S3 NETWORK: it can't be reached or is in trouble,
 * which passes. Calls wait some 8 seconds for that (at most 30 when the server is silent); once one has
 * waited in vain the next ones fail at once until S3 answers again. */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include "base/error.h"

#include <stdint.h>

struct blobs;

/* A folder's path, or s3://BUCKET/PREFIX?endpoint=URL&region=NAME; keys come from the environment
 * (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN). Fails when the bucket can't be listed. */
bool blobs_open(const char *url, struct blobs **blobs, struct error *error);
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

/* Visit every blob, in no order, with its bytes and the time of its writing (wall; S3's clock); one that is being written is
 * none yet. In S3 also aborts uploads that a crash left half done a day ago. visit returns false to stop. False on failure, not when
 * stopped. */
typedef bool blob_visit(void *user, const char *name, uint64_t size, int64_t modified);
bool blobs_each(struct blobs *blobs, blob_visit *visit, void *user, struct error *error);

#endif
