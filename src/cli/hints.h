/* A model's own advice, in hints.json beside its weights: the defaults of the web page and of
 * `paint` follow it.
 *
 *   {"size": 256, "input": {"num_inference_steps": 20, "guidance_scale": 4}, "words": ["a red apple"]}
 *
 * size: pixels of a side that it paints best at; input: defaults of the input's fields; words: what it
 * can paint, when that is a short list. All of it may be left out. */
#ifndef CLI_HINTS_H
#define CLI_HINTS_H

#include "base/error.h"

/* The JSON object in `model`/hints.json as a new heap string, or NULL: there is none, or it can't be
 * used, which is logged. Free with memory_free(). */
char *hints_read(const char *model);

/* The number that hints (what hints_read() gave, or NULL) advise for an input, if it lies within
 * minimum and maximum; else `otherwise`. */
double hints_number(const char *hints, const char *input, double minimum, double maximum, double otherwise);

#endif
