#include "service/create_body.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "base/text.h"
#include "service/service.h"
#include "service/webhooks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const version_ids[] = {"e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180",
                                   "8eb2da8345bee796efcd925573f077e36ed5fb4ea3ba240ef70c23cf33f0d848", NULL};

const char *version_resolve(const char *version, const char *model) {
    const char *colon = strrchr(version, ':');
    if (colon != NULL) version = colon + 1;
    if (colon == NULL && strcmp(version, model) == 0) return version_ids[0];
    for (size_t i = 0; version_ids[i] != NULL; i++)
        if (strcmp(version, version_ids[i]) == 0) return version_ids[i];
    return NULL;
}

bool version_newest(const struct service_options *options, const char *model, struct version_choice *choice) {
    *choice = (struct version_choice){options->model_name, version_ids[0]};
    if (strcmp(model, options->model_name) == 0) return true;
    for (size_t i = 0; i < options->model_count; i++) {
        *choice = (struct version_choice){options->models[i].name, options->models[i].version};
        if (strcmp(model, options->models[i].name) == 0) return true;
    }
    return false;
}

bool version_choose(const struct service_options *options, const char *version, struct version_choice *choice) {
    const char *colon = version ? strrchr(version, ':') : NULL,
               *id = version ? version_resolve(version, options->model_name) : version_ids[0];
    *choice = (struct version_choice){options->model_name, id};
    if (id) return true;
    if (!colon && version_newest(options, version, choice)) return true;
    for (size_t i = 0; i < options->model_count; i++) {
        const struct service_model *model = &options->models[i];
        size_t length = strlen(model->name);
        *choice = (struct version_choice){model->name, model->version};
        bool named = !colon || ((size_t)(colon - version) == length && memcmp(version, model->name, length) == 0);
        if (named && strcmp(colon ? colon + 1 : version, model->version) == 0) return true;
    }
    return false;
}

struct problems {
    struct input_problem *list;
    int count;
};

static void add(struct problems *problems, const char *type, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void add(struct problems *problems, const char *type, const char *field, const char *format, ...) {
    if (problems->count == INPUT_PROBLEMS_MAX) return;
    struct input_problem *problem = &problems->list[problems->count++];
    char text[2 * sizeof problem->description];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t length = strlen(text);
    if (length >= sizeof problem->description) length = sizeof problem->description - 1;
    length = utf8_cut(text, length);
    memcpy(problem->description, text, length);
    problem->description[length] = 0;
    snprintf(problem->type, sizeof problem->type, "%s", type);
    snprintf(problem->field, sizeof problem->field, "%s", field);
}

static const char *type_name(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static void wrong_type(struct problems *problems, const char *field, const char *expected, const json_t *given) {
    add(problems, "invalid_type", field, "Invalid type. Expected: %s, given: %s", expected, type_name(given));
}

/* An optional key: absent and null are the same. */
static const json_t *optional(const json_t *body, const char *key) {
    const json_t *value = json_object_get(body, key);
    return json_is_null(value) ? NULL : value;
}

static const char *read_webhook(const json_t *body, const char *key, bool any, struct problems *problems) {
    const json_t *value = optional(body, key);
    if (value == NULL) return NULL;
    if (!json_is_string(value)) {
        wrong_type(problems, key, "string", value);
        return NULL;
    }
    const char *url = json_string_value(value);
    if (!webhook_url_valid(url, any)) add(problems, "format", key, any ? "Does not match format 'uri'" : "Must be an https URL");
    return url;
}

static unsigned event_bit(const json_t *name, size_t index, bool listed, struct problems *problems) {
    static const struct {
        const char *name;
        unsigned bit;
    } events[] = {{"start", WEBHOOK_START}, {"output", WEBHOOK_OUTPUT}, {"logs", WEBHOOK_LOGS}, {"completed", WEBHOOK_COMPLETED}};
    char field[64] = "webhook_events_filter";
    if (listed) snprintf(field, sizeof field, "webhook_events_filter.%zu", index);
    if (!json_is_string(name)) {
        wrong_type(problems, field, "string", name);
        return 0;
    }
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (strcmp(json_string_value(name), events[i].name) == 0) return events[i].bit;
    add(problems, "enum", field, "%s must be one of the following: \"start\", \"output\", \"logs\", \"completed\"", field);
    return 0;
}

/* A list; or one name alone, because the published document types it so. None means all. */
static unsigned read_filter(const json_t *body, struct problems *problems) {
    const json_t *filter = optional(body, "webhook_events_filter");
    unsigned bits = 0;
    if (filter == NULL) return WEBHOOK_ALL;
    if (json_is_string(filter)) return event_bit(filter, 0, false, problems);
    if (!json_is_array(filter)) {
        wrong_type(problems, "webhook_events_filter", "array", filter);
        return WEBHOOK_ALL;
    }
    for (size_t i = 0; i < json_array_size(filter); i++) bits |= event_bit(json_array_get(filter, i), i, true, problems);
    return bits == 0 ? WEBHOOK_ALL : bits;
}

static void read_version(const json_t *body, bool required, struct create_body *create, struct problems *problems) {
    const json_t *version = json_object_get(body, "version");
    if (version == NULL || (json_is_null(version) && !required)) {
        if (required) add(problems, "required", "", "version is required");
        return;
    }
    create->version = json_string_value(version);
    if (create->version == NULL) wrong_type(problems, "version", "string", version);
}

static void read_input(const json_t *body, struct create_body *create, struct problems *problems) {
    create->input = json_object_get(body, "input");
    if (create->input == NULL)
        add(problems, "required", "", "input is required");
    else if (!json_is_object(create->input))
        wrong_type(problems, "input", "object", create->input);
}

static void check_keys(const json_t *body, struct problems *problems) {
    static const char *const known[] = {"version", "input", "webhook", "webhook_events_filter", "stream", "webhook_completed"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, key, value) {
        size_t i = 0;
        while (i < sizeof known / sizeof known[0] && strcmp(key, known[i]) != 0) i++;
        if (i == sizeof known / sizeof known[0])
            add(problems, "additional_property_not_allowed", "", "Additional property %s is not allowed", key);
    }
}

int create_body_read(const json_t *body, bool version_required, bool private_webhooks, struct create_body *create,
                     struct input_problem list[INPUT_PROBLEMS_MAX]) {
    struct problems problems = {list, 0};
    memset(create, 0, sizeof *create);
    create->webhook_events = WEBHOOK_ALL;
    if (!json_is_object(body)) {
        wrong_type(&problems, "", "object", body);
        return problems.count;
    }
    read_version(body, version_required, create, &problems);
    read_input(body, create, &problems);
    check_keys(body, &problems);
    const char *completed = read_webhook(body, "webhook_completed", private_webhooks, &problems);
    create->webhook = read_webhook(body, "webhook", private_webhooks, &problems);
    create->webhook_events = read_filter(body, &problems);
    if (create->webhook == NULL && completed != NULL) {
        create->webhook = completed;
        create->webhook_events = WEBHOOK_COMPLETED;
    }
    const json_t *stream = optional(body, "stream");
    if (stream != NULL && !json_is_boolean(stream)) wrong_type(&problems, "stream", "boolean", stream);
    create->stream = json_is_true(stream);
    return problems.count;
}

json_t *problems_json(const struct input_problem *problems, int count) {
    struct buffer detail;
    json_t *fields = json_array();
    buffer_init(&detail, 64 * 1024);
    for (int i = 0; i < count; i++) {
        const struct input_problem *problem = &problems[i];
        buffer_format(&detail, "- %s%s%s\n", problem->field, problem->field[0] == 0 ? "" : ": ", problem->description);
        json_array_append_new(
            fields, json_pack("{s:s,s:s,s:s}", "type", problem->type, "field", problem->field, "description", problem->description));
    }
    json_t *body = json_pack("{s:s,s:s,s:i,s:o}", "title", "Input validation failed", "detail", detail.failed ? "" : detail.data, "status",
                             422, "invalid_fields", fields);
    buffer_free(&detail);
    return body;
}
