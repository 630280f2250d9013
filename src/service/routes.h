/* The routing table. One row is one operation: what is routed, what is documented in /openapi.json
 * and what is counted come from the same row. */
#ifndef SERVICE_ROUTES_H
#define SERVICE_ROUTES_H

#include "service/request.h"

enum route_access { ACCESS_TOKEN, ACCESS_ANYONE, ACCESS_LOCAL /* without a token from this machine */ };
enum route_body { BODY_NONE, BODY_JSON, BODY_UPLOAD };

struct route {
    const char *method;
    const char *pattern; /* without /v1; {NAME} is one segment */
    enum route_access access;
    enum route_body body;
    request_step *handler;
    /* for the OpenAPI document */
    const char *operation, *tag, *summary;
    unsigned success;
    const char *answer;         /* schema name of the answer, or a media type, or NULL for none */
    const char *request_schema; /* of a JSON body */
    const char *parameters;     /* names of query and header parameters, separated by spaces */
};

extern const struct route routes[];
extern const size_t routes_count;

/* Does --metrics-listen answer it? */
bool route_is_for_operators(const struct route *route);

enum route_match { ROUTE_FOUND, ROUTE_NOWHERE, ROUTE_OTHER_METHOD, ROUTE_MALFORMED };
/* Fill in path, query, route and parameters from target and method. allow: methods of the path when
 * it is another one. */
enum route_match route_find(struct request *request, char *allow, size_t allow_size);

/* ---- handlers, by file ---- */
request_step route_prediction_create, route_prediction_list, route_prediction_get, route_prediction_cancel, route_prediction_preview;
request_step route_model_create, route_deployment_create;
request_step route_model_list, route_model_get, route_version_list, route_version_get;
request_step route_file_create, route_file_list, route_file_get, route_file_delete, route_file_download;
request_step route_output, route_stream, route_output_thumbnail, route_file_thumbnail;
request_step route_account, route_hardware, route_empty_page, route_webhook_secret;
request_step route_health, route_ready, route_health_check, route_metrics, route_openapi;
request_step route_page;

/* The page's files: found by exact path when no row of the table matches. */
bool page_has(const char *path);

#endif
