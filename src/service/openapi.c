#include "service/openapi.h"
#include "base/memory.h"
#include "predict/input.h"
#include "service/create_body.h"
#include "service/openapi_shapes.h"
#include "service/routes.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool set(json_t *object, const char *key, json_t *value) { return json_object_set_new(object, key, value) == 0; }

static json_t *reference(const char *kind, const char *name) {
    char text[128];
    snprintf(text, sizeof text, "#/components/%s/%s", kind, name);
    return json_pack("{s:s}", "$ref", text);
}

/* ---- parameters ---- */

static const struct parameter {
    const char *name, *in, *description, *schema;
} parameters[] = {
    {"Prefer", "header", "wait, or wait=SECONDS: answer when the prediction has ended, or with status starting when the time is up.",
     "{\"type\":\"string\"}"},
    {"Cancel-After", "header", "How long the prediction may live, from its creation: 30s, 5m, 1h30m, or seconds; at least 5 seconds.",
     "{\"type\":\"string\",\"pattern\":\"^([5-9]s?|[1-9][0-9]{1,5}s?|[1-9][0-9]{0,3}m([1-5]?[0-9]s)?|[1-9][0-9]?h([1-5]?[0-9]m)?([1-5]?[0-"
     "9]s)?)$\"}"},
    {"Last-Event-ID", "header", "Go on after this event.", "{\"type\":\"string\"}"},
    {"cursor", "query", "Where the page begins: from next or previous of another page.", "{\"type\":\"string\"}"},
    {"created_after", "query", "Only predictions created at or after this time.", "{\"type\":\"string\",\"format\":\"date-time\"}"},
    {"created_before", "query", "Only predictions created before this time.", "{\"type\":\"string\",\"format\":\"date-time\"}"},
    {"source", "query", "Only predictions of the web page, of the last 14 days.", "{\"type\":\"string\",\"enum\":[\"web\"]}"},
    {"logs", "query", "1: events of log text too (extension).", "{\"type\":\"string\"}"},
    {"previews", "query", "1: events with URLs of preview pictures too (extension).", "{\"type\":\"string\"}"},
    {"owner", "query", "Whose file it is.", "{\"type\":\"string\"}"},
    {"expiry", "query", "Until when the link is valid, in seconds since 1970.", "{\"type\":\"integer\"}"},
    {"size", "query", "The longer side's pixels, at most.", "{\"type\":\"integer\",\"minimum\":16,\"maximum\":512,\"default\":256}"},
    {"signature", "query", "Base64 of HMAC-SHA256 over \"OWNER ID EXPIRY\" with the webhooks' secret.", "{\"type\":\"string\"}"},
};

static void add_parameter(json_t *list, const char *name, size_t length) {
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        const struct parameter *found = &parameters[i];
        if (strlen(found->name) != length || strncmp(found->name, name, length) != 0) continue;
        json_array_append_new(list, json_pack("{s:s,s:s,s:b,s:s,s:o}", "name", found->name, "in", found->in, "required", 0, "description",
                                              found->description, "schema", json_loads(found->schema, 0, NULL)));
    }
}

static json_t *parameters_of(const struct route *route) {
    json_t *list = json_array();
    for (const char *open = strchr(route->pattern, '{'); open != NULL; open = strchr(open + 1, '{')) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(open + 1, "}"), open + 1);
        json_array_append_new(list,
                              json_pack("{s:s,s:s,s:b,s:{s:s}}", "name", name, "in", "path", "required", 1, "schema", "type", "string"));
    }
    for (const char *name = route->parameters; name != NULL && *name != 0;) {
        size_t length = strcspn(name, " ");
        add_parameter(list, name, length);
        name += length + (name[length] == ' ');
    }
    return list;
}

/* ---- bodies and answers ---- */

static json_t *body_of(const struct route *route) {
    if (route->body == BODY_JSON)
        return json_pack("{s:b,s:{s:{s:o}}}", "required", 1, "content", "application/json", "schema",
                         reference("schemas", route->request_schema));
    return json_loads("{\"required\":true,\"content\":{\"multipart/form-data\":{\"schema\":{\"type\":\"object\",\"required\":[\"content\"],"
                      "\"properties\":{\"content\":{\"type\":\"string\",\"format\":\"binary\"},\"metadata\":{\"type\":\"object\"},"
                      "\"filename\":{\"description\":\"Instead of the content part's own.\"},"
                      "\"type\":{\"description\":\"Instead of the content part's own.\"}}},"
                      "\"encoding\":{\"metadata\":{\"contentType\":\"application/json\"}}}}}",
                      0, NULL);
}

static json_t *success_of(const struct route *route) {
    const char *description = route->success == 201 ? "Created" : route->success == 204 ? "Done" : "Fine";
    if (route->answer == NULL) return json_pack("{s:s}", "description", description);
    bool media = strchr(route->answer, '/') != NULL;
    bool events = strcmp(route->answer, "text/event-stream") == 0;
    json_t *schema = media && !events ? json_pack("{s:s}", "type", "string") : reference("schemas", events ? "StreamEvent" : route->answer);
    return json_pack("{s:s,s:{s:{s:o}}}", "description", description, "content", media ? route->answer : "application/json", "schema",
                     schema);
}

static void add_problem(json_t *answers, unsigned status, const char *description) {
    char key[8];
    snprintf(key, sizeof key, "%u", status);
    set(answers, key,
        json_pack("{s:s,s:{s:{s:o}}}", "description", description, "content", "application/problem+json", "schema",
                  reference("schemas", "Problem")));
}

static json_t *answers_of(const struct route *route) {
    char key[8];
    json_t *answers = json_object();
    bool creates = route->body != BODY_NONE;
    snprintf(key, sizeof key, "%u", route->success);
    set(answers, key, success_of(route));
    add_problem(answers, 400, "Malformed request");
    if (route->access == ACCESS_LOCAL) add_problem(answers, 401, "Asked from another machine without a token");
    add_problem(answers, 414, "The URL is too long");
    add_problem(answers, 431, "The headers are too large");
    if (route->access == ACCESS_TOKEN) {
        add_problem(answers, 401, "The token is missing or wrong");
        add_problem(answers, 403, "Refused to a web page of another origin");
        add_problem(answers, 429, "Above the configured rate limit");
    }
    if (strcmp(route->operation, "files.download") == 0) add_problem(answers, 401, "The token or the signature is missing or wrong");
    if (strchr(route->pattern, '{') != NULL || (route->parameters != NULL && strstr(route->parameters, "cursor") != NULL))
        add_problem(answers, 404, "No such thing");
    if (creates) add_problem(answers, 413, "The body is too large");
    if (creates || route->parameters != NULL) add_problem(answers, 422, "What was sent is not valid");
    if (strcmp(route->operation, "outputs.get") == 0 || strcmp(route->operation, "files.download") == 0) {
        set(answers, "206", json_pack("{s:s}", "description", "The part that was asked for"));
        set(answers, "304", json_pack("{s:s}", "description", "Not modified"));
        add_problem(answers, 416, "The range lies outside of the file");
    }
    if (strstr(route->pattern, "/thumbnail") != NULL) {
        set(answers, "304", json_pack("{s:s}", "description", "Not modified"));
        add_problem(answers, 503, "Others are being made; Retry-After says when to come back");
    }
    if (creates) {
        add_problem(answers, 503, "Too much is being received at once");
        add_problem(answers, 507, "The disk is full");
    }
    return answers;
}

/* What the service itself asks, of the URL that a create gave. */
static json_t *webhook_callback(void) {
    json_t *post = json_pack("{s:s,s:{s:b,s:{s:{s:o}}},s:{s:{s:s}}}", "summary",
                             "The prediction as GET shows it at that moment, with webhook-id, webhook-timestamp and webhook-signature",
                             "requestBody", "required", 1, "content", "application/json", "schema", reference("schemas", "Prediction"),
                             "responses", "2XX", "description", "Delivered");
    return json_pack("{s:{s:{s:o}}}", "webhook", "{$request.body#/webhook}", "post", post);
}

static json_t *operation_of(const struct route *route) {
    json_t *operation = json_pack("{s:s,s:[s],s:s,s:o,s:o}", "operationId", route->operation, "tags", route->tag, "summary", route->summary,
                                  "parameters", parameters_of(route), "responses", answers_of(route));
    if (route->body != BODY_NONE) set(operation, "requestBody", body_of(route));
    if (route->body == BODY_JSON) set(operation, "callbacks", webhook_callback());
    set(operation, "security", json_loads(route->access == ACCESS_TOKEN ? "[{\"token\":[]},{}]" : "[{}]", 0, NULL));
    return operation;
}

/* ---- the document ---- */

static json_t *paths_of(void) {
    json_t *paths = json_object();
    for (size_t i = 0; i < routes_count; i++) {
        char method[16] = "";
        for (size_t c = 0; routes[i].method[c] != 0 && c + 1 < sizeof method; c++) method[c] = (char)tolower(routes[i].method[c]);
        json_t *path = json_object_get(paths, routes[i].pattern);
        if (path == NULL) {
            set(paths, routes[i].pattern, json_object());
            path = json_object_get(paths, routes[i].pattern);
        }
        set(path, method, operation_of(&routes[i]));
    }
    return paths;
}

/* What `version` may be: every id, with and without the model's name, and the name alone; null where
 * it may be left out. */
static json_t *versions_of(const struct service_options *options, bool optional) {
    const char *model = options->model_name;
    json_t *names = json_pack("[s]", model);
    char text[400];
    for (size_t i = 0; version_ids[i] != NULL; i++) {
        json_array_append_new(names, json_string(version_ids[i]));
        snprintf(text, sizeof text, "%s:%s", model, version_ids[i]);
        json_array_append_new(names, json_string(text));
    }
    for (size_t i = 0; i < options->model_count; i++) {
        snprintf(text, sizeof text, "%s:%s", options->models[i].name, options->models[i].version);
        json_array_append_new(names, json_string(options->models[i].name));
        json_array_append_new(names, json_string(options->models[i].version));
        json_array_append_new(names, json_string(text));
    }
    if (optional) json_array_append_new(names, json_null());
    return json_pack("{s:s,s:b,s:o}", "type", "string", "nullable", optional, "enum", names);
}

/* As validation takes it: null for what is left out, and a seed of 64 bits. The model's own published
 * schema, at its versions, says neither. */
static void widen_input(json_t *input) {
    json_t *properties = json_object_get(input, "properties"), *seed = json_object_get(properties, "seed");
    for (size_t i = 0; i < input_fields_count; i++)
        if (!input_fields[i].required) set(json_object_get(properties, input_fields[i].name), "nullable", json_true());
    set(seed, "format", json_string("int64"));
    set(seed, "minimum", json_integer(INT64_MIN));
    set(seed, "maximum", json_integer(INT64_MAX));
}

static json_t *schemas_of(const struct service_options *options) {
    json_t *schemas = openapi_shapes(), *model = input_openapi_schema();
    set(schemas, "VersionName", versions_of(options, false));
    set(schemas, "OptionalVersionName", versions_of(options, true));
    json_t *input = json_object_get(json_object_get(json_object_get(model, "components"), "schemas"), "Input");
    widen_input(input);
    if (schemas != NULL && input != NULL) json_object_set(schemas, "Input", input);
    json_decref(model);
    return schemas;
}

json_t *openapi_document(const struct request *request) {
    char server[600];
    snprintf(server, sizeof server, "%s/v1", request->base);
    json_t *document =
        json_pack("{s:s,s:{s:s,s:s,s:s},s:[{s:s}],s:o,s:{s:o,s:{s:{s:s,s:s}}}}", "openapi", "3.0.3", "info", "title", "inpaintd", "version",
                  "1.0.0", "description", "Predictions of a Stable Diffusion inpainting model. Every path works with and without /v1.",
                  "servers", "url", server, "paths", paths_of(), "components", "schemas", schemas_of(request->service->options),
                  "securitySchemes", "token", "type", "http", "scheme", "bearer");
    const char *hints = request->service->options->hints;
    if (hints != NULL) set(document, "x-hints", json_loads(hints, 0, NULL));
    return document;
}
