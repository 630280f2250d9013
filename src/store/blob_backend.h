/* What a place for blobs implements: the functions of blob.h, which sees to names and the rest. */
#ifndef STORE_BLOB_BACKEND_H
#define STORE_BLOB_BACKEND_H

#include "store/blob.h"

enum { BLOB_NAME_SIZE = 101, BLOB_RANDOM_DIGITS = 32 };

struct blob_backend {
    void (*close)(struct blobs *blobs);
    /* As in blob.h, with a valid name that is new. `put` stores what is in memory. */
    bool (*put)(struct blobs *blobs, const char *name, const void *data, size_t length, struct error *error);
    bool (*begin)(struct blobs *blobs, const char *name, struct blob_writer **writer, struct error *error);
    bool (*append)(struct blob_writer *writer, const void *data, size_t length, struct error *error);
    bool (*commit)(struct blob_writer *writer, struct error *error); /* frees the writer, whatever happens */
    void (*abandon)(struct blob_writer *writer);
    /* ERROR_LIMIT when there are more than `maximum` bytes, before they are fetched. */
    bool (*open)(struct blobs *blobs, const char *name, size_t maximum, int *descriptor, size_t *size, int64_t *modified,
                 struct error *error);
    bool (*remove)(struct blobs *blobs, const char *name, struct error *error);
    bool (*each)(struct blobs *blobs, blob_visit *visit, void *user, struct error *error);
};

/* First member of a backend's own struct. */
struct blobs {
    const struct blob_backend *backend;
};

struct blob_writer {
    struct blobs *blobs;
    char name[BLOB_NAME_SIZE];
};

bool blob_folder_open(const char *path, struct blobs **blobs, struct error *error);
bool blob_s3_open(const char *url, struct blobs **blobs, struct error *error);

/* Write all of it to a descriptor; the caller explains errno. */
bool blob_write_all(int descriptor, const void *data, size_t length);

#endif
