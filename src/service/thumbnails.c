#include "service/thumbnails.h"
#include "base/memory.h"
#include "image/image.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    CACHE_ENTRIES = 512,
    CACHE_BYTES = 8 * 1024 * 1024,
    MAKING_MAX = 2, /* half of the threads that handle requests: the others go on answering */
    QUALITY = 82
};
/* What a phone's camera makes fits; a file that claims more is not decoded. */
static const struct image_limits limits = {.side = 16384, .pixels = (size_t)64 * 1000 * 1000, .bytes = (size_t)64 * 1024 * 1024};

struct thumbnail {
    char blob[101];
    int side;
    char *data; /* NULL: this place is free */
    size_t length;
    uint64_t used; /* the clock's reading when it was last asked for */
};

struct thumbnails {
    pthread_mutex_t lock;
    struct thumbnail entries[CACHE_ENTRIES];
    size_t bytes;
    uint64_t clock;
    int making;
};

struct thumbnails *thumbnails_create(void) {
    struct thumbnails *thumbnails = memory_zero(sizeof *thumbnails);
    if (thumbnails != NULL) pthread_mutex_init(&thumbnails->lock, NULL);
    return thumbnails;
}

void thumbnails_free(struct thumbnails *thumbnails) {
    if (thumbnails == NULL) return;
    for (size_t i = 0; i < CACHE_ENTRIES; i++) memory_free(thumbnails->entries[i].data);
    pthread_mutex_destroy(&thumbnails->lock);
    memory_free(thumbnails);
}

/* ---- the cache; the lock is held ---- */

static bool append_kept(struct thumbnails *thumbnails, const char *blob, int side, struct buffer *out) {
    for (size_t i = 0; i < CACHE_ENTRIES; i++) {
        struct thumbnail *entry = &thumbnails->entries[i];
        if (entry->data == NULL || entry->side != side || strcmp(entry->blob, blob) != 0) continue;
        entry->used = ++thumbnails->clock;
        return buffer_append(out, entry->data, entry->length);
    }
    return false;
}

static void forget(struct thumbnails *thumbnails, struct thumbnail *entry) {
    thumbnails->bytes -= entry->length;
    memory_free(entry->data);
    *entry = (struct thumbnail){0};
}

/* A free place with room for `length` bytes; what was not asked for the longest makes way. */
static struct thumbnail *make_room(struct thumbnails *thumbnails, size_t length) {
    for (;;) {
        struct thumbnail *free_place = NULL, *oldest = NULL;
        for (size_t i = 0; i < CACHE_ENTRIES; i++) {
            struct thumbnail *entry = &thumbnails->entries[i];
            if (entry->data == NULL)
                free_place = entry;
            else if (oldest == NULL || entry->used < oldest->used)
                oldest = entry;
        }
        if (free_place != NULL && thumbnails->bytes + length <= CACHE_BYTES) return free_place;
        forget(thumbnails, oldest);
    }
}

/* Without memory for it, it is made again next time. */
static void keep(struct thumbnails *thumbnails, const char *blob, int side, const char *data, size_t length) {
    char *copy = memory_alloc(length);
    if (copy == NULL) return;
    memcpy(copy, data, length);
    struct thumbnail *entry = make_room(thumbnails, length);
    *entry = (struct thumbnail){.side = side, .data = copy, .length = length, .used = ++thumbnails->clock};
    snprintf(entry->blob, sizeof entry->blob, "%s", blob); /* whole: names of blobs have at most 100 characters */
    thumbnails->bytes += length;
}

/* ---- making one ---- */

static bool shrink(struct image *image, int side, struct error *error) {
    size_t longer = image->width > image->height ? image->width : image->height, most = (size_t)side;
    if (longer <= most) return true;
    size_t width = (image->width * most + longer / 2) / longer, height = (image->height * most + longer / 2) / longer;
    struct image small;
    if (!image_resize_bicubic(image, width == 0 ? 1 : width, height == 0 ? 1 : height, &small, error)) return false;
    image_free(image);
    *image = small;
    return true;
}

static bool make(struct blobs *blobs, const char *blob, int side, struct buffer *out, struct error *error) {
    char *data;
    size_t length;
    int orientation;
    struct image image = {0};
    if (!blob_read(blobs, blob, limits.bytes, &data, &length, error)) return false;
    bool fine = image_decode(data, length, &limits, &image, &orientation, error);
    memory_free(data);
    fine =
        fine && shrink(&image, side, error) && image_orient(&image, orientation, error) && image_encode_jpeg(&image, QUALITY, out, error);
    image_free(&image);
    return fine;
}

/* What has been deleted has no thumbnail, kept or not. */
static bool exists(struct blobs *blobs, const char *blob, struct error *error) {
    int descriptor;
    size_t size;
    if (!blob_open(blobs, blob, &descriptor, &size, NULL, error)) return false;
    close(descriptor);
    return true;
}

bool thumbnail_get(struct thumbnails *thumbnails, struct blobs *blobs, const char *blob, int side, struct buffer *out,
                   struct error *error) {
    size_t before = out->length;
    if (!exists(blobs, blob, error)) return false;
    pthread_mutex_lock(&thumbnails->lock);
    bool kept = append_kept(thumbnails, blob, side, out), busy = !kept && thumbnails->making >= MAKING_MAX;
    if (!kept && !busy) thumbnails->making++;
    pthread_mutex_unlock(&thumbnails->lock);
    if (kept) return true;
    if (busy) return error_set(error, ERROR_CONFLICT, "other thumbnails are being made");

    bool fine = make(blobs, blob, side, out, error);
    pthread_mutex_lock(&thumbnails->lock);
    thumbnails->making--;
    if (fine) keep(thumbnails, blob, side, out->data + before, out->length - before);
    pthread_mutex_unlock(&thumbnails->lock);
    return fine;
}
