/* The small random checkpoint, written in other forms: one file with the original names, as
 * safetensors or as torch writes it. Include after cmocka's needs. */
#ifndef TESTS_WEIGHTS_FORMS_H
#define TESTS_WEIGHTS_FORMS_H

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "weights/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FORMS_TINY SOURCE_DIR "/tests/reference/tiny-checkpoint"

enum { FORMS_TENSORS_MAX = 1200, FORMS_NAME_SIZE = 160, FORMS_BYTES_MAX = 64 << 20 };

struct form_tensor {
    char name[FORMS_NAME_SIZE];
    struct tensor tensor;
};
struct form {
    struct weights *components[3];
    struct form_tensor tensors[FORMS_TENSORS_MAX];
    size_t count;
};

static const struct {
    const char *folder, *stem, *prefix;
} form_components[3] = {
    [WEIGHTS_UNET] = {FORMS_TINY "/unet", "diffusion_pytorch_model", "model.diffusion_model."},
    [WEIGHTS_VAE] = {FORMS_TINY "/vae", "diffusion_pytorch_model", "first_stage_model."},
    [WEIGHTS_TEXT_ENCODER] = {FORMS_TINY "/text_encoder", "model", "cond_stage_model."},
};

static inline void form_add(struct form *form, const char *name, const struct tensor *tensor) {
    assert_true(form->count < FORMS_TENSORS_MAX);
    struct form_tensor *added = &form->tensors[form->count++];
    snprintf(added->name, sizeof added->name, "%s", name);
    added->tensor = *tensor;
}

/* The whole checkpoint under the original names (original_names.txt, which diffusers' converter has
 * confirmed). */
static inline struct form *form_original(void) {
    struct form *form = memory_zero(sizeof *form);
    struct error error;
    for (int i = 0; i < 3; i++)
        if (!weights_open_folder(form_components[i].folder, form_components[i].stem, &form->components[i], &error))
            fail_msg("%s", error.message);
    FILE *file = fopen(SOURCE_DIR "/tests/weights/original_names.txt", "r");
    assert_non_null(file);
    char original[FORMS_NAME_SIZE], name[FORMS_NAME_SIZE];
    while (fscanf(file, "%159s %159s", original, name) == 2) {
        int component = 0;
        while (strncmp(original, form_components[component].prefix, strlen(form_components[component].prefix)) != 0) component++;
        const struct tensor *found = weights_find(form->components[component], name);
        assert_non_null(found);
        struct tensor tensor = *found;
        if (strstr(original, ".attn_1.") && tensor.rank == 2) { /* 1x1 convolutions there */
            tensor.shape[2] = tensor.shape[3] = 1;
            tensor.rank = 4;
        }
        form_add(form, original, &tensor);
    }
    fclose(file);
    return form;
}

static inline struct form_tensor *form_find(struct form *form, const char *name) {
    for (size_t i = 0; i < form->count; i++)
        if (strcmp(form->tensors[i].name, name) == 0) return &form->tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static inline void form_free(struct form *form) {
    for (int i = 0; i < 3; i++) weights_close(form->components[i]);
    memory_free(form);
}

static inline size_t form_bytes(const struct tensor *tensor) { return tensor_count(tensor) * dtype_size(tensor->dtype); }

static inline void form_save(const char *path, struct buffer *bytes) {
    assert_false(bytes->failed);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes->data, 1, bytes->length, file), bytes->length);
    fclose(file);
    buffer_free(bytes);
}

static inline void form_number(struct buffer *bytes, uint64_t value, int size) {
    for (int i = 0; i < size; i++, value >>= 8) buffer_append(bytes, &(unsigned char){(unsigned char)value}, 1);
}

/* ==== safetensors ==== */

static inline void form_write_safetensors(const struct form *form, const char *path) {
    struct buffer header, bytes;
    buffer_init(&header, FORMS_BYTES_MAX);
    buffer_init(&bytes, FORMS_BYTES_MAX);
    size_t at = 0;
    for (size_t i = 0; i < form->count; i++) {
        const struct tensor *tensor = &form->tensors[i].tensor;
        const char *dtype = tensor->dtype == DTYPE_F32    ? "F32"
                            : tensor->dtype == DTYPE_F16  ? "F16"
                            : tensor->dtype == DTYPE_BF16 ? "BF16"
                                                          : "I64";
        buffer_format(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "{", form->tensors[i].name, dtype);
        for (int k = 0; k < tensor->rank; k++) buffer_format(&header, k ? ",%zu" : "%zu", tensor->shape[k]);
        buffer_format(&header, "],\"data_offsets\":[%zu,%zu]}", at, at + form_bytes(tensor));
        at += form_bytes(tensor);
    }
    buffer_text(&header, "}");
    form_number(&bytes, header.length, 8);
    buffer_append(&bytes, header.data, header.length);
    for (size_t i = 0; i < form->count; i++) buffer_append(&bytes, form->tensors[i].tensor.data, form_bytes(&form->tensors[i].tensor));
    buffer_free(&header);
    form_save(path, &bytes);
}

/* ==== torch ==== */

static inline void form_pickle_text(struct buffer *pickle, const char *text) {
    buffer_text(pickle, "X");
    form_number(pickle, strlen(text), 4);
    buffer_text(pickle, text);
}

static inline void form_pickle_sizes(struct buffer *pickle, const size_t *sizes, int count) {
    buffer_text(pickle, "(");
    for (int i = 0; i < count; i++) {
        buffer_text(pickle, "J");
        form_number(pickle, sizes[i], 4);
    }
    buffer_text(pickle, "t");
}

static inline void form_pickle_tensor(struct buffer *pickle, const struct tensor *tensor, const char *key) {
    static const char *const storages[] = {"Float", "Half", "BFloat16", "Double", "Long"};
    size_t strides[TENSOR_RANK_MAX], count = 1;
    for (int i = tensor->rank; i > 0; count *= tensor->shape[--i]) strides[i - 1] = count;
    buffer_text(pickle, "ctorch._utils\n_rebuild_tensor_v2\n((");
    form_pickle_text(pickle, "storage");
    buffer_format(pickle, "ctorch\n%sStorage\n", storages[tensor->dtype]);
    form_pickle_text(pickle, key);
    form_pickle_text(pickle, "cpu");
    buffer_text(pickle, "J");
    form_number(pickle, count, 4);
    buffer_text(pickle, "tQK");
    form_number(pickle, 0, 1);
    form_pickle_sizes(pickle, tensor->shape, tensor->rank);
    form_pickle_sizes(pickle, strides, tensor->rank);
    buffer_text(pickle, "\x89"
                        "ccollections\nOrderedDict\n)RtR");
}

/* {"global_step": 5, "state_dict": {...}}, or the inner dictionary alone */
static inline void form_pickle(const struct form *form, bool training, struct buffer *pickle) {
    char key[24];
    buffer_text(pickle, "\x80\x02}");
    if (training) {
        form_pickle_text(pickle, "global_step");
        buffer_text(pickle, "K\x05s");
        form_pickle_text(pickle, "state_dict");
        buffer_text(pickle, "}");
    }
    buffer_text(pickle, "(");
    for (size_t i = 0; i < form->count; i++) {
        snprintf(key, sizeof key, "%zu", i);
        form_pickle_text(pickle, form->tensors[i].name);
        form_pickle_tensor(pickle, &form->tensors[i].tensor, key);
    }
    buffer_text(pickle, training ? "us." : "u.");
}

struct form_member {
    char name[48];
    size_t place, size;
};

static inline void form_zip_member(struct buffer *bytes, struct form_member *member, const char *name, const void *data, size_t size) {
    snprintf(member->name, sizeof member->name, "archive/%s", name);
    member->place = bytes->length;
    member->size = size;
    form_number(bytes, 0x04034b50, 4);
    form_number(bytes, 0, 14);
    form_number(bytes, size, 4);
    form_number(bytes, size, 4);
    form_number(bytes, strlen(member->name), 2);
    form_number(bytes, 0, 2);
    buffer_text(bytes, member->name);
    buffer_append(bytes, data, size);
}

static inline void form_zip_end(struct buffer *bytes, const struct form_member *members, size_t count) {
    size_t directory = bytes->length;
    for (size_t i = 0; i < count; i++) {
        form_number(bytes, 0x02014b50, 4);
        form_number(bytes, 0, 16);
        form_number(bytes, members[i].size, 4);
        form_number(bytes, members[i].size, 4);
        form_number(bytes, strlen(members[i].name), 2);
        form_number(bytes, 0, 12);
        form_number(bytes, members[i].place, 4);
        buffer_text(bytes, members[i].name);
    }
    size_t end = bytes->length;
    form_number(bytes, 0x06054b50, 4);
    form_number(bytes, 0, 4);
    form_number(bytes, count, 2);
    form_number(bytes, count, 2);
    form_number(bytes, end - directory, 4);
    form_number(bytes, directory, 4);
    form_number(bytes, 0, 2);
}

static inline void form_write_torch(const struct form *form, bool training, const char *path) {
    struct form_member *members = memory_array(form->count + 1, sizeof *members);
    struct buffer pickle, bytes;
    buffer_init(&pickle, FORMS_BYTES_MAX);
    buffer_init(&bytes, FORMS_BYTES_MAX);
    form_pickle(form, training, &pickle);
    form_zip_member(&bytes, &members[0], "data.pkl", pickle.data, pickle.length);
    for (size_t i = 0; i < form->count; i++) {
        char name[32];
        snprintf(name, sizeof name, "data/%zu", i);
        form_zip_member(&bytes, &members[i + 1], name, form->tensors[i].tensor.data, form_bytes(&form->tensors[i].tensor));
    }
    form_zip_end(&bytes, members, form->count + 1);
    memory_free(members);
    buffer_free(&pickle);
    form_save(path, &bytes);
}

#endif
