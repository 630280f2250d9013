/* The models that we answer for, and their versions. */
#include "service/create_body.h"
#include "service/routes.h"

#include <stdio.h>
#include <string.h>

/* The default model, under its published name and ids, is DEFAULT; the others are 0, 1, ... */
enum { DEFAULT = -1, NOT_OURS = -2 };

static int model_of(const struct request *request) {
    const struct service_options *options = request->service->options;
    char name[256];
    int length = snprintf(name, sizeof name, "%s/%s", request->parameters[0], request->parameters[1]);
    if (length <= 0 || (size_t)length >= sizeof name) return NOT_OURS;
    if (strcmp(name, options->model_name) == 0) return DEFAULT;
    for (size_t i = 0; i < options->model_count; i++)
        if (strcmp(name, options->models[i].name) == 0) return (int)i;
    return NOT_OURS;
}

/* cog_version must be above 0.3.9: one client turns the outputs of older ones into a generator. */
static json_t *version_json(const char *id, const char *created) {
    return json_pack("{s:s,s:s,s:s,s:o}", "id", id, "created_at", created, "cog_version", "0.6.1", "openapi_schema",
                     input_openapi_schema());
}

static json_t *versions_json(const struct request *request, int model) {
    const struct service_options *options = request->service->options;
    if (model != DEFAULT) return json_pack("[o]", version_json(options->models[model].version, options->models[model].created));
    return json_pack("[o,o]", version_json(version_ids[0], "2023-01-15T12:00:00.000000Z"),
                     version_json(version_ids[1], "2022-12-05T12:00:00.000000Z"));
}

static json_t *model_json(const struct request *request, int model) {
    const struct service_options *options = request->service->options;
    const char *name = model == DEFAULT ? options->model_name : options->models[model].name, *slash = strchr(name, '/');
    char url[600], owner[256];
    if (slash == NULL) return NULL;
    snprintf(url, sizeof url, "%s/", request->base);
    snprintf(owner, sizeof owner, "%.*s", (int)(slash - name), name);
    json_t *versions = versions_json(request, model), *latest = json_incref(json_array_get(versions, 0));
    json_decref(versions);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:s?,s:n,s:n,s:i,s:n,s:n,s:o}", "url", url, "owner", owner, "name", slash + 1, "description",
                     model == DEFAULT ? "Inpainting using RunwayML's stable-diffusion-inpainting checkpoint" : "Inpainting, on this server",
                     "visibility", "public", "is_official", 0, "github_url",
                     model == DEFAULT ? "https://github.com/andreasjansson/cog-stable-diffusion-inpainting" : NULL, "paper_url",
                     "license_url", "run_count", 0, "cover_image_url", "default_example", "latest_version", latest);
}

static bool answer_page(struct request *request, json_t *results) {
    return answer_json(request, 200, json_pack("{s:n,s:n,s:o}", "next", "previous", "results", results));
}

bool route_model_list(struct request *request) {
    json_t *list = json_array();
    for (int model = DEFAULT; model < (int)request->service->options->model_count; model++)
        json_array_append_new(list, model_json(request, model));
    return answer_page(request, list);
}

bool route_model_get(struct request *request) {
    int model = model_of(request);
    return model == NOT_OURS ? answer_not_found(request) : answer_json(request, 200, model_json(request, model));
}

bool route_version_list(struct request *request) {
    int model = model_of(request);
    return model == NOT_OURS ? answer_not_found(request) : answer_page(request, versions_json(request, model));
}

bool route_version_get(struct request *request) {
    int model = model_of(request);
    json_t *versions = model == NOT_OURS ? NULL : versions_json(request, model), *found = NULL, *version;
    size_t index;
    json_array_foreach(versions, index, version) {
        const char *id = json_string_value(json_object_get(version, "id"));
        if (id != NULL && strcmp(id, request->parameters[2]) == 0) found = json_incref(version);
    }
    json_decref(versions);
    return found == NULL ? answer_not_found(request) : answer_json(request, 200, found);
}
