/* Weights in panels, and how a product is shared out. For all engines. */
#include "tensor/cpu/elementary.h"
#include "tensor/cpu/gemm.h"
#include "tensor/cpu/winograd.h"

enum {
    CHUNK = 64, /* channels read of one column before the next column's turn: the panel's part stays in the L1 cache */
    STRETCH = 2 * GEMM_TAPS_MAX,
};

/* Result columns of a panel. */
static size_t panel_results(const struct gemm_engine *engine, bool geglu) { return geglu ? engine->panel / 2 : engine->panel; }

size_t gemm_panels(const struct gemm_engine *engine, size_t columns, bool geglu) {
    return blocks_of(columns, panel_results(engine, geglu));
}

size_t gemm_panel_columns(const struct gemm_engine *engine, size_t columns, bool geglu, size_t panel) {
    if (geglu) return engine->panel;
    size_t left = columns - panel * engine->panel;
    return left < engine->panel ? blocks_of(left, engine->vector) * engine->vector : engine->panel;
}

size_t gemm_weight_depth(const struct gemm_engine *engine, const struct gemm_weight *weight) {
    size_t units = 0;
    for (size_t part = 0; part < weight->parts; part++) units += gemm_units(engine, weight->length[part]);
    return units * weight->taps;
}

size_t gemm_packed_size(const struct gemm_engine *engine, const struct gemm_weight *weight) {
    size_t last = gemm_panels(engine, weight->columns, weight->geglu) - 1;
    size_t columns = last * engine->panel + gemm_panel_columns(engine, weight->columns, weight->geglu, last);
    return gemm_weight_depth(engine, weight) * columns * GEMM_UNIT_BYTES;
}

/* Inline, so that loops over it become vector code; weights hold no NaN worth keeping. */
static inline uint32_t round_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

/* The weight's row that a panel's column shows, or false for one that is only filled up. */
static bool source_row(const struct gemm_engine *engine, const struct gemm_weight *weight, size_t panel, size_t column, size_t *row) {
    size_t results = panel_results(engine, weight->geglu), result = panel * results + column % results;
    *row = result + (column >= results ? weight->columns : 0);
    return result < weight->columns;
}

/* Numbers [first, first + count) of one part of row `row`, all taps: out[channel][tap]. */
static void read_stretch(const struct gemm_weight *weight, size_t row, size_t part, size_t first, size_t count, float *out) {
    int i = 0;
    while (row >= weight->weight[i]->shape[0]) row -= weight->weight[i++]->shape[0];
    size_t channel = weight->first + (part ? weight->length[0] : 0) + first, taps = weight->winograd ? 9 : weight->taps;
    size_t element = (row * weight->weight[i]->shape[1] + channel) * taps;
    if (!weight->winograd) {
        tensor_read_f32(weight->weight[i], element, count * taps, out);
        return;
    }
    float kernel[CHUNK * 9];
    tensor_read_f32(weight->weight[i], element, count * 9, kernel);
    for (size_t c = 0; c < count; c++) winograd_weight(weight->winograd, kernel + 9 * c, out + c * weight->taps);
}

static void write_column(const struct gemm_engine *engine, const float *number, size_t step, size_t count, uint32_t *out, size_t columns) {
    size_t units = gemm_units(engine, count);
    if (engine->dtype == DTYPE_F32) {
        for (size_t i = 0; i < units; i++) memcpy(out + i * columns, number + i * step, sizeof(float));
        return;
    }
    for (size_t i = 0; i + 1 < count; i += 2)
        out[i / 2 * columns] = round_bf16(number[i * step]) | round_bf16(number[(i + 1) * step]) << 16;
    if (count % 2) out[(units - 1) * columns] = round_bf16(number[(count - 1) * step]);
}

/* Channels [first, first + count) of one part of a panel, in all taps. `out`: where that part begins in the first tap. */
static void pack_stretch(const struct gemm_engine *engine, const struct gemm_weight *weight, size_t panel, size_t part, size_t first,
                         size_t count, uint32_t *out) {
    float number[STRETCH];
    size_t columns = gemm_panel_columns(engine, weight->columns, weight->geglu, panel);
    size_t tap_units = gemm_weight_depth(engine, weight) / weight->taps, before = gemm_units(engine, first);
    for (size_t column = 0; column < columns; column++) {
        size_t row;
        if (source_row(engine, weight, panel, column, &row))
            read_stretch(weight, row, part, first, count, number);
        else
            memset(number, 0, count * weight->taps * sizeof *number);
        for (size_t tap = 0; tap < weight->taps; tap++)
            write_column(engine, number + tap, weight->taps, count, out + (tap * tap_units + before) * columns + column, columns);
    }
}

void gemm_pack(const struct gemm_engine *engine, const struct gemm_weight *weight, void *packed) {
    size_t depth = gemm_weight_depth(engine, weight), panels = gemm_panels(engine, weight->columns, weight->geglu);
    size_t chunk = STRETCH / weight->taps / 2 * 2; /* even: a unit's two numbers are read together */
    if (chunk > CHUNK) chunk = CHUNK;
    for (size_t panel = 0; panel < panels; panel++) {
        uint32_t *out = (uint32_t *)packed + panel * depth * engine->panel;
        size_t columns = gemm_panel_columns(engine, weight->columns, weight->geglu, panel);
        for (size_t part = 0; part < weight->parts; part++) {
            for (size_t first = 0; first < weight->length[part]; first += chunk) {
                size_t left = weight->length[part] - first;
                pack_stretch(engine, weight, panel, part, first, left < chunk ? left : chunk, out);
            }
            out += gemm_units(engine, weight->length[part]) * columns;
        }
    }
}

void gemm_panels_run(const struct gemm_engine *engine, struct gemm_block *block, const void *packed, size_t columns, size_t first,
                     size_t end) {
    bool geglu = block->finish && block->finish->geglu;
    size_t results = panel_results(engine, geglu), depth = gemm_depth(&block->a);
    for (size_t panel = first; panel < end; panel++) {
        size_t left = columns - panel * results;
        block->panel = (const unsigned char *)packed + panel * depth * engine->panel * GEMM_UNIT_BYTES;
        block->panel_columns = gemm_panel_columns(engine, columns, geglu, panel);
        block->first_column = panel * results;
        block->columns = left < results ? left : results;
        engine->block(block);
    }
}

struct gemm_tiling gemm_tiling(size_t rows, size_t panels, size_t threads) {
    enum { TASKS = 6 /* for each thread: shares stay even when one is interrupted */, FEWEST_ROWS = 8 * GEMM_TILE_ROWS };
    struct gemm_tiling tiling = {.panels = panels};
    size_t blocks = blocks_of(rows, GEMM_BLOCK_ROWS), wanted = threads > 1 ? TASKS * threads : 1;
    tiling.rows = blocks_of(blocks_of(rows, blocks), GEMM_TILE_ROWS) * GEMM_TILE_ROWS;
    while (blocks_of(rows, tiling.rows) * blocks_of(panels, tiling.panels) < wanted && tiling.panels > 1)
        tiling.panels = (tiling.panels + 1) / 2;
    while (blocks_of(rows, tiling.rows) * blocks_of(panels, tiling.panels) < wanted && tiling.rows > FEWEST_ROWS)
        tiling.rows = blocks_of(tiling.rows / 2, GEMM_TILE_ROWS) * GEMM_TILE_ROWS;
    tiling.row_tasks = blocks_of(rows, tiling.rows);
    tiling.panel_tasks = blocks_of(panels, tiling.panels);
    return tiling;
}
