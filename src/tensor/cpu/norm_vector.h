/* GroupNorm and LayerNorm with vectors of any length: memory sets their pace, so every row is read
 * in order, twice.
 *
 * Sums are of differences from a number of the same channel nearby: those are small, so that f32 holds
 * them and their squares well whatever the mean. A run of rows (or numbers) is summed in f32, runs in f64.
 * All parts are fixed by the shape alone; the number of threads changes nothing.
 *
 * Included by one file for each instruction set. That file defines first
 *   vector, FLOATS                   the type, and how many numbers it holds
 *   vector_all(), vector_multiply_add(), vector_total()
 *   vector_load(), vector_store()    of a row in either format; of the last numbers only `count`
 *   vector_stream()                  a whole vector, aligned, past the caches
 *   vector_silu(), vector_silu_bf16() the latter as exactly as bf16 deserves */
#ifndef TENSOR_CPU_NORM_VECTOR_H
#define TENSOR_CPU_NORM_VECTOR_H

#include "tensor/cpu/elementary.h"

enum {
    RUN_ROWS = 64, /* summed in f32 */
    STEP_ROWS = 8, /* read side by side */
    PANEL = 512,   /* channels whose sums stay in the L1 cache */
    BLOCKS_MOST = 256,
    FEW_ROWS = 16,   /* of a task where there are few in all */
    APPLY_ROWS = 16, /* of a task */
    APPLY_STEP = 4,  /* that share a look at the channels' factors */
    LINE_ROWS = 8,   /* of a task of LayerNorm */
    RUN = 1024,      /* numbers of a line summed in f32 */
    CHAINS = 4,
};

/* Results of more bytes leave the caches before anybody reads them: better not to fetch their lines at all. */
#define STREAM_BYTES ((size_t)16 << 20)

#define ALWAYS_INLINE __attribute__((always_inline)) static inline

/* Ask for what is read next; an address past the end does no harm. */
ALWAYS_INLINE void look_ahead(const unsigned char *row, size_t bytes, enum dtype dtype, size_t first) {
    __builtin_prefetch((const void *)((uintptr_t)row + bytes + first * (dtype == DTYPE_BF16 ? 2 : 4)));
}

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* ---- GroupNorm: sums ---- */

struct norm_task {
    const struct group_norm_shape *shape;
    const struct group_norm_operands *operands;
    size_t block_rows, blocks; /* of a sample */
};

static size_t sum_rows(const struct group_norm_shape *shape) {
    if (shape->rows <= FEW_ROWS * RUN_ROWS) return FEW_ROWS;
    return blocks_of(shape->rows, BLOCKS_MOST * RUN_ROWS) * RUN_ROWS;
}
/* Scratch: sums [samples][blocks][2][channels] in f64, then mean and scale [samples][2][channels] in f32. */
static size_t sums_size(const struct group_norm_shape *shape) {
    return shape->samples * blocks_of(shape->rows, sum_rows(shape)) * 2 * (shape->c + shape->c2) * sizeof(double);
}
static size_t norm_scratch(const struct group_norm_shape *shape, size_t threads) {
    (void)threads;
    return sums_size(shape) + shape->samples * 2 * (shape->c + shape->c2) * sizeof(float);
}
static double *sums_of(const struct norm_task *task, size_t sample, size_t block) {
    size_t c = task->shape->c + task->shape->c2;
    return (double *)task->operands->scratch + (sample * task->blocks + block) * 2 * c;
}
static float *factors_of(const struct norm_task *task, size_t sample) {
    size_t c = task->shape->c + task->shape->c2;
    return (float *)(void *)((unsigned char *)task->operands->scratch + sums_size(task->shape)) + sample * 2 * c;
}

struct panel {
    float shift[PANEL], sum[PANEL], square[PANEL];
};

/* Take in one vector of each of `rows` rows. */
ALWAYS_INLINE void sum_step(const unsigned char *x, size_t row_bytes, size_t rows, enum dtype dtype, size_t first, size_t count,
                            struct panel *panel, size_t at) {
    vector shift = vector_load(panel->shift, DTYPE_F32, at, FLOATS);
    vector sum = vector_load(panel->sum, DTYPE_F32, at, FLOATS), square = vector_load(panel->square, DTYPE_F32, at, FLOATS);
    for (size_t row = 0; row < rows; row++) {
        look_ahead(x, (row + STEP_ROWS) * row_bytes, dtype, first);
        vector d = vector_load(x + row * row_bytes, dtype, first, count) - shift;
        sum += d;
        square = vector_multiply_add(d, d, square);
    }
    vector_store(panel->sum, DTYPE_F32, at, FLOATS, sum);
    vector_store(panel->square, DTYPE_F32, at, FLOATS, square);
}

/* Channels [first, first + width) of a run of rows. */
ALWAYS_INLINE void sum_panel(const unsigned char *x, size_t row_bytes, size_t rows, enum dtype dtype, size_t first, size_t width,
                             struct panel *panel) {
    for (size_t i = 0; i < width; i += FLOATS)
        vector_store(panel->shift, DTYPE_F32, i, FLOATS, vector_load(x, dtype, first + i, smaller(width - i, FLOATS)));
    memset(panel->sum, 0, sizeof panel->sum);
    memset(panel->square, 0, sizeof panel->square);
    size_t whole = width / FLOATS * FLOATS;
    for (size_t row = 0; row < rows; row += STEP_ROWS) {
        const unsigned char *from = x + row * row_bytes;
        if (rows - row >= STEP_ROWS)
            for (size_t i = 0; i < whole; i += FLOATS) sum_step(from, row_bytes, STEP_ROWS, dtype, first + i, FLOATS, panel, i);
        else
            for (size_t i = 0; i < whole; i += FLOATS) sum_step(from, row_bytes, rows - row, dtype, first + i, FLOATS, panel, i);
        if (whole < width) sum_step(from, row_bytes, smaller(rows - row, STEP_ROWS), dtype, first + whole, width - whole, panel, whole);
    }
}

/* Add a run of rows of one input to the sums and sums of squares of its channels. */
static void sum_run(const void *x, const struct view *view, size_t rows, size_t c, double *restrict sum, double *restrict square) {
    struct panel panel;
    size_t row_bytes = view->stride * dtype_size(view->dtype);
    for (size_t first = 0; first < c; first += PANEL) {
        size_t width = smaller(c - first, PANEL);
        if (view->dtype == DTYPE_BF16)
            sum_panel(x, row_bytes, rows, DTYPE_BF16, first, width, &panel);
        else
            sum_panel(x, row_bytes, rows, DTYPE_F32, first, width, &panel);
        for (size_t i = 0; i < width; i++) {
            double shift = (double)panel.shift[i], part = (double)panel.sum[i], total = (double)rows * shift;
            sum[first + i] += total + part;
            square[first + i] += (double)panel.square[i] + shift * (part + part + total);
        }
    }
}

static void sum_block(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct norm_task *task = context;
    const struct group_norm_shape *shape = task->shape;
    const struct group_norm_operands *operands = task->operands;
    size_t sample = number / task->blocks, block = number % task->blocks, c = shape->c + shape->c2;
    double *sum = sums_of(task, sample, block), *square = sum + c;
    memset(sum, 0, 2 * c * sizeof *sum);
    size_t end = smaller((block + 1) * task->block_rows, shape->rows);
    for (size_t row = block * task->block_rows; row < end; row += RUN_ROWS) {
        size_t rows = smaller(end - row, RUN_ROWS);
        sum_run(row_read(&operands->x, sample, shape->rows, row), &operands->x, rows, shape->c, sum, square);
        if (shape->c2)
            sum_run(row_read(&operands->x2, sample, shape->rows, row), &operands->x2, rows, shape->c2, sum + shape->c, square + shape->c);
    }
}

/* Eight sums side by side, so that they needn't wait for each other. */
static double add_up(const double *x, size_t count, double part[8]) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t k = 0; k < 8; k++) part[k] += x[i + k];
    for (size_t k = 0; i < count; i++, k++) part[k] += x[i];
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

/* Mean and scale of a group's channels. */
static void find_factors(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct norm_task *task = context;
    const struct group_norm_shape *shape = task->shape;
    size_t sample = number / shape->groups, c = shape->c + shape->c2, width = c / shape->groups;
    size_t first = number % shape->groups * width;
    double sums[8] = {0}, squares[8] = {0}, sum = 0, square = 0, count = (double)width * (double)shape->rows;
    for (size_t block = 0; block < task->blocks; block++) {
        const double *x = sums_of(task, sample, block) + first;
        sum = add_up(x, width, sums);
        square = add_up(x + c, width, squares);
    }
    double centre = sum / count, variance = square / count - centre * centre;
    double factor = 1.0 / sqrt((variance > 0 ? variance : 0) + (double)shape->epsilon);
    float *mean = factors_of(task, sample) + first, *scale = mean + c;
    for (size_t i = 0; i < width; i++) {
        mean[i] = (float)centre;
        scale[i] = (float)(factor * (double)task->operands->gamma[first + i]);
    }
}

/* ---- GroupNorm: the result ---- */

struct apply {
    const unsigned char *x;
    unsigned char *out; /* where this input's channels begin */
    const float *mean, *scale, *beta;
    size_t x_bytes, out_bytes; /* from row to row */
    bool stream;
};

ALWAYS_INLINE void apply_step(const struct apply *apply, size_t rows, enum dtype from, enum dtype to, bool silu, size_t first,
                              size_t count) {
    vector mean = vector_load(apply->mean, DTYPE_F32, first, count), scale = vector_load(apply->scale, DTYPE_F32, first, count);
    vector beta = vector_load(apply->beta, DTYPE_F32, first, count);
    for (size_t row = 0; row < rows; row++) {
        look_ahead(apply->x, (row + APPLY_STEP) * apply->x_bytes, from, first);
        vector x = vector_load(apply->x + row * apply->x_bytes, from, first, count);
        x = vector_multiply_add(x - mean, scale, beta);
        if (silu) x = to == DTYPE_BF16 ? vector_silu_bf16(x) : vector_silu(x);
        if (apply->stream && count == FLOATS)
            vector_stream(apply->out + row * apply->out_bytes, to, first, x);
        else
            vector_store(apply->out + row * apply->out_bytes, to, first, count, x);
    }
}

ALWAYS_INLINE void apply_rows(const struct apply *apply, size_t rows, size_t c, enum dtype from, enum dtype to, bool silu) {
    size_t i = 0;
    if (rows == APPLY_STEP)
        for (; i + FLOATS <= c; i += FLOATS) apply_step(apply, APPLY_STEP, from, to, silu, i, FLOATS);
    for (; i < c; i += FLOATS) apply_step(apply, rows, from, to, silu, i, smaller(c - i, FLOATS));
}

static void apply_input(const struct apply *apply, size_t rows, size_t c, enum dtype from, enum dtype to, bool silu) {
    switch ((from == DTYPE_BF16) * 4 + (to == DTYPE_BF16) * 2 + silu) {
    case 0:
        apply_rows(apply, rows, c, DTYPE_F32, DTYPE_F32, false);
        break;
    case 1:
        apply_rows(apply, rows, c, DTYPE_F32, DTYPE_F32, true);
        break;
    case 2:
        apply_rows(apply, rows, c, DTYPE_F32, DTYPE_BF16, false);
        break;
    case 3:
        apply_rows(apply, rows, c, DTYPE_F32, DTYPE_BF16, true);
        break;
    case 4:
        apply_rows(apply, rows, c, DTYPE_BF16, DTYPE_F32, false);
        break;
    case 5:
        apply_rows(apply, rows, c, DTYPE_BF16, DTYPE_F32, true);
        break;
    case 6:
        apply_rows(apply, rows, c, DTYPE_BF16, DTYPE_BF16, false);
        break;
    default:
        apply_rows(apply, rows, c, DTYPE_BF16, DTYPE_BF16, true);
        break;
    }
}

/* `rows` rows of one input, whose channels are [first, first + c) of the result. */
static void apply_view(const struct norm_task *task, size_t sample, size_t row, size_t rows, const struct view *x, size_t first, size_t c) {
    const struct group_norm_shape *shape = task->shape;
    const struct view *out = &task->operands->out;
    const float *factors = factors_of(task, sample) + first;
    struct apply apply = {.x = row_read(x, sample, shape->rows, row),
                          .out = (unsigned char *)row_write(out, sample, shape->rows, row) + first * dtype_size(out->dtype),
                          .mean = factors,
                          .scale = factors + shape->c + shape->c2,
                          .beta = task->operands->beta + first,
                          .x_bytes = x->stride * dtype_size(x->dtype),
                          .out_bytes = out->stride * dtype_size(out->dtype)};
    apply.stream =
        shape->samples * shape->rows * apply.out_bytes >= STREAM_BYTES && (uintptr_t)apply.out % 64 == 0 && apply.out_bytes % 64 == 0;
    apply_input(&apply, rows, c, x->dtype, out->dtype, shape->silu);
    if (apply.stream) _mm_sfence(); /* whoever reads it next, in any thread, sees it */
}

/* Last blocks first: their numbers were read last and may still be in the cache. */
static void apply_block(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct norm_task *task = context;
    const struct group_norm_shape *shape = task->shape;
    size_t blocks = blocks_of(shape->rows, APPLY_ROWS), place = shape->samples * blocks - 1 - number;
    size_t sample = place / blocks, first = place % blocks * APPLY_ROWS, end = smaller(first + APPLY_ROWS, shape->rows);
    for (size_t row = first; row < end; row += APPLY_STEP) {
        size_t rows = smaller(end - row, APPLY_STEP);
        apply_view(task, sample, row, rows, &task->operands->x, 0, shape->c);
        if (shape->c2) apply_view(task, sample, row, rows, &task->operands->x2, shape->c, shape->c2);
    }
}

static void norm_run(const struct group_norm_shape *shape, const struct group_norm_operands *operands, struct pool *pool) {
    struct norm_task task = {.shape = shape, .operands = operands, .block_rows = sum_rows(shape)};
    task.blocks = blocks_of(shape->rows, task.block_rows);
    pool_run(pool, shape->samples * task.blocks, sum_block, &task);
    pool_run(pool, shape->samples * shape->groups, find_factors, &task);
    pool_run(pool, shape->samples * blocks_of(shape->rows, APPLY_ROWS), apply_block, &task);
}

/* ---- LayerNorm ---- */

struct line_task {
    const struct layer_norm_shape *shape;
    const struct layer_norm_operands *operands;
};

/* Sums of differences from `shift` and of their squares. */
ALWAYS_INLINE void sum_line(const void *row, enum dtype dtype, size_t c, float shift, double *sum, double *square) {
    vector from = vector_all(shift);
    *sum = *square = 0;
    for (size_t first = 0; first < c; first += RUN) {
        size_t end = smaller(first + RUN, c), i = first;
        vector sums[CHAINS], squares[CHAINS];
#pragma GCC unroll 4
        for (size_t k = 0; k < CHAINS; k++) sums[k] = squares[k] = vector_all(0.0f);
        for (; i + CHAINS * FLOATS <= end; i += CHAINS * FLOATS)
#pragma GCC unroll 4
            for (size_t k = 0; k < CHAINS; k++) {
                vector d = vector_load(row, dtype, i + k * FLOATS, FLOATS) - from;
                sums[k] += d;
                squares[k] = vector_multiply_add(d, d, squares[k]);
            }
        for (; i + FLOATS <= end; i += FLOATS) {
            vector d = vector_load(row, dtype, i, FLOATS) - from;
            sums[0] += d;
            squares[0] = vector_multiply_add(d, d, squares[0]);
        }
        *sum += (double)vector_total((sums[0] + sums[1]) + (sums[2] + sums[3]));
        *square += (double)vector_total((squares[0] + squares[1]) + (squares[2] + squares[3]));
        if (i == end) continue;
        float rest[FLOATS];
        vector_store(rest, DTYPE_F32, 0, FLOATS, vector_load(row, dtype, i, end - i));
        for (size_t k = 0; k < end - i; k++) {
            double d = (double)rest[k] - (double)shift;
            *sum += d;
            *square += d * d;
        }
    }
}

ALWAYS_INLINE void norm_line(const struct layer_norm_shape *shape, const struct layer_norm_operands *operands, size_t row, enum dtype from,
                             enum dtype to) {
    const void *x = row_read(&operands->x, 0, shape->rows, row);
    void *out = row_write(&operands->out, 0, shape->rows, row);
    double sum, square, count = (double)shape->c;
    sum_line(x, from, shape->c, 0.0f, &sum, &square);
    float near = (float)(sum / count); /* the mean but for rounding: from there on nothing cancels */
    sum_line(x, from, shape->c, near, &sum, &square);
    double centre = (double)near + sum / count, variance = square / count - sum / count * (sum / count);
    vector mean = vector_all((float)centre);
    vector factor = vector_all((float)(1.0 / sqrt((variance > 0 ? variance : 0) + (double)shape->epsilon)));
    size_t i = 0;
    for (; i + FLOATS <= shape->c; i += FLOATS) {
        vector y = (vector_load(x, from, i, FLOATS) - mean) * factor;
        y = vector_multiply_add(y, vector_load(operands->gamma, DTYPE_F32, i, FLOATS), vector_load(operands->beta, DTYPE_F32, i, FLOATS));
        vector_store(out, to, i, FLOATS, y);
    }
    if (i == shape->c) return;
    vector y = (vector_load(x, from, i, shape->c - i) - mean) * factor;
    y = vector_multiply_add(y, vector_load(operands->gamma, DTYPE_F32, i, shape->c - i),
                            vector_load(operands->beta, DTYPE_F32, i, shape->c - i));
    vector_store(out, to, i, shape->c - i, y);
}

static void norm_lines(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct line_task *task = context;
    const struct layer_norm_operands *operands = task->operands;
    size_t end = smaller((number + 1) * LINE_ROWS, task->shape->rows);
    bool narrow = operands->x.dtype == DTYPE_BF16, narrow_out = operands->out.dtype == DTYPE_BF16;
    for (size_t row = number * LINE_ROWS; row < end; row++)
        if (narrow && narrow_out)
            norm_line(task->shape, operands, row, DTYPE_BF16, DTYPE_BF16);
        else if (narrow)
            norm_line(task->shape, operands, row, DTYPE_BF16, DTYPE_F32);
        else if (narrow_out)
            norm_line(task->shape, operands, row, DTYPE_F32, DTYPE_BF16);
        else
            norm_line(task->shape, operands, row, DTYPE_F32, DTYPE_F32);
}

static void line_run(const struct layer_norm_shape *shape, const struct layer_norm_operands *operands, struct pool *pool) {
    struct line_task task = {shape, operands};
    pool_run(pool, blocks_of(shape->rows, LINE_ROWS), norm_lines, &task);
}

#endif
