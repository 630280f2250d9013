#include "tensor/cpu/simple.h"

#include "tensor/cpu/elementary.h"

#include <math.h>

enum { BLOCK = 16, CHUNK = 256 };

struct simple_task {
    const struct view *x, *out;
    size_t rows, c;
    enum map_kind map;
    float a, b;
    size_t tokens;              /* embed, class_tokens: rows per sample */
    const struct tensor *table; /* embed */
    const float *first, *positions;
    size_t x_rows, index; /* take_token */
};

/* The rows of task `task`. */
static size_t rows_end(const struct simple_task *task, size_t number) {
    size_t end = (number + 1) * BLOCK;
    return end < task->rows ? end : task->rows;
}

/* ---- map ---- */

static void map_numbers(float *x, size_t count, enum map_kind kind, float a, float b) {
    switch (kind) {
    case MAP_SCALE_SHIFT:
        for (size_t i = 0; i < count; i++) x[i] = a * x[i] + b;
        break;
    case MAP_SOFT_CLAMP:
        for (size_t i = 0; i < count; i++) x[i] = a * tanhf(x[i] / a);
        break;
    case MAP_SILU:
        activate(x, count, ACT_SILU);
        break;
    case MAP_CLAMP:
        for (size_t i = 0; i < count; i++) x[i] = x[i] < a ? a : x[i] > b ? b : x[i];
        break;
    }
}

static void map_rows(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct simple_task *task = context;
    float part[CHUNK];
    for (size_t row = number * BLOCK; row < rows_end(task, number); row++) {
        const void *from = row_read(task->x, 0, task->rows, row);
        void *to = row_write(task->out, 0, task->rows, row);
        for (size_t i = 0; i < task->c; i += CHUNK) {
            size_t count = task->c - i < CHUNK ? task->c - i : CHUNK;
            numbers_load(from, task->x->dtype, i, count, part);
            map_numbers(part, count, task->map, task->a, task->b);
            numbers_store(to, task->out->dtype, i, count, part);
        }
    }
}

void simple_map(const struct view *x, const struct view *out, size_t rows, size_t c, enum map_kind kind, float a, float b,
                struct pool *pool) {
    struct view flat_x = *x, flat_out = *out;
    /* Short rows that follow each other are few long ones. */
    if (x->stride == c && out->stride == c && rows * c % CHUNK == 0) {
        rows = rows * c / CHUNK;
        c = flat_x.stride = flat_out.stride = CHUNK;
    }
    struct simple_task task = {.x = &flat_x, .out = &flat_out, .rows = rows, .c = c, .map = kind, .a = a, .b = b};
    pool_run(pool, blocks_of(rows, BLOCK), map_rows, &task);
}

/* ---- timestep_embed ---- */

/* Vaswani et al. 2017, 3.5, in f32 step by step as the networks were trained with. */
void simple_timestep_embed(const struct view *x, const struct view *out, size_t samples, size_t dim, bool flip, float shift) {
    size_t half = dim / 2;
    for (size_t sample = 0; sample < samples; sample++) {
        float timestep;
        numbers_load(row_read(x, sample, 1, 0), x->dtype, 0, 1, &timestep);
        float *row = row_write(out, sample, 1, 0);
        for (size_t i = 0; i < half; i++) {
            float exponent = -9.210340371976184f * (float)i / ((float)half - shift); /* -ln 10000 */
            float angle = timestep * expf(exponent);
            row[flip ? half + i : i] = sinf(angle);
            row[flip ? i : half + i] = cosf(angle);
        }
    }
}

/* ---- embed ---- */

static void embed_rows(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct simple_task *task = context;
    const struct tensor *table = task->table;
    for (size_t row = number * BLOCK; row < rows_end(task, number); row++) {
        int32_t id = *(const int32_t *)row_read(task->x, 0, task->rows, row);
        size_t place = id < 0 ? 0 : (size_t)id;
        if (place >= table->shape[0]) place = table->shape[0] - 1;
        float *out = row_write(task->out, 0, task->rows, row);
        tensor_read_f32(table, place * task->c, task->c, out);
        numbers_add(task->positions + row % task->tokens * task->c, DTYPE_F32, 0, task->c, out);
    }
}

void simple_embed(const struct view *ids, const struct view *out, size_t rows, size_t tokens, size_t c, const struct tensor *table,
                  const float *positions, struct pool *pool) {
    struct simple_task task = {.x = ids, .out = out, .rows = rows, .c = c, .tokens = tokens, .table = table, .positions = positions};
    pool_run(pool, blocks_of(rows, BLOCK), embed_rows, &task);
}

/* ---- class_tokens ---- */

static void class_token_rows(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct simple_task *task = context;
    float part[CHUNK];
    for (size_t row = number * BLOCK; row < rows_end(task, number); row++) {
        size_t sample = row / task->tokens, token = row % task->tokens;
        const float *position = task->positions + token * task->c;
        const void *patch = token ? row_read(task->x, sample, task->tokens - 1, token - 1) : task->first;
        enum dtype dtype = token ? task->x->dtype : DTYPE_F32;
        void *out = row_write(task->out, 0, task->rows, row);
        for (size_t i = 0; i < task->c; i += CHUNK) {
            size_t count = task->c - i < CHUNK ? task->c - i : CHUNK;
            numbers_load(patch, dtype, i, count, part);
            numbers_add(position, DTYPE_F32, i, count, part);
            numbers_store(out, task->out->dtype, i, count, part);
        }
    }
}

void simple_class_tokens(const struct view *x, const struct view *out, size_t samples, size_t rows, size_t c, const float *class_embedding,
                         const float *positions, struct pool *pool) {
    struct simple_task task = {
        .x = x, .out = out, .rows = samples * rows, .c = c, .tokens = rows, .first = class_embedding, .positions = positions};
    pool_run(pool, blocks_of(task.rows, BLOCK), class_token_rows, &task);
}

/* ---- take_token ---- */

void simple_take_token(const struct view *x, const struct view *out, size_t samples, size_t x_rows, size_t index, size_t c,
                       struct pool *pool) {
    (void)pool; /* a copy of a few rows */
    for (size_t sample = 0; sample < samples; sample++)
        memcpy(row_write(out, sample, 1, 0), row_read(x, sample, x_rows, index), c * dtype_size(x->dtype));
}
