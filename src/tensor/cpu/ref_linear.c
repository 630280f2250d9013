/* Products in plain C: right for every shape. */
#include "tensor/cpu/elementary.h"
#include "tensor/cpu/ref_product.h"

#include <stdint.h>

enum { TASK_ROWS = 32 };

static const char *accepts(const struct linear_shape *shape) {
    (void)shape;
    return NULL;
}

static size_t panels(const struct linear_shape *shape) { return blocks_of(shape->out, REF_PANEL); }

/* geglu: the gates' panels follow those of the values. */
static size_t packed_size(const struct linear_shape *shape) {
    return (shape->geglu ? 2 : 1) * panels(shape) * REF_PANEL * (shape->in + shape->in2) * sizeof(float);
}

/* Row `row` of all weights one below the other. */
static void read_weight_row(const struct linear_shape *shape, size_t row, size_t first, size_t count, float *out) {
    int i = 0;
    while (row >= shape->weight[i]->shape[0]) row -= shape->weight[i++]->shape[0];
    tensor_read_f32(shape->weight[i], row * shape->weight[i]->shape[1] + shape->weight_first + first, count, out);
}

static void pack_half(const struct linear_shape *shape, size_t first_row, float *packed) {
    enum { CHUNK = 256 };
    size_t depth = shape->in + shape->in2;
    float part[CHUNK];
    for (size_t j = 0; j < panels(shape) * REF_PANEL; j++) {
        float *panel = packed + j / REF_PANEL * REF_PANEL * depth + j % REF_PANEL;
        for (size_t k = 0; k < depth; k += CHUNK) {
            size_t count = depth - k < CHUNK ? depth - k : CHUNK;
            if (j < shape->out)
                read_weight_row(shape, first_row + j, k, count, part);
            else
                memset(part, 0, count * sizeof *part);
            for (size_t i = 0; i < count; i++) panel[(k + i) * REF_PANEL] = part[i];
        }
    }
}

static void pack(const struct linear_shape *shape, void *packed) {
    pack_half(shape, 0, packed);
    if (shape->geglu) pack_half(shape, shape->out, (float *)packed + panels(shape) * REF_PANEL * (shape->in + shape->in2));
}

static size_t scratch(const struct linear_shape *shape, size_t threads) {
    return threads * REF_ROWS * (shape->in + shape->in2) * sizeof(float);
}

struct linear_task {
    const struct linear_shape *shape;
    const struct linear_operands *operands;
    size_t column_tasks;
};

/* Row `row` of the product's input: x and x2 side by side. */
static void gather(const struct linear_task *task, size_t row, float *out) {
    const struct linear_shape *shape = task->shape;
    const struct linear_operands *operands = task->operands;
    size_t sample = row / shape->rows, place = row % shape->rows;
    numbers_load(row_read(&operands->x, sample, shape->rows, place), operands->x.dtype, 0, shape->in, out);
    if (shape->in2) numbers_load(row_read(&operands->x2, sample, shape->rows, place), operands->x2.dtype, 0, shape->in2, out + shape->in);
}

static void finish_row(const struct linear_task *task, size_t row, size_t column, size_t count, float *sums, float *gates) {
    const struct linear_shape *shape = task->shape;
    const struct linear_operands *operands = task->operands;
    size_t sample = row / shape->rows, place = row % shape->rows;
    if (operands->bias) numbers_add(operands->bias, DTYPE_F32, column, count, sums);
    if (shape->geglu) {
        if (operands->bias) numbers_add(operands->bias, DTYPE_F32, shape->out + column, count, gates);
        activate(gates, count, ACT_GELU);
        for (size_t j = 0; j < count; j++) sums[j] *= gates[j];
    }
    if (shape->has_per_sample) numbers_add(row_read(&operands->per_sample, sample, 1, 0), DTYPE_F32, column, count, sums);
    if (shape->has_residual)
        numbers_add(row_read(&operands->residual, sample, shape->rows, place), operands->residual.dtype, column, count, sums);
    activate(sums, count, shape->act);
    numbers_store(row_write(&operands->out, sample, shape->rows, place), operands->out.dtype, column, count, sums);
}

/* REF_ROWS rows (fewer at the end) by the columns of one task. */
static void multiply(const struct linear_task *task, const float *x, size_t row, size_t rows, size_t first_panel) {
    const struct linear_shape *shape = task->shape;
    size_t depth = shape->in + shape->in2, all = panels(shape);
    size_t end = first_panel + REF_PANELS < all ? first_panel + REF_PANELS : all;
    const float *weight = task->operands->weight;
    for (size_t panel = first_panel; panel < end; panel++) {
        float sums[REF_ROWS][REF_PANEL], gates[REF_ROWS][REF_PANEL];
        ref_product(x, depth, weight + panel * REF_PANEL * depth, sums);
        if (shape->geglu) ref_product(x, depth, weight + (all + panel) * REF_PANEL * depth, gates);
        size_t column = panel * REF_PANEL;
        size_t count = shape->out - column < REF_PANEL ? shape->out - column : REF_PANEL;
        for (size_t r = 0; r < rows; r++) finish_row(task, row + r, column, count, sums[r], shape->geglu ? gates[r] : NULL);
    }
}

static void run_task(void *context, size_t number, size_t thread) {
    const struct linear_task *task = context;
    size_t depth = task->shape->in + task->shape->in2, total = task->shape->samples * task->shape->rows;
    float *x = (float *)task->operands->scratch + thread * REF_ROWS * depth;
    size_t row = number / task->column_tasks * TASK_ROWS, first_panel = number % task->column_tasks * REF_PANELS;
    size_t end = row + TASK_ROWS < total ? row + TASK_ROWS : total;
    for (; row < end; row += REF_ROWS) {
        size_t rows = end - row < REF_ROWS ? end - row : REF_ROWS;
        for (size_t r = 0; r < rows; r++) gather(task, row + r, x + r * depth);
        memset(x + rows * depth, 0, (REF_ROWS - rows) * depth * sizeof *x);
        multiply(task, x, row, rows, first_panel);
    }
}

static void run(const struct linear_shape *shape, const struct linear_operands *operands, void *state, struct pool *pool) {
    (void)state;
    struct linear_task task = {shape, operands, blocks_of(panels(shape), REF_PANELS)};
    pool_run(pool, blocks_of(shape->samples * shape->rows, TASK_ROWS) * task.column_tasks, run_task, &task);
}

extern const struct linear_kernel ref_linear;
const struct linear_kernel ref_linear = {
    .name = "ref", .accepts = accepts, .packed_size = packed_size, .layout = "ref", .pack = pack, .scratch = scratch, .run = run};
