/* The way from a photo and a mask to painted pictures: prepare, text, encode, denoise, decode,
 * check, composite. The algorithm is diffusers 0.6.0's StableDiffusionInpaintPipeline behind the
 * original predictor's preparation; see docs/architecture.md. */
#ifndef INPAINT_PIPELINE_H
#define INPAINT_PIPELINE_H

#include "inpaint/model.h"

/* What a test wants to see besides the pictures. */
struct pipeline_taps {
    float *final_latent; /* [count][4][h / 8][w / 8], before the division by the scaling factor; room for it */
};

/* inpaint_paint() without the lock; taps may be NULL. */
inpaint_result *pipeline_paint(struct inpaint_model *model, const inpaint_image *image, const inpaint_image *mask,
                               const inpaint_params *params, const struct pipeline_taps *taps, struct error *error);

#endif
