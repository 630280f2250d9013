/* The shapes of answers and bodies as one table in a small notation, and their OpenAPI schemas. */
#ifndef SERVICE_OPENAPI_SHAPES_H
#define SERVICE_OPENAPI_SHAPES_H

#include <jansson.h>

/* Every shape by its name, as an object of schemas; a new reference, NULL when out of memory. */
json_t *openapi_shapes(void);

#endif
