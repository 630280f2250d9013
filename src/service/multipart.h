/* multipart/form-data (RFC 7578) as a stream: bytes in, parts out, in constant memory. */
#ifndef SERVICE_MULTIPART_H
#define SERVICE_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

struct multipart;

struct multipart_part {
    const char *name;     /* "" when the part has none */
    const char *filename; /* NULL when it has none */
    const char *type;     /* Content-Type, NULL when it has none */
};
/* Called in order: begin of a part, its bytes in any number of pieces (none when empty), its end.
 * Returning false ends the parsing. */
struct multipart_reader {
    void *context;
    bool (*begin)(void *context, const struct multipart_part *part);
    bool (*data)(void *context, const char *data, size_t length);
    bool (*end)(void *context);
};

/* content_type: of the request. NULL when it is no multipart/form-data with a boundary (of at most
 * 200 bytes), or out of memory. */
struct multipart *multipart_create(const char *content_type, const struct multipart_reader *reader);
void multipart_free(struct multipart *multipart);

/* False: malformed, or the reader ended it; from then on always false. */
bool multipart_feed(struct multipart *multipart, const char *data, size_t length);
/* Was the closing boundary seen? */
bool multipart_complete(const struct multipart *multipart);

#endif
