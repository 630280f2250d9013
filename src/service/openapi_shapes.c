#include "service/openapi_shapes.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Fields are separated by spaces, each NAME:TYPE, with '!' after the name when it is always there and
 * '?' after the type when it may be null. TYPE is text, url, time, whole, number, flag, object, any,
 * one of several words (a|b|c), a list ([TYPE]), or another shape's name. */
static const struct shape {
    const char *name;
    bool closed; /* no other fields */
    const char *fields;
} shapes[] = {
    {"Anything", false, ""},
    {"Problem", false, "title:text detail!:text status!:whole invalid_fields:[InvalidField] retry_after:whole"},
    {"InvalidField", false, "type!:text field!:text description!:text"},
    {"PredictionCreate", true,
     "version!:VersionName input!:Input webhook:url? webhook_events_filter:[start|output|logs|completed]? stream:flag?"},
    {"ModelPredictionCreate", true,
     "version:OptionalVersionName input!:Input webhook:url? webhook_events_filter:[start|output|logs|completed]? stream:flag?"},
    {"Prediction", false,
     "id!:text model!:text version!:text input!:object logs!:text output!:[url]? data_removed!:flag error!:text? source!:api|web "
     "status!:starting|processing|succeeded|failed|canceled|aborted created_at!:time started_at:time completed_at:time deadline:time "
     "metrics:Metrics webhook:text webhook_events_filter:[start|output|logs|completed] urls!:PredictionUrls"},
    {"Metrics", false, "predict_time!:number total_time!:number"},
    {"PredictionUrls", false, "get!:url cancel!:url web!:url stream:url"},
    {"PredictionPage", false, "next!:url? previous!:url? results!:[Prediction]"},
    {"StreamEvent", false, "event!:output|logs|preview|error|done id!:text data!:text"},
    {"Version", false, "id!:text created_at!:time cog_version!:text openapi_schema!:object"},
    {"VersionPage", false, "next!:url? previous!:url? results!:[Version]"},
    {"Model", false,
     "url!:url owner!:text name!:text description:text? visibility!:public|private is_official:flag github_url:url? paper_url:url? "
     "license_url:url? run_count!:whole cover_image_url:url? default_example:object? latest_version:Version"},
    {"ModelPage", false, "next!:url? previous!:url? results!:[Model]"},
    {"File", false,
     "id!:text name!:text content_type!:text size!:whole etag!:text checksums!:Checksums metadata!:object created_at!:time "
     "expires_at!:time? urls!:FileUrls"},
    {"Checksums", false, "sha256!:text md5!:text"},
    {"FileUrls", false, "get!:url"},
    {"FilePage", false, "next!:url? previous!:url? results!:[File]"},
    {"EmptyPage", false, "next!:url? previous!:url? results!:[any]"},
    {"Account", false, "type!:user|organization username!:text name!:text github_url:url?"},
    {"Hardware", false, "name!:text sku!:text"},
    {"WebhookSecret", false, "key!:text"},
    {"Health", false, "status!:text starting:whole processing:whole"},
    {"HealthCheck", false, "status!:STARTING|READY|BUSY|UNHEALTHY setup:object"},
};

static json_t *words(const char *text, size_t length) {
    json_t *list = json_array();
    for (const char *end = text + length; text < end;) {
        size_t word = strcspn(text, "|");
        if (word > (size_t)(end - text)) word = (size_t)(end - text);
        json_array_append_new(list, json_stringn(text, word));
        text += word + 1;
    }
    return json_pack("{s:s,s:o}", "type", "string", "enum", list);
}

static json_t *simple(const char *text, size_t length) {
    static const struct {
        const char *name, *type, *format;
    } types[] = {{"text", "string", NULL},   {"url", "string", "uri"},  {"time", "string", "date-time"}, {"whole", "integer", NULL},
                 {"number", "number", NULL}, {"flag", "boolean", NULL}, {"object", "object", NULL}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strlen(types[i].name) == length && strncmp(types[i].name, text, length) == 0)
            return json_pack("{s:s,s:s*}", "type", types[i].type, "format", types[i].format);
    if (length == 3 && strncmp(text, "any", 3) == 0) return json_object();
    char reference[100];
    snprintf(reference, sizeof reference, "#/components/schemas/%.*s", (int)length, text);
    return json_pack("{s:s}", "$ref", reference);
}

static json_t *item(const char *text, size_t length) {
    return memchr(text, '|', length) != NULL ? words(text, length) : simple(text, length);
}

static json_t *type(const char *text, size_t length) {
    bool nullable = length > 0 && text[length - 1] == '?';
    if (nullable) length--;
    json_t *schema = text[0] == '[' ? json_pack("{s:s,s:o}", "type", "array", "items", item(text + 1, length - 2)) : item(text, length);
    if (nullable) json_object_set_new(schema, "nullable", json_true());
    return schema;
}

static json_t *shape_json(const struct shape *shape) {
    json_t *properties = json_object(), *required = json_array();
    for (const char *field = shape->fields; *field != 0;) {
        size_t name = strcspn(field, "!:"), colon = strcspn(field, ":"), end = strcspn(field, " ");
        char key[64];
        snprintf(key, sizeof key, "%.*s", (int)name, field);
        json_object_set_new(properties, key, type(field + colon + 1, end - colon - 1));
        if (field[name] == '!') json_array_append_new(required, json_string(key));
        field += end + (field[end] == ' ');
    }
    json_t *schema = json_pack("{s:s,s:o}", "type", "object", "properties", properties);
    if (json_array_size(required) > 0) json_object_set(schema, "required", required);
    json_decref(required);
    if (shape->closed) json_object_set_new(schema, "additionalProperties", json_false());
    return schema;
}

json_t *openapi_shapes(void) {
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) json_object_set_new(all, shapes[i].name, shape_json(&shapes[i]));
    json_object_set_new(all, "HardwareList", json_pack("{s:s,s:{s:s}}", "type", "array", "items", "$ref", "#/components/schemas/Hardware"));
    return all;
}
