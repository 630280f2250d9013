/* Products by tiles (AMX): a tile register holds 16 rows of 64 bytes, and one instruction multiplies 16 rows of 32 bf16 by 32
 * rows of 16 into 16 by 16 sums in f32. Convolutions and linear layers are one operation here: a linear layer is a
 * convolution with one tap over a picture one row high.
 *
 * A task makes a block of results. It copies the inputs they need into its own memory: padded, enlarged, joined, in bf16,
 * a pixel's channels filled up to whole tiles. There the 16 rows of a tile are 16 results side by side, and a tap is a
 * distance in bytes: nothing is outside, and no load leaves the copy. Where the channels don't fit the L2 cache they go
 * in chunks, and sums wait in f32.
 *
 * Weights lie in panels of 32 columns, in the order in which they are wanted: [panel][part of 64 channels][tap][pair of
 * channels][column][2]. All taps of one part follow each other, so that the L1 cache serves a pixel to all of them. */
#ifndef TENSOR_CPU_AMX_H
#define TENSOR_CPU_AMX_H

#include "tensor/cpu/gemm.h"

enum {
    AMX_ROWS = 16,     /* of a tile */
    AMX_PANEL = 32,    /* columns: two tiles */
    AMX_CHANNELS = 32, /* of a tile */
    AMX_PART = 64,     /* channels */
    AMX_TAPS_MAX = 256,
};

static inline size_t amx_filled(size_t channels) { return (channels + AMX_CHANNELS - 1) / AMX_CHANNELS * AMX_CHANNELS; }

/* ---- weights (amx_pack.c) ---- */

size_t amx_packed_size(const struct gemm_weight *weight);
void amx_pack(const struct gemm_weight *weight, void *packed);

/* ---- an operation (amx_run.c) ---- */

struct amx_shape {
    size_t samples, h, w;              /* of the result; a linear layer has one sample, one row */
    size_t kh, kw, stride, in_h, in_w; /* in: of the stored input */
    size_t channels[2], columns;       /* channels of the inputs, columns of the result */
    bool geglu, flat;                  /* flat: a linear layer */
};
/* The axes of a convolution: conv_axis() of as many positions as amx_axis() says. */
struct amx_operation {
    struct amx_shape shape;
    struct view x, x2;
    struct gemm_finish finish;
    const void *weight;
    void *scratch;
    size_t rows;                          /* flat: of a sample */
    size_t pad_top, pad_left, up_h, up_w; /* as in struct conv_shape */
};
size_t amx_scratch(const struct amx_shape *shape, size_t threads);
void amx_run(const struct amx_operation *operation, struct pool *pool);

/* ---- what multiplies (product_amx.c) ---- */

/* Results in a thread's memory. Tiles: `tiles` in each sample, each 16 results: side by side in a row if width is a multiple
 * of 16, else 16 places of the copy (where some are between two rows and are no results). */
struct amx_block {
    const unsigned char *copy;
    size_t pixel, pitch, sample; /* bytes of a pixel, pixels of a row, bytes of a sample */
    size_t samples, h, w, tiles, stride;
    size_t first_sample, first_y, first_x, picture_h, picture_w; /* where the block is in the result */
    size_t channels;                                             /* in the copy */
    size_t taps;
    const size_t *tap; /* bytes from a result's first pixel */
    float *sums;       /* [tiles of all samples][16][32]; NULL: channels are all there */
    bool first, last;  /* chunk of channels */
    float *one;        /* [2][32][32] */
    const struct gemm_finish *finish;
};
struct amx_panels {
    const unsigned char *weight;
    size_t first, end, columns; /* panels; columns of the whole result */
    size_t bytes, skip;         /* of a whole panel; of a column of it, before the chunk's channels */
    size_t sums;                /* numbers from panel to panel */
};
/* Panels times all of the block's tiles. */
void amx_panels(const struct amx_block *block, const struct amx_panels *panels);
/* Tiles' registers are set up in this thread, or given back. */
void amx_begin(void);
void amx_end(void);
/* `count` numbers of a row as bf16, and zeros up to `filled`, a multiple of 32. */
void amx_copy(const void *from, enum dtype dtype, size_t count, size_t filled, void *to);

#endif
