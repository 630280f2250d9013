/* Convolutions in plain C: the patch under the kernel is laid out as a row, and rows are multiplied
 * as in a linear layer. Right for every shape. */
#include "tensor/cpu/elementary.h"
#include "tensor/cpu/ref_product.h"

#include <stdint.h>

enum { TASK_ROWS = 32 };

size_t upsample_source(size_t i, size_t in, size_t out) {
    if (in == out) return i;
    float scale = (float)in / (float)out;
    size_t source = (size_t)floorf((float)i * scale);
    return source < in ? source : in - 1;
}

static const char *accepts(const struct conv_shape *shape) {
    (void)shape;
    return NULL;
}

static size_t panels(const struct conv_shape *shape) { return blocks_of(shape->out, REF_PANEL); }
static size_t depth_of(const struct conv_shape *shape) { return shape->kh * shape->kw * (shape->c + shape->c2); }
static size_t packed_size(const struct conv_shape *shape) { return panels(shape) * REF_PANEL * depth_of(shape) * sizeof(float); }

/* The patch's order: kernel row, kernel column, channel. */
static void pack(const struct conv_shape *shape, void *packed) {
    size_t taps = shape->kh * shape->kw, in = shape->c + shape->c2, depth = depth_of(shape), weight_in = shape->weight->shape[1];
    memset(packed, 0, packed_size(shape));
    for (size_t j = 0; j < shape->out; j++) {
        float *panel = (float *)packed + j / REF_PANEL * REF_PANEL * depth + j % REF_PANEL;
        for (size_t c = 0; c < in; c++)
            for (size_t tap = 0; tap < taps; tap++) {
                size_t element = (j * weight_in + shape->weight_first + c) * taps + tap;
                tensor_read_f32(shape->weight, element, 1, panel + (tap * in + c) * REF_PANEL);
            }
    }
}

static size_t scratch(const struct conv_shape *shape, size_t threads) { return threads * REF_ROWS * depth_of(shape) * sizeof(float); }

struct conv_task {
    const struct conv_shape *shape;
    const struct conv_operands *operands;
};

/* One pixel of the input that the convolution sees, x and x2 side by side; zeros outside. */
static void gather_pixel(const struct conv_task *task, size_t sample, size_t y, size_t x, float *out) {
    const struct conv_shape *shape = task->shape;
    const struct conv_operands *operands = task->operands;
    /* y and x count from the padding's edge. */
    if (y < shape->pad_top || y - shape->pad_top >= shape->up_h || x < shape->pad_left || x - shape->pad_left >= shape->up_w) {
        memset(out, 0, (shape->c + shape->c2) * sizeof *out);
        return;
    }
    size_t source_y = upsample_source(y - shape->pad_top, shape->h, shape->up_h);
    size_t source_x = upsample_source(x - shape->pad_left, shape->w, shape->up_w);
    size_t rows = shape->h * shape->w, row = source_y * shape->w + source_x;
    numbers_load(row_read(&operands->x, sample, rows, row), operands->x.dtype, 0, shape->c, out);
    if (shape->c2) numbers_load(row_read(&operands->x2, sample, rows, row), operands->x2.dtype, 0, shape->c2, out + shape->c);
}

static void gather_patch(const struct conv_task *task, size_t row, float *out) {
    const struct conv_shape *shape = task->shape;
    size_t pixels = shape->out_h * shape->out_w, sample = row / pixels, pixel = row % pixels;
    size_t y = pixel / shape->out_w * shape->stride, x = pixel % shape->out_w * shape->stride;
    for (size_t ky = 0; ky < shape->kh; ky++)
        for (size_t kx = 0; kx < shape->kw; kx++, out += shape->c + shape->c2) gather_pixel(task, sample, y + ky, x + kx, out);
}

static void finish_row(const struct conv_task *task, size_t row, size_t column, size_t count, float *sums) {
    const struct conv_shape *shape = task->shape;
    const struct conv_operands *operands = task->operands;
    size_t pixels = shape->out_h * shape->out_w, sample = row / pixels, pixel = row % pixels;
    if (operands->bias) numbers_add(operands->bias, DTYPE_F32, column, count, sums);
    if (shape->has_per_sample) numbers_add(row_read(&operands->per_sample, sample, 1, 0), DTYPE_F32, column, count, sums);
    if (shape->has_residual)
        numbers_add(row_read(&operands->residual, sample, pixels, pixel), operands->residual.dtype, column, count, sums);
    activate(sums, count, shape->act);
    numbers_store(row_write(&operands->out, sample, pixels, pixel), operands->out.dtype, column, count, sums);
}

static void run_task(void *context, size_t number, size_t thread) {
    const struct conv_task *task = context;
    const struct conv_shape *shape = task->shape;
    size_t depth = depth_of(shape), total = shape->samples * shape->out_h * shape->out_w;
    float *x = (float *)task->operands->scratch + thread * REF_ROWS * depth;
    const float *weight = task->operands->weight;
    size_t row = number * TASK_ROWS, end = row + TASK_ROWS < total ? row + TASK_ROWS : total;
    for (; row < end; row += REF_ROWS) {
        size_t rows = end - row < REF_ROWS ? end - row : REF_ROWS;
        for (size_t r = 0; r < rows; r++) gather_patch(task, row + r, x + r * depth);
        memset(x + rows * depth, 0, (REF_ROWS - rows) * depth * sizeof *x);
        for (size_t panel = 0; panel < panels(shape); panel++) {
            float sums[REF_ROWS][REF_PANEL];
            ref_product(x, depth, weight + panel * REF_PANEL * depth, sums);
            size_t column = panel * REF_PANEL;
            size_t count = shape->out - column < REF_PANEL ? shape->out - column : REF_PANEL;
            for (size_t r = 0; r < rows; r++) finish_row(task, row + r, column, count, sums[r]);
        }
    }
}

static void run(const struct conv_shape *shape, const struct conv_operands *operands, void *state, struct pool *pool) {
    (void)state;
    struct conv_task task = {shape, operands};
    pool_run(pool, blocks_of(shape->samples * shape->out_h * shape->out_w, TASK_ROWS), run_task, &task);
}

extern const struct conv_kernel ref_conv;
const struct conv_kernel ref_conv = {
    .name = "ref", .accepts = accepts, .packed_size = packed_size, .layout = "ref", .pack = pack, .scratch = scratch, .run = run};
