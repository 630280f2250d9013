/* Account, hardware, empty lists, health, the webhooks' secret. */
#include "base/time.h"
#include "service/openapi.h"
#include "service/routes.h"
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
    return answer_json(request, 200, json_pack("{s:s}", "key", webhooks_secret(request->service->webhooks)));
}

bool route_health(struct request *request) { return answer_json(request, 200, json_pack("{s:s}", "status", "ok")); }

static bool store_answers(struct request *request, size_t *starting, size_t *processing) {
    size_t before;
    return store_queue(request->reader, NULL, starting, processing, &before, NULL);
}

bool route_ready(struct request *request) {
    size_t starting = 0, processing = 0;
    if (!store_answers(request, &starting, &processing)) return answer_problem(request, 503, "Not ready", "The store does not answer.");
    return answer_json(request, 200,
                       json_pack("{s:s,s:I,s:I}", "status", "ok", "starting", (json_int_t)starting, "processing", (json_int_t)processing));
}

bool route_health_check(struct request *request) {
    size_t starting = 0, processing = 0;
    const char *status = !store_answers(request, &starting, &processing) ? "UNHEALTHY" : processing > 0 ? "BUSY" : "READY";
    return answer_json(request, 200, json_pack("{s:s,s:{s:s,s:s}}", "status", status, "setup", "status", "succeeded", "logs", ""));
}

bool route_openapi(struct request *request) { return answer_json(request, 200, openapi_document(request)); }
