/* Account, hardware, empty lists, health, the webhooks' secret. */
#include "base/json.h"
#include "base/memory.h"
#include "base/time.h"
#include "service/gzip.h"
#include "service/metrics.h"
#include "service/openapi.h"
#include "service/routes.h"
#include "service/space.h"
#include "service/webhooks.h"

#include <string.h>

bool route_account(struct request *request) {
    const char *name = request->has_owner && request->owner[0] != 0 ? request->owner : "local";
    return answer_json(request, 200, json_pack("{s:s,s:s,s:s,s:n}", "type", "user", "username", name, "name", name, "github_url"));
}

bool route_hardware(struct request *request) { return answer_json(request, 200, json_pack("[{s:s,s:s}]", "name", "CPU", "sku", "cpu")); }

bool route_empty_page(struct request *request) {
    return answer_json(request, 200, json_pack("{s:n,s:n,s:[]}", "next", "previous", "results"));
}

bool route_webhook_secret(struct request *request) {
    char secret[WEBHOOK_SECRET_SIZE];
    bool fine = webhooks_secret(request->service->webhooks, request->has_owner ? request->owner : "", secret);
    return answer_json(request, 200, fine ? json_pack("{s:s}", "key", secret) : NULL);
}

bool route_health(struct request *request) { return answer_json(request, 200, json_pack("{s:s}", "status", "ok")); }

static bool store_answers(struct request *request, size_t *starting, size_t *processing) {
    size_t before;
    return store_queue(request->reader, NULL, starting, processing, &before, NULL);
}

/* The queue is not counted: that takes longer the longer it is, and who asks every second is not to wait for it. */
bool route_ready(struct request *request) {
    int64_t last;
    const struct space space = space_of(request->service->options);
    if (request->service->draining) return answer_problem(request, 503, "Not ready", "The server is about to stop.");
    if (!store_last_event(request->reader, &last, NULL)) return answer_problem(request, 503, "Not ready", "The store does not answer.");
    if (space_low(&space)) return answer_problem(request, 503, "Not ready", "The disk is almost full.");
    return answer_json(request, 200, json_pack("{s:s}", "status", "ok"));
}

bool route_health_check(struct request *request) {
    size_t starting = 0, processing = 0;
    const char *status = !store_answers(request, &starting, &processing) ? "UNHEALTHY" : processing > 0 ? "BUSY" : "READY";
    return answer_json(request, 200, json_pack("{s:s,s:{s:s,s:s}}", "status", status, "setup", "status", "succeeded", "logs", ""));
}

bool route_metrics(struct request *request) {
    const struct space space = space_of(request->service->options);
    struct buffer text;
    struct error error = {.code = ERROR_NONE};
    buffer_init(&text, (size_t)4 << 20);
    if (metrics_write(request->service->metrics, request->reader, &space, &text, &error))
        answer_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", text.data);
    else
        answer_error(request, &error);
    buffer_free(&text);
    return true;
}

/* Five times smaller on the wire: the page loads it before its first paint. */
static bool answer_packed(struct request *request, const char *text, size_t length) {
    struct buffer packed;
    buffer_init(&packed, length);
    bool fine = gzip_compress(text, length, &packed);
    if (fine) {
        answer_response(request, 200, MHD_create_response_from_buffer(packed.length, packed.data, MHD_RESPMEM_MUST_COPY));
        answer_header(request, "Content-Type", "application/json; charset=utf-8");
        answer_header(request, "Content-Encoding", "gzip");
        answer_header(request, "Cache-Control", "no-store");
    }
    buffer_free(&packed);
    return fine;
}

bool route_openapi(struct request *request) {
    json_t *document = openapi_document(request);
    char *text = document == NULL ? NULL : json_text(document, JSON_COMPACT | JSON_REAL_PRECISION(15));
    bool packed = text != NULL && gzip_accepted(request_header(request, "Accept-Encoding")) && answer_packed(request, text, strlen(text));
    memory_free(text);
    if (packed)
        json_decref(document);
    else
        answer_json(request, 200, document);
    answer_header(request, "Vary", "Accept-Encoding");
    return true;
}
