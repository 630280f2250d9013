/* What a kernel is: one row in the list of an operation's implementations.
 *
 * Lists are ordered best first and end with plain C (`ref`), which accepts everything. At
 * plan_finish() the first row whose accepts() returns NULL is taken; a refusal is a sentence
 * (INPAINT_TRACE=dispatch prints it). INPAINT_FORCE=conv:ref,linear:onednn prefers rows by name
 * wherever they accept; INPAINT_ISA=plain|avx2|avx512|avx512bf16|amx caps what the processor is said to have.
 *
 * All matrices are rows of channels: element (row, column) of a view is data[row * stride + column].
 * A row is one position; rows go sample by sample. Kernels may not depend on the number of
 * threads for their result. */
#ifndef TENSOR_KERNEL_H
#define TENSOR_KERNEL_H

#include "tensor/plan.h"

struct view {
    void *data;       /* NULL: no such operand */
    enum dtype dtype; /* F32 or BF16 */
    size_t stride;    /* elements from one row to the next */
    size_t samples;   /* broadcast: sample i uses i % samples */
};

/* What is known when the kernel is chosen and the weight packed. */
struct linear_shape {
    size_t samples, rows; /* rows per sample; the product has samples * rows rows */
    size_t in, in2,
        out; /* in2: columns of the second input, concatenated after the first; 0 = none. geglu: out is the width of the result */
    size_t x_stride, x2_stride; /* elements from row to row; 0 = no second input */
    enum dtype x_dtype, x2_dtype, out_dtype, compute;
    enum activation act;
    bool geglu, has_bias, has_residual, has_per_sample;
    int weights;
    const struct tensor *weight[LINEAR_WEIGHTS_MAX]; /* each [out_i, total_in(, 1, 1)] */
    size_t weight_first;                             /* input columns used begin here */
};
struct linear_operands {
    struct view x, x2, out, residual, per_sample; /* per_sample: one row a sample, f32 */
    const float *bias;                            /* [out] ([2 out] for geglu), contiguous, or NULL */
    const void *weight;                           /* as pack() left it */
    void *scratch;                                /* scratch() bytes, 64-aligned */
};
struct linear_kernel {
    const char *name;
    const char *(*accepts)(const struct linear_shape *shape);
    size_t (*packed_size)(const struct linear_shape *shape);
    /* key: rows with equal layout share packed weights when this text is equal */
    const char *layout;
    void (*pack)(const struct linear_shape *shape, void *packed); /* called from any thread */
    size_t (*scratch)(const struct linear_shape *shape, size_t threads);
    /* optional per-operation state (library primitives); NULL when not needed */
    bool (*prepare)(const struct linear_shape *shape, size_t threads, void **state, struct error *error);
    void (*release)(void *state);
    void (*run)(const struct linear_shape *shape, const struct linear_operands *operands, void *state, struct pool *pool);
    /* Optional, all four: where only the state knows, in place of scratch, packed_size, layout and pack. */
    size_t (*state_scratch)(const void *state);
    size_t (*state_packed_size)(const void *state);
    void (*state_layout)(const void *state, char *text, size_t size);
    void (*state_pack)(const struct linear_shape *shape, const void *state, void *packed);
};

struct conv_shape {
    size_t samples, h, w; /* of the stored input */
    size_t up_h, up_w;    /* of the input that the convolution sees: h, w unless upsampled */
    size_t c, c2, out;    /* c2: channels of the second input */
    size_t out_h, out_w, kh, kw;
    size_t stride, pad_top, pad_left;
    size_t x_stride, x2_stride; /* elements from pixel to pixel; 0 = no second input */
    enum dtype x_dtype, x2_dtype, out_dtype, compute;
    enum activation act;
    bool has_bias, has_residual, has_per_sample;
    const struct tensor *weight; /* [out, weight_in, kh, kw] */
    size_t weight_first;
};
struct conv_operands {
    struct view x, x2, out, residual, per_sample;
    const float *bias;
    const void *weight;
    void *scratch;
};
struct conv_kernel {
    const char *name;
    const char *(*accepts)(const struct conv_shape *shape);
    size_t (*packed_size)(const struct conv_shape *shape);
    const char *layout;
    void (*pack)(const struct conv_shape *shape, void *packed);
    size_t (*scratch)(const struct conv_shape *shape, size_t threads);
    bool (*prepare)(const struct conv_shape *shape, size_t threads, void **state, struct error *error);
    void (*release)(void *state);
    void (*run)(const struct conv_shape *shape, const struct conv_operands *operands, void *state, struct pool *pool);
    size_t (*state_scratch)(const void *state); /* optional, as above */
    size_t (*state_packed_size)(const void *state);
    void (*state_layout)(const void *state, char *text, size_t size);
    void (*state_pack)(const struct conv_shape *shape, const void *state, void *packed);
};
/* The stored row or column that position i of an input enlarged from `in` to `out` shows. In f32, as PyTorch does. */
size_t upsample_source(size_t i, size_t in, size_t out);

struct attention_shape {
    size_t samples, q_samples, k_samples, q_tokens, k_tokens, heads, head_width;
    enum dtype dtype, compute; /* of q, k, v and the result; what the products may be computed in */
    bool causal;
};
struct attention_operands {
    struct view q, k, v, out; /* rows are tokens */
    void *scratch;
};
struct attention_kernel {
    const char *name;
    const char *(*accepts)(const struct attention_shape *shape);
    size_t (*scratch)(const struct attention_shape *shape, size_t threads);
    void (*run)(const struct attention_shape *shape, const struct attention_operands *operands, struct pool *pool);
};

struct group_norm_shape {
    size_t samples, rows; /* rows per sample */
    size_t c, c2, groups; /* groups divides c + c2; one may straddle the border */
    float epsilon;
    bool silu;
    enum dtype x_dtype, x2_dtype, out_dtype;
};
struct group_norm_operands {
    struct view x, x2, out;
    const float *gamma, *beta; /* [c + c2] */
    void *scratch;
};
struct group_norm_kernel {
    const char *name;
    const char *(*accepts)(const struct group_norm_shape *shape);
    size_t (*scratch)(const struct group_norm_shape *shape, size_t threads);
    void (*run)(const struct group_norm_shape *shape, const struct group_norm_operands *operands, struct pool *pool);
};

struct layer_norm_shape {
    size_t rows, c; /* all rows of all samples */
    float epsilon;
    enum dtype x_dtype, out_dtype;
};
struct layer_norm_operands {
    struct view x, out;
    const float *gamma, *beta; /* [c] */
};
struct layer_norm_kernel {
    const char *name;
    const char *(*accepts)(const struct layer_norm_shape *shape);
    void (*run)(const struct layer_norm_shape *shape, const struct layer_norm_operands *operands, struct pool *pool);
};

/* The lists, NULL-terminated; cpu/list.c holds them. */
extern const struct linear_kernel *const linear_kernels[];
extern const struct conv_kernel *const conv_kernels[];
extern const struct attention_kernel *const attention_kernels[];
extern const struct group_norm_kernel *const group_norm_kernels[];
extern const struct layer_norm_kernel *const layer_norm_kernels[];

/* What the processor has, capped by INPAINT_ISA. */
enum isa { ISA_PLAIN, ISA_AVX2, ISA_AVX512, ISA_AVX512BF16, ISA_AMX };
enum isa isa_available(void);

#endif
