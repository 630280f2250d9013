/* The matrix product under linear layers, convolutions and their kin: a block of rows times one
 * panel of packed weights, and what is done to the sums before they are stored.
 *
 * Depth is counted in units of four bytes: one f32, or two bf16. A panel holds 64 columns (the last
 * one fewer: whole vectors) as [depth][columns], so that a unit of a row meets all columns of the
 * panel in one multiply-add a vector. Rows need no packing: each is given by a pointer for every
 * segment of the depth, which is how a convolution's patches are read straight from the picture. */
#ifndef TENSOR_CPU_GEMM_H
#define TENSOR_CPU_GEMM_H

#include "tensor/kernel.h"

enum {
    GEMM_PANEL = 64,       /* columns, at most */
    GEMM_TILE_ROWS = 6,    /* rows whose sums stay in registers */
    GEMM_UNITS = 1024,     /* depth after which sums go through memory: 256 KB of a panel, which stay in the L2 cache */
    GEMM_BLOCK_ROWS = 384, /* about so many rows a task */
    GEMM_UNIT_BYTES = 4,
    GEMM_TAPS_MAX = 512, /* of a kernel that gemm_pack() takes */
};

/* Row r's units in segment s begin at row[s * capacity + r]; there are units[s % parts] of them. */
struct gemm_rows {
    const unsigned char *const *row;
    size_t capacity, segments, parts, units[2];
};

/* result = act(sums + bias + per_sample + residual), or value * gelu(gate). Absent operands have data NULL. */
struct gemm_finish {
    const float *bias;
    struct view per_sample, residual, out;
    size_t rows;    /* of a sample */
    size_t columns; /* of the result: where the gates' biases begin */
    enum activation act;
    bool geglu; /* panels hold 32 values, then their 32 gates */
};

struct gemm_block {
    struct gemm_rows a;
    size_t rows;
    const unsigned char *panel;
    size_t panel_columns; /* a multiple of 16 */
    /* [rows][panel_columns]: where the sums are gathered; with `finish` and a depth of no more than
     * GEMM_UNITS, GEMM_TILE_ROWS rows are enough */
    float *sums;
    const struct gemm_finish *finish;        /* NULL: leave the sums where they are */
    size_t first_row, first_column, columns; /* of the result that the block makes */
};

static inline size_t segment_units(const struct gemm_rows *a, size_t segment) { return a->units[a->parts == 2 ? segment & 1 : 0]; }
static inline size_t gemm_depth(const struct gemm_rows *a) {
    size_t depth = 0;
    for (size_t i = 0; i < a->parts; i++) depth += a->units[i] * (a->segments / a->parts);
    return depth;
}
/* Rows of the `sums` of a block of `rows` rows. */
static inline size_t gemm_sum_rows(size_t depth, size_t rows) { return depth > GEMM_UNITS ? rows : GEMM_TILE_ROWS; }

/* What multiplies: one for each instruction set and number format. */
struct gemm_engine {
    const char *name;
    enum isa isa;
    enum dtype dtype; /* of rows and panels: a unit is one f32 or two bf16 */
    size_t panel;     /* columns of a full panel; the last one is rounded up to vectors of `vector` */
    size_t vector;
    void (*block)(const struct gemm_block *block);
    /* Rows [first, first + rows) of the result, columns [column, column + columns), from sums[rows][stride]. */
    void (*finish)(const struct gemm_finish *finish, size_t first, size_t rows, size_t column, size_t columns, const float *sums,
                   size_t stride);
    /* Numbers of a row in the engine's format; the last unit is filled up with zero. */
    void (*convert)(const void *from, enum dtype dtype, size_t count, void *to);
    /* Winograd's transforms (winograd.h). Of (m + 2)^2 pixels: `channels` numbers of point i to out + i * stride bytes, as
     * convert() does. Of sums: those of point i at sums[i * stride]; out[m * m][columns]. */
    void (*winograd_input)(size_t m, const void *const pixel[], enum dtype dtype, size_t channels, unsigned char *out, size_t stride);
    void (*winograd_output)(size_t m, const float *sums, size_t stride, size_t columns, float *out);
};
extern const struct gemm_engine gemm_avx512bf16, gemm_avx512, gemm_avx2;

/* Units that hold `count` numbers. */
static inline size_t gemm_units(const struct gemm_engine *engine, size_t count) {
    return engine->dtype == DTYPE_BF16 ? (count + 1) / 2 : count;
}

/* A row must be rewritten where its format is another, or where its last unit would reach past its end. */
static inline bool gemm_must_convert(const struct gemm_engine *engine, enum dtype dtype, size_t length) {
    return dtype != engine->dtype || (engine->dtype == DTYPE_BF16 && length % 2 != 0);
}

/* How the result is shared out: tasks of `rows` rows by `panels` panels. */
struct gemm_tiling {
    size_t rows, row_tasks, panels, panel_tasks;
};
struct gemm_tiling gemm_tiling(size_t rows, size_t panels, size_t threads);

/* ---- packed weights (gemm_pack.c) ---- */

/* The matrix that is packed: columns are the rows of the weights, one weight below the other; depth
 * goes tap by tap, in each tap part by part. geglu: a panel's first half are values, its second
 * half their gates, which are the weight's second half. */
struct gemm_weight {
    const struct tensor *const *weight; /* [out_i, in(, kh, kw)] */
    int weights;
    size_t columns; /* of the result */
    size_t first;   /* input channels begin here */
    size_t taps, parts, length[2];
    bool geglu;
    size_t winograd; /* m: the kernel is 3x3, and its (m + 2)^2 factors are the taps; or 0 */
};
size_t gemm_panels(const struct gemm_engine *engine, size_t columns, bool geglu);
size_t gemm_panel_columns(const struct gemm_engine *engine, size_t columns, bool geglu, size_t panel);
size_t gemm_weight_depth(const struct gemm_engine *engine, const struct gemm_weight *weight); /* units */
size_t gemm_packed_size(const struct gemm_engine *engine, const struct gemm_weight *weight);
/* Multiply `block` by panels [first, end) of `packed`; fills in what the block says of panels and columns. */
void gemm_panels_run(const struct gemm_engine *engine, struct gemm_block *block, const void *packed, size_t columns, size_t first,
                     size_t end);
void gemm_pack(const struct gemm_engine *engine, const struct gemm_weight *weight, void *packed);

#endif
