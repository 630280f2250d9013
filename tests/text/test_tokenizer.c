#include "base/memory.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cases.h"

#define FOLDER SOURCE_DIR "/tests/reference/tiny-checkpoint/tokenizer"

static struct tokenizer *tokenizer;
static char folder[64];

static int open_tokenizer(void **state) {
    (void)state;
    struct error error;
    strcpy(folder, "/tmp/test_tokenizer_XXXXXX");
    return mkdtemp(folder) && tokenizer_open(FOLDER, &tokenizer, &error) ? 0 : -1;
}

static int close_tokenizer(void **state) {
    (void)state;
    tokenizer_close(tokenizer);
    return rmdir(folder);
}

static bool same_text(const char *text, const json_t *wanted) {
    const char *value = json_string_value(wanted);
    return text && value ? strcmp(text, value) == 0 : !text && !value;
}

/* As the original, both ways. False, and said, when not. */
static bool check(const json_t *one) {
    const json_t *text = json_object_get(one, "text"), *wanted = json_object_get(one, "ids");
    size_t all = (size_t)json_integer_value(json_object_get(one, "count"));
    bool same = true;
    for (int keep_end = 0; keep_end < 2; keep_end++) {
        int32_t ids[TOKENIZER_LENGTH];
        size_t count = 0;
        char *cut = NULL;
        struct error error;
        if (!tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text), keep_end, ids, &count, &cut, &error))
            fail_msg("%s", error.message);
        same = same && count == (keep_end && all > TOKENIZER_LENGTH ? TOKENIZER_LENGTH : all);
        same = same && same_text(cut, json_object_get(one, keep_end ? "cut_before_end" : "cut"));
        for (size_t i = 0; i < TOKENIZER_LENGTH; i++) {
            json_int_t id = i < json_array_size(wanted) ? json_integer_value(json_array_get(wanted, i)) : TOKENIZER_END;
            if (keep_end && i == TOKENIZER_LENGTH - 1) id = TOKENIZER_END;
            same = same && ids[i] == id;
        }
        if (!same) printf("\"%s\": %zu ids, cut: %s\n", json_string_value(text), count, cut ? cut : "nothing");
        memory_free(cut);
    }
    return same;
}

static void test_original(void **state) {
    (void)state;
    json_t *cases = read_cases();
    assert_true(json_array_size(cases) > 200);
    int different = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) different += !check(json_array_get(cases, i));
    json_decref(cases);
    assert_int_equal(different, 0);
}

static void *check_many(void *cases) {
    intptr_t different = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) different += !check(json_array_get(cases, i));
    return (void *)different;
}

/* One tokenizer, several threads. */
static void test_threads(void **state) {
    (void)state;
    pthread_t threads[3];
    json_t *cases[3];
    for (size_t i = 0; i < 3; i++) {
        cases[i] = read_cases();
        assert_int_equal(pthread_create(&threads[i], NULL, check_many, cases[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        void *different;
        pthread_join(threads[i], &different);
        assert_null(different);
        json_decref(cases[i]);
    }
}

static void test_optional_results(void **state) {
    (void)state;
    int32_t ids[TOKENIZER_LENGTH];
    assert_true(tokenizer_encode(tokenizer, "a cat", 5, false, ids, NULL, NULL, NULL));
    assert_int_equal(ids[0], TOKENIZER_START);
    assert_int_equal(ids[3], TOKENIZER_END);
}

static void test_long(void **state) {
    (void)state;
    enum { LIMIT = 1000000 };
    char *text = malloc(LIMIT + 1);
    for (size_t i = 0; i <= LIMIT; i++) text[i] = "cat, "[i % 5];
    int32_t ids[TOKENIZER_LENGTH];
    size_t count;
    struct error error = {0};
    assert_true(tokenizer_encode(tokenizer, text, 10000, false, ids, &count, NULL, &error));
    assert_int_equal(count, 4002);
    assert_true(tokenizer_encode(tokenizer, text, LIMIT, false, ids, &count, NULL, &error));
    assert_int_equal(count, 400002);
    assert_false(tokenizer_encode(tokenizer, text, LIMIT + 1, false, ids, &count, NULL, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    /* One word: joined in n log n steps. */
    memset(text, 'a', LIMIT);
    assert_true(tokenizer_encode(tokenizer, text, LIMIT, true, ids, &count, NULL, &error));
    assert_int_equal(count, TOKENIZER_LENGTH);
    free(text);
}

static void test_invalid_utf8(void **state) {
    (void)state;
    int32_t broken[TOKENIZER_LENGTH], spelt[TOKENIZER_LENGTH];
    assert_true(tokenizer_encode(tokenizer, "a \xff cat", 7, false, broken, NULL, NULL, NULL));
    assert_true(tokenizer_encode(tokenizer, "a \xef\xbf\xbd cat", 9, false, spelt, NULL, NULL, NULL));
    assert_memory_equal(broken, spelt, sizeof broken);
}

static void test_memory_fails(void **state) {
    (void)state;
    static const char text[] = "SÃ£o &amp; \xd0\x96 a photograph of cats, "
                               "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t u v w x y z "
                               "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t u v w x y z";
    size_t n = 1;
    for (bool done = false; !done; n++) {
        struct error error = {0};
        int32_t ids[TOKENIZER_LENGTH];
        char *cut = NULL;
        memory_fail_at(n, 0);
        done = tokenizer_encode(tokenizer, text, sizeof text - 1, false, ids, NULL, &cut, &error);
        memory_fail_at(0, 0);
        assert_int_equal(error.code, done ? ERROR_NONE : ERROR_MEMORY);
        assert_true(done == (cut != NULL));
        memory_free(cut);
        assert_true(n < 2000);
    }
    assert_true(n > 20);
    n = 1;
    for (bool done = false; !done; n++) {
        struct error error = {0};
        struct tokenizer *other = NULL;
        memory_fail_at(n, 0);
        done = tokenizer_open(FOLDER, &other, &error);
        memory_fail_at(0, 0);
        assert_int_equal(error.code, done ? ERROR_NONE : ERROR_MEMORY);
        tokenizer_close(other);
        assert_true(n < 100);
    }
    assert_true(n > 5);
}

/* ==== Files ==== */

static char *write_file(const char *name, const char *text, size_t length) {
    char *path = memory_format("%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
    return path;
}

static void drop(char *path) {
    assert_int_equal(unlink(path), 0);
    memory_free(path);
}

static void refused(enum error_code code, const char *part) {
    struct tokenizer *opened = NULL;
    struct error error = {0};
    assert_false(tokenizer_open(folder, &opened, &error));
    assert_null(opened);
    if (error.code != code || !strstr(error.message, part))
        fail_msg("expected %s \"%s\", got %s \"%s\"", error_name(code), part, error_name(error.code), error.message);
}

/* A folder may name the padding alone: the vocabulary is the program's own then. */
static void test_only_a_config(void **state) {
    (void)state;
    char *path = write_file("tokenizer_config.json", "{\"pad_token\":\"!\"}", 17);
    struct tokenizer *opened;
    struct error error;
    if (!tokenizer_open(folder, &opened, &error)) fail_msg("%s", error.message);
    int32_t ids[TOKENIZER_LENGTH];
    size_t count;
    assert_true(tokenizer_encode(opened, "a cat", 5, true, ids, &count, NULL, &error));
    assert_true(ids[0] == TOKENIZER_START && ids[3] == TOKENIZER_END && ids[4] == 0 && ids[76] == 0);
    tokenizer_close(opened);
    drop(path);
}

static void test_hostile_vocabulary(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum error_code code;
        const char *part;
    } cases[] = {
        {"", ERROR_FORMAT, "vocab.json, line 1"},
        {"{", ERROR_FORMAT, "vocab.json, line 1"},
        {"[1, 2]", ERROR_FORMAT, "not a JSON object"},
        {"{\"a\": 1, \"a\": 2}", ERROR_FORMAT, "uplicate"},
        {"{\"a\\u0000b\": 1}", ERROR_FORMAT, "vocab.json, line 1"},
        {"{\"a\": \"1\"}", ERROR_FORMAT, "id of token number 1"},
        {"{\"a\": 1.5}", ERROR_FORMAT, "id of token number 1"},
        {"{\"a\": -1}", ERROR_FORMAT, "id of token number 1"},
        {"{\"a\": 49408}", ERROR_FORMAT, "id of token number 1"},
        {"{\"a\": 99999999999999999999}", ERROR_FORMAT, "vocab.json, line 1"},
        {"{}", ERROR_UNSUPPORTED, "not CLIP's vocabulary"},
        {"{\"<|startoftext|>\": 0, \"<|endoftext|>\": 1}", ERROR_UNSUPPORTED, "not CLIP's vocabulary"},
        {"{\"<|startoftext|>\": 49406, \"<|endoftext|>\": 49407, \"a\": 5, \"b\": 5}", ERROR_FORMAT, "two tokens have the id 5"},
        {"{\"<|startoftext|>\": 49406, \"<|endoftext|>\": 49407}", ERROR_FORMAT, "byte 0 has no token"},
    };
    char *half = write_file("merges.txt", "#version: 0.2\n", 14);
    refused(ERROR_NOT_FOUND, "vocab.json");
    drop(half);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = write_file("vocab.json", cases[i].text, strlen(cases[i].text));
        refused(cases[i].code, cases[i].part);
        drop(path);
    }
    char *path = write_file("vocab.json", "{}", 2);
    assert_int_equal(truncate(path, (16 << 20) + 1), 0);
    refused(ERROR_LIMIT, "vocab.json");
    drop(path);
}

static void test_hostile_merges(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        const char *part;
    } cases[] = {
        {"#version: 0.2\ni", 15, "line 2: not two tokens"},        {"#version: 0.2\ni n\nt h e\n", 24, "line 3: not two tokens"},
        {"#version: 0.2\ni  n", 18, "line 2: not two tokens"},     {"#version: 0.2\n n\n", 17, "line 2: not two tokens"},
        {"#version: 0.2\ni \n", 17, "line 2: not two tokens"},     {"#version: 0.2\ni n\n\nt h\n", 23, "line 3: not two tokens"},
        {"#version: 0.2\ni\0 n\n", 19, "line 2: not two tokens"},  {"#version: 0.2\nzzz qqq\n", 22, "line 2: one of the two"},
        {"#version: 0.2\n\xff i\n", 18, "line 2: one of the two"}, {"#version: 0.2\ni n\nt h\ni n\n", 26, "the same"},
    };
    char *vocabulary = memory_format("%s/vocab.json", folder);
    assert_int_equal(symlink(FOLDER "/vocab.json", vocabulary), 0);
    refused(ERROR_NOT_FOUND, "merges.txt");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = write_file("merges.txt", cases[i].text, cases[i].length);
        refused(ERROR_FORMAT, cases[i].part);
        drop(path);
    }
    char *text = malloc(4000);
    memset(text, 'a', 4000);
    memcpy(text, "#\na a", 5);
    char *path = write_file("merges.txt", text, 4000);
    refused(ERROR_FORMAT, "line 2: not two tokens");
    drop(path);
    free(text);
    drop(vocabulary);
}

/* Merges with other line ends, and none at all. */
static void test_other_merges(void **state) {
    (void)state;
    static const char *const texts[] = {"", "#version: 0.2\r\ni n\r\nin g</w>\r\n"};
    static const size_t counts[] = {5, 3};
    char *vocabulary = memory_format("%s/vocab.json", folder);
    assert_int_equal(symlink(FOLDER "/vocab.json", vocabulary), 0);
    for (size_t i = 0; i < 2; i++) {
        char *path = write_file("merges.txt", texts[i], strlen(texts[i]));
        struct tokenizer *opened;
        struct error error;
        int32_t ids[TOKENIZER_LENGTH];
        size_t count;
        if (!tokenizer_open(folder, &opened, &error)) fail_msg("%s", error.message);
        assert_true(tokenizer_encode(opened, "ing", 3, false, ids, &count, NULL, &error));
        assert_int_equal(count, counts[i]);
        tokenizer_close(opened);
        drop(path);
    }
    drop(vocabulary);
}

/* The copy inside the program gives every token the id that vocab.json gives it. */
static void built_in_copy_is_the_same(void **state) {
    struct vocabulary *file, *copy;
    struct error reason;
    assert_true(vocabulary_open(FOLDER, &file, &reason));
    assert_true(vocabulary_builtin(&copy, &reason));
    for (size_t i = 0; i < VOCABULARY_SIZE; i++) assert_string_equal(copy->name[i], file->name[i]);
    assert_int_equal(copy->merge_count, file->merge_count);
    assert_memory_equal(copy->merges, file->merges, file->merge_count * sizeof *file->merges);
    vocabulary_close(copy);
    vocabulary_close(file);
    struct tokenizer *opened = tokenizer;
    struct error error;
    if (!tokenizer_open(NULL, &tokenizer, &error)) fail_msg("%s", error.message);
    test_original(state);
    tokenizer_close(tokenizer);
    tokenizer = opened;
    for (size_t n = 1; n < 12; n++) { /* memory that runs out */
        struct tokenizer *none = NULL;
        memory_fail_at(n, 0);
        bool made = tokenizer_open(NULL, &none, &error);
        memory_fail_at(0, 0);
        if (!made) assert_int_equal(error.code, ERROR_MEMORY);
        tokenizer_close(none);
    }
}

static bool open_with_pad(const char *config, struct tokenizer **opened, struct error *error) {
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer_config.json"};
    char path[3][128];
    for (size_t i = 0; i < 3; i++) snprintf(path[i], sizeof path[i], "%s/%s", folder, names[i]);
    assert_int_equal(symlink(FOLDER "/vocab.json", path[0]), 0);
    assert_int_equal(symlink(FOLDER "/merges.txt", path[1]), 0);
    FILE *file = fopen(path[2], "w");
    assert_non_null(file);
    fputs(config, file);
    fclose(file);
    bool fine = tokenizer_open(folder, opened, error);
    for (size_t i = 0; i < 3; i++) unlink(path[i]);
    return fine;
}

/* As transformers' CLIPTokenizer with pad_token="!", Stable Diffusion 2's: 49406, 320, 2368, 49407, 0, 0, ... */
static void padding_is_what_the_config_says(void **state) {
    (void)state;
    static const struct {
        const char *config;
        int32_t pad; /* -1: refused */
    } cases[] = {{"{\"pad_token\": \"!\"}", 0},
                 {"{\"pad_token\": {\"content\": \"!\", \"lstrip\": false}}", 0},
                 {"{\"pad_token\": null}", TOKENIZER_END},
                 {"{}", TOKENIZER_END},
                 {"{\"pad_token\": \"no such token\"}", -1},
                 {"[]", -1},
                 {"{", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokenizer *opened = NULL;
        struct error error = {0};
        bool fine = open_with_pad(cases[i].config, &opened, &error);
        if (cases[i].pad < 0) {
            assert_false(fine);
            assert_int_equal(error.code, ERROR_FORMAT);
            continue;
        }
        assert_true(fine);
        int32_t ids[TOKENIZER_LENGTH];
        assert_true(tokenizer_encode(opened, "a cat", 5, true, ids, NULL, NULL, &error));
        static const int32_t begin[] = {TOKENIZER_START, 320, 2368, TOKENIZER_END};
        assert_memory_equal(ids, begin, sizeof begin);
        for (size_t k = 4; k < TOKENIZER_LENGTH; k++) assert_int_equal(ids[k], cases[i].pad);
        tokenizer_close(opened);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_original),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_optional_results),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_memory_fails),
        cmocka_unit_test(test_only_a_config),
        cmocka_unit_test(test_hostile_vocabulary),
        cmocka_unit_test(test_hostile_merges),
        cmocka_unit_test(test_other_merges),
        cmocka_unit_test(built_in_copy_is_the_same),
        cmocka_unit_test(padding_is_what_the_config_says),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
