/* Copies of a checkpoint's component with something changed, in a temporary folder; and what the
 * tests of networks share. Include after cmocka's needs. */
#ifndef TESTS_MODEL_CHECKPOINT_H
#define TESTS_MODEL_CHECKPOINT_H

#include "base/file.h"
#include "base/memory.h"
#include "tensor/plan.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TINY    SOURCE_DIR "/tests/reference/tiny-checkpoint"
#define BUNDLED SOURCE_DIR "/models/bundled"

/* ==== Numbers and threads ==== */

/* The same numbers in [-1, 1) for the same seed. */
static inline float *noise_block(size_t count, uint64_t seed) {
    float *block = memory_array(count, sizeof *block);
    if (!block) abort();
    uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        block[i] = (float)((int64_t)(state >> 32) - 0x80000000ll) * 0x1p-31f;
    }
    return block;
}

static inline double relative_difference(const float *a, const float *b, size_t count) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)a[i] - (double)b[i];
        difference += d * d;
        size += (double)b[i] * (double)b[i];
    }
    return difference / (size > 0 ? size : 1); /* squared */
}

static inline void assert_close(const float *a, const float *b, size_t count, double most) {
    double found = relative_difference(a, b, count);
    if (!(found <= most * most)) fail_msg("relative difference above %g (squared: %g)", most, found);
}

static inline void engine_open(struct plan_options *options, enum dtype compute) {
    struct error error;
    options->compute = compute;
    options->pool = pool_create(2, &error);
    options->packed = packed_weights_create(&error);
    assert_non_null(options->pool);
    assert_non_null(options->packed);
}

static inline void engine_close(struct plan_options *options) {
    packed_weights_free(options->packed);
    pool_free(options->pool);
}

/* ==== Changed copies ==== */

struct copy {
    char folder[64];
    char config[128], weights[128];
};

static inline void write_file(const char *path, const void *data, size_t length) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    fclose(file);
}

static inline void copy_begin(struct copy *copy, const char *stem) {
    strcpy(copy->folder, "/tmp/inpaint-model-XXXXXX");
    assert_non_null(mkdtemp(copy->folder));
    snprintf(copy->config, sizeof copy->config, "%s/config.json", copy->folder);
    snprintf(copy->weights, sizeof copy->weights, "%s/%s.safetensors", copy->folder, stem);
}

static inline void copy_end(struct copy *copy) {
    unlink(copy->config);
    unlink(copy->weights);
    rmdir(copy->folder);
}

/* config.json of `folder` with the keys of `patch` (JSON) replaced; "vision_config" is merged. */
static inline void copy_config(struct copy *copy, const char *folder, const char *patch) {
    char path[512];
    snprintf(path, sizeof path, "%s/config.json", folder);
    json_t *config = json_load_file(path, 0, NULL), *changes = json_loads(patch, 0, NULL);
    assert_non_null(config);
    if (!changes) fail_msg("no JSON: %s", patch);
    json_object_update_recursive(config, changes);
    char *text = json_dumps(config, 0);
    write_file(copy->config, text, strlen(text));
    free(text);
    json_decref(config);
    json_decref(changes);
}

/* One change of the weights' header: every `from` in a tensor's name becomes `to`, and where `shape`
 * is given (JSON), tensors whose new name contains `to` get it. */
struct rename {
    const char *from, *to, *shape;
};

static inline char *replaced(const char *name, const struct rename *rename) {
    const char *found = strstr(name, rename->from);
    if (!found) return memory_string(name);
    return memory_format("%.*s%s%s", (int)(found - name), name, rename->to, found + strlen(rename->from));
}

static inline void copy_weights(struct copy *copy, const char *folder, const char *stem, const struct rename *renames, size_t count) {
    char path[512], *data, *header_text;
    size_t length;
    uint64_t header_length;
    struct error error;
    snprintf(path, sizeof path, "%s/%s.safetensors", folder, stem);
    if (!file_read(path, (size_t)1 << 30, &data, &length, &error)) fail_msg("%s", error.message);
    memcpy(&header_length, data, 8);
    json_t *header = json_loadb(data + 8, header_length, 0, NULL), *changed = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(header, key, value) {
        char *name = memory_string(key);
        for (size_t i = 0; i < count; i++) {
            char *next = replaced(name, &renames[i]);
            bool hit = strcmp(next, name) != 0 || strcmp(renames[i].from, renames[i].to) == 0;
            if (hit && renames[i].shape && strstr(next, renames[i].to))
                json_object_set_new(value, "shape", json_loads(renames[i].shape, 0, NULL));
            memory_free(name);
            name = next;
        }
        json_object_set(changed, name, value);
        memory_free(name);
    }
    header_text = json_dumps(changed, JSON_COMPACT);
    uint64_t new_length = strlen(header_text);
    FILE *file = fopen(copy->weights, "wb");
    assert_non_null(file);
    fwrite(&new_length, 8, 1, file);
    fwrite(header_text, 1, new_length, file);
    fwrite(data + 8 + header_length, 1, length - 8 - header_length, file);
    fclose(file);
    free(header_text);
    json_decref(changed);
    json_decref(header);
    memory_free(data);
}

static inline void copy_link(struct copy *copy, const char *folder, const char *stem) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.safetensors", folder, stem);
    assert_int_equal(symlink(path, copy->weights), 0);
}

/* Nearest f16 to a number of ordinary size, or to 0. */
static inline uint16_t half_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (value == 0) return 0;
    return (uint16_t)((bits >> 16 & 0x8000) | ((((bits & 0x7fffffff) + 0x1000) >> 13) - (112u << 10)));
}

/* Overwrite the f16 tensor `name` of a copied weights file. */
static inline void copy_fill(struct copy *copy, const char *name, const float *values, size_t count) {
    char *data;
    size_t length;
    uint64_t header_length;
    struct error error;
    if (!file_read(copy->weights, (size_t)1 << 30, &data, &length, &error)) fail_msg("%s", error.message);
    memcpy(&header_length, data, 8);
    json_t *header = json_loadb(data + 8, header_length, 0, NULL);
    const json_t *tensor = json_object_get(header, name);
    assert_string_equal(json_string_value(json_object_get(tensor, "dtype")), "F16");
    size_t first = (size_t)json_integer_value(json_array_get(json_object_get(tensor, "data_offsets"), 0));
    for (size_t i = 0; i < count; i++) {
        uint16_t bits = half_bits(values[i]);
        memcpy(data + 8 + header_length + first + 2 * i, &bits, 2);
    }
    write_file(copy->weights, data, length);
    json_decref(header);
    memory_free(data);
}

#endif
