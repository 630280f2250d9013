#include "model/safety_checker.h"

#include "base/memory.h"
#include "model/clip.h"
#include "model/safety_image.h"

#include <math.h>
#include <string.h>

enum { SIDE_MAX = 1024, PATCH_MAX = 256, PROJECTION_MAX = 8192 };

struct safety_checker {
    struct weights *weights;
    struct safety_image image;
    struct clip clip;
    size_t side, patch;                                 /* pixels: of the picture, of one patch */
    size_t projection;                                  /* width of the embedding */
    const char *prefix;                                 /* of the vision encoder's tensors */
    const struct tensor *special, *concept;             /* [3, projection], [17, projection] */
    const struct tensor *special_limit, *concept_limit; /* [3], [17]: the cosines from which on */
    /* The plan last used. */
    struct plan *plan;
    struct plan_options options;
    struct value pixels, embedding;
};

/* ==== The network: pixels [1, side, side, 3] -> embedding [1, 1, 1, projection] ==== */

static struct value record(struct network *network, const struct safety_checker *checker, struct value pixels) {
    size_t c = checker->clip.width, p = checker->patch, positions = (checker->side / p) * (checker->side / p) + 1;
    struct value patches =
        plan_conv(network->plan, &(struct conv){.x = pixels,
                                                .weight = weight(network, SHAPE(c, 3, p, p), "embeddings.patch_embedding.weight"),
                                                .stride = (int)p,
                                                .wide = true});
    struct value x = plan_class_tokens(network->plan, patches, weight(network, SHAPE(c), "embeddings.class_embedding"),
                                       weight(network, SHAPE(positions, c), "embeddings.position_embedding.weight"));
    x = layer_norm(network, x, c, checker->clip.epsilon, true, "pre_layrnorm"); /* so spelt in the files */
    x = clip_layers(network, x, &checker->clip);
    x = layer_norm(network, plan_take_token(network->plan, x, 0), c, checker->clip.epsilon, false, "post_layernorm");
    network->prefix = "";
    return plan_linear(
        network->plan,
        &(struct linear){.x = x, .weight = {weight(network, SHAPE(checker->projection, c), "visual_projection.weight")}, .wide = true});
}

/* Record it and, to `finish`, make the checker's plan of it; else only see whether everything is there. */
static bool make_plan(struct safety_checker *checker, const struct plan_options *options, bool finish, struct error *error) {
    struct network network = {.weights = checker->weights, .prefix = checker->prefix};
    if (!plan_create(options, &network.plan, error)) return false;
    struct value pixels = plan_input(network.plan, 1, checker->side, checker->side, 3);
    struct value embedding = record(&network, checker, pixels);
    plan_keep(network.plan, embedding);
    bool made = finish ? network_finish(&network, embedding, 0, error) : network_check(&network, embedding, error);
    if (!made || !finish) {
        plan_free(network.plan);
        return made;
    }
    plan_free(checker->plan);
    checker->plan = network.plan;
    checker->options = *options;
    checker->pixels = pixels;
    checker->embedding = embedding;
    return true;
}

/* ==== Opening ==== */

static bool read_config(const json_t *root, struct safety_checker *checker, struct error *error) {
    const json_t *vision = json_object_get(root, "vision_config");
    if (!json_is_object(vision)) return error_set(error, ERROR_FORMAT, "config.json has no vision_config");
    checker->projection = 768;
    if (!clip_config(vision, &checker->clip, error) || !config_size(vision, "image_size", 16, SIDE_MAX, &checker->side, error) ||
        !config_size(vision, "patch_size", 4, PATCH_MAX, &checker->patch, error) ||
        !config_size(root, "projection_dim", 1, PROJECTION_MAX, &checker->projection, error))
        return false;
    if (checker->side % checker->patch != 0)
        return error_set(error, ERROR_FORMAT, "image_size %zu is no multiple of patch_size %zu", checker->side, checker->patch);
    if (checker->side != checker->image.side)
        return error_set(error, ERROR_FORMAT, "image_size is %zu, but the feature extractor cuts squares of %zu", checker->side,
                         checker->image.side);
    return true;
}

static bool find_concepts(struct safety_checker *checker, struct error *error) {
    struct network network = {.weights = checker->weights, .prefix = ""};
    checker->special = weight(&network, SHAPE(SAFETY_SPECIAL, checker->projection), "special_care_embeds");
    checker->concept = weight(&network, SHAPE(SAFETY_CONCEPTS, checker->projection), "concept_embeds");
    checker->special_limit = weight(&network, SHAPE(SAFETY_SPECIAL), "special_care_embeds_weights");
    checker->concept_limit = weight(&network, SHAPE(SAFETY_CONCEPTS), "concept_embeds_weights");
    return network.error.code == ERROR_NONE || error_set(error, network.error.code, "%s", network.error.message);
}

static bool open_all(const char *folder, const char *preprocessor, struct safety_checker *checker, struct error *error) {
    if (!safety_image_config(preprocessor, &checker->image, error)) return false;
    json_t *root;
    if (!config_open(folder, "config.json", &root, error)) return false;
    bool read = read_config(root, checker, error);
    json_decref(root);
    if (!read || !weights_open_folder(folder, "model", &checker->weights, error)) return false;
    bool older = weights_find(checker->weights, "vision_model.vision_model.pre_layrnorm.weight") != NULL;
    checker->prefix = older ? "vision_model.vision_model." : "vision_model.";
    return find_concepts(checker, error) && make_plan(checker, &(struct plan_options){.compute = DTYPE_F32}, false, error);
}

bool safety_checker_open(const char *folder, const char *preprocessor, struct safety_checker **out, struct error *error) {
    struct safety_checker *checker = memory_zero(sizeof *checker);
    if (!checker) return error_set(error, ERROR_MEMORY, "out of memory for the safety checker");
    if (!open_all(folder, preprocessor, checker, error)) {
        safety_checker_close(checker);
        return error_context(error, "safety checker");
    }
    *out = checker;
    return true;
}

void safety_checker_close(struct safety_checker *checker) {
    if (!checker) return;
    plan_free(checker->plan);
    weights_close(checker->weights);
    memory_free(checker);
}

const struct weights *safety_checker_weights(const struct safety_checker *checker) { return checker->weights; }
size_t safety_checker_bytes(const struct safety_checker *checker) { return weights_bytes(checker->weights); }

size_t safety_checker_working_bytes(const struct safety_checker *checker) { return checker->plan ? plan_memory(checker->plan) : 0; }
size_t safety_checker_side(const struct safety_checker *checker) { return checker->side; }
size_t safety_checker_width(const struct safety_checker *checker) { return checker->projection; }

bool safety_checker_pixels(const struct safety_checker *checker, const struct image *picture, float *pixels, struct error *error) {
    return safety_image_pixels(&checker->image, picture, pixels, error);
}

/* ==== Judging ==== */

/* cosines[i] of the embedding and row i. A zero vector has cosine 0. */
static void cosines(const struct tensor *rows, const float *embedding, float *cosine) {
    size_t count = rows->shape[0], width = rows->shape[1];
    for (size_t i = 0; i < count; i++) {
        double product = 0, length = 0, row_length = 0;
        for (size_t k = 0; k < width; k++) {
            float element;
            tensor_read_f32(rows, i * width + k, 1, &element);
            product += (double)embedding[k] * (double)element;
            length += (double)embedding[k] * (double)embedding[k];
            row_length += (double)element * (double)element;
        }
        cosine[i] = (float)(product / (fmax(sqrt(length), 1e-12) * fmax(sqrt(row_length), 1e-12)));
    }
}

/* Above its limit, to three decimals. */
static bool exceeds(float cosine, const struct tensor *limits, size_t i, double adjustment) {
    float limit;
    tensor_read_f32(limits, i, 1, &limit);
    return rint(((double)cosine - (double)limit + adjustment) * 1000) > 0;
}

/* Special care makes everything after it stricter. */
static void judge(const struct safety_checker *checker, const float *embedding, struct safety_result *result) {
    cosines(checker->special, embedding, result->special);
    cosines(checker->concept, embedding, result->concept);
    result->flagged = false;
    double adjustment = 0;
    for (size_t i = 0; i < SAFETY_SPECIAL; i++)
        if (exceeds(result->special[i], checker->special_limit, i, adjustment)) adjustment = 0.01;
    for (size_t i = 0; i < SAFETY_CONCEPTS; i++)
        if (exceeds(result->concept[i], checker -> concept_limit, i, adjustment)) result->flagged = true;
}

bool safety_checker_run(struct safety_checker *checker, const struct plan_options *options, const struct image *picture,
                        struct safety_result *result, float *embedding, struct error *error) {
    struct plan_options exact = *options;
    exact.compute = DTYPE_F32;
    bool ready = checker->plan && checker->options.pool == exact.pool && checker->options.packed == exact.packed;
    if (!ready && !make_plan(checker, &exact, true, error)) return error_context(error, "safety checker");
    if (!safety_checker_pixels(checker, picture, plan_data(checker->plan, checker->pixels), error)) return false;
    plan_run(checker->plan, 0);
    const float *made = plan_data(checker->plan, checker->embedding);
    judge(checker, made, result);
    if (embedding) memcpy(embedding, made, checker->projection * sizeof *made);
    return true;
}
