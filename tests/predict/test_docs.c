/* docs/api.md tells of every input what the input table says: its name, its range and its default. */
#include "base/file.h"
#include "base/memory.h"
#include "predict/input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void the_page_says_what_the_table_says(void **state) {
    (void)state;
    char *page;
    size_t length;
    assert_true(file_read(SOURCE_DIR "/docs/api.md", 1 << 20, &page, &length, NULL));
    for (size_t i = 0; i < input_fields_count; i++) {
        const struct input_field *field = &input_fields[i];
        char row[200], range[64] = "", initial[64] = "";
        snprintf(row, sizeof row, "\n| `%s` |", field->name);
        const char *found = strstr(page, row);
        if (!found) fail_msg("docs/api.md has no row for %s", field->name);
        size_t width = strcspn(found + 1, "\n");
        char *line = memory_string_n(found + 1, width);
        if (field->has_range) snprintf(range, sizeof range, "| %g to %g |", field->minimum, field->maximum);
        if (field->has_range && field->has_default) snprintf(initial, sizeof initial, "| %g |", field->number_default);
        if (!strstr(line, range) || !strstr(line, initial)) fail_msg("docs/api.md says of %s: %s", field->name, line);
        if (field->required && !strstr(line, "required")) fail_msg("docs/api.md does not say that %s is required", field->name);
        memory_free(line);
    }
    memory_free(page);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_page_says_what_the_table_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
