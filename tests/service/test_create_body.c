/* The body of a create, in gojsonschema's words. */
#include "predict/prediction.h"
#include "service/create_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct input_problem problems[INPUT_PROBLEMS_MAX];

/* The detail text; "" when there is nothing wrong. The caller frees it with free(). */
static void expect(const char *text, bool version_required, const char *detail) {
    struct create_body create;
    json_t *body = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(body);
    int count = create_body_read(body, version_required, true, &create, problems);
    json_t *document = problems_json(problems, count);
    const char *found = json_string_value(json_object_get(document, "detail"));
    assert_string_equal(found == NULL ? "" : found, detail);
    assert_int_equal(json_array_size(json_object_get(document, "invalid_fields")), count);
    json_decref(document);
    json_decref(body);
}

static unsigned events_of(const char *text) {
    struct create_body create;
    json_t *body = json_loads(text, 0, NULL);
    assert_int_equal(create_body_read(body, false, true, &create, problems), 0);
    json_decref(body);
    return create.webhook_events;
}

static void test_problems(void **state) {
    (void)state;
    expect("{\"version\": \"x\", \"input\": {}}", true, "");
    expect("{\"input\": {}}", false, "");
    expect("{\"model\": \"x\"}", true, "- version is required\n- input is required\n- Additional property model is not allowed\n");
    assert_string_equal(problems[0].type, "required");
    assert_string_equal(problems[0].field, "");
    assert_string_equal(problems[2].type, "additional_property_not_allowed");
    expect("[]", true, "- Invalid type. Expected: object, given: array\n");
    expect("3", true, "- Invalid type. Expected: object, given: integer\n");
    expect("{\"version\": 5, \"input\": [], \"stream\": \"yes\"}", true,
           "- version: Invalid type. Expected: string, given: integer\n- input: Invalid type. Expected: object, given: array\n"
           "- stream: Invalid type. Expected: boolean, given: string\n");
    expect("{\"version\": null, \"input\": {}}", true, "- version: Invalid type. Expected: string, given: null\n");
    expect("{\"version\": \"x\", \"input\": {}, \"webhook\": null, \"stream\": null, \"webhook_events_filter\": null}", true, "");
    expect("{\"version\": \"x\", \"input\": {}, \"webhook\": \"not a url\"}", true, "- webhook: Does not match format 'uri'\n");
    expect("{\"version\": \"x\", \"input\": {}, \"webhook\": \"ftp://a/b\"}", true, "- webhook: Does not match format 'uri'\n");
}

static void test_private_webhooks(void **state) {
    (void)state;
    struct create_body create;
    json_t *body = json_loads("{\"input\": {}, \"webhook\": \"http://a/b\"}", 0, NULL);
    assert_int_equal(create_body_read(body, false, true, &create, problems), 0);
    assert_int_equal(create_body_read(body, false, false, &create, problems), 1);
    json_decref(body);
}

static void test_filter(void **state) {
    (void)state;
    expect("{\"input\": {}, \"webhook_events_filter\": [\"start\", \"end\"]}", false,
           "- webhook_events_filter.1: webhook_events_filter.1 must be one of the following: \"start\", \"output\", \"logs\", "
           "\"completed\"\n");
    assert_string_equal(problems[0].type, "enum");
    assert_int_equal(events_of("{\"input\": {}}"), WEBHOOK_ALL);
    assert_int_equal(events_of("{\"input\": {}, \"webhook_events_filter\": []}"), WEBHOOK_ALL);
    assert_int_equal(events_of("{\"input\": {}, \"webhook_events_filter\": [\"start\", \"completed\"]}"),
                     WEBHOOK_START | WEBHOOK_COMPLETED);
    assert_int_equal(events_of("{\"input\": {}, \"webhook_events_filter\": \"logs\"}"), WEBHOOK_LOGS);
    assert_int_equal(events_of("{\"input\": {}, \"webhook_completed\": \"http://a/b\"}"), WEBHOOK_COMPLETED);
}

static void test_versions(void **state) {
    (void)state;
    const char *model = "andreasjansson/stable-diffusion-inpainting";
    assert_ptr_equal(version_resolve(version_ids[0], model), version_ids[0]);
    assert_ptr_equal(version_resolve(version_ids[1], model), version_ids[1]);
    assert_ptr_equal(version_resolve(model, model), version_ids[0]);
    assert_ptr_equal(version_resolve("andreasjansson/stable-diffusion-inpainting:"
                                     "8eb2da8345bee796efcd925573f077e36ed5fb4ea3ba240ef70c23cf33f0d848",
                                     model),
                     version_ids[1]);
    static const char *const bad[] = {"", "x", "other/model", "andreasjansson/stable-diffusion-inpainting:", "e490", ":"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_null(version_resolve(bad[i], model));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_problems), cmocka_unit_test(test_private_webhooks),
                                       cmocka_unit_test(test_filter), cmocka_unit_test(test_versions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
