/* What needs no token because its path is the permission: output files and event streams. */
#include "base/memory.h"
#include "service/routes.h"

#include <string.h>

bool route_output(struct request *request) {
    request->any_origin = true;
    return answer_blob(request, request->parameters[0], content_type_of(request->parameters[0]), "public, max-age=3600");
}

static bool wanted(struct request *request, const char *name) {
    char *text = request_query(request, name);
    bool yes = text != NULL && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0);
    memory_free(text);
    return yes;
}

static void answer_stream(struct request *request, const struct prediction *prediction) {
    struct service *service = request->service;
    struct error error;
    struct sse_view view = {.base = request->base,
                            .blobs = service->blobs,
                            .logs = wanted(request, "logs"),
                            .previews = wanted(request, "previews"),
                            .data_uri = service->options->data_uri_output || prediction->data_uri_output,
                            .after = sse_last_event_id(request_header(request, "Last-Event-ID"))};
    struct MHD_Response *response = stream_open(service->hub, request->reader, request->connection, prediction, &view, &error);
    if (response == NULL) {
        answer_error(request, &error);
        return;
    }
    answer_response(request, 200, response);
    answer_header(request, "Content-Type", "text/event-stream");
    answer_header(request, "Cache-Control", "no-store");
    answer_header(request, "X-Accel-Buffering", "no");
}

bool route_stream(struct request *request) {
    struct prediction prediction;
    struct error error;
    request->any_origin = true;
    if (!store_get_by_stream(request->reader, request->parameters[0], &prediction, &error)) return answer_error(request, &error);
    request_about(request, &prediction);
    if (request_is(request, "HEAD")) {
        answer_empty(request, 200);
        answer_header(request, "Content-Type", "text/event-stream");
    } else {
        answer_stream(request, &prediction);
    }
    prediction_free(&prediction);
    return true;
}
