/* /openapi.json: the routing table and the input table as an OpenAPI 3.0 document. */
#ifndef SERVICE_OPENAPI_H
#define SERVICE_OPENAPI_H

#include "service/request.h"

/* A new reference; NULL when out of memory. */
json_t *openapi_document(const struct request *request);

#endif
