#include "model/text_encoder.h"

#include "base/memory.h"
#include "model/clip.h"
#include "model/derive.h"

#include <string.h>

enum { TOKENS = 77, VOCABULARY_MAX = 1 << 20, POSITIONS_MAX = 1 << 16, PROMPTS_MAX = 128 };

struct text_encoder {
    struct weights *weights;
    const char *prefix; /* of the tensors' names */
    struct clip clip;
    size_t vocabulary, positions;
    /* The plan last used, for `n` prompts. */
    struct plan *plan;
    struct plan_options options;
    size_t n;
    struct value ids, hidden;
};

/* ==== The network ==== */

static struct value record(struct network *network, const struct text_encoder *encoder, struct value ids) {
    size_t c = encoder->clip.width;
    struct value x = plan_embed(network->plan, ids, weight(network, SHAPE(encoder->vocabulary, c), "embeddings.token_embedding.weight"),
                                weight(network, SHAPE(encoder->positions, c), "embeddings.position_embedding.weight"));
    x = clip_layers(network, x, &encoder->clip);
    return layer_norm(network, x, c, encoder->clip.epsilon, true, "final_layer_norm");
}

/* Record it for n prompts and, to `finish`, make the encoder's plan of it; else only see whether
 * everything is there. */
static bool make_plan(struct text_encoder *encoder, const struct plan_options *options, size_t n, bool finish, struct error *error) {
    struct network network = {.weights = encoder->weights, .prefix = encoder->prefix};
    if (!plan_create(options, &network.plan, error)) return false;
    struct value ids = plan_input_ids(network.plan, n, TOKENS), hidden = record(&network, encoder, ids);
    plan_keep(network.plan, hidden);
    bool made = finish ? network_finish(&network, hidden, 0, error) : network_check(&network, hidden, error);
    if (!made || !finish) {
        plan_free(network.plan);
        return made;
    }
    plan_free(encoder->plan);
    encoder->plan = network.plan;
    encoder->options = *options;
    encoder->n = n;
    encoder->ids = ids;
    encoder->hidden = hidden;
    return true;
}

/* ==== Opening ==== */

static bool read_config(const json_t *root, struct text_encoder *encoder, struct error *error) {
    encoder->vocabulary = 49408;
    encoder->positions = TOKENS;
    bool read = clip_config(root, &encoder->clip, error) &&
                config_size(root, "vocab_size", 1, VOCABULARY_MAX, &encoder->vocabulary, error) &&
                config_size(root, "max_position_embeddings", TOKENS, POSITIONS_MAX, &encoder->positions, error);
    encoder->clip.causal = true;
    return read;
}

/* Its config and its weights: from its folder, or from a single file that has all components. */
static bool open_source(const char *path, struct text_encoder *encoder, struct error *error) {
    json_t *root = NULL;
    bool single = weights_is_file(path);
    bool found = single ? weights_open_part(path, WEIGHTS_TEXT_ENCODER, &encoder->weights, error) &&
                              (root = derive_text_encoder_config(encoder->weights, error)) != NULL
                        : config_open(path, "config.json", &root, error);
    bool read = found && read_config(root, encoder, error);
    json_decref(root);
    return read && (single || weights_open_folder(path, "model", &encoder->weights, error));
}

static bool open_all(const char *path, struct text_encoder *encoder, struct error *error) {
    if (!open_source(path, encoder, error)) return false;
    bool older = weights_find(encoder->weights, "text_model.embeddings.token_embedding.weight") != NULL;
    encoder->prefix = older ? "text_model." : "";
    return make_plan(encoder, &(struct plan_options){.compute = DTYPE_F32}, 1, false, error);
}

bool text_encoder_open(const char *path, struct text_encoder **out, struct error *error) {
    struct text_encoder *encoder = memory_zero(sizeof *encoder);
    if (!encoder) return error_set(error, ERROR_MEMORY, "out of memory for the text encoder");
    if (!open_all(path, encoder, error)) {
        text_encoder_close(encoder);
        return error_context(error, "text encoder");
    }
    *out = encoder;
    return true;
}

void text_encoder_close(struct text_encoder *encoder) {
    if (!encoder) return;
    plan_free(encoder->plan);
    weights_close(encoder->weights);
    memory_free(encoder);
}

bool text_encoder_merge(struct text_encoder *encoder, struct lora *lora, double weight, struct pool *pool, struct error *error) {
    return lora_merge(lora, WEIGHTS_TEXT_ENCODER, encoder->weights, weight, pool, error);
}

bool text_encoder_is_open_clip(const struct text_encoder *encoder) { return weights_has_open_clip(encoder->weights); }
size_t text_encoder_width(const struct text_encoder *encoder) { return encoder->clip.width; }
const struct weights *text_encoder_weights(const struct text_encoder *encoder) { return encoder->weights; }
size_t text_encoder_bytes(const struct text_encoder *encoder) { return weights_bytes(encoder->weights); }

size_t text_encoder_working_bytes(const struct text_encoder *encoder) { return encoder->plan ? plan_memory(encoder->plan) : 0; }

/* ==== Running ==== */

static bool check_ids(const struct text_encoder *encoder, const int32_t *ids, size_t n, struct error *error) {
    if (n < 1 || n > PROMPTS_MAX) return error_set(error, ERROR_ARGUMENT, "%zu prompts at once: 1 to %d are possible", n, PROMPTS_MAX);
    for (size_t i = 0; i < n * TOKENS; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= encoder->vocabulary)
            return error_set(error, ERROR_ARGUMENT, "the text encoder has no token %d: its vocabulary ends at %zu", ids[i],
                             encoder->vocabulary - 1);
    return true;
}

bool text_encoder_run(struct text_encoder *encoder, const struct plan_options *options, const int32_t *ids, size_t n, float *hidden,
                      struct error *error) {
    if (!check_ids(encoder, ids, n, error)) return false;
    struct plan_options exact = *options;
    exact.compute = DTYPE_F32;
    bool ready = encoder->n == n && encoder->options.pool == exact.pool && encoder->options.packed == exact.packed;
    if (!ready && !make_plan(encoder, &exact, n, true, error)) return error_context(error, "text encoder");
    memcpy(plan_data(encoder->plan, encoder->ids), ids, n * TOKENS * sizeof *ids);
    plan_run(encoder->plan, 0);
    memcpy(hidden, plan_data(encoder->plan, encoder->hidden), n * TOKENS * encoder->clip.width * sizeof *hidden);
    return true;
}
