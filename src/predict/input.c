/* Input validation in gojsonschema's words, and reading what passed. */
#include "predict/input.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct input_field input_fields[] = {
#define INPUT_FIELD(field_name, field_title, field_description, ...)                                                                       \
    {.name = #field_name, .title = field_title, .description = field_description, __VA_ARGS__},
#include "predict/input.def"
#undef INPUT_FIELD
};
const size_t input_fields_count = sizeof input_fields / sizeof input_fields[0];

struct problems {
    struct input_problem *list;
    int count;
};

static struct input_problem *add_problem(struct problems *problems, const char *type, const char *field) {
    /* One is found per field at most, so there is always room; the last place absorbs a longer table. */
    int place = problems->count < INPUT_PROBLEMS_MAX ? problems->count++ : INPUT_PROBLEMS_MAX - 1;
    struct input_problem *problem = &problems->list[place];
    snprintf(problem->type, sizeof problem->type, "%s", type);
    if (field)
        snprintf(problem->field, sizeof problem->field, "input.%s", field);
    else
        snprintf(problem->field, sizeof problem->field, "input");
    problem->description[0] = 0;
    return problem;
}

#define DESCRIBE(problem, ...) snprintf((problem)->description, sizeof(problem)->description, __VA_ARGS__)

/* JSON Schema counts 5.0 as an integer. */
static bool is_integral(const json_t *value) {
    if (json_is_integer(value)) return true;
    return json_is_real(value) && isfinite(json_real_value(value)) && json_real_value(value) == floor(json_real_value(value));
}

static const char *type_given(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    case JSON_NULL:
        return "null";
    default:
        return is_integral(value) ? "integer" : "number";
    }
}

static const char *type_expected(enum input_type type) {
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

static bool type_matches(enum input_type type, const json_t *value) {
    switch (type) {
    case INPUT_BOOLEAN:
        return json_is_boolean(value);
    case INPUT_INTEGER:
        return is_integral(value);
    case INPUT_NUMBER:
        return json_is_number(value);
    default:
        return json_is_string(value);
    }
}

/* An absolute URI: a scheme, then no control character and no backslash. Names inside our own blob
 * store are the service's to hand out, so "blob:" is no scheme that a caller may use. */
static bool is_uri(const char *text) {
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    bool letter_first = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z');
    if (!letter_first || text[scheme] != ':') return false;
    if (strncmp(text, "blob:", 5) == 0) return false;
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if (*at < 0x20 || *at == 0x7f || *at == '\\') return false;
    return true;
}

static void check_range(const struct input_field *field, const json_t *value, struct problems *problems) {
    double number = json_number_value(value);
    if (field->has_range && number < field->minimum)
        DESCRIBE(add_problem(problems, "number_gte", field->name), "Must be greater than or equal to %g", field->minimum);
    else if (field->has_range && number > field->maximum)
        DESCRIBE(add_problem(problems, "number_lte", field->name), "Must be less than or equal to %g", field->maximum);
    else if (field->type == INPUT_INTEGER && json_is_real(value) && number <= -0x1p63) /* the schema has no bound, but the machine has */
        DESCRIBE(add_problem(problems, "number_gte", field->name), "Must be greater than or equal to -9223372036854775808");
    else if (field->type == INPUT_INTEGER && json_is_real(value) && number >= 0x1p63)
        DESCRIBE(add_problem(problems, "number_lte", field->name), "Must be less than or equal to 9223372036854775807");
}

static void check_value(const struct input_field *field, const json_t *value, struct problems *problems) {
    if (!type_matches(field->type, value)) {
        DESCRIBE(add_problem(problems, "invalid_type", field->name), "Invalid type. Expected: %s, given: %s", type_expected(field->type),
                 type_given(value));
        return;
    }
    if (field->type == INPUT_FILE && !is_uri(json_string_value(value)))
        DESCRIBE(add_problem(problems, "format", field->name), "Does not match format 'uri'");
    if (json_is_number(value)) check_range(field, value, problems);
}

int input_validate(const json_t *input, json_t **known, struct input_problem problems[INPUT_PROBLEMS_MAX]) {
    struct problems found = {problems, 0};
    *known = json_object();
    if (!*known) return -1;
    if (!json_is_object(input)) {
        DESCRIBE(add_problem(&found, "invalid_type", NULL), "Invalid type. Expected: object, given: %s",
                 input ? type_given(input) : "null");
        return found.count;
    }
    for (size_t i = 0; i < input_fields_count; i++)
        if (input_fields[i].required && !json_object_get(input, input_fields[i].name))
            DESCRIBE(add_problem(&found, "required", NULL), "%s is required", input_fields[i].name);
    for (size_t i = 0; i < input_fields_count; i++) {
        const struct input_field *field = &input_fields[i];
        json_t *value = json_object_get(input, field->name);
        /* Clients send null for an optional value that they leave out. */
        if (!value || (json_is_null(value) && !field->required)) continue;
        check_value(field, value, &found);
        if (json_object_set(*known, field->name, value) != 0) {
            json_decref(*known);
            *known = NULL;
            return -1;
        }
    }
    return found.count;
}

static const struct input_field *field_named(const char *name) {
    for (size_t i = 0; i < input_fields_count; i++)
        if (strcmp(input_fields[i].name, name) == 0) return &input_fields[i];
    return NULL;
}

static const char *read_string(const json_t *known, const char *name) {
    const json_t *value = json_object_get(known, name);
    return json_is_string(value) ? json_string_value(value) : field_named(name)->string_default;
}

/* Where we hold the bytes ourselves, "_NAME" says so beside what the client sent. */
static const char *read_file(const json_t *known, const char *name, const char *held) {
    const json_t *value = json_object_get(known, held);
    return json_is_string(value) ? json_string_value(value) : read_string(known, name);
}

static double read_number(const json_t *known, const char *name) {
    const json_t *value = json_object_get(known, name);
    return json_is_number(value) ? json_number_value(value) : field_named(name)->number_default;
}

void input_read(const json_t *known, struct input_values *values) {
    const json_t *seed = json_object_get(known, "seed");
    *values = (struct input_values){
        .prompt = read_string(known, "prompt"),
        .negative_prompt = read_string(known, "negative_prompt"),
        .image = read_file(known, "image", "_image"),
        .mask = read_file(known, "mask", "_mask"),
        .invert_mask = json_is_true(json_object_get(known, "invert_mask")),
        .num_outputs = (int)read_number(known, "num_outputs"),
        .num_inference_steps = (int)read_number(known, "num_inference_steps"),
        .guidance_scale = read_number(known, "guidance_scale"),
        .has_seed = json_is_number(seed),
        .seed = json_is_integer(seed) ? (int64_t)json_integer_value(seed) : (int64_t)json_number_value(seed),
    };
}
