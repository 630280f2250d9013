/* The safety checker: the prepared picture, the embedding, the cosines and the flags. */
#include "engine.h"
#include "golden.h"
#include "model/safety_checker.h"

#include <jansson.h>

static void compare(struct tally *tally, const struct weights *golden, const char *name, const char *leaf, const float *ours,
                    const char *folder, double most) {
    struct tensor info;
    char label[128];
    float *expected = golden_floats(golden, name, leaf, &info);
    snprintf(label, sizeof label, "%s %s %s", folder, name, leaf);
    tally_error(tally, label, relative_l2(ours, expected, tensor_count(&info)), most);
    memory_free(expected);
}

/* [side][side][3] -> [3][side][side] */
static float *planes(const float *pixels, size_t side) {
    float *out = memory_array(3 * side * side, sizeof *out);
    if (!out) abort();
    for (size_t i = 0; i < 3 * side * side; i++) out[(i % 3) * side * side + i / 3] = pixels[i];
    return out;
}

static void check(struct tally *tally, struct safety_checker *checker, const struct plan_options *options, const struct weights *golden,
                  const char *name, const char *folder, const json_t *verdict) {
    const struct tensor *bytes = golden_find(golden, name, "picture");
    struct image picture;
    struct error error;
    struct safety_result result;
    char label[128];
    snprintf(label, sizeof label, "%s %s", folder, name);
    size_t side = safety_checker_side(checker);
    float *pixels = memory_array(3 * side * side, sizeof *pixels);
    float *embedding = memory_array(safety_checker_width(checker), sizeof *embedding);
    if (!pixels || !embedding || !image_create(&picture, bytes->shape[1], bytes->shape[0], IMAGE_RGB, &error)) abort();
    memcpy(picture.pixels, bytes->data, tensor_count(bytes));
    if (safety_checker_pixels(checker, &picture, pixels, &error) &&
        safety_checker_run(checker, options, &picture, &result, embedding, &error)) {
        float *planar = planes(pixels, side);
        compare(tally, golden, name, "pixels", planar, folder, 1e-6);
        compare(tally, golden, name, "embedding", embedding, folder, 1e-4);
        compare(tally, golden, name, "special", result.special, folder, 1e-4);
        compare(tally, golden, name, "concept", result.concept, folder, 1e-4);
        tally_check(tally, label, json_is_boolean(verdict) && json_is_true(verdict) == result.flagged, "the flag differs");
        memory_free(planar);
    } else {
        tally_check(tally, label, false, error.message);
    }
    image_free(&picture);
    memory_free(pixels);
    memory_free(embedding);
}

int main(void) {
    struct tally tally = {0};
    struct engine engine = engine_create(DTYPE_F32);
    for (size_t f = 0; f < GOLDEN_FOLDERS; f++) {
        char path[1024], preprocessor[1024], verdicts_path[1024], part[64], name[64];
        struct safety_checker *checker;
        struct error error;
        struct weights *golden = golden_open(golden_folders[f], "safety_checker");
        snprintf(part, sizeof part, "%s/safety_checker.json", golden_folders[f]);
        if (!golden || !reference_path(part, verdicts_path, sizeof verdicts_path) ||
            !golden_checkpoint(golden_folders[f], "safety_checker", path, sizeof path) ||
            !golden_checkpoint(golden_folders[f], "feature_extractor/preprocessor_config.json", preprocessor, sizeof preprocessor)) {
            weights_close(golden);
            continue;
        }
        json_t *verdicts = json_load_file(verdicts_path, 0, NULL);
        if (!safety_checker_open(path, preprocessor, &checker, &error)) return printf("FAILED  %s\n", error.message), 1;
        for (size_t i = 0; i < weights_count(golden); i++) {
            if (!golden_case(golden, i, "picture", name)) continue;
            const json_t *verdict = json_object_get(json_array_get(verdicts, strtoul(name, NULL, 10)), "flagged");
            check(&tally, checker, &engine.options, golden, name, golden_folders[f], verdict);
        }
        json_decref(verdicts);
        safety_checker_close(checker);
        weights_close(golden);
    }
    engine_free(&engine);
    return tally_end(&tally);
}
