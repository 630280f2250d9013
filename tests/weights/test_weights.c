#include "base/memory.h"
#include "weights/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/test_weights_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

/* folder/name with these bytes; the path is the caller's to free. */
static char *write_bytes(const char *name, const void *bytes, size_t length) {
    char *path = memory_format("%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
    return path;
}

static void drop(char *path) {
    assert_int_equal(unlink(path), 0);
    memory_free(path);
}

/* A safetensors file of this header and `data` bytes that count up from 0. */
static char *write_file(const char *name, const char *header, size_t data) {
    size_t length = strlen(header), total = 8 + length + data;
    unsigned char *bytes = malloc(total);
    for (size_t i = 0; i < 8; i++) bytes[i] = (unsigned char)(length >> (8 * i));
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < data; i++) bytes[8 + length + i] = (unsigned char)i;
    char *path = write_bytes(name, bytes, total);
    free(bytes);
    return path;
}

static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"last\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[12,18]},"
                           "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[12,12]},"
                           "\"first\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
                           "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}   ";

static void test_good(void **state) {
    (void)state;
    char *path = write_file("good", good, 18);
    struct weights *weights;
    struct error error = {0};
    assert_true(weights_open_file(path, &weights, &error));
    assert_int_equal(weights_count(weights), 4);
    assert_int_equal(weights_bytes(weights), 8 + strlen(good) + 18);
    assert_string_equal(weights_path(weights), path);

    static const char *const order[] = {"first", "scalar", "empty", "last"};
    for (size_t i = 0; i < 4; i++) {
        const char *name;
        const struct tensor *tensor = weights_at(weights, i, &name);
        assert_string_equal(name, order[i]);
        assert_ptr_equal(weights_find(weights, name), tensor);
    }
    const struct tensor *last = weights_find(weights, "last");
    assert_int_equal(last->dtype, DTYPE_U8);
    assert_int_equal(last->rank, 2);
    assert_int_equal(last->shape[0], 2);
    assert_int_equal(last->shape[1], 3);
    float values[6];
    tensor_read_f32(last, 0, 6, values);
    assert_true(values[0] == 12 && values[5] == 17);
    assert_int_equal(tensor_count(weights_find(weights, "scalar")), 1);
    assert_int_equal(tensor_count(weights_find(weights, "empty")), 0);
    assert_null(weights_find(weights, "__metadata__"));
    assert_null(weights_find(weights, "firs"));
    assert_null(weights_find(weights, ""));
    weights_close(weights);
    drop(path);
}

static void test_get(void **state) {
    (void)state;
    char *path = write_file("good", good, 18);
    struct weights *weights;
    struct error error = {0};
    assert_true(weights_open_file(path, &weights, &error));
    assert_ptr_equal(weights_get(weights, "first", 2, (size_t[]){2, 2}, &error), weights_find(weights, "first"));
    assert_int_equal(error.code, ERROR_NONE);
    assert_non_null(weights_get(weights, "scalar", 0, NULL, &error));

    assert_null(weights_get(weights, "second", 2, (size_t[]){2, 2}, &error));
    assert_int_equal(error.code, ERROR_FORMAT);
    assert_non_null(strstr(error.message, "no tensor second (of shape [2, 2])"));
    assert_null(weights_get(weights, "first", 2, (size_t[]){2, 3}, &error));
    assert_non_null(strstr(error.message, "first should have the shape [2, 3], but has [2, 2]"));
    assert_null(weights_get(weights, "first", 1, (size_t[]){2}, &error));
    assert_non_null(strstr(error.message, "[2], but has [2, 2]"));
    assert_null(weights_get(weights, "last", 2, (size_t[]){2, 3}, &error));
    assert_non_null(strstr(error.message, "floating-point"));
    assert_null(weights_get(weights, "second", 2, (size_t[]){2, 2}, NULL));
    weights_close(weights);
    drop(path);
}

/* A header without tensors is a file without tensors. */
static void test_nothing_inside(void **state) {
    (void)state;
    char *path = write_file("none", "{}", 0);
    struct weights *weights;
    assert_true(weights_open_file(path, &weights, NULL));
    assert_int_equal(weights_count(weights), 0);
    assert_null(weights_find(weights, "a"));
    weights_close(weights);
    drop(path);
}

static void refused(char *path, enum error_code code, const char *part) {
    struct weights *weights = NULL;
    struct error error = {0};
    assert_false(weights_open_file(path, &weights, &error));
    assert_null(weights);
    if (error.code != code || !strstr(error.message, part))
        fail_msg("expected %s \"%s\", got %s \"%s\"", error_name(code), part, error_name(error.code), error.message);
    assert_non_null(strstr(error.message, path));
    drop(path);
}

#define A(dtype, shape, offsets) "\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define B(dtype, shape, offsets) "\"b\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_hostile_headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        enum error_code code;
        const char *part;
    } cases[] = {
        {"[]", 0, ERROR_FORMAT, "no JSON object"},
        {" {}", 0, ERROR_FORMAT, "no JSON object"},
        {"", 0, ERROR_FORMAT, "no JSON object"},
        {"{", 0, ERROR_FORMAT, "header can't be read, at byte 1"},
        {"{}}", 0, ERROR_FORMAT, "header can't be read"},
        {"{\"a\":\"\xff\"}", 0, ERROR_FORMAT, "header can't be read"},
        {"{\"a\":{\"dtype\":\"F32\\u0000\"}}", 0, ERROR_FORMAT, "header can't be read"},
        {"{\"a\":1}", 0, ERROR_FORMAT, "about tensor a is not an object"},
        {"{\"a\":{}}", 0, ERROR_FORMAT, "tensor a has no dtype"},
        {"{\"a\":{\"dtype\":5}}", 0, ERROR_FORMAT, "tensor a has no dtype"},
        {"{" A("F8_E4M3", "[4]", "[0,4]") "}", 4, ERROR_UNSUPPORTED, "tensor a has the dtype F8_E4M3"},
        {"{" A("\\u001b[31m", "[4]", "[0,4]") "}", 4, ERROR_UNSUPPORTED, "the dtype ?[31m,"},
        {"{\"a\":{\"dtype\":\"F32\"}}", 0, ERROR_FORMAT, "tensor a has no shape"},
        {"{" A("F32", "4", "[0,16]") "}", 16, ERROR_FORMAT, "tensor a has no shape"},
        {"{" A("F32", "[-4]", "[0,16]") "}", 16, ERROR_FORMAT, "dimension 0 of tensor a is not a size"},
        {"{" A("F32", "[4.0]", "[0,16]") "}", 16, ERROR_FORMAT, "dimension 0 of tensor a is not a size"},
        {"{" A("F32", "[1,\"4\"]", "[0,16]") "}", 16, ERROR_FORMAT, "dimension 1 of tensor a is not a size"},
        {"{" A("F32", "[18446744073709551617]", "[0,16]") "}", 16, ERROR_FORMAT, "header can't be read"},
        {"{" A("F32", "[4611686018427387905]", "[0,4]") "}", 4, ERROR_FORMAT, "larger than any memory"},
        {"{" A("F32", "[4294967296,4294967296]", "[0,0]") "}", 0, ERROR_FORMAT, "larger than any memory"},
        {"{" A("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, ERROR_FORMAT, "9 dimensions"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", 16, ERROR_FORMAT, "no pair of data_offsets"},
        {"{" A("F32", "[4]", "[0]") "}", 16, ERROR_FORMAT, "no pair of data_offsets"},
        {"{" A("F32", "[4]", "[0,16,16]") "}", 16, ERROR_FORMAT, "no pair of data_offsets"},
        {"{" A("F32", "[4]", "[-16,0]") "}", 16, ERROR_FORMAT, "no pair of data_offsets"},
        {"{" A("F32", "[4]", "[0,16.0]") "}", 16, ERROR_FORMAT, "no pair of data_offsets"},
        {"{" A("F32", "[4]", "[16,0]") "}", 16, ERROR_FORMAT, "ends at byte 0, before its beginning at 16"},
        {"{" A("F32", "[4]", "[0,16]") "}", 15, ERROR_FORMAT, "ends at byte 16 of the data, but only 15"},
        {"{" A("F32", "[4]", "[9223372036854775791,9223372036854775807]") "}", 16, ERROR_FORMAT, "only 16 bytes are there"},
        {"{" A("F32", "[4]", "[0,12]") "}", 12, ERROR_FORMAT, "should take 16 bytes by its shape and dtype, but its offsets give it 12"},
        {"{" A("F16", "[4]", "[0,16]") "}", 16, ERROR_FORMAT, "should take 8 bytes"},
        {"{" A("F32", "[4]", "[0,16]") "," B("F32", "[2]", "[8,16]") "}", 16, ERROR_FORMAT, "begins at byte 8 of the data, inside another"},
        {"{" A("F32", "[4]", "[0,16]") "," B("F32", "[4]", "[0,16]") "}", 16, ERROR_FORMAT, "inside another"},
        {"{" A("F32", "[4]", "[0,16]") "," B("F32", "[0]", "[8,8]") "}", 16, ERROR_FORMAT, "inside another"},
        {"{" A("F32", "[1]", "[0,4]") "," B("F32", "[1]", "[8,12]") "}", 12, ERROR_FORMAT, "bytes 4 to 8 of the data, before tensor b"},
        {"{" A("F32", "[1]", "[4,8]") "}", 8, ERROR_FORMAT, "bytes 0 to 4 of the data, before tensor a"},
        {"{" A("F32", "[1]", "[0,4]") "}", 8, ERROR_FORMAT, "last 4 bytes of the data belong to no tensor"},
        {"{" A("F32", "[1]", "[0,4]") "," A("F32", "[1]", "[4,8]") "}", 8, ERROR_FORMAT, "header can't be read"},
        {"{\"\\u001b[2J\":1}", 0, ERROR_FORMAT, "tensor ?[2J is"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(write_file("bad", cases[i].header, cases[i].data), cases[i].code, cases[i].part);
}

static void test_hostile_files(void **state) {
    (void)state;
    refused(write_bytes("x", "", 0), ERROR_FORMAT, "is empty");
    refused(write_bytes("x", "1234567", 7), ERROR_FORMAT, "too few");
    refused(write_bytes("x", "\3\0\0\0\0\0\0\0{}", 10), ERROR_FORMAT, "should have 3 bytes, but the file ends after 2");
    refused(write_bytes("x", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), ERROR_FORMAT, "above the limit");
    refused(write_bytes("x", "\1\0\0\1\0\0\0\0{}", 10), ERROR_FORMAT, "16777217 bytes, above the limit");
    refused(write_bytes("x", "PK\3\4\0\0\0\0\0\0", 10), ERROR_FORMAT, "zip archive without its end");
    refused(write_bytes("x", "GGUF\3\0\0\0\0\0", 10), ERROR_UNSUPPORTED, "GGUF");
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    refused(write_bytes("x", pointer, sizeof pointer - 1), ERROR_FORMAT, "Git LFS");
    refused(write_bytes("x", "<!DOCTYPE html>", 15), ERROR_FORMAT, "a web page");
}

/* Deep nesting must end in an error, not at the end of the stack. */
static void test_deep_header(void **state) {
    (void)state;
    enum { DEPTH = 200000 };
    char *header = malloc(DEPTH + 16);
    strcpy(header, "{\"a\":");
    memset(header + 5, '[', DEPTH);
    header[5 + DEPTH] = 0;
    refused(write_file("deep", header, 0), ERROR_FORMAT, "header can't be read");
    free(header);
}

static void test_too_many_tensors(void **state) {
    (void)state;
    enum { COUNT = 100001, EACH = 64 };
    char *header = malloc((size_t)COUNT * EACH), *at = header;
    for (int i = 0; i < COUNT; i++) at += sprintf(at, "%c\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? ',' : '{', i);
    strcpy(at, "}");
    refused(write_file("many", header, 0), ERROR_LIMIT, "100001 tensors");
    free(header);
}

static void test_not_files(void **state) {
    (void)state;
    struct weights *weights;
    struct error error = {0};
    assert_false(weights_open_file(folder, &weights, &error));
    assert_int_equal(error.code, ERROR_FORMAT);
    assert_non_null(strstr(error.message, "not a file"));
    assert_false(weights_open_file("/nowhere/at/all", &weights, &error));
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    char *path = memory_format("%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(weights_open_file(path, &weights, &error));
    assert_int_equal(error.code, ERROR_FORMAT);
    drop(path);
}

static void test_folder(void **state) {
    (void)state;
    struct weights *weights;
    struct error error = {0};
    assert_false(weights_open_folder(folder, "model", &weights, &error));
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "neither model.safetensors nor model.bin"));

    /* Damaged, but not passed over in silence: */
    char *torch = write_bytes("pytorch_model.bin", "PK\3\4", 4);
    assert_false(weights_open_folder(folder, "model", &weights, &error));
    assert_int_equal(error.code, ERROR_FORMAT);
    assert_non_null(strstr(error.message, "pytorch_model.bin"));

    char *half = write_file("model.fp16.safetensors", good, 18);
    assert_true(weights_open_folder(folder, "model", &weights, &error));
    assert_string_equal(weights_path(weights), half);
    weights_close(weights);

    char *full = write_file("model.safetensors", good, 18);
    assert_true(weights_open_folder(folder, "model", &weights, &error));
    assert_string_equal(weights_path(weights), full);
    weights_close(weights);
    drop(full);

    full = write_file("model.safetensors", good, 17); /* damaged: not passed over in silence */
    assert_false(weights_open_folder(folder, "model", &weights, &error));
    assert_int_equal(error.code, ERROR_FORMAT);
    drop(full);
    drop(half);
    drop(torch);
}

static char *write_text(const char *name, const char *text) { return write_bytes(name, text, strlen(text)); }

static void test_shards(void **state) {
    (void)state;
    char *one = write_file("one.safetensors", "{" A("U8", "[2]", "[0,2]") "}", 2);
    char *two = write_file("two.safetensors", "{" B("U8", "[3]", "[0,3]") "}", 3);
    char *index = write_text("model.safetensors.index.json",
                             "{\"metadata\":{},\"weight_map\":{\"b\":\"two.safetensors\",\"a\":\"one.safetensors\"}}");
    struct weights *weights;
    struct error error = {0};
    if (!weights_open_folder(folder, "model", &weights, &error)) fail_msg("%s", error.message);
    assert_int_equal(weights_count(weights), 2);
    assert_int_equal(weights_find(weights, "a")->shape[0], 2);
    assert_int_equal(weights_find(weights, "b")->shape[0], 3);
    assert_int_equal(((const unsigned char *)weights_find(weights, "b")->data)[2], 2);
    assert_string_equal(weights_path(weights), index);
    weights_close(weights);
    /* Memory that runs out at every place. */
    bool opened = false;
    for (size_t n = 1; !opened; n++) {
        memory_fail_at(n, 0);
        opened = weights_open_folder(folder, "model", &weights, &error);
        memory_fail_at(0, 0);
        if (!opened) assert_int_equal(error.code, ERROR_MEMORY);
    }
    weights_close(weights);

    static const struct {
        const char *index;
        enum error_code code;
        const char *part;
    } bad[] = {
        {"", ERROR_FORMAT, "no JSON"},
        {"[]", ERROR_FORMAT, "no weight_map"},
        {"{\"weight_map\":{}}", ERROR_FORMAT, "no weight_map"},
        {"{\"weight_map\":{\"a\":5}}", ERROR_FORMAT, "tensor a is not the name"},
        {"{\"weight_map\":{\"a\":\"\"}}", ERROR_FORMAT, "tensor a is not the name"},
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}", ERROR_FORMAT, "not the name of a file beside"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", ERROR_FORMAT, "not the name of a file beside"},
        {"{\"weight_map\":{\"a\":\"..\"}}", ERROR_FORMAT, "not the name of a file beside"},
        {"{\"weight_map\":{\"a\":\"three.safetensors\"}}", ERROR_NOT_FOUND, "three.safetensors"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":\"two.safetensors\"}}", ERROR_FORMAT, "tensor c is in the index"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"link.safetensors\"}}", ERROR_FORMAT, "tensor a is there twice"},
    };
    char *link = memory_format("%s/link.safetensors", folder);
    assert_int_equal(symlink("one.safetensors", link), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memory_free(write_text("model.safetensors.index.json", bad[i].index));
        if (!*bad[i].index) memory_free(write_text("model.safetensors.index.json", "nothing"));
        assert_false(weights_open_folder(folder, "model", &weights, &error));
        if (error.code != bad[i].code || !strstr(error.message, bad[i].part)) fail_msg("%s gave %s", bad[i].index, error.message);
    }
    drop(link);
    drop(index);
    drop(one);
    drop(two);
}

/* Every allocation fails once: an error each time, and (under ASan) nothing is left behind. */
static void test_memory_fails(void **state) {
    (void)state;
    char *path = write_file("model.safetensors", good, 18);
    size_t n = 1;
    for (bool opened = false; !opened; n++) {
        struct weights *weights = NULL;
        struct error error = {0};
        memory_fail_at(n, 0);
        opened = weights_open_folder(folder, "model", &weights, &error);
        memory_fail_at(0, 0);
        if (opened)
            weights_close(weights);
        else
            assert_int_equal(error.code, ERROR_MEMORY);
        assert_true(n < 100);
    }
    assert_true(n > 8);
    drop(path);
    for (n = 1; n < 20; n++) {
        struct weights *weights = NULL;
        struct error error = {0};
        memory_fail_at(n, 0);
        assert_false(weights_open_folder(folder, "model", &weights, &error));
        memory_fail_at(0, 0);
    }
}

/* A checkpoint that another program wrote. */
static void test_real_file(void **state) {
    (void)state;
    struct weights *weights;
    struct error error = {0};
    if (!weights_open_folder(SOURCE_DIR "/tests/reference/tiny-checkpoint/unet", "diffusion_pytorch_model", &weights, &error))
        fail_msg("%s", error.message);
    assert_true(weights_count(weights) > 100);
    const struct tensor *tensor = weights_find(weights, "conv_in.weight");
    assert_non_null(tensor);
    assert_int_equal(tensor->rank, 4);
    assert_int_equal(tensor->shape[1], 9);
    assert_ptr_equal(weights_get(weights, "conv_in.weight", 4, (size_t[]){tensor->shape[0], 9, 3, 3}, &error), tensor);
    weights_close(weights);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_nothing_inside),
        cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_deep_header),
        cmocka_unit_test(test_too_many_tensors),
        cmocka_unit_test(test_not_files),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_memory_fails),
        cmocka_unit_test(test_real_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
