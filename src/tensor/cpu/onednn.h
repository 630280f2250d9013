/* oneDNN primitives as the parts of our own tasks.
 *
 * Work is cut into pieces by the shape alone, each piece is one primitive's work, and each runs on
 * one thread of our pool. So results do not depend on the number of threads, and oneDNN's OpenMP
 * never starts threads of its own, which would spin on the cores that the next operation wants. */
#ifndef TENSOR_CPU_ONEDNN_H
#define TENSOR_CPU_ONEDNN_H

#include "tensor/kernel.h"

#include <oneapi/dnnl/dnnl.h>

/* oneDNN cuts its work for as many threads as OpenMP says: one, from begin to end, on this thread. */
int onednn_begin(void);
void onednn_end(int before);

/* What each of a pool's threads passes to one primitive. */
struct onednn_arguments {
    dnnl_memory_t src, bias, dst, scratchpad;
};
struct onednn_primitive {
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t weights;
    struct onednn_arguments *arguments; /* [threads] */
    size_t scratchpad;                  /* bytes */
    size_t threads;
};

/* The parts of an attribute and of a description that we use. */
struct onednn_description {
    const void *operation;         /* dnnl_matmul_desc_t or dnnl_convolution_desc_t */
    bool sum;                      /* dst += instead of = */
    enum activation act;           /* applied last */
    const dnnl_memory_desc_t *src; /* of the arguments; bias NULL: none */
    const dnnl_memory_desc_t *bias;
    const dnnl_memory_desc_t *dst;
};

/* Can oneDNN do it well (not by its plain loops)? On success *weights is the layout it wants. */
bool onednn_try(dnnl_engine_t engine, const struct onednn_description *description, dnnl_memory_desc_t *weights);
bool onednn_primitive_create(dnnl_engine_t engine, size_t threads, const struct onednn_description *description,
                             struct onednn_primitive *made, struct error *error);
void onednn_primitive_free(struct onednn_primitive *primitive);

struct onednn_pointers {
    const void *src, *bias;
    void *dst, *scratchpad;
};
void onednn_execute(const struct onednn_primitive *primitive, dnnl_stream_t stream, size_t thread, dnnl_memory_t weights,
                    const struct onednn_pointers *pointers);

bool onednn_failed(struct error *error, const char *what); /* ERROR_MEMORY; returns false */

/* ---- weights ---- */

/* Is this a layout that onednn_pack() can write? */
bool onednn_layout_known(const dnnl_memory_desc_t *weights);
/* A text that is equal for equal layouts; appended to what text holds. */
void onednn_layout_text(const dnnl_memory_desc_t *weights, char *text, size_t size);
/* Where position `position` along a dimension lies, in elements; an element's place is the sum over
 * its dimensions. What no element fills must be 0. */
size_t onednn_offset(const dnnl_memory_desc_t *weights, int dimension, size_t position);
enum { ONEDNN_CHUNK = 256 }; /* numbers to read at a time while packing */
/* Write count numbers at first + offset[i] elements, in the layout's type. */
void onednn_scatter(const dnnl_memory_desc_t *weights, void *packed, size_t first, const size_t *offset, const float *value, size_t count);
/* Let a memory object show packed weights. */
void onednn_point_weights(dnnl_memory_t memory, const void *packed);

#endif
