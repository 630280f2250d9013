/* The published schema: against the hosted model's own document, property by property. */
#include "predict/input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The hosted model's published document, as its own text has it. */
static const char published[] =
    "{\"guidance_scale\": {\"default\": 7.5, \"description\": \"Scale for classifier-free guidance\", \"maximum\": 20, \"minimum\": 1,"
    "  \"type\": \"number\"},"
    " \"image\": {\"description\": \"Input image to in-paint. Width and height should both be divisible by 8. If they're not, the image"
    " will be center cropped to the nearest width and height divisible by 8\", \"format\": \"uri\", \"type\": \"string\"},"
    " \"invert_mask\": {\"default\": false, \"description\": \"If this is true, then black pixels are inpainted and white pixels are"
    " preserved.\", \"type\": \"boolean\"},"
    " \"mask\": {\"description\": \"Black and white image to use as mask. White pixels are inpainted and black pixels are preserved.\","
    "  \"format\": \"uri\", \"type\": \"string\"},"
    " \"negative_prompt\": {\"default\": \"\", \"description\": \"The prompt or prompts not to guide the image generation. Ignored when not"
    " using guidance (i.e., ignored if `guidance_scale` is less than `1`).\", \"type\": \"string\"},"
    " \"num_inference_steps\": {\"default\": 50, \"description\": \"Number of denoising steps\", \"maximum\": 500, \"minimum\": 1,"
    "  \"type\": \"integer\"},"
    " \"num_outputs\": {\"default\": 1, \"description\": \"Number of images to output. NSFW filter in enabled, so you may get fewer outputs"
    " than requested if flagged\", \"maximum\": 4, \"minimum\": 1, \"type\": \"integer\"},"
    " \"prompt\": {\"default\": \"\", \"description\": \"Input prompt\", \"type\": \"string\"},"
    " \"seed\": {\"description\": \"Random seed. Leave blank to randomize the seed\", \"type\": \"integer\"}}";

static json_t *at(json_t *value, const char *path) {
    char name[64];
    while (value && *path) {
        size_t length = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)length, path);
        value = json_object_get(value, name);
        path += length + (path[length] == '.');
    }
    return value;
}

static void test_properties_are_the_published_ones(void **state) {
    (void)state;
    static const char *const order[] = {"prompt",      "negative_prompt",     "image",          "mask", "invert_mask",
                                        "num_outputs", "num_inference_steps", "guidance_scale", "seed"};
    json_t *schema = input_openapi_schema(), *expected = json_loads(published, 0, NULL);
    assert_non_null(expected);
    json_t *properties = at(schema, "components.schemas.Input.properties");
    assert_int_equal(json_object_size(properties), json_object_size(expected));
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        json_t *property = json_deep_copy(json_object_get(properties, order[i]));
        assert_int_equal(json_integer_value(json_object_get(property, "x-order")), i);
        assert_true(json_string_length(json_object_get(property, "title")) > 0);
        json_object_del(property, "x-order");
        json_object_del(property, "title");
        assert_true(json_equal(property, json_object_get(expected, order[i])));
        json_decref(property);
    }
    json_t *required = json_loads("[\"image\", \"mask\"]", 0, NULL);
    assert_true(json_equal(at(schema, "components.schemas.Input.required"), required));
    json_decref(required);
    json_decref(expected);
    json_decref(schema);
}

static void test_titles_follow_the_names(void **state) {
    (void)state;
    for (size_t i = 0; i < input_fields_count; i++) {
        char title[64];
        snprintf(title, sizeof title, "%s", input_fields[i].name);
        for (size_t c = 0; title[c]; c++) {
            if (title[c] == '_') title[c] = ' ';
            if (c == 0 || title[c - 1] == ' ') title[c] = (char)(title[c] - 'a' + 'A');
        }
        assert_string_equal(input_fields[i].title, title);
    }
}

/* Every "$ref" leads somewhere. */
static void follow(json_t *schema, const json_t *value) {
    const char *key;
    json_t *inner;
    size_t index;
    if (json_is_array(value)) json_array_foreach(value, index, inner) follow(schema, inner);
    if (!json_is_object(value)) return;
    json_object_foreach((json_t *)value, key, inner) {
        if (strcmp(key, "$ref") == 0) {
            char path[128];
            assert_true(strncmp(json_string_value(inner), "#/", 2) == 0);
            snprintf(path, sizeof path, "%s", json_string_value(inner) + 2);
            for (char *c = path; *c; c++)
                if (*c == '/') *c = '.';
            assert_non_null(at(schema, path));
        }
        follow(schema, inner);
    }
}

static void test_document_is_complete(void **state) {
    (void)state;
    json_t *schema = input_openapi_schema();
    assert_string_equal(json_string_value(at(schema, "openapi")), "3.0.2");
    assert_string_equal(json_string_value(at(schema, "info.title")), "Cog");
    assert_string_equal(json_string_value(at(schema, "info.version")), "0.1.0");
    assert_string_equal(json_string_value(at(schema, "paths./predictions.post.operationId")), "predict_predictions_post");
    assert_string_equal(json_string_value(at(schema, "components.schemas.Output.items.format")), "uri");
    assert_null(at(schema, "components.schemas.Output.x-cog-array-type"));
    assert_int_equal(json_array_size(at(schema, "components.schemas.Status.enum")), 5);
    assert_int_equal(json_array_size(at(schema, "components.schemas.WebhookEvent.enum")), 4);
    assert_non_null(at(schema, "components.schemas.PredictionRequest.properties.webhook_events_filter"));
    assert_string_equal(json_string_value(at(schema, "components.schemas.PredictionResponse.properties.logs.default")), "");
    follow(schema, schema);
    json_decref(schema);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_properties_are_the_published_ones),
        cmocka_unit_test(test_titles_follow_the_names),
        cmocka_unit_test(test_document_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
