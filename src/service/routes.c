#include "service/routes.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CREATE_PARAMETERS "Prefer Cancel-After"

const struct route routes[] = {
    {"POST", "/predictions", ACCESS_TOKEN, BODY_JSON, route_prediction_create, "predictions.create", "predictions", "Create a prediction",
     201, "Prediction", "PredictionCreate", CREATE_PARAMETERS},
    {"GET", "/predictions", ACCESS_TOKEN, BODY_NONE, route_prediction_list, "predictions.list", "predictions",
     "List predictions, newest first", 200, "PredictionPage", NULL, "cursor created_after created_before source"},
    {"GET", "/predictions/{prediction_id}", ACCESS_TOKEN, BODY_NONE, route_prediction_get, "predictions.get", "predictions",
     "Get a prediction", 200, "Prediction", NULL, NULL},
    {"POST", "/predictions/{prediction_id}/cancel", ACCESS_TOKEN, BODY_NONE, route_prediction_cancel, "predictions.cancel", "predictions",
     "Cancel a prediction", 200, "Prediction", NULL, NULL},
    {"GET", "/predictions/{prediction_id}/preview", ACCESS_TOKEN, BODY_NONE, route_prediction_preview, "predictions.preview", "predictions",
     "The newest preview picture of a running prediction (extension)", 200, "image/*", NULL, NULL},
    {"GET", "/models", ACCESS_TOKEN, BODY_NONE, route_model_list, "models.list", "models", "List models", 200, "ModelPage", NULL, NULL},
    {"GET", "/models/{model_owner}/{model_name}", ACCESS_TOKEN, BODY_NONE, route_model_get, "models.get", "models", "Get a model", 200,
     "Model", NULL, NULL},
    {"GET", "/models/{model_owner}/{model_name}/versions", ACCESS_TOKEN, BODY_NONE, route_version_list, "models.versions.list", "models",
     "List a model's versions", 200, "VersionPage", NULL, NULL},
    {"GET", "/models/{model_owner}/{model_name}/versions/{version_id}", ACCESS_TOKEN, BODY_NONE, route_version_get, "models.versions.get",
     "models", "Get a model's version", 200, "Version", NULL, NULL},
    {"POST", "/models/{model_owner}/{model_name}/predictions", ACCESS_TOKEN, BODY_JSON, route_model_create, "models.predictions.create",
     "models", "Create a prediction with a model's newest version", 201, "Prediction", "ModelPredictionCreate", CREATE_PARAMETERS},
    {"POST", "/deployments/{deployment_owner}/{deployment_name}/predictions", ACCESS_TOKEN, BODY_JSON, route_deployment_create,
     "deployments.predictions.create", "deployments", "Create a prediction; the deployment's name is not looked at", 201, "Prediction",
     "ModelPredictionCreate", CREATE_PARAMETERS},
    {"GET", "/deployments", ACCESS_TOKEN, BODY_NONE, route_empty_page, "deployments.list", "deployments", "Always empty", 200, "EmptyPage",
     NULL, NULL},
    {"GET", "/collections", ACCESS_TOKEN, BODY_NONE, route_empty_page, "collections.list", "collections", "Always empty", 200, "EmptyPage",
     NULL, NULL},
    {"GET", "/trainings", ACCESS_TOKEN, BODY_NONE, route_empty_page, "trainings.list", "trainings", "Always empty", 200, "EmptyPage", NULL,
     NULL},
    {"GET", "/account", ACCESS_TOKEN, BODY_NONE, route_account, "account.get", "account", "Whose token this is", 200, "Account", NULL,
     NULL},
    {"GET", "/hardware", ACCESS_TOKEN, BODY_NONE, route_hardware, "hardware.list", "hardware", "What predictions run on", 200,
     "HardwareList", NULL, NULL},
    {"GET", "/webhooks/default/secret", ACCESS_TOKEN, BODY_NONE, route_webhook_secret, "webhooks.default.secret.get", "webhooks",
     "The secret that webhooks are signed with", 200, "WebhookSecret", NULL, NULL},
    {"POST", "/files", ACCESS_TOKEN, BODY_UPLOAD, route_file_create, "files.create", "files", "Upload a file", 201, "File", NULL, NULL},
    {"GET", "/files", ACCESS_TOKEN, BODY_NONE, route_file_list, "files.list", "files", "List uploaded files, newest first", 200, "FilePage",
     NULL, "cursor"},
    {"GET", "/files/stream/{stream_token}", ACCESS_ANYONE, BODY_NONE, route_stream, "predictions.stream", "predictions",
     "A prediction's server-sent events", 200, "text/event-stream", NULL, "Last-Event-ID logs previews"},
    {"GET", "/files/{file_id}", ACCESS_TOKEN, BODY_NONE, route_file_get, "files.get", "files", "Get an uploaded file's record", 200, "File",
     NULL, NULL},
    {"DELETE", "/files/{file_id}", ACCESS_TOKEN, BODY_NONE, route_file_delete, "files.delete", "files", "Delete an uploaded file", 204,
     NULL, NULL, NULL},
    {"GET", "/files/{file_id}/download", ACCESS_ANYONE, BODY_NONE, route_file_download, "files.download", "files",
     "An uploaded file's bytes, by token or by signature", 200, "*/*", NULL, "owner expiry signature"},
    {"GET", "/files/{file_id}/thumbnail", ACCESS_TOKEN, BODY_NONE, route_file_thumbnail, "files.thumbnail", "files",
     "A small copy of an uploaded picture (extension)", 200, "image/jpeg", NULL, "size"},
    {"GET", "/outputs/{blob}/{name}", ACCESS_ANYONE, BODY_NONE, route_output, "outputs.get", "predictions",
     "An output file; the path is the permission", 200, "*/*", NULL, NULL},
    {"GET", "/outputs/{blob}/{name}/thumbnail", ACCESS_ANYONE, BODY_NONE, route_output_thumbnail, "outputs.thumbnail", "predictions",
     "A small copy of an output picture (extension)", 200, "image/jpeg", NULL, "size"},
    {"GET", "/healthz", ACCESS_ANYONE, BODY_NONE, route_health, "health.live", "health", "Is the service up?", 200, "Health", NULL, NULL},
    {"GET", "/readyz", ACCESS_ANYONE, BODY_NONE, route_ready, "health.ready", "health", "Does the store answer?", 200, "Health", NULL,
     NULL},
    {"GET", "/health-check", ACCESS_ANYONE, BODY_NONE, route_health_check, "health.check", "health", "The same in Cog's words", 200,
     "HealthCheck", NULL, NULL},
    {"GET", "/metrics", ACCESS_LOCAL, BODY_NONE, route_metrics, "metrics.get", "health",
     "Figures for Prometheus; without a token only from the same machine", 200, "text/plain", NULL, NULL},
    {"GET", "/openapi.json", ACCESS_ANYONE, BODY_NONE, route_openapi, "openapi.get", "health", "This document", 200, "Anything", NULL,
     NULL},
};
const size_t routes_count = sizeof routes / sizeof routes[0];

/* Not in the document: the web page and its files. */
static const struct route page_route = {"GET",          "/", ACCESS_ANYONE, BODY_NONE, route_page, "page", "page",
                                        "The web page", 200, "text/html",   NULL,      NULL};

bool route_is_for_operators(const struct route *route) {
    return route->handler == route_metrics || route->handler == route_health || route->handler == route_ready;
}

enum { SEGMENTS_MAX = 8 };

/* Past "http://host" of an absolute target, and of one client's habit of appending a whole URL. */
static const char *skip_origin(const char *path) {
    if (*path == '/' && (strncasecmp(path + 1, "http://", 7) == 0 || strncasecmp(path + 1, "https://", 8) == 0)) path++;
    const char *after = strncasecmp(path, "http://", 7) == 0 ? path + 7 : strncasecmp(path, "https://", 8) == 0 ? path + 8 : NULL;
    if (after == NULL) return path;
    after += strcspn(after, "/?");
    return *after == '/' ? after : "/";
}

static const char *skip_version(const char *path) {
    path = skip_origin(path);
    for (int i = 0; i < 3 && strncmp(path, "/v1", 3) == 0 && (path[3] == '/' || path[3] == 0); i++) path = skip_origin(path + 3);
    return *path == 0 ? "/" : path;
}

/* Decode %XX in place; false for a bad escape. What no name of ours has (controls, NUL) becomes a
 * byte that no name of ours has either, but that ends no string. */
static bool decode_segment(char *text) {
    char *out = text;
    for (; *text != 0; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '%') {
            if (!isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2])) return false;
            char digits[3] = {text[1], text[2], 0};
            byte = (unsigned char)strtol(digits, NULL, 16);
            text += 2;
        }
        *out++ = byte < 0x20 || byte == 0x7f ? '\x7f' : (char)byte;
    }
    *out = 0;
    return true;
}

static bool pattern_matches(const char *pattern, char *const segments[], size_t count, char *parameters[]) {
    size_t used = 0, index = 0;
    while (*pattern == '/' && pattern[1] != 0) {
        pattern++;
        size_t length = strcspn(pattern, "/");
        if (index == count) return false;
        if (pattern[0] == '{') {
            if (segments[index][0] == 0 || used == REQUEST_PARAMETERS_MAX) return false;
            parameters[used++] = segments[index];
        } else if (strlen(segments[index]) != length || strncmp(segments[index], pattern, length) != 0) {
            return false;
        }
        pattern += length;
        index++;
    }
    return index == count;
}

static void allow_method(char *allow, size_t size, const char *method) {
    size_t length = strlen(allow);
    if (length + strlen(method) + 3 < size) snprintf(allow + length, size - length, "%s%s", length == 0 ? "" : ", ", method);
}

static enum route_match find_row(struct request *request, char *const segments[], size_t count, char *allow, size_t allow_size) {
    const char *method = request_is(request, "HEAD") ? "GET" : request->method;
    const char *path_pattern = NULL;
    allow[0] = 0;
    for (size_t i = 0; i < routes_count; i++) {
        char *parameters[REQUEST_PARAMETERS_MAX] = {0};
        if (!pattern_matches(routes[i].pattern, segments, count, parameters)) continue;
        /* The first pattern that fits is the path; rows of other patterns that would fit too are not. */
        if (path_pattern != NULL && strcmp(path_pattern, routes[i].pattern) != 0) continue;
        path_pattern = routes[i].pattern;
        memcpy(request->parameters, parameters, sizeof parameters);
        if (strcmp(routes[i].method, method) == 0) {
            request->route = &routes[i];
            return ROUTE_FOUND;
        }
        allow_method(allow, allow_size, routes[i].method);
        if (strcmp(routes[i].method, "GET") == 0) allow_method(allow, allow_size, "HEAD");
    }
    if (path_pattern != NULL) {
        allow_method(allow, allow_size, "OPTIONS");
        return ROUTE_OTHER_METHOD;
    }
    if (!page_has(request->raw_path)) return ROUTE_NOWHERE;
    if (strcmp(method, "GET") == 0) {
        request->route = &page_route;
        return ROUTE_FOUND;
    }
    snprintf(allow, allow_size, "GET, HEAD, OPTIONS");
    return ROUTE_OTHER_METHOD;
}

enum route_match route_find(struct request *request, char *allow, size_t allow_size) {
    size_t length = strcspn(request->target, "?#");
    request->query = request->target[length] == '?' ? request->target + length + 1 : "";
    request->text = memory_alloc(2 * (length + 1));
    if (request->text == NULL) return ROUTE_MALFORMED;
    char *raw = request->text + length + 1;
    memcpy(raw, request->target, length);
    raw[length] = 0;
    request->raw_path = skip_origin(raw);
    request->path = skip_version(raw);
    memmove(request->text, request->path, strlen(request->path) + 1);

    char *segments[SEGMENTS_MAX];
    size_t count = 0;
    if (request->text[0] != '/') return ROUTE_MALFORMED;
    for (char *slash = request->text; slash != NULL;) {
        char *segment = slash + 1;
        slash = strchr(segment, '/');
        if (slash != NULL) *slash = 0;
        if (segment[0] == 0 && slash == NULL) break; /* a '/' at the end is forgiven */
        if (count == SEGMENTS_MAX) return ROUTE_NOWHERE;
        if (!decode_segment(segment)) return ROUTE_MALFORMED;
        segments[count++] = segment;
    }
    return find_row(request, segments, count, allow, allow_size);
}
