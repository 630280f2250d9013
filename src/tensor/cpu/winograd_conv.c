/* 3x3 convolutions by Winograd's transforms (winograd.h) over the product of gemm.h.
 *
 * A task takes a block of squares: transforms their inputs, multiplies point by point with the
 * transformed weights, and transforms the sums back, all in its thread's memory, so that neither
 * transformed inputs nor sums travel further than the caches. */
#include "tensor/cpu/conv_axis.h"
#include "tensor/cpu/elementary.h"
#include "tensor/cpu/gemm.h"
#include "tensor/cpu/winograd.h"

static struct gemm_weight weight_of(const struct conv_shape *shape, size_t m) {
    return (struct gemm_weight){
        .weight = &shape->weight,
        .weights = 1,
        .columns = shape->out,
        .first = shape->weight_first,
        .taps = (m + 2) * (m + 2),
        .parts = shape->c2 ? 2 : 1,
        .length = {shape->c, shape->c2},
        .winograd = m,
    };
}

/* ---- memory ---- */

struct layout {
    size_t tiles_y, tiles_x, tiles; /* squares of a picture, and of all */
    size_t block, blocks;           /* squares of a task */
    size_t panels, group, groups;   /* of columns, those of a task */
    size_t together;                /* panels whose sums are made before any is transformed back */
    size_t part[2], row;            /* bytes of a square's inputs at one point: of each part, of both */
    size_t axis_y, axis_x;          /* positions along the axes */
    /* Bytes, multiples of 64. Once: zeros, axes. For each thread: transformed inputs and sums (those
     * of one point), pointers. */
    size_t zeros, axes, inputs, sums, pointers;
};

static size_t round_up(size_t bytes) { return blocks_of(bytes, 64) * 64; }
/* An odd number of cache lines: the same place at all points must not fall into the same set of a cache. */
static size_t round_up_odd(size_t bytes) { return (blocks_of(bytes, 64) | 1) * 64; }

/* Blocks of as many squares as leave the sums of 64 columns in the L2 cache, and as many blocks for each thread. */
static void share_out(struct layout *layout, const struct gemm_engine *engine, size_t points, size_t threads) {
    enum { SUMS = 400 << 10, FEWEST = 24 };
    size_t most = SUMS / (points * layout->together * engine->panel * sizeof(float));
    layout->blocks = blocks_of(blocks_of(layout->tiles, most), threads) * threads;
    if (blocks_of(layout->tiles, layout->blocks) < FEWEST) layout->blocks = blocks_of(layout->tiles, FEWEST);
    layout->block = blocks_of(layout->tiles, layout->blocks);
    layout->blocks = blocks_of(layout->tiles, layout->block);
    layout->group = layout->panels;
    while (layout->blocks * blocks_of(layout->panels, layout->group) < threads && layout->group > 1)
        layout->group = (layout->group + 1) / 2;
    layout->groups = blocks_of(layout->panels, layout->group);
}

static struct layout layout_of(const struct gemm_engine *engine, const struct conv_shape *shape, size_t m, size_t threads) {
    struct layout layout = {.tiles_y = blocks_of(shape->out_h, m), .tiles_x = blocks_of(shape->out_w, m)};
    size_t points = (m + 2) * (m + 2);
    layout.tiles = shape->samples * layout.tiles_y * layout.tiles_x;
    layout.panels = gemm_panels(engine, shape->out, false);
    layout.together = GEMM_PANEL / engine->panel;
    share_out(&layout, engine, points, threads);
    layout.part[0] = gemm_units(engine, shape->c) * GEMM_UNIT_BYTES;
    layout.part[1] = gemm_units(engine, shape->c2) * GEMM_UNIT_BYTES;
    layout.row = layout.part[0] + layout.part[1];
    layout.axis_y = layout.tiles_y * m + 2;
    layout.axis_x = layout.tiles_x * m + 2;
    layout.zeros = round_up((shape->c > shape->c2 ? shape->c : shape->c2) * sizeof(float));
    layout.axes = round_up((layout.axis_y + layout.axis_x) * sizeof(ptrdiff_t));
    layout.inputs = round_up_odd(layout.block * layout.row);
    layout.sums = round_up_odd(layout.block * layout.together * engine->panel * sizeof(float));
    layout.pointers = round_up((layout.block > points ? layout.block : points) * sizeof(void *));
    return layout;
}

static size_t thread_bytes(const struct layout *layout, size_t m) {
    return (m + 2) * (m + 2) * (layout->inputs + layout->sums) + layout->pointers;
}

static size_t scratch(const struct gemm_engine *engine, const struct conv_shape *shape, size_t m, size_t threads) {
    struct layout layout = layout_of(engine, shape, m, threads);
    return layout.zeros + layout.axes + threads * thread_bytes(&layout, m);
}

static const char *accepts(const struct gemm_engine *engine, const struct conv_shape *shape, size_t m) {
    if (isa_available() < engine->isa) return "the processor lacks the instructions";
    if (shape->compute != engine->dtype) return "another number format is asked for";
    if (shape->kh != 3 || shape->kw != 3 || shape->stride != 1) return "the kernel is not 3x3 with stride 1";
    if (shape->out < engine->vector || shape->c + shape->c2 < engine->vector) return "too few channels to be worth the transforms";
    /* The transformed weights are two to four times as many. */
    enum { FEWEST = 96 };
    size_t tiles_y = blocks_of(shape->out_h, m), tiles_x = blocks_of(shape->out_w, m);
    if (shape->samples * tiles_y * tiles_x < FEWEST) return "the picture is too small for the transformed weights to pay";
    if (tiles_y * m * tiles_x * m * 100 > shape->out_h * shape->out_w * 115) return "too much of the squares would lie outside the picture";
    return NULL;
}

/* ---- running ---- */

struct winograd_task {
    const struct gemm_engine *engine;
    const struct conv_shape *shape;
    const struct conv_operands *operands;
    struct gemm_finish finish;
    struct layout layout;
    size_t m, points;
    unsigned char *zeros, *threads;
    ptrdiff_t *source_y, *source_x;
};

/* A square's place. */
struct square {
    size_t sample, y, x; /* of its first result */
};

static struct square square_of(const struct winograd_task *task, size_t tile) {
    size_t of_picture = task->layout.tiles_y * task->layout.tiles_x, place = tile % of_picture;
    return (struct square){tile / of_picture, place / task->layout.tiles_x * task->m, place % task->layout.tiles_x * task->m};
}

static void transform_part(const struct winograd_task *task, const struct square *square, const struct view *view, size_t channels,
                           const void **pixel, unsigned char *out) {
    size_t n = task->m + 2;
    for (size_t y = 0; y < n; y++) {
        ptrdiff_t source_y = task->source_y[square->y + y];
        for (size_t x = 0; x < n; x++) {
            ptrdiff_t source_x = task->source_x[square->x + x];
            bool outside = source_y == OUTSIDE || source_x == OUTSIDE;
            pixel[y * n + x] = outside ? task->zeros
                                       : row_read(view, square->sample, task->shape->h * task->shape->w,
                                                  (size_t)source_y * task->shape->w + (size_t)source_x);
        }
    }
    task->engine->winograd_input(task->m, pixel, view->dtype, channels, out, task->layout.inputs);
}

static void transform_inputs(const struct winograd_task *task, size_t first, size_t count, unsigned char *inputs, const void **pixel) {
    for (size_t i = 0; i < count; i++) {
        struct square square = square_of(task, first + i);
        unsigned char *out = inputs + i * task->layout.row;
        transform_part(task, &square, &task->operands->x, task->shape->c, pixel, out);
        if (task->shape->c2) transform_part(task, &square, &task->operands->x2, task->shape->c2, pixel, out + task->layout.part[0]);
    }
}

/* Sums of panels [first, end) at all points: [points][panel][count][columns of the panel]. */
static void multiply(const struct winograd_task *task, size_t count, size_t first, size_t end, const unsigned char *inputs, float *sums,
                     const unsigned char **row) {
    size_t units = task->layout.row / GEMM_UNIT_BYTES, panel_bytes = task->engine->panel * units * GEMM_UNIT_BYTES;
    for (size_t point = 0; point < task->points; point++) {
        for (size_t i = 0; i < count; i++) row[i] = inputs + point * task->layout.inputs + i * task->layout.row;
        for (size_t panel = first; panel < end; panel++) {
            size_t columns = gemm_panel_columns(task->engine, task->shape->out, false, panel);
            const unsigned char *weight = (const unsigned char *)task->operands->weight + panel * task->points * panel_bytes;
            struct gemm_block block = {
                .a = {.row = row, .capacity = count, .segments = 1, .parts = 1, .units = {units, 0}},
                .rows = count,
                .panel = weight + point * columns * units * GEMM_UNIT_BYTES,
                .panel_columns = columns,
                .sums = sums + point * (task->layout.sums / sizeof(float)) + (panel - first) * count * task->engine->panel,
            };
            task->engine->block(&block);
        }
    }
}

/* One square, one panel: transform back and finish its rows, cut off at the picture's edge. */
static void finish_square(const struct winograd_task *task, const struct square *square, const float *sums, size_t panel) {
    float out[16 * GEMM_PANEL];
    const struct conv_shape *shape = task->shape;
    size_t columns = gemm_panel_columns(task->engine, shape->out, false, panel), column = panel * task->engine->panel;
    size_t count = shape->out - column < columns ? shape->out - column : columns;
    size_t width = shape->out_w - square->x < task->m ? shape->out_w - square->x : task->m;
    task->engine->winograd_output(task->m, sums, task->layout.sums / sizeof(float), columns, out);
    for (size_t y = 0; y < task->m && square->y + y < shape->out_h; y++) {
        size_t row = (square->sample * shape->out_h + square->y + y) * shape->out_w + square->x;
        task->engine->finish(&task->finish, row, width, column, count, out + y * task->m * columns, columns);
    }
}

static void run_task(void *context, size_t number, size_t thread) {
    const struct winograd_task *task = context;
    const struct layout *layout = &task->layout;
    size_t first = number % layout->blocks * layout->block, first_panel = number / layout->blocks * layout->group;
    size_t count = layout->tiles - first < layout->block ? layout->tiles - first : layout->block;
    size_t end_panel = first_panel + layout->group < layout->panels ? first_panel + layout->group : layout->panels;
    unsigned char *inputs = task->threads + thread * thread_bytes(layout, task->m);
    float *sums = (float *)(void *)(inputs + task->points * layout->inputs);
    void *pointers = (unsigned char *)sums + task->points * layout->sums;
    transform_inputs(task, first, count, inputs, pointers);
    for (size_t panel = first_panel; panel < end_panel; panel += layout->together) {
        size_t end = panel + layout->together < end_panel ? panel + layout->together : end_panel;
        multiply(task, count, panel, end, inputs, sums, pointers);
        for (size_t i = 0; i < count * (end - panel); i++) {
            struct square square = square_of(task, first + i / (end - panel));
            size_t place = i % (end - panel), columns = gemm_panel_columns(task->engine, task->shape->out, false, panel + place);
            const float *from = sums + place * count * task->engine->panel + i / (end - panel) * columns;
            finish_square(task, &square, from, panel + place);
        }
    }
}

static void run(const struct gemm_engine *engine, const struct conv_shape *shape, const struct conv_operands *operands, size_t m,
                struct pool *pool) {
    struct winograd_task task = {
        .engine = engine,
        .shape = shape,
        .operands = operands,
        .layout = layout_of(engine, shape, m, pool_threads(pool)),
        .m = m,
        .points = (m + 2) * (m + 2),
        .finish =
            {.bias = operands->bias, .out = operands->out, .rows = shape->out_h * shape->out_w, .columns = shape->out, .act = shape->act},
        .zeros = operands->scratch,
    };
    const struct layout *layout = &task.layout;
    if (shape->has_per_sample) task.finish.per_sample = operands->per_sample;
    if (shape->has_residual) task.finish.residual = operands->residual;
    memset(task.zeros, 0, layout->zeros);
    task.source_y = (ptrdiff_t *)(void *)(task.zeros + layout->zeros);
    task.source_x = task.source_y + layout->axis_y;
    task.threads = task.zeros + layout->zeros + layout->axes;
    conv_axis(task.source_y, layout->axis_y, shape->pad_top, shape->h, shape->up_h);
    conv_axis(task.source_x, layout->axis_x, shape->pad_left, shape->w, shape->up_w);
    pool_run(pool, layout->blocks * layout->groups, run_task, &task);
}

/* ---- a row for each engine and m ---- */

#define WINOGRAD_ROW(engine, m, row_layout)                                                                                                \
    static const char *accepts_##engine##_##m(const struct conv_shape *shape) { return accepts(&gemm_##engine, shape, m); }                \
    static size_t packed_size_##engine##_##m(const struct conv_shape *shape) {                                                             \
        struct gemm_weight weight = weight_of(shape, m);                                                                                   \
        return gemm_packed_size(&gemm_##engine, &weight);                                                                                  \
    }                                                                                                                                      \
    static void pack_##engine##_##m(const struct conv_shape *shape, void *packed) {                                                        \
        struct gemm_weight weight = weight_of(shape, m);                                                                                   \
        gemm_pack(&gemm_##engine, &weight, packed);                                                                                        \
    }                                                                                                                                      \
    static size_t scratch_##engine##_##m(const struct conv_shape *shape, size_t threads) {                                                 \
        return scratch(&gemm_##engine, shape, m, threads);                                                                                 \
    }                                                                                                                                      \
    static void run_##engine##_##m(const struct conv_shape *shape, const struct conv_operands *operands, void *state, struct pool *pool) { \
        (void)state;                                                                                                                       \
        run(&gemm_##engine, shape, operands, m, pool);                                                                                     \
    }                                                                                                                                      \
    extern const struct conv_kernel engine##_winograd##m;                                                                                  \
    const struct conv_kernel engine##_winograd##m = {.name = #engine "-winograd" #m,                                                       \
                                                     .accepts = accepts_##engine##_##m,                                                    \
                                                     .packed_size = packed_size_##engine##_##m,                                            \
                                                     .layout = row_layout,                                                                 \
                                                     .pack = pack_##engine##_##m,                                                          \
                                                     .scratch = scratch_##engine##_##m,                                                    \
                                                     .run = run_##engine##_##m}

WINOGRAD_ROW(avx512bf16, 2, "bf16 64 winograd2");
WINOGRAD_ROW(avx512bf16, 3, "bf16 64 winograd3");
WINOGRAD_ROW(avx512, 2, "f32 64 winograd2");
WINOGRAD_ROW(avx512, 4, "f32 64 winograd4");
WINOGRAD_ROW(avx2, 2, "f32 16 winograd2");
WINOGRAD_ROW(avx2, 4, "f32 16 winograd4");
