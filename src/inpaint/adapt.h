/* What is put on a checkpoint when it is opened: LoRAs, a sampler, other decoders. */
#ifndef INPAINT_ADAPT_H
#define INPAINT_ADAPT_H

#include "inpaint/model.h"

/* After the components and the pool are there, before anything is packed. */
bool adapt_model(struct inpaint_model *model, const inpaint_options *options, struct error *error);

const char *adapt_sampler_name(const struct sampler_config *sampler);

#endif
