/* Token ids of every prompt that FOLDER/tokenizer.json lists, as the original computes them. */
#include "base/file.h"
#include "base/memory.h"
#include "reference.h"
#include "text/tokenizer.h"

#include <jansson.h>
#include <string.h>

/* Ids of one kind; says so and returns false when they differ. */
static bool same_ids(const json_t *wanted, const int32_t ids[TOKENIZER_LENGTH], const char *kind, const char *text) {
    for (size_t i = 0; i < TOKENIZER_LENGTH; i++) {
        json_int_t id = json_integer_value(json_array_get(wanted, i));
        if (json_array_size(wanted) != TOKENIZER_LENGTH || id != ids[i]) {
            printf("%s of \"%s\": id %zu is %d, not %lld\n", kind, text, i, ids[i], (long long)id);
            return false;
        }
    }
    return true;
}

static bool same_case(const struct tokenizer *tokenizer, const json_t *one) {
    const json_t *text = json_object_get(one, "text");
    int32_t ids[TOKENIZER_LENGTH];
    size_t count = 0;
    struct error error;
    if (!tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text), false, ids, &count, NULL, &error)) {
        printf("%s\n", error.message);
        return false;
    }
    bool same = same_ids(json_object_get(one, "prompt_ids"), ids, "prompt", json_string_value(text));
    /* The original's count is of the ids padded to 77. */
    size_t padded = count < TOKENIZER_LENGTH ? TOKENIZER_LENGTH : count;
    if ((json_int_t)padded != json_integer_value(json_object_get(one, "count"))) {
        printf("\"%s\" has %zu ids, not %lld\n", json_string_value(text), padded,
               (long long)json_integer_value(json_object_get(one, "count")));
        same = false;
    }
    if (!tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text), true, ids, &count, NULL, &error)) {
        printf("%s\n", error.message);
        return false;
    }
    return same_ids(json_object_get(one, "negative_prompt_ids"), ids, "negative prompt", json_string_value(text)) && same;
}

/* Cases that differ, or -1 when the folder has none. */
static int compare_folder(const struct tokenizer *tokenizer, const char *folder) {
    char part[64], path[4096];
    snprintf(part, sizeof part, "%s/tokenizer.json", folder);
    if (!reference_path(part, path, sizeof path)) return -1;
    char *data;
    size_t length;
    struct error error;
    if (!file_read(path, 64 << 20, &data, &length, &error)) {
        printf("%s\n", error.message);
        return 1;
    }
    json_t *cases = json_loadb(data, length, JSON_ALLOW_NUL, NULL);
    int different = json_array_size(cases) == 0;
    for (size_t i = 0; i < json_array_size(cases); i++) different += !same_case(tokenizer, json_array_get(cases, i));
    printf("%s: %zu prompts, %d differ\n", path, json_array_size(cases), different);
    json_decref(cases);
    memory_free(data);
    return different;
}

int main(void) {
    static const char *const folders[] = {"tiny", "bundled", "full"};
    char path[4096];
    struct tokenizer *tokenizer;
    struct error error;
    if (!reference_path("tiny-checkpoint/tokenizer", path, sizeof path)) return TEST_SKIPPED;
    if (!tokenizer_open(path, &tokenizer, &error)) {
        printf("%s\n", error.message);
        return 1;
    }
    int different = 0, compared = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        int result = compare_folder(tokenizer, folders[i]);
        compared += result >= 0;
        different += result > 0 ? result : 0;
    }
    tokenizer_close(tokenizer);
    if (compared == 0) return TEST_SKIPPED;
    return different > 0;
}
