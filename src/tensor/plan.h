/* A plan: the recorded computation of one network at one size.
 *
 * Model code *records* operations; nothing runs while it does. plan_finish() then knows every
 * lifetime: it gives all values places in one block of memory, converts and packs each weight
 * once (shared with other plans through `struct packed_weights`), and picks a kernel for each
 * operation. plan_run() only computes: it allocates nothing and can't fail.
 *
 * Values are activations, channels last: [n, h, w, c]. A sequence of tokens is [n, 1, tokens, c].
 * In an f32 plan every value is f32. In a bf16 plan a value is bf16 unless `.wide` asks for f32
 * (use it for the residual stream and for what leaves the network).
 *
 * Broadcast over samples: where an operand has fewer samples than the result, sample i of the
 * result uses sample i % n of the operand (guidance halves that still are the same are computed
 * once). Attention's keys and values are the exception: see there.
 *
 * Sections: operations are recorded into the section last begun, and each section runs on its own.
 * A value read in another section than the one that wrote it keeps its memory for the plan's life,
 * so "once per prompt" and "once per step" are two sections of one plan.
 *
 * Errors while recording stick to the plan and come out of plan_finish(): model code need not check
 * each call. Weights are views into mapped files, which must outlive the plan.
 *
 * A plan is used by one thread at a time; different plans by different threads are fine as long as
 * each has its own pool. */
#ifndef TENSOR_PLAN_H
#define TENSOR_PLAN_H

#include "base/error.h"
#include "base/pool.h"
#include "tensor/tensor.h"

#include <jansson.h>
#include <stdint.h>

struct plan;
struct packed_weights; /* cache of weights in the kernels' layouts; thread-safe */

struct value {
    int index; /* 0 or less: none, so that fields left out of a struct mean "no operand" */
};
#define VALUE_NONE ((struct value){-1})

struct plan_options {
    enum dtype compute;            /* DTYPE_F32 or DTYPE_BF16 */
    struct pool *pool;             /* threads to run on; outlives the plan */
    struct packed_weights *packed; /* outlives the plan */
};

/* Weights are known in it by the address of their data, which must stay what it is as long as the
 * cache lives. */
struct packed_weights *packed_weights_create(struct error *error);
void packed_weights_free(struct packed_weights *packed);          /* after every plan that uses it */
size_t packed_weights_bytes(const struct packed_weights *packed); /* of memory; not what lies in a packed file */

/* Packed files (docs/packed-format.md) keep weights in the kernels' layouts, so that a start need not
 * pack. Plain weights are known there by the name of a region, in which they lie, and their place in it. */
void packed_weights_region(struct packed_weights *packed, const char *name, const void *first, size_t size);
/* Everything packed so far from weights in regions: its bytes through write(), one after the other, and
 * *index, which says what they are (json_decref() it). */
typedef bool packed_write(void *user, const void *data, size_t length, struct error *error);
bool packed_weights_save(struct packed_weights *packed, packed_write *write, void *user, json_t **index, struct error *error);
/* What packed_weights_save() wrote, mapped (it must outlive the cache) and checked: ERROR_FORMAT. Kernels
 * that want another layout than is there pack for themselves, and say so. */
bool packed_weights_load(struct packed_weights *packed, const json_t *index, const unsigned char *data, size_t size, struct error *error);
size_t packed_weights_ready_bytes(const struct packed_weights *packed);

bool plan_create(const struct plan_options *options, struct plan **plan, struct error *error);
void plan_free(struct plan *plan);

/* Assign memory, pack weights, choose kernels. memory_limit: bytes of activations and scratch
 * allowed, 0 = no limit; above it ERROR_MEMORY with a sentence that names both figures. Returns
 * the first recording error, if there was one. */
bool plan_finish(struct plan *plan, size_t memory_limit, struct error *error);

/* Before plan_finish(): what to call, from any thread, whenever a weight has been packed, so that the pages of its numbers can be
 * given back at once and not only when all is packed. */
typedef void plan_packed(const void *user, const void *data, size_t bytes);
void plan_when_packed(struct plan *plan, plan_packed *function, const void *user);

/* Begin a section (see above). Section 0 has begun when the plan is created. */
int plan_section(struct plan *plan);
void plan_run(struct plan *plan, int section);

/* Facts, after plan_finish(). */
size_t plan_memory(const struct plan *plan); /* bytes of values and scratch */
double plan_multiply_adds(const struct plan *plan, int section);
/* Per-operation times for `bench`: NULL-terminated walk. name: "conv 3x3 320->320 64x64 (kernel)". */
struct plan_timing {
    const char *name;
    double seconds;       /* summed over runs since plan_timing_start() */
    double multiply_adds; /* of one run */
    size_t runs;
};
/* clock: time_monotonic(), or time_processor() where other programs are in the way; NULL: no more. */
typedef int64_t plan_clock(void);
void plan_timing_start(struct plan *plan, plan_clock *clock);
const struct plan_timing *plan_timing(const struct plan *plan, int section, size_t *count);

/* ---- shapes and memory ---- */

/* An operand that the caller fills before running, through plan_data(). Always f32 (or i32). */
struct value plan_input(struct plan *plan, size_t n, size_t h, size_t w, size_t c);
struct value plan_input_ids(struct plan *plan, size_t n, size_t tokens); /* i32 [n, 1, tokens, 1] */
/* Keep a value's memory untouched to the end of its section and make it readable through plan_data(). */
void plan_keep(struct plan *plan, struct value value);
/* Contiguous memory of an input or a kept value (dtype: plan_dtype()); after plan_finish(). */
void *plan_data(struct plan *plan, struct value value);
enum dtype plan_dtype(const struct plan *plan, struct value value);
/* [n, h, w, c] of a value, valid while recording too (zeros after a recording error). */
void plan_shape(const struct plan *plan, struct value value, size_t shape[4]);

/* Channels [first, first + count) of a value: a view, nothing is copied. */
struct value plan_channels(struct plan *plan, struct value x, size_t first, size_t count);
/* The same memory seen as tokens [n, 1, h * w, c], and back as a picture [n, h, w, c] with h * w tokens. */
struct value plan_tokens(struct plan *plan, struct value x);
struct value plan_picture(struct plan *plan, struct value x, size_t h, size_t w);
/* Token `index` of each sample: [n, 1, 1, c], a copy. */
struct value plan_take_token(struct plan *plan, struct value x, size_t index);

/* ---- operations ---- */

enum activation { ACT_NONE, ACT_SILU, ACT_GELU /* exact, erf */, ACT_QUICK_GELU /* x * sigmoid(1.702 x) */, ACT_RELU };

/* out = act(conv(concat(x, x2)) + bias + per_sample + residual).
 * weight: [c_out, c_in, kh, kw] (OIHW), or [c_out, c_in] for a 1x1. */
struct conv {
    struct value x;  /* [n, h, w, c] */
    struct value x2; /* optional skip connection [n2, h, w, c2], after x's channels */
    const struct tensor *weight;
    const struct tensor *bias; /* optional [c_out] */
    size_t weight_first;       /* use input channels [weight_first, + c + c2) of a wider weight (0 = from the start) */
    struct value per_sample;   /* optional [n or 1, 1, 1, c_out] (time embedding) */
    struct value residual;     /* optional [n or fewer, h_out, w_out, c_out] */
    int stride;                /* 0 means 1 */
    int pad_top, pad_left, pad_bottom, pad_right;
    size_t upsample_h, upsample_w; /* > 0: the input is first enlarged to this (nearest: source = floor(i * in / out)) */
    enum activation act;
    bool wide;
};
struct value plan_conv(struct plan *plan, const struct conv *conv);

/* GroupNorm over (h, w, c / groups) of concat(x, x2), then SiLU if asked. */
struct group_norm {
    struct value x, x2;                /* x2 optional */
    const struct tensor *gamma, *beta; /* [c + c2] */
    size_t groups;
    float epsilon;
    bool silu;
};
struct value plan_group_norm(struct plan *plan, const struct group_norm *norm);

/* LayerNorm over c. */
struct layer_norm {
    struct value x;
    const struct tensor *gamma, *beta; /* [c] */
    float epsilon;
    bool wide;
};
struct value plan_layer_norm(struct plan *plan, const struct layer_norm *norm);

/* out = act(x W^T + bias + residual) for each position. Up to three weights [c_out_i, c_in] (or
 * [c_out_i, c_in, 1, 1]) are applied in one go, their results side by side in the channels. */
enum { LINEAR_WEIGHTS_MAX = 3 };
struct linear {
    struct value x;
    const struct tensor *weight[LINEAR_WEIGHTS_MAX]; /* unused ones NULL */
    const struct tensor *bias[LINEAR_WEIGHTS_MAX];   /* each optional */
    struct value residual;                           /* optional */
    enum activation act;
    bool geglu; /* one weight [2 c_out, c_in]: rows [0, c_out) the value, the rest the gate; out = value * gelu(gate) */
    bool wide;
};
struct value plan_linear(struct plan *plan, const struct linear *linear);

/* softmax(q k^T / sqrt(c / heads)) v, head by head; the matrix is never held in whole.
 * q [nq, 1, tq, c], k and v [nk, 1, tk, c]: views of a wider value are fine.
 * Result [samples, 1, tq, c]; samples 0 means max(nq, nk). Sample i uses query sample i % nq and
 * key/value sample i / (samples / nk), so that the keys of [unguided, guided] prompts serve any
 * number of outputs laid out as [unguided outputs..., guided outputs...]. */
struct attention {
    struct value q, k, v;
    size_t samples;
    size_t heads;
    bool causal;
};
struct value plan_attention(struct plan *plan, const struct attention *attention);

/* The next two begin a stream and are f32 in every plan; class tokens and taken tokens are of their
 * input's dtype. */
/* Sinusoidal embedding of x [n, 1, 1, 1] -> [n, 1, 1, dim], exponent -ln(10000) * i / (dim / 2 - shift);
 * cosines first when flip. */
struct value plan_timestep_embed(struct plan *plan, struct value x, size_t dim, bool flip, float shift);

/* table [vocab, c] rows by ids [n, 1, t, 1], plus positions [>= t, c]. */
struct value plan_embed(struct plan *plan, struct value ids, const struct tensor *table, const struct tensor *positions);
/* [n, h, w, c] patches -> [n, 1, 1 + h w, c]: class_embedding [c] in front, positions [1 + h w, c] added. */
struct value plan_class_tokens(struct plan *plan, struct value patches, const struct tensor *class_embedding,
                               const struct tensor *positions);

/* Element by element. */
enum map_kind {
    MAP_SCALE_SHIFT, /* a x + b */
    MAP_SOFT_CLAMP,  /* a tanh(x / a) */
    MAP_SILU,
    MAP_CLAMP /* to [a, b] */
};
struct value plan_map(struct plan *plan, struct value x, enum map_kind kind, float a, float b, bool wide);

#endif
