/* The input of a prediction: one table (input.def) that validation, openapi.json, the command
 * line's flags and the page's form are all made from. */
#ifndef PREDICT_INPUT_H
#define PREDICT_INPUT_H

#include "base/buffer.h"
#include "base/error.h"

#include <jansson.h>
#include <stdint.h>

enum input_type { INPUT_STRING, INPUT_FILE, INPUT_BOOLEAN, INPUT_INTEGER, INPUT_NUMBER };
struct input_field {
    const char *name, *title, *description;
    enum input_type type;
    bool required, has_default, has_range;
    double number_default, minimum, maximum;
    const char *string_default;
    bool extension; /* ours, not the hosted model's: described, but not part of its published schema */
    /* The command line's option: its name, its letter or 0, its help, and the engine's own range where that is wider than the API's. */
    const char *flag, *flag_help;
    char flag_letter;
    double flag_minimum, flag_maximum;
};
extern const struct input_field input_fields[];
extern const size_t input_fields_count;

/* The settings of one run, after validation and defaults. Pointers into the json they came from.
 * image and mask are what to fetch: the key with '_' before it ("_image": "blob:NAME", put there by
 * the service for bytes that we hold) goes before the client's own value, which is only echoed. */
struct input_values {
    const char *prompt, *negative_prompt, *image, *mask;
    bool invert_mask;
    int num_outputs, num_inference_steps;
    double guidance_scale;
    bool has_seed;
    int64_t seed;
};

/* One thing wrong, in gojsonschema's words (contract section 5.3). */
struct input_problem {
    char type[40], field[64], description[256];
};
enum { INPUT_PROBLEMS_MAX = 16 };

/* Check `input` against the table. *known: a new object with the known keys that were given and not
 * null. Returns the number of problems (0: fine); negative when out of memory. */
int input_validate(const json_t *input, json_t **known, struct input_problem problems[INPUT_PROBLEMS_MAX]);

/* Read validated input. */
void input_read(const json_t *known, struct input_values *values);

/* The hosted model's openapi_schema (contract section 9.2), complete; a new reference. */
json_t *input_openapi_schema(void);

#endif
