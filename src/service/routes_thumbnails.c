/* Small copies of outputs and of uploaded pictures. */
#include "base/memory.h"
#include "service/routes.h"
#include "service/thumbnails.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ?size=PIXELS; 0 when it is not a number that we take. */
static int wanted_side(const struct request *request) {
    char *text = request_query(request, "size");
    if (text == NULL) return THUMBNAIL_SIDE_DEFAULT;
    size_t digits = strspn(text, "0123456789");
    int side = digits > 0 && digits < 5 && text[digits] == 0 ? (int)strtol(text, NULL, 10) : 0;
    memory_free(text);
    return side >= THUMBNAIL_SIDE_MIN && side <= THUMBNAIL_SIDE_MAX ? side : 0;
}

static bool answer_failure(struct request *request, const struct error *error) {
    switch (error->code) {
    case ERROR_NOT_FOUND:
        return answer_problem(request, 404, NULL, "File not found");
    case ERROR_CONFLICT:
        answer_problem(request, 503, "Busy", "Other thumbnails are being made. Try again in a second.");
        answer_header(request, "Retry-After", "1");
        return true;
    case ERROR_MEMORY:
    case ERROR_IO:
    case ERROR_INTERNAL:
        return answer_error(request, error);
    default:
        return answer_problem(request, 404, NULL, "There is no thumbnail of this file: %s.", error->message);
    }
}

static bool answer_thumbnail(struct request *request, const char *blob, const char *cache) {
    char tag[160];
    struct error error = {.code = ERROR_NONE};
    struct buffer jpeg;
    int side = wanted_side(request);
    if (side == 0)
        return answer_problem(request, 422, NULL, "size: Must be a number from %d to %d.", THUMBNAIL_SIDE_MIN, THUMBNAIL_SIDE_MAX);
    buffer_init(&jpeg, THUMBNAIL_BYTES_MAX);
    if (!thumbnail_get(request->service->thumbnails, request->service->blobs, blob, side, &jpeg, &error)) {
        buffer_free(&jpeg);
        return answer_failure(request, &error);
    }
    snprintf(tag, sizeof tag, "\"%s-%d\"", blob, side);
    const char *known = request_header(request, "If-None-Match");
    if (known != NULL && strstr(known, tag) != NULL) {
        answer_empty(request, 304);
        MHD_del_response_header(request->response, "Cache-Control", "no-store");
    } else {
        answer_response(request, 200, MHD_create_response_from_buffer(jpeg.length, jpeg.data, MHD_RESPMEM_MUST_COPY));
        answer_header(request, "Content-Type", "image/jpeg");
    }
    buffer_free(&jpeg);
    answer_header(request, "ETag", tag);
    answer_header(request, "Cache-Control", cache);
    return true;
}

bool route_output_thumbnail(struct request *request) {
    request->any_origin = true;
    return answer_thumbnail(request, request->parameters[0], "public, max-age=3600");
}

bool route_file_thumbnail(struct request *request) {
    struct stored_file file;
    struct error error;
    if (!store_file_get(request->reader, request->parameters[0], request_owner(request), &file, &error)) {
        if (error.code != ERROR_NOT_FOUND) return answer_error(request, &error);
        return answer_problem(request, 404, NULL, "File not found");
    }
    answer_thumbnail(request, file.blob, "private, no-store");
    stored_file_free(&file);
    return true;
}
