/* An opened model: the components of one checkpoint, and what is kept between pictures. */
#ifndef INPAINT_MODEL_H
#define INPAINT_MODEL_H

#include "base/pool.h"
#include "inpaint.h"
#include "model/safety_checker.h"
#include "model/text_encoder.h"
#include "model/unet.h"
#include "model/vae.h"
#include "sample/sampler.h"
#include "text/tokenizer.h"

#include <pthread.h>

struct inpaint_model {
    char name[64];
    struct tokenizer *tokenizer;
    struct text_encoder *text_encoder;
    struct unet *unet;
    struct vae *vae;
    struct safety_checker *safety_checker; /* NULL: none */
    struct sampler_config sampler;
    struct vae *decoder, *previewer; /* NULL: the vae; NULL: a linear map */
    int few_steps;                   /* what a LoRA for few steps wants; 0: nothing said */
    double few_guidance;

    struct pool *pool;
    struct packed_weights *packed;
    const unsigned char *ready; /* a packed file's weights in the kernels' layouts, mapped; NULL: none */
    size_t ready_size;
    struct plan_options options;

    int64_t (*clock)(void); /* of the stages' times: time_monotonic(), or for `bench` time_processor() */

    pthread_mutex_t mutex; /* one picture at a time */
    struct unet_run *run;  /* the UNet at the size last painted */
    struct unet_size run_size;
};

/* The UNet at `size`, kept from the last picture when it fits. NULL on failure. */
struct unet_run *model_unet_run(struct inpaint_model *model, const struct unet_size *size, size_t memory_limit, struct error *error);

/* Between the library's public error and ours, which hold the same things. */
void inpaint_error_from(struct inpaint_error *out, const struct error *error);

#endif
