/* StableDiffusionSafetyChecker: a CLIP vision encoder and cosine thresholds that lie in its weights. */
#ifndef MODEL_SAFETY_CHECKER_H
#define MODEL_SAFETY_CHECKER_H

#include "image/image.h"
#include "tensor/plan.h"

struct weights;
struct safety_checker;

/* folder: safety_checker/; preprocessor: feature_extractor/preprocessor_config.json, or NULL for
 * CLIP's defaults. */
bool safety_checker_open(const char *folder, const char *preprocessor, struct safety_checker **checker, struct error *error);
void safety_checker_close(struct safety_checker *checker);
const struct weights *safety_checker_weights(const struct safety_checker *checker); /* as they are in the file */
size_t safety_checker_bytes(const struct safety_checker *checker);
size_t safety_checker_working_bytes(const struct safety_checker *checker); /* of the plans kept */

/* What the feature extractor makes of a picture: [side][side][3] f32, channels last. */
size_t safety_checker_side(const struct safety_checker *checker);
bool safety_checker_pixels(const struct safety_checker *checker, const struct image *picture, float *pixels, struct error *error);

enum { SAFETY_SPECIAL = 3, SAFETY_CONCEPTS = 17 };
struct safety_result {
    bool flagged;
    float special[SAFETY_SPECIAL], concept[SAFETY_CONCEPTS]; /* cosines */
};
/* Check one picture (RGB). embedding: [projection width] or NULL. Always computed in f32. */
bool safety_checker_run(struct safety_checker *checker, const struct plan_options *options, const struct image *picture,
                        struct safety_result *result, float *embedding, struct error *error);
size_t safety_checker_width(const struct safety_checker *checker); /* of the embedding */

#endif
