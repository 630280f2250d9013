/* Opening what --model names. */
#ifndef CLI_NAMED_MODEL_H
#define CLI_NAMED_MODEL_H

#include "base/error.h"
#include "inpaint.h"

/* A pulled model's name or a path; NULL with a sentence that also says how to get a model by that name. */
inpaint_model *named_model_open(const char *name, const inpaint_options *options, struct error *error);

#endif
