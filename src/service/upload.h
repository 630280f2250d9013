/* One file on its way in: multipart parts, the file's bytes into a blob, its checksums. */
#ifndef SERVICE_UPLOAD_H
#define SERVICE_UPLOAD_H

#include "service/state.h"

struct upload;
enum upload_state { UPLOAD_GOING, UPLOAD_TOO_LARGE, UPLOAD_MALFORMED, UPLOAD_FAILED };

/* NULL when content_type is no multipart/form-data with a boundary (or no memory). */
struct upload *upload_create(struct service *service, const char *content_type);
void upload_free(struct upload *upload);
enum upload_state upload_data(struct upload *upload, const char *data, size_t length);
const struct error *upload_error(const struct upload *upload); /* after UPLOAD_FAILED */

/* After the last byte: make the blob durable and fill in name, content_type, blob, size, checksums
 * and metadata. False with a sentence: ERROR_FORMAT for what the client did wrong. */
bool upload_finish(struct upload *upload, struct stored_file *file, struct error *error);

#endif
