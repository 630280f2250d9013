/* The hosted model's openapi_schema: a frame in JSON, with the Input schema from the table. */
#include "predict/input.h"

#include <math.h>

static const char frame[] =
    "{\"openapi\":\"3.0.2\",\"info\":{\"title\":\"Cog\",\"version\":\"0.1.0\"},"
    "\"paths\":{\"/predictions\":{\"post\":{\"summary\":\"Predict\",\"operationId\":\"predict_predictions_post\","
    "\"requestBody\":{\"content\":{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/PredictionRequest\"}}}},"
    "\"responses\":{\"200\":{\"description\":\"Successful Response\",\"content\":{\"application/json\":{\"schema\":"
    "{\"$ref\":\"#/components/schemas/PredictionResponse\"}}}}}}}},"
    "\"components\":{\"schemas\":{"
    "\"Input\":{\"type\":\"object\",\"title\":\"Input\",\"required\":[],\"properties\":{}},"
    "\"Output\":{\"type\":\"array\",\"title\":\"Output\",\"items\":{\"type\":\"string\",\"format\":\"uri\"}},"
    "\"Status\":{\"enum\":[\"starting\",\"processing\",\"succeeded\",\"canceled\",\"failed\"],\"type\":\"string\","
    "\"title\":\"Status\",\"description\":\"An enumeration.\"},"
    "\"WebhookEvent\":{\"enum\":[\"start\",\"output\",\"logs\",\"completed\"],\"type\":\"string\","
    "\"title\":\"WebhookEvent\",\"description\":\"An enumeration.\"},"
    "\"PredictionRequest\":{\"type\":\"object\",\"title\":\"PredictionRequest\",\"properties\":{"
    "\"input\":{\"$ref\":\"#/components/schemas/Input\"},\"webhook\":{\"type\":\"string\",\"format\":\"uri\"},"
    "\"webhook_events_filter\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/WebhookEvent\"}}}},"
    "\"PredictionResponse\":{\"type\":\"object\",\"title\":\"PredictionResponse\",\"properties\":{"
    "\"input\":{\"$ref\":\"#/components/schemas/Input\"},\"output\":{\"$ref\":\"#/components/schemas/Output\"},"
    "\"status\":{\"$ref\":\"#/components/schemas/Status\"},\"error\":{\"type\":\"string\"},"
    "\"logs\":{\"type\":\"string\",\"default\":\"\"}}}}}}";

/* 1, not 1.0: the published schema writes whole bounds of a "number" without a fraction too. */
static json_t *number_json(double number) { return number == floor(number) ? json_integer((json_int_t)number) : json_real(number); }

static json_t *default_json(const struct input_field *field) {
    switch (field->type) {
    case INPUT_BOOLEAN:
        return json_boolean(field->number_default != 0);
    case INPUT_INTEGER:
    case INPUT_NUMBER:
        return number_json(field->number_default);
    default:
        return json_string(field->string_default);
    }
}

static const char *type_name(enum input_type type) {
    switch (type) {
    case INPUT_BOOLEAN:
        return "boolean";
    case INPUT_INTEGER:
        return "integer";
    case INPUT_NUMBER:
        return "number";
    default:
        return "string";
    }
}

/* NULL when out of memory. */
static json_t *property_json(const struct input_field *field, size_t order) {
    json_t *property = json_object();
    bool ok = property && json_object_set_new(property, "type", json_string(type_name(field->type))) == 0 &&
              json_object_set_new(property, "title", json_string(field->title)) == 0 &&
              (field->type != INPUT_FILE || json_object_set_new(property, "format", json_string("uri")) == 0) &&
              (!field->has_default || json_object_set_new(property, "default", default_json(field)) == 0) &&
              (!field->has_range || (json_object_set_new(property, "minimum", number_json(field->minimum)) == 0 &&
                                     json_object_set_new(property, "maximum", number_json(field->maximum)) == 0)) &&
              json_object_set_new(property, "x-order", json_integer((json_int_t)order)) == 0 &&
              json_object_set_new(property, "description", json_string(field->description)) == 0;
    if (ok) return property;
    json_decref(property);
    return NULL;
}

static bool fill_input(json_t *input) {
    json_t *required = json_object_get(input, "required"), *properties = json_object_get(input, "properties");
    for (size_t i = 0; i < input_fields_count; i++) {
        const struct input_field *field = &input_fields[i];
        if (field->extension) continue;
        if (field->required && json_array_append_new(required, json_string(field->name)) != 0) return false;
        if (json_object_set_new(properties, field->name, property_json(field, i)) != 0) return false;
    }
    return true;
}

json_t *input_openapi_schema(void) {
    json_t *schema = json_loads(frame, 0, NULL);
    json_t *schemas = json_object_get(json_object_get(schema, "components"), "schemas");
    if (schema && fill_input(json_object_get(schemas, "Input"))) return schema;
    json_decref(schema);
    return NULL;
}
