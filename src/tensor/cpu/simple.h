/* Operations with one implementation. Rows and samples as in kernel.h. */
#ifndef TENSOR_CPU_SIMPLE_H
#define TENSOR_CPU_SIMPLE_H

#include "tensor/kernel.h"

/* Copy a and b are those of `kind`. x and out have `rows` rows of c. */
void simple_map(const struct view *x, const struct view *out, size_t rows, size_t c, enum map_kind kind, float a, float b,
                struct pool *pool);
void simple_timestep_embed(const struct view *x, const struct view *out, size_t samples, size_t dim, bool flip, float shift);
/* positions [tokens][c]. Ids outside the table show its nearest row. */
void simple_embed(const struct view *ids, const struct view *out, size_t rows, size_t tokens, size_t c, const struct tensor *table,
                  const float *positions, struct pool *pool);
/* out: `rows` rows a sample, x one fewer. */
void simple_class_tokens(const struct view *x, const struct view *out, size_t samples, size_t rows, size_t c, const float *class_embedding,
                         const float *positions, struct pool *pool);
void simple_take_token(const struct view *x, const struct view *out, size_t samples, size_t x_rows, size_t index, size_t c,
                       struct pool *pool);

#endif
