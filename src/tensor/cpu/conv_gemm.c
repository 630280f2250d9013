/* Convolutions over the product of gemm.h. A result's pixel is a row, a tap of the kernel a segment
 * (two with a second input): its numbers are read where they are in the picture, enlarged or not,
 * and outside the picture from a row of zeros. */
#include "tensor/cpu/conv_axis.h"
#include "tensor/cpu/elementary.h"
#include "tensor/cpu/gemm.h"

static struct gemm_weight weight_of(const struct conv_shape *shape) {
    return (struct gemm_weight){
        .weight = &shape->weight,
        .weights = 1,
        .columns = shape->out,
        .first = shape->weight_first,
        .taps = shape->kh * shape->kw,
        .parts = shape->c2 ? 2 : 1,
        .length = {shape->c, shape->c2},
    };
}

static const char *accepts(const struct gemm_engine *engine, const struct conv_shape *shape) {
    if (isa_available() < engine->isa) return "the processor lacks the instructions";
    if (shape->compute != engine->dtype) return "another number format is asked for";
    if (shape->kh * shape->kw > GEMM_TAPS_MAX) return "the kernel has too many taps";
    return NULL;
}

/* ---- memory ---- */

struct layout {
    struct gemm_tiling tiling;
    size_t segments, units[2];
    bool convert[2];             /* the input must be rewritten first */
    size_t columns_y, columns_x; /* positions along each axis that a tap can fall on */
    /* Bytes, multiples of 64. Once: zeros, the two axes, the rewritten inputs. For each thread: pointers, sums. */
    size_t zeros, axes, converted[2], pointers, sums;
};

static size_t round_up(size_t bytes) { return blocks_of(bytes, 64) * 64; }

static struct layout layout_of(const struct gemm_engine *engine, const struct conv_shape *shape, size_t threads) {
    struct layout layout = {
        .tiling = gemm_tiling(shape->samples * shape->out_h * shape->out_w, gemm_panels(engine, shape->out, false), threads),
        .segments = shape->kh * shape->kw * (shape->c2 ? 2 : 1),
        .units = {gemm_units(engine, shape->c), gemm_units(engine, shape->c2)},
        .convert = {gemm_must_convert(engine, shape->x_dtype, shape->c),
                    shape->c2 && gemm_must_convert(engine, shape->x2_dtype, shape->c2)},
        .columns_y = (shape->out_h - 1) * shape->stride + shape->kh,
        .columns_x = (shape->out_w - 1) * shape->stride + shape->kw,
    };
    size_t most = layout.units[0] > layout.units[1] ? layout.units[0] : layout.units[1];
    layout.zeros = round_up(most * GEMM_UNIT_BYTES);
    layout.axes = round_up((layout.columns_y + layout.columns_x) * sizeof(ptrdiff_t));
    for (size_t i = 0; i < 2; i++)
        if (layout.convert[i]) layout.converted[i] = round_up(shape->samples * shape->h * shape->w * layout.units[i] * GEMM_UNIT_BYTES);
    layout.pointers = round_up(layout.segments * layout.tiling.rows * sizeof(unsigned char *));
    size_t depth = (layout.units[0] + layout.units[1]) * shape->kh * shape->kw;
    layout.sums = round_up(gemm_sum_rows(depth, layout.tiling.rows) * engine->panel * sizeof(float));
    return layout;
}

static size_t scratch(const struct gemm_engine *engine, const struct conv_shape *shape, size_t threads) {
    struct layout layout = layout_of(engine, shape, threads);
    return layout.zeros + layout.axes + layout.converted[0] + layout.converted[1] + threads * (layout.pointers + layout.sums);
}

/* ---- running ---- */

/* An input as bytes in the engine's format. */
struct picture {
    const unsigned char *data;
    size_t stride, samples; /* bytes from pixel to pixel */
};

struct conv_task {
    const struct gemm_engine *engine;
    const struct conv_shape *shape;
    const struct conv_operands *operands;
    struct gemm_finish finish;
    struct layout layout;
    size_t panels;
    unsigned char *zeros, *threads;
    ptrdiff_t *source_y, *source_x; /* by position along the axis, padding included: the stored row or column, or OUTSIDE */
    struct picture picture[2];
    /* of the input that is being rewritten */
    const struct view *view;
    unsigned char *converted;
    size_t length, bytes;
};

enum { CONVERT_ROWS = 64 };

static void run_convert(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct conv_task *task = context;
    size_t rows = task->view->samples * task->shape->h * task->shape->w;
    size_t end = (number + 1) * CONVERT_ROWS < rows ? (number + 1) * CONVERT_ROWS : rows;
    for (size_t row = number * CONVERT_ROWS; row < end; row++)
        task->engine->convert(row_read(task->view, 0, rows, row), task->view->dtype, task->length, task->converted + row * task->bytes);
}

/* Where one of the inputs is, rewritten if need be to `memory`. */
static struct picture picture_of(struct conv_task *task, size_t part, const struct view *view, unsigned char *memory, struct pool *pool) {
    struct picture picture = {view->data, view->stride * dtype_size(view->dtype), view->samples};
    if (!task->layout.convert[part]) return picture;
    task->view = view;
    task->converted = memory;
    task->length = part ? task->shape->c2 : task->shape->c;
    task->bytes = task->layout.units[part] * GEMM_UNIT_BYTES;
    pool_run(pool, blocks_of(view->samples * task->shape->h * task->shape->w, CONVERT_ROWS), run_convert, task);
    return (struct picture){memory, task->bytes, view->samples};
}

/* Pointers of one row of the product: row[segment * capacity]. */
static void place_row(const struct conv_task *task, size_t sample, size_t y, size_t x, const unsigned char **row) {
    const struct conv_shape *shape = task->shape;
    size_t parts = shape->c2 ? 2 : 1;
    for (size_t ky = 0; ky < shape->kh; ky++) {
        ptrdiff_t source_y = task->source_y[y * shape->stride + ky];
        for (size_t kx = 0; kx < shape->kw; kx++) {
            ptrdiff_t source_x = task->source_x[x * shape->stride + kx];
            for (size_t part = 0; part < parts; part++, row += task->layout.tiling.rows) {
                const struct picture *picture = &task->picture[part];
                size_t pixel = (sample % picture->samples * shape->h + (size_t)source_y) * shape->w + (size_t)source_x;
                *row = source_y == OUTSIDE || source_x == OUTSIDE ? task->zeros : picture->data + pixel * picture->stride;
            }
        }
    }
}

static void place_rows(const struct conv_task *task, size_t first, size_t count, const unsigned char **row) {
    size_t pixels = task->shape->out_h * task->shape->out_w;
    size_t sample = first / pixels, y = first % pixels / task->shape->out_w, x = first % pixels % task->shape->out_w;
    for (size_t r = 0; r < count; r++) {
        place_row(task, sample, y, x, row + r);
        if (++x < task->shape->out_w) continue;
        x = 0;
        if (++y < task->shape->out_h) continue;
        y = 0;
        sample++;
    }
}

static void run_task(void *context, size_t number, size_t thread) {
    const struct conv_task *task = context;
    const struct conv_shape *shape = task->shape;
    const struct gemm_tiling *tiling = &task->layout.tiling;
    size_t total = shape->samples * shape->out_h * shape->out_w;
    size_t first = number % tiling->row_tasks * tiling->rows, panel = number / tiling->row_tasks * tiling->panels;
    size_t end = panel + tiling->panels < task->panels ? panel + tiling->panels : task->panels;
    unsigned char *memory = task->threads + thread * (task->layout.pointers + task->layout.sums);
    const unsigned char **row = (const unsigned char **)(void *)memory;
    struct gemm_block block = {
        .a = {.row = row,
              .capacity = tiling->rows,
              .segments = task->layout.segments,
              .parts = shape->c2 ? 2 : 1,
              .units = {task->layout.units[0], task->layout.units[1]}},
        .rows = total - first < tiling->rows ? total - first : tiling->rows,
        .sums = (float *)(void *)(memory + task->layout.pointers),
        .finish = &task->finish,
        .first_row = first,
    };
    place_rows(task, first, block.rows, row);
    gemm_panels_run(task->engine, &block, task->operands->weight, shape->out, panel, end);
}

static void run(const struct gemm_engine *engine, const struct conv_shape *shape, const struct conv_operands *operands, struct pool *pool) {
    struct conv_task task = {
        .engine = engine,
        .shape = shape,
        .operands = operands,
        .layout = layout_of(engine, shape, pool_threads(pool)),
        .panels = gemm_panels(engine, shape->out, false),
        .finish =
            {.bias = operands->bias, .out = operands->out, .rows = shape->out_h * shape->out_w, .columns = shape->out, .act = shape->act},
    };
    const struct layout *layout = &task.layout;
    if (shape->has_per_sample) task.finish.per_sample = operands->per_sample;
    if (shape->has_residual) task.finish.residual = operands->residual;
    task.zeros = operands->scratch;
    memset(task.zeros, 0, layout->zeros);
    task.source_y = (ptrdiff_t *)(void *)(task.zeros + layout->zeros);
    task.source_x = task.source_y + layout->columns_y;
    conv_axis(task.source_y, layout->columns_y, shape->pad_top, shape->h, shape->up_h);
    conv_axis(task.source_x, layout->columns_x, shape->pad_left, shape->w, shape->up_w);
    unsigned char *memory = task.zeros + layout->zeros + layout->axes;
    task.picture[0] = picture_of(&task, 0, &operands->x, memory, pool);
    if (shape->c2) task.picture[1] = picture_of(&task, 1, &operands->x2, memory + layout->converted[0], pool);
    task.threads = memory + layout->converted[0] + layout->converted[1];
    pool_run(pool, layout->tiling.row_tasks * layout->tiling.panel_tasks, run_task, &task);
}

/* ---- a row for each engine ---- */

#define CONV_ROW(engine, row_layout)                                                                                                       \
    static const char *accepts_##engine(const struct conv_shape *shape) { return accepts(&gemm_##engine, shape); }                         \
    static size_t packed_size_##engine(const struct conv_shape *shape) {                                                                   \
        struct gemm_weight weight = weight_of(shape);                                                                                      \
        return gemm_packed_size(&gemm_##engine, &weight);                                                                                  \
    }                                                                                                                                      \
    static void pack_##engine(const struct conv_shape *shape, void *packed) {                                                              \
        struct gemm_weight weight = weight_of(shape);                                                                                      \
        gemm_pack(&gemm_##engine, &weight, packed);                                                                                        \
    }                                                                                                                                      \
    static size_t scratch_##engine(const struct conv_shape *shape, size_t threads) { return scratch(&gemm_##engine, shape, threads); }     \
    static void run_##engine(const struct conv_shape *shape, const struct conv_operands *operands, void *state, struct pool *pool) {       \
        (void)state;                                                                                                                       \
        run(&gemm_##engine, shape, operands, pool);                                                                                        \
    }                                                                                                                                      \
    extern const struct conv_kernel engine##_conv;                                                                                         \
    const struct conv_kernel engine##_conv = {.name = #engine,                                                                             \
                                              .accepts = accepts_##engine,                                                                 \
                                              .packed_size = packed_size_##engine,                                                         \
                                              .layout = row_layout,                                                                        \
                                              .pack = pack_##engine,                                                                       \
                                              .scratch = scratch_##engine,                                                                 \
                                              .run = run_##engine}

CONV_ROW(avx512bf16, "bf16 64");
CONV_ROW(avx512, "f32 64");
CONV_ROW(avx2, "f32 16");
