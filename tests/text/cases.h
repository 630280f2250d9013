/* What the original makes of difficult prompts: cases.json, written by cases.py. */
#ifndef TESTS_TEXT_CASES_H
#define TESTS_TEXT_CASES_H

#include <jansson.h>

static inline json_t *read_cases(void) { return json_load_file(SOURCE_DIR "/tests/text/cases.json", JSON_ALLOW_NUL, NULL); }

#endif
