#include "tensor/cpu/onednn.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* ---- OpenMP ---- */

/* <omp.h> belongs to one compiler; the library belongs to oneDNN. */
extern int omp_get_max_threads(void);
extern void omp_set_num_threads(int threads);

int onednn_begin(void) {
    int before = omp_get_max_threads();
    if (before != 1) omp_set_num_threads(1);
    return before;
}

void onednn_end(int before) {
    if (before != 1) omp_set_num_threads(before);
}

bool onednn_failed(struct error *error, const char *what) {
    return error_set(error, ERROR_MEMORY, "oneDNN can't make a %s: probably out of memory", what);
}

/* ---- primitives ---- */

static bool append_activation(dnnl_post_ops_t post_ops, enum activation act) {
    switch (act) {
    case ACT_NONE:
        return true;
    case ACT_SILU:
        return dnnl_post_ops_append_eltwise(post_ops, 1, dnnl_eltwise_swish, 1, 0) == dnnl_success;
    case ACT_QUICK_GELU:
        return dnnl_post_ops_append_eltwise(post_ops, 1, dnnl_eltwise_swish, 1.702f, 0) == dnnl_success;
    case ACT_GELU:
        return dnnl_post_ops_append_eltwise(post_ops, 1, dnnl_eltwise_gelu_erf, 0, 0) == dnnl_success;
    case ACT_RELU:
        return dnnl_post_ops_append_eltwise(post_ops, 1, dnnl_eltwise_relu, 0, 0) == dnnl_success;
    }
    return false;
}

static bool describe(const struct onednn_description *description, dnnl_primitive_attr_t attributes, dnnl_post_ops_t post_ops) {
    if (description->sum && dnnl_post_ops_append_sum(post_ops, 1) != dnnl_success) return false;
    return append_activation(post_ops, description->act) && dnnl_primitive_attr_set_post_ops(attributes, post_ops) == dnnl_success &&
           dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user) == dnnl_success;
}

/* NULL where oneDNN has no fast way. */
static dnnl_primitive_desc_t create_desc(dnnl_engine_t engine, const struct onednn_description *description) {
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t post_ops = NULL;
    dnnl_primitive_desc_t desc = NULL;
    if (dnnl_primitive_attr_create(&attributes) == dnnl_success && dnnl_post_ops_create(&post_ops) == dnnl_success &&
        describe(description, attributes, post_ops) &&
        dnnl_primitive_desc_create(&desc, description->operation, attributes, engine, NULL) != dnnl_success)
        desc = NULL;
    if (post_ops) dnnl_post_ops_destroy(post_ops);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    const char *name = NULL;
    if (!desc) return NULL;
    if (dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name) == dnnl_success && !strstr(name, "ref")) return desc;
    dnnl_primitive_desc_destroy(desc);
    return NULL;
}

bool onednn_try(dnnl_engine_t engine, const struct onednn_description *description, dnnl_memory_desc_t *weights) {
    dnnl_primitive_desc_t desc = create_desc(engine, description);
    if (!desc) return false;
    const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    if (found) *weights = *found;
    dnnl_primitive_desc_destroy(desc);
    return found != NULL && onednn_layout_known(weights);
}

static bool create_arguments(dnnl_engine_t engine, const struct onednn_description *description, const dnnl_memory_desc_t *scratchpad,
                             struct onednn_arguments *made) {
    return dnnl_memory_create(&made->src, description->src, engine, DNNL_MEMORY_NONE) == dnnl_success &&
           dnnl_memory_create(&made->dst, description->dst, engine, DNNL_MEMORY_NONE) == dnnl_success &&
           (!description->bias || dnnl_memory_create(&made->bias, description->bias, engine, DNNL_MEMORY_NONE) == dnnl_success) &&
           dnnl_memory_create(&made->scratchpad, scratchpad, engine, DNNL_MEMORY_NONE) == dnnl_success;
}

bool onednn_primitive_create(dnnl_engine_t engine, size_t threads, const struct onednn_description *description,
                             struct onednn_primitive *made, struct error *error) {
    made->arguments = memory_array(threads, sizeof *made->arguments);
    dnnl_primitive_desc_t desc = made->arguments ? create_desc(engine, description) : NULL;
    if (!desc) return onednn_failed(error, "primitive");
    made->threads = threads;
    made->weights = *dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    const dnnl_memory_desc_t *scratchpad = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    made->scratchpad = dnnl_memory_desc_get_size(scratchpad);
    bool fine = dnnl_primitive_create(&made->primitive, desc) == dnnl_success;
    for (size_t i = 0; i < threads && fine; i++) fine = create_arguments(engine, description, scratchpad, &made->arguments[i]);
    dnnl_primitive_desc_destroy(desc);
    return fine || onednn_failed(error, "primitive");
}

static void free_memory(dnnl_memory_t memory) {
    if (memory) dnnl_memory_destroy(memory);
}

void onednn_primitive_free(struct onednn_primitive *primitive) {
    for (size_t i = 0; primitive->arguments && i < primitive->threads; i++) {
        free_memory(primitive->arguments[i].src);
        free_memory(primitive->arguments[i].bias);
        free_memory(primitive->arguments[i].dst);
        free_memory(primitive->arguments[i].scratchpad);
    }
    memory_free(primitive->arguments);
    if (primitive->primitive) dnnl_primitive_destroy(primitive->primitive);
    *primitive = (struct onednn_primitive){.primitive = NULL};
}

static void point(dnnl_memory_t memory, const void *data) { dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)data); }

/* Execution itself makes a small table on the heap, which is oneDNN's affair. */
void onednn_execute(const struct onednn_primitive *primitive, dnnl_stream_t stream, size_t thread, dnnl_memory_t weights,
                    const struct onednn_pointers *pointers) {
    const struct onednn_arguments *arguments = &primitive->arguments[thread];
    point(arguments->src, pointers->src);
    point(arguments->dst, pointers->dst);
    point(arguments->scratchpad, pointers->scratchpad);
    dnnl_exec_arg_t list[5] = {{DNNL_ARG_SRC, arguments->src},
                               {DNNL_ARG_WEIGHTS, weights},
                               {DNNL_ARG_DST, arguments->dst},
                               {DNNL_ARG_SCRATCHPAD, arguments->scratchpad}};
    int count = 4;
    if (arguments->bias) {
        point(arguments->bias, pointers->bias);
        list[count++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, arguments->bias};
    }
    dnnl_primitive_execute(primitive->primitive, stream, count, list);
}

/* ---- weights ---- */

bool onednn_layout_known(const dnnl_memory_desc_t *weights) {
    return weights->format_kind == dnnl_blocked && weights->extra.flags == 0 && weights->offset0 == 0;
}

void onednn_layout_text(const dnnl_memory_desc_t *weights, char *text, size_t size) {
    const dnnl_blocking_desc_t *blocking = &weights->format_desc.blocking;
    size_t length = strlen(text);
    int dimensions = weights->ndims, blocks = blocking->inner_nblks;
    length += (size_t)snprintf(text + length, size - length, " type %d", (int)weights->data_type);
    for (int i = 0; i < dimensions && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, " %lld:%lld", (long long)weights->padded_dims[i],
                                   (long long)blocking->strides[i]);
    for (int i = 0; i < blocks && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, " %lldx%lld", (long long)blocking->inner_idxs[i],
                                   (long long)blocking->inner_blks[i]);
}

/* Blocked layouts are sums of one term a dimension: the outer block's, and each inner block's. */
size_t onednn_offset(const dnnl_memory_desc_t *weights, int dimension, size_t position) {
    const dnnl_blocking_desc_t *blocking = &weights->format_desc.blocking;
    size_t offset = 0, stride = 1;
    for (int i = blocking->inner_nblks - 1; i >= 0; i--) {
        size_t block = (size_t)blocking->inner_blks[i];
        if (blocking->inner_idxs[i] == dimension) {
            offset += position % block * stride;
            position /= block;
        }
        stride *= block;
    }
    return offset + position * (size_t)blocking->strides[dimension];
}

void onednn_scatter(const dnnl_memory_desc_t *weights, void *packed, size_t first, const size_t *offset, const float *value, size_t count) {
    if (weights->data_type == dnnl_bf16) {
        uint16_t *to = (uint16_t *)packed + first;
        for (size_t i = 0; i < count; i++) to[offset[i]] = bf16_from_f32(value[i]);
    } else {
        float *to = (float *)packed + first;
        for (size_t i = 0; i < count; i++) to[offset[i]] = value[i];
    }
}

void onednn_point_weights(dnnl_memory_t memory, const void *packed) {
    void *shown = NULL;
    /* Setting a handle writes zeros into a layout's padding, where there are zeros already: once is enough. */
    if (dnnl_memory_get_data_handle(memory, &shown) != dnnl_success || shown != packed) point(memory, packed);
}
