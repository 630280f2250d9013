/* torch's own files, written by torch (fixtures.py small): the same tensors as in the safetensors
 * file beside them, and files that want too much. */
#include "base/file.h"
#include "base/memory.h"
#include "weights/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define TORCH SOURCE_DIR "/tests/weights/torch/"

static struct weights *open_file(const char *path) {
    struct weights *weights;
    struct error error = {0};
    if (!weights_open_file(path, &weights, &error)) fail_msg("%s", error.message);
    return weights;
}

static void same_tensors(const char *path) {
    struct weights *want = open_file(TORCH "plain.safetensors"), *got = open_file(path);
    assert_int_equal(weights_count(got), weights_count(want));
    assert_true(weights_count(want) == 13);
    for (size_t i = 0; i < weights_count(want); i++) {
        const char *name;
        const struct tensor *wanted = weights_at(want, i, &name), *found = weights_find(got, name);
        if (!found) fail_msg("%s has no %s", path, name);
        assert_int_equal(found->dtype, wanted->dtype);
        assert_int_equal(found->rank, wanted->rank);
        assert_memory_equal(found->shape, wanted->shape, (size_t)wanted->rank * sizeof *wanted->shape);
        size_t bytes = tensor_count(wanted) * dtype_size(wanted->dtype);
        if (bytes) assert_memory_equal(found->data, wanted->data, bytes);
    }
    weights_close(got);
    weights_close(want);
}

static void torch_and_safetensors_hold_the_same(void **state) {
    (void)state;
    same_tensors(TORCH "plain.bin");
    same_tensors(TORCH "protocol4.bin");
    same_tensors(TORCH "lightning.ckpt");
}

static void what_is_no_tensor_is_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum error_code code;
        const char *part;
    } cases[] = {
        {"evil.bin", ERROR_UNSUPPORTED, "asks for posix.system"}, {"turned.bin", ERROR_UNSUPPORTED, "tensor turned were saved in another"},
        {"list.bin", ERROR_UNSUPPORTED, "something else"},        {"none.bin", ERROR_UNSUPPORTED, "no named tensors"},
        {"legacy.bin", ERROR_UNSUPPORTED, "before version 1.6"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weights *weights;
        struct error error = {0};
        char *path = memory_format("%s%s", TORCH, cases[i].name);
        assert_false(weights_open_file(path, &weights, &error));
        if (error.code != cases[i].code || !strstr(error.message, cases[i].part)) fail_msg("%s: %s", cases[i].name, error.message);
        memory_free(path);
    }
    assert_int_equal(access("/tmp/should-not-exist", F_OK), -1);
}

/* ==== Damage ==== */

/* Open these bytes as a file: an error with a sentence, or tensors that can all be read. */
static void survive(const char *bytes, size_t size) {
    int file = memfd_create("weights", 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    assert_int_equal(write(file, bytes, size), size);
    struct weights *weights;
    struct error error = {0};
    if (weights_open_file(path, &weights, &error)) {
        for (size_t i = 0; i < weights_count(weights); i++) {
            const struct tensor *tensor = weights_at(weights, i, NULL);
            float value;
            size_t count = tensor_count(tensor);
            if (count) tensor_read_f32(tensor, 0, 1, &value);
            if (count) tensor_read_f32(tensor, count - 1, 1, &value);
        }
        weights_close(weights);
    } else {
        assert_true(error.code == ERROR_FORMAT || error.code == ERROR_UNSUPPORTED || error.code == ERROR_LIMIT);
        assert_true(strlen(error.message) > strlen(path) + 10);
    }
    close(file);
}

static void every_cut_and_every_changed_byte_is_survived(void **state) {
    (void)state;
    char *bytes;
    size_t size;
    struct error error;
    assert_true(file_read(TORCH "plain.bin", 1 << 20, &bytes, &size, &error));
    for (size_t length = 1; length < size; length++) survive(bytes, length);
    static const unsigned char changes[] = {0x00, 0xff, 0x80, 0x01};
    for (size_t i = 0; i < size; i++) {
        char kept = bytes[i];
        for (size_t k = 0; k < sizeof changes; k++) {
            bytes[i] = (char)(k < 2 ? changes[k] : (unsigned char)kept ^ changes[k]);
            survive(bytes, size);
        }
        bytes[i] = kept;
    }
    memory_free(bytes);
}

static void every_failing_allocation_is_survived(void **state) {
    (void)state;
    bool opened = false;
    size_t n = 1;
    for (; !opened; n++) {
        struct weights *weights;
        struct error error = {0};
        memory_fail_at(n, 0);
        opened = weights_open_file(TORCH "lightning.ckpt", &weights, &error);
        memory_fail_at(0, 0);
        if (opened)
            weights_close(weights);
        else
            assert_int_equal(error.code, ERROR_MEMORY);
    }
    assert_true(n > 15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torch_and_safetensors_hold_the_same),
        cmocka_unit_test(what_is_no_tensor_is_refused_by_name),
        cmocka_unit_test(every_cut_and_every_changed_byte_is_survived),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
