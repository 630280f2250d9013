/* Small copies of stored pictures, made when somebody asks and kept in memory within a budget. */
#ifndef SERVICE_THUMBNAILS_H
#define SERVICE_THUMBNAILS_H

#include "base/buffer.h"
#include "store/blob.h"

enum { THUMBNAIL_SIDE_MIN = 16, THUMBNAIL_SIDE_MAX = 512, THUMBNAIL_SIDE_DEFAULT = 256 };
/* Of one thumbnail; a JPEG of 512 x 512 pixels is far below. */
#define THUMBNAIL_BYTES_MAX ((size_t)1024 * 1024)

struct thumbnails;

struct thumbnails *thumbnails_create(void); /* NULL: out of memory */
void thumbnails_free(struct thumbnails *thumbnails);

/* Append a JPEG of the picture in `blob`, the right way up, its longer side at most `side` pixels
 * (THUMBNAIL_SIDE_MIN .. _MAX); smaller pictures keep their size. May be called by several threads.
 * ERROR_NOT_FOUND: no such blob (any more); ERROR_FORMAT, _UNSUPPORTED: not a PNG, JPEG or WebP;
 * ERROR_LIMIT: more pixels or bytes than are decoded for this; ERROR_CONFLICT: as many are being made
 * as may be, try again in a second. */
bool thumbnail_get(struct thumbnails *thumbnails, struct blobs *blobs, const char *blob, int side, struct buffer *out, struct error *error);

#endif
