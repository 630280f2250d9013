/* What the parity tests share: the goldens' files, their cases, and the error measured. */
#ifndef TESTS_PARITY_GOLDEN_H
#define TESTS_PARITY_GOLDEN_H

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "reference.h"
#include "weights/weights.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* How a run went; its end is the program's exit status. */
struct tally {
    int cases, failed;
};

static inline int tally_end(const struct tally *tally) {
    if (tally->cases == 0)
        printf("skipped: no case was found\n");
    else
        printf("%d of %d cases agree\n", tally->cases - tally->failed, tally->cases);
    return tally->cases == 0 ? TEST_SKIPPED : tally->failed > 0;
}

/* One comparison: "ok  0.unet  1.2e-06 (at most 1e-04)". */
static inline void tally_error(struct tally *tally, const char *name, double error, double most) {
    bool ok = error <= most; /* false for NaN */
    tally->cases++;
    tally->failed += !ok;
    printf("%-7s %-34s %.3g (at most %g)\n", ok ? "ok" : "FAILED", name, error, most);
}

static inline void tally_check(struct tally *tally, const char *name, bool ok, const char *why) {
    tally->cases++;
    tally->failed += !ok;
    printf("%-7s %-34s %s\n", ok ? "ok" : "FAILED", name, ok ? "" : why);
}

/* |ours - golden| / |golden|, of the whole arrays. */
static inline double relative_l2(const float *ours, const float *golden, size_t count) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)ours[i] - (double)golden[i];
        difference += d * d;
        size += (double)golden[i] * (double)golden[i];
    }
    return sqrt(difference / (size > 0 ? size : 1));
}

static inline double largest_difference(const float *ours, const float *golden, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)ours[i] - (double)golden[i]);
        if (!(d <= largest)) largest = d; /* NaN sticks */
    }
    return largest;
}

/* The goldens' file FOLDER/NAME.safetensors, or NULL when it is not there (said). */
static inline struct weights *golden_open(const char *folder, const char *name) {
    char part[256], path[1024];
    snprintf(part, sizeof part, "%s/%s.safetensors", folder, name);
    if (!reference_path(part, path, sizeof path)) return NULL;
    struct weights *weights = NULL;
    struct error error;
    if (!weights_open_file(path, &weights, &error)) {
        printf("FAILED  %s\n", error.message);
        exit(1);
    }
    return weights;
}

/* The case's name when the index-th tensor is called CASE.leaf; else NULL. */
static inline const char *golden_case(const struct weights *weights, size_t index, const char *leaf, char text[64]) {
    const char *name;
    weights_at(weights, index, &name);
    const char *dot = strchr(name, '.');
    if (!dot || strcmp(dot + 1, leaf) != 0 || dot - name >= 64) return NULL;
    snprintf(text, 64, "%.*s", (int)(dot - name), name);
    return text;
}

/* Tensor CASE.leaf, or NULL. */
static inline const struct tensor *golden_find(const struct weights *weights, const char *case_name, const char *leaf) {
    char name[160];
    snprintf(name, sizeof name, "%s.%s", case_name, leaf);
    return weights_find(weights, name);
}

/* Tensor CASE.leaf as f32 (a new block); its absence ends the program. */
static inline float *golden_floats(const struct weights *weights, const char *case_name, const char *leaf, struct tensor *info) {
    const struct tensor *tensor = golden_find(weights, case_name, leaf);
    if (!tensor) {
        printf("FAILED  the golden %s.%s is missing in %s\n", case_name, leaf, weights_path(weights));
        exit(1);
    }
    float *data = memory_array(tensor_count(tensor), sizeof *data);
    if (!data) abort();
    tensor_read_f32(tensor, 0, tensor_count(tensor), data);
    if (info) *info = *tensor;
    return data;
}

/* [n, c, h, w] -> a new [n, h, w, c]; channels [first, first + count) only. */
static inline float *channels_last(const float *x, const size_t *shape, size_t first, size_t count) {
    size_t n = shape[0], c = shape[1], area = shape[2] * shape[3];
    float *out = memory_array(n * area * count, sizeof *out);
    if (!out) abort();
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < count; k++)
            for (size_t p = 0; p < area; p++) out[(i * area + p) * count + k] = x[(i * c + first + k) * area + p];
    return out;
}

/* The weights that a folder of goldens was made with; false (said) when they are not there. */
static inline bool golden_checkpoint(const char *folder, const char *component, char *path, size_t size) {
    char base[768];
    if (strcmp(folder, "tiny") == 0) {
        if (!reference_path("tiny-checkpoint", base, sizeof base)) return false;
    } else {
        bool bundled = strcmp(folder, "bundled") == 0;
        const char *named = getenv(bundled ? "INPAINT_BUNDLED" : "INPAINT_FULL_CHECKPOINT");
        if (bundled && (!named || !*named)) named = SOURCE_DIR "/models/bundled";
        if (!named || !*named) {
            printf("skipped: %s/%s (INPAINT_FULL_CHECKPOINT names no folder)\n", folder, component);
            return false;
        }
        snprintf(base, sizeof base, "%s", named);
    }
    snprintf(path, size, "%s/%s", base, component);
    if (!file_exists(path)) {
        printf("skipped: %s is not there\n", path);
        return false;
    }
    return true;
}

static const char *const golden_folders[] = {"tiny", "bundled", "full"};
enum { GOLDEN_FOLDERS = 3 };

#endif
