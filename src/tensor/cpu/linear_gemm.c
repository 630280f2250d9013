/* Linear layers over the product of gemm.h. */
#include "tensor/cpu/elementary.h"
#include "tensor/cpu/gemm.h"

static struct gemm_weight weight_of(const struct linear_shape *shape) {
    return (struct gemm_weight){
        .weight = shape->weight,
        .weights = shape->weights,
        .columns = shape->out,
        .first = shape->weight_first,
        .taps = 1,
        .parts = shape->in2 ? 2 : 1,
        .length = {shape->in, shape->in2},
        .geglu = shape->geglu,
    };
}

static const char *accepts(const struct gemm_engine *engine, const struct linear_shape *shape) {
    if (isa_available() < engine->isa) return "the processor lacks the instructions";
    if (shape->compute != engine->dtype) return "another number format is asked for";
    return NULL;
}

/* ---- memory ---- */

struct layout {
    struct gemm_tiling tiling;
    size_t units[2];                  /* of the parts */
    size_t pointers, converted, sums; /* bytes, multiples of 64 */
};

static size_t round_up(size_t bytes) { return blocks_of(bytes, 64) * 64; }

static struct layout layout_of(const struct gemm_engine *engine, const struct linear_shape *shape, size_t threads) {
    struct layout layout = {.units = {gemm_units(engine, shape->in), gemm_units(engine, shape->in2)}};
    layout.tiling = gemm_tiling(shape->samples * shape->rows, gemm_panels(engine, shape->out, shape->geglu), threads);
    size_t rows = layout.tiling.rows, units = 0;
    if (gemm_must_convert(engine, shape->x_dtype, shape->in)) units += layout.units[0];
    if (shape->in2 && gemm_must_convert(engine, shape->x2_dtype, shape->in2)) units += layout.units[1];
    layout.pointers = round_up(2 * rows * sizeof(unsigned char *));
    layout.converted = round_up(rows * units * GEMM_UNIT_BYTES);
    layout.sums = round_up(gemm_sum_rows(layout.units[0] + layout.units[1], rows) * engine->panel * sizeof(float));
    return layout;
}

static size_t scratch(const struct gemm_engine *engine, const struct linear_shape *shape, size_t threads) {
    struct layout layout = layout_of(engine, shape, threads);
    return threads * (layout.pointers + layout.converted + layout.sums);
}

/* ---- running ---- */

struct linear_task {
    const struct gemm_engine *engine;
    const struct linear_shape *shape;
    const struct linear_operands *operands;
    struct gemm_finish finish;
    struct layout layout;
    size_t panels;
};

/* Fill in where one part of rows [first, first + count) is; returns the end of what was converted to `memory`. */
static unsigned char *place_rows(const struct linear_task *task, const struct view *view, size_t part, size_t first, size_t count,
                                 const unsigned char **pointer, unsigned char *memory) {
    const struct linear_shape *shape = task->shape;
    size_t length = part ? shape->in2 : shape->in, bytes = task->layout.units[part] * GEMM_UNIT_BYTES;
    bool convert = gemm_must_convert(task->engine, view->dtype, length);
    size_t sample = first / shape->rows, place = first % shape->rows;
    for (size_t r = 0; r < count; r++) {
        pointer[r] = row_read(view, sample, shape->rows, place);
        if (convert) {
            task->engine->convert(pointer[r], view->dtype, length, memory);
            pointer[r] = memory;
            memory += bytes;
        }
        if (++place == shape->rows) {
            place = 0;
            sample++;
        }
    }
    return memory;
}

static void run_task(void *context, size_t number, size_t thread) {
    const struct linear_task *task = context;
    const struct linear_shape *shape = task->shape;
    const struct gemm_tiling *tiling = &task->layout.tiling;
    size_t total = shape->samples * shape->rows;
    size_t first = number % tiling->row_tasks * tiling->rows, panel = number / tiling->row_tasks * tiling->panels;
    size_t rows = total - first < tiling->rows ? total - first : tiling->rows;
    size_t end = panel + tiling->panels < task->panels ? panel + tiling->panels : task->panels;
    unsigned char *memory =
        (unsigned char *)task->operands->scratch + thread * (task->layout.pointers + task->layout.converted + task->layout.sums);
    const unsigned char **pointer = (const unsigned char **)(void *)memory;
    unsigned char *converted = memory + task->layout.pointers + task->layout.sums;
    struct gemm_block block = {
        .a = {.row = pointer, .capacity = tiling->rows, .segments = shape->in2 ? 2 : 1, .parts = shape->in2 ? 2 : 1},
        .rows = rows,
        .sums = (float *)(void *)(memory + task->layout.pointers),
        .finish = &task->finish,
        .first_row = first,
    };
    for (size_t i = 0; i < 2; i++) block.a.units[i] = task->layout.units[i];
    converted = place_rows(task, &task->operands->x, 0, first, rows, pointer, converted);
    if (shape->in2) place_rows(task, &task->operands->x2, 1, first, rows, pointer + tiling->rows, converted);
    gemm_panels_run(task->engine, &block, task->operands->weight, shape->out, panel, end);
}

static void run(const struct gemm_engine *engine, const struct linear_shape *shape, const struct linear_operands *operands,
                struct pool *pool) {
    struct linear_task task = {
        .engine = engine,
        .shape = shape,
        .operands = operands,
        .layout = layout_of(engine, shape, pool_threads(pool)),
        .panels = gemm_panels(engine, shape->out, shape->geglu),
        .finish = {.bias = operands->bias,
                   .out = operands->out,
                   .rows = shape->rows,
                   .columns = shape->out,
                   .act = shape->act,
                   .geglu = shape->geglu},
    };
    if (shape->has_per_sample) task.finish.per_sample = operands->per_sample;
    if (shape->has_residual) task.finish.residual = operands->residual;
    pool_run(pool, task.layout.tiling.row_tasks * task.layout.tiling.panel_tasks, run_task, &task);
}

/* ---- a row for each engine ---- */

#define LINEAR_ROW(engine, row_layout)                                                                                                     \
    static const char *accepts_##engine(const struct linear_shape *shape) { return accepts(&gemm_##engine, shape); }                       \
    static size_t packed_size_##engine(const struct linear_shape *shape) {                                                                 \
        struct gemm_weight weight = weight_of(shape);                                                                                      \
        return gemm_packed_size(&gemm_##engine, &weight);                                                                                  \
    }                                                                                                                                      \
    static void pack_##engine(const struct linear_shape *shape, void *packed) {                                                            \
        struct gemm_weight weight = weight_of(shape);                                                                                      \
        gemm_pack(&gemm_##engine, &weight, packed);                                                                                        \
    }                                                                                                                                      \
    static size_t scratch_##engine(const struct linear_shape *shape, size_t threads) { return scratch(&gemm_##engine, shape, threads); }   \
    static void run_##engine(const struct linear_shape *shape, const struct linear_operands *operands, void *state, struct pool *pool) {   \
        (void)state;                                                                                                                       \
        run(&gemm_##engine, shape, operands, pool);                                                                                        \
    }                                                                                                                                      \
    extern const struct linear_kernel engine##_linear;                                                                                     \
    const struct linear_kernel engine##_linear = {.name = #engine,                                                                         \
                                                  .accepts = accepts_##engine,                                                             \
                                                  .packed_size = packed_size_##engine,                                                     \
                                                  .layout = row_layout,                                                                    \
                                                  .pack = pack_##engine,                                                                   \
                                                  .scratch = scratch_##engine,                                                             \
                                                  .run = run_##engine}

LINEAR_ROW(avx512bf16, "bf16 64");
LINEAR_ROW(avx512, "f32 64");
LINEAR_ROW(avx2, "f32 16");
