/* The one model that we answer for, and its versions. */
#include "service/create_body.h"
#include "service/routes.h"

#include <stdio.h>
#include <string.h>

static bool is_ours(const struct request *request) {
    char name[256];
    int length = snprintf(name, sizeof name, "%s/%s", request->parameters[0], request->parameters[1]);
    return length > 0 && (size_t)length < sizeof name && strcmp(name, request->service->options->model_name) == 0;
}

/* cog_version must be above 0.3.9: one client turns the outputs of older ones into a generator. */
static json_t *version_json(size_t index) {
    const char *created = index == 0 ? "2023-01-15T12:00:00.000000Z" : "2022-12-05T12:00:00.000000Z";
    return json_pack("{s:s,s:s,s:s,s:o}", "id", version_ids[index], "created_at", created, "cog_version", "0.6.1", "openapi_schema",
                     input_openapi_schema());
}

static json_t *model_json(const struct request *request) {
    const char *name = request->service->options->model_name, *slash = strchr(name, '/');
    char url[600], owner[256];
    if (slash == NULL) return NULL;
    snprintf(url, sizeof url, "%s/", request->base);
    snprintf(owner, sizeof owner, "%.*s", (int)(slash - name), name);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:n,s:n,s:i,s:n,s:n,s:o}", "url", url, "owner", owner, "name", slash + 1, "description",
                     "Inpainting using RunwayML's stable-diffusion-inpainting checkpoint", "visibility", "public", "is_official", 0,
                     "github_url", "https://github.com/andreasjansson/cog-stable-diffusion-inpainting", "paper_url", "license_url",
                     "run_count", 0, "cover_image_url", "default_example", "latest_version", version_json(0));
}

static bool answer_page(struct request *request, json_t *results) {
    return answer_json(request, 200, json_pack("{s:n,s:n,s:o}", "next", "previous", "results", results));
}

bool route_model_list(struct request *request) { return answer_page(request, json_pack("[o]", model_json(request))); }

bool route_model_get(struct request *request) {
    return is_ours(request) ? answer_json(request, 200, model_json(request)) : answer_not_found(request);
}

bool route_version_list(struct request *request) {
    if (!is_ours(request)) return answer_not_found(request);
    return answer_page(request, json_pack("[o,o]", version_json(0), version_json(1)));
}

bool route_version_get(struct request *request) {
    if (!is_ours(request)) return answer_not_found(request);
    for (size_t i = 0; version_ids[i] != NULL; i++)
        if (strcmp(request->parameters[2], version_ids[i]) == 0) return answer_json(request, 200, version_json(i));
    return answer_not_found(request);
}
