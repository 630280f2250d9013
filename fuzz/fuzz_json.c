/* The JSON body of a create, up to the point where it would be stored. */
#include "base/memory.h"
#include "service/create_body.h"
#include "service/json_limits.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void describe(const struct input_problem *problems, int count) {
    if (count > INPUT_PROBLEMS_MAX) abort();
    json_t *document = problems_json(problems, count);
    char *text = json_dumps(document, JSON_COMPACT);
    if (document == NULL || text == NULL) abort(); /* every problem must be sayable */
    free(text);
    json_decref(document);
}

static void read_input(const json_t *input) {
    struct input_problem problems[INPUT_PROBLEMS_MAX];
    struct input_values values;
    json_t *known = NULL;
    int count = input_validate(input, &known, problems);
    if (count > 0) describe(problems, count);
    if (count == 0) {
        input_read(known, &values);
        if (values.image == NULL || values.mask == NULL || values.num_outputs < 1 || values.num_outputs > 4) abort();
    }
    json_decref(known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char problem[256], *copy = memory_string_n((const char *)data, size);
    struct create_body create;
    struct input_problem problems[INPUT_PROBLEMS_MAX];
    json_t *body = copy == NULL ? NULL : json_parse_body(copy, size, problem);
    if (body != NULL) {
        int count = create_body_read(body, true, true, &create, problems);
        if (count > 0) describe(problems, count);
        if (count == 0) {
            version_resolve(create.version, "owner/name");
            read_input(create.input);
        }
    }
    json_decref(body);
    memory_free(copy);
    return 0;
}
