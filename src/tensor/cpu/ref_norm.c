/* GroupNorm and LayerNorm in plain C. Sums are kept in f64: then mean and variance of f32 numbers
 * come out right in one pass, whatever the mean. */
#include "tensor/cpu/elementary.h"

#include <math.h>

enum { SUM_ROWS = 64, APPLY_ROWS = 16, LINE_ROWS = 8, CHUNK = 256 };

/* ---- GroupNorm ---- */

static const char *accepts_group_norm(const struct group_norm_shape *shape) {
    (void)shape;
    return NULL;
}

/* Sums and sums of squares of each channel: of each block of rows, then in the first block's place
 * of the whole sample; then mean, scale of each channel as f32. */
static size_t sum_blocks(const struct group_norm_shape *shape) { return blocks_of(shape->rows, SUM_ROWS); }
static size_t sums_size(const struct group_norm_shape *shape) {
    return shape->samples * sum_blocks(shape) * 2 * (shape->c + shape->c2) * sizeof(double);
}
static size_t scratch_group_norm(const struct group_norm_shape *shape, size_t threads) {
    (void)threads;
    return sums_size(shape) + shape->samples * 2 * (shape->c + shape->c2) * sizeof(float);
}

struct group_norm_task {
    const struct group_norm_shape *shape;
    const struct group_norm_operands *operands;
    size_t blocks; /* of a sample */
};

static double *sums_of(const struct group_norm_task *task, size_t sample, size_t block) {
    size_t c = task->shape->c + task->shape->c2;
    return (double *)task->operands->scratch + (sample * sum_blocks(task->shape) + block) * 2 * c;
}
static float *factors_of(const struct group_norm_task *task, size_t sample) {
    size_t c = task->shape->c + task->shape->c2;
    return (float *)(void *)((unsigned char *)task->operands->scratch + sums_size(task->shape)) + sample * 2 * c;
}

static void add_row(const void *row, enum dtype dtype, size_t c, double *restrict sum, double *restrict square) {
    float part[CHUNK];
    for (size_t i = 0; i < c; i += CHUNK) {
        size_t count = c - i < CHUNK ? c - i : CHUNK;
        numbers_load(row, dtype, i, count, part);
        for (size_t k = 0; k < count; k++) {
            double x = part[k];
            sum[i + k] += x;
            square[i + k] += x * x;
        }
    }
}

static void sum_block(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct group_norm_task *task = context;
    const struct group_norm_shape *shape = task->shape;
    size_t sample = number / task->blocks, block = number % task->blocks, c = shape->c + shape->c2;
    double *sum = sums_of(task, sample, block), *square = sum + c;
    memset(sum, 0, 2 * c * sizeof *sum);
    size_t end = (block + 1) * SUM_ROWS < shape->rows ? (block + 1) * SUM_ROWS : shape->rows;
    for (size_t row = block * SUM_ROWS; row < end; row++) {
        add_row(row_read(&task->operands->x, sample, shape->rows, row), task->operands->x.dtype, shape->c, sum, square);
        if (shape->c2)
            add_row(row_read(&task->operands->x2, sample, shape->rows, row), task->operands->x2.dtype, shape->c2, sum + shape->c,
                    square + shape->c);
    }
}

/* Mean and scale of each channel of a sample, from the blocks' sums in their order. */
static void find_factors(void *context, size_t sample, size_t thread) {
    (void)thread;
    const struct group_norm_task *task = context;
    const struct group_norm_shape *shape = task->shape;
    size_t c = shape->c + shape->c2, width = c / shape->groups;
    double *total = sums_of(task, sample, 0), count = (double)width * (double)shape->rows;
    for (size_t block = 1; block < sum_blocks(shape); block++) {
        const double *sums = sums_of(task, sample, block);
        for (size_t i = 0; i < 2 * c; i++) total[i] += sums[i];
    }
    float *mean = factors_of(task, sample), *scale = mean + c;
    for (size_t group = 0; group < shape->groups; group++) {
        double sum = 0, square = 0;
        for (size_t i = group * width; i < (group + 1) * width; i++) {
            sum += total[i];
            square += total[c + i];
        }
        double centre = sum / count, variance = square / count - centre * centre;
        double factor = 1.0 / sqrt((variance > 0 ? variance : 0) + (double)shape->epsilon);
        for (size_t i = group * width; i < (group + 1) * width; i++) {
            mean[i] = (float)centre;
            scale[i] = (float)factor * task->operands->gamma[i];
        }
    }
}

/* Channels [first, first + c) of the result from a row of one input. */
static void apply_row(const struct group_norm_task *task, size_t sample, const void *row, enum dtype dtype, size_t first, size_t c,
                      void *out) {
    size_t all = task->shape->c + task->shape->c2;
    const float *mean = factors_of(task, sample) + first, *scale = mean + all, *beta = task->operands->beta + first;
    float part[CHUNK];
    for (size_t i = 0; i < c; i += CHUNK) {
        size_t count = c - i < CHUNK ? c - i : CHUNK;
        numbers_load(row, dtype, i, count, part);
        for (size_t k = 0; k < count; k++) part[k] = (part[k] - mean[i + k]) * scale[i + k] + beta[i + k];
        if (task->shape->silu) activate(part, count, ACT_SILU);
        numbers_store(out, task->operands->out.dtype, first + i, count, part);
    }
}

static void apply_block(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct group_norm_task *task = context;
    const struct group_norm_shape *shape = task->shape;
    const struct group_norm_operands *operands = task->operands;
    size_t sample = number / task->blocks, block = number % task->blocks;
    size_t end = (block + 1) * APPLY_ROWS < shape->rows ? (block + 1) * APPLY_ROWS : shape->rows;
    for (size_t row = block * APPLY_ROWS; row < end; row++) {
        void *out = row_write(&operands->out, sample, shape->rows, row);
        apply_row(task, sample, row_read(&operands->x, sample, shape->rows, row), operands->x.dtype, 0, shape->c, out);
        if (shape->c2)
            apply_row(task, sample, row_read(&operands->x2, sample, shape->rows, row), operands->x2.dtype, shape->c, shape->c2, out);
    }
}

static void run_group_norm(const struct group_norm_shape *shape, const struct group_norm_operands *operands, struct pool *pool) {
    struct group_norm_task task = {shape, operands, sum_blocks(shape)};
    pool_run(pool, shape->samples * task.blocks, sum_block, &task);
    pool_run(pool, shape->samples, find_factors, &task);
    task.blocks = blocks_of(shape->rows, APPLY_ROWS);
    pool_run(pool, shape->samples * task.blocks, apply_block, &task);
}

extern const struct group_norm_kernel ref_group_norm;
const struct group_norm_kernel ref_group_norm = {
    .name = "ref", .accepts = accepts_group_norm, .scratch = scratch_group_norm, .run = run_group_norm};

/* ---- LayerNorm ---- */

static const char *accepts_layer_norm(const struct layer_norm_shape *shape) {
    (void)shape;
    return NULL;
}

struct layer_norm_task {
    const struct layer_norm_shape *shape;
    const struct layer_norm_operands *operands;
};

static void find_moments(const void *row, enum dtype dtype, size_t c, double *mean, double *variance) {
    float part[CHUNK];
    double sum[8] = {0}, square[8] = {0}; /* side by side, so that the compiler may */
    for (size_t i = 0; i < c; i += CHUNK) {
        size_t count = c - i < CHUNK ? c - i : CHUNK;
        numbers_load(row, dtype, i, count, part);
        for (size_t k = count; k % 8 != 0; k++) part[k] = 0;
        for (size_t k = 0; k < count; k += 8)
            for (size_t j = 0; j < 8; j++) {
                double x = part[k + j];
                sum[j] += x;
                square[j] += x * x;
            }
    }
    double total = 0, total_square = 0;
    for (size_t j = 0; j < 8; j++) {
        total += sum[j];
        total_square += square[j];
    }
    *mean = total / (double)c;
    double found = total_square / (double)c - *mean * *mean;
    *variance = found > 0 ? found : 0;
}

static void norm_rows(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct layer_norm_task *task = context;
    const struct layer_norm_shape *shape = task->shape;
    const struct layer_norm_operands *operands = task->operands;
    size_t end = (number + 1) * LINE_ROWS < shape->rows ? (number + 1) * LINE_ROWS : shape->rows;
    float part[CHUNK];
    for (size_t row = number * LINE_ROWS; row < end; row++) {
        const void *from = row_read(&operands->x, 0, shape->rows, row);
        void *to = row_write(&operands->out, 0, shape->rows, row);
        double centre, variance;
        find_moments(from, operands->x.dtype, shape->c, &centre, &variance);
        float mean = (float)centre, factor = (float)(1.0 / sqrt(variance + (double)shape->epsilon));
        for (size_t i = 0; i < shape->c; i += CHUNK) {
            size_t count = shape->c - i < CHUNK ? shape->c - i : CHUNK;
            numbers_load(from, operands->x.dtype, i, count, part);
            for (size_t k = 0; k < count; k++) part[k] = (part[k] - mean) * factor * operands->gamma[i + k] + operands->beta[i + k];
            numbers_store(to, operands->out.dtype, i, count, part);
        }
    }
}

static void run_layer_norm(const struct layer_norm_shape *shape, const struct layer_norm_operands *operands, struct pool *pool) {
    struct layer_norm_task task = {shape, operands};
    pool_run(pool, blocks_of(shape->rows, LINE_ROWS), norm_rows, &task);
}

extern const struct layer_norm_kernel ref_layer_norm;
const struct layer_norm_kernel ref_layer_norm = {.name = "ref", .accepts = accepts_layer_norm, .run = run_layer_norm};
