/* The text encoder's hidden states. */
#include "engine.h"
#include "golden.h"
#include "model/text_encoder.h"

enum { TOKENS = 77 };

static void check(struct tally *tally, struct text_encoder *encoder, const struct plan_options *options, const struct weights *golden,
                  const char *name, const char *label) {
    struct tensor info;
    float *ids_as_floats = golden_floats(golden, name, "ids", &info);
    size_t n = tensor_count(&info) / TOKENS, count = n * TOKENS * text_encoder_width(encoder);
    float *expected = golden_floats(golden, name, "hidden", &info);
    float *ours = memory_array(count, sizeof *ours);
    int32_t *ids = memory_array(n * TOKENS, sizeof *ids);
    if (!ours || !ids) abort();
    for (size_t i = 0; i < n * TOKENS; i++) ids[i] = (int32_t)ids_as_floats[i];
    struct error error;
    if (tensor_count(&info) != count)
        tally_check(tally, label, false, "the golden is of another width");
    else if (!text_encoder_run(encoder, options, ids, n, ours, &error))
        tally_check(tally, label, false, error.message);
    else
        tally_error(tally, label, relative_l2(ours, expected, count), 1e-4);
    memory_free(ids_as_floats);
    memory_free(expected);
    memory_free(ours);
    memory_free(ids);
}

int main(void) {
    struct tally tally = {0};
    struct engine engine = engine_create(DTYPE_F32);
    for (size_t f = 0; f < GOLDEN_FOLDERS; f++) {
        char path[1024], name[64], label[128];
        struct text_encoder *encoder;
        struct error error;
        struct weights *golden = golden_open(golden_folders[f], "text_encoder");
        if (!golden || !golden_checkpoint(golden_folders[f], "text_encoder", path, sizeof path)) {
            weights_close(golden);
            continue;
        }
        if (!text_encoder_open(path, &encoder, &error)) return printf("FAILED  %s\n", error.message), 1;
        for (size_t i = 0; i < weights_count(golden); i++) {
            if (!golden_case(golden, i, "hidden", name)) continue;
            snprintf(label, sizeof label, "%s %s", golden_folders[f], name);
            check(&tally, encoder, &engine.options, golden, name, label);
        }
        text_encoder_close(encoder);
        weights_close(golden);
    }
    engine_free(&engine);
    return tally_end(&tally);
}
