/* The product of gemm.h with vectors of any length. Included by one file for each instruction that
 * multiplies. That file defines first
 *   what gemm_finish.h needs
 *   unit_all()                       a unit of four bytes in all lanes
 *   multiply_add()                   sum + a * b in each lane: of one f32, or of two bf16
 *   unit_filled()                    numbers that a row of `count` takes, the last unit filled up
 *   FORMAT                           of rows and panels
 * Arithmetic that is the same for all is written with operators. */
#ifndef TENSOR_CPU_GEMM_VECTOR_H
#define TENSOR_CPU_GEMM_VECTOR_H

#include "tensor/cpu/gemm_finish.h"

static inline void floats_store(float *to, vector x) { memcpy(to, &x, sizeof x); }

/* ---- a tile: up to 6 rows by a panel, sums in registers ---- */

/* Part of the depth: whole segments [segment, end), or units [first, first + count) of one. */
struct span {
    size_t segment, end, first, count;
};

/* Rows that will be wanted when the sums are there: their lines are asked for while products are made, one line a unit of depth. */
struct ahead {
    const unsigned char *row[2 * GEMM_TILE_ROWS];
    size_t rows, bytes; /* bytes: of each row, a power of two */
};
enum { LINE = 64 };

__attribute__((always_inline)) static inline void tile(size_t rows, size_t vectors, const struct gemm_rows *a, size_t first_row,
                                                       const struct span *span, const unsigned char *panel, float *sums, bool more,
                                                       const struct ahead *ahead) {
    size_t next = 0, offset = 0;
    vector sum[GEMM_TILE_ROWS][VECTORS];
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) sum[r][v] = more ? floats_load(sums + (r * vectors + v) * FLOATS) : (vector){0};
    for (size_t segment = span->segment; segment < span->end; segment++) {
        const unsigned char *const *start = a->row + segment * a->capacity + first_row;
        const unsigned char *row[GEMM_TILE_ROWS];
#pragma GCC unroll 6
        for (size_t r = 0; r < rows; r++) row[r] = start[r] + span->first * GEMM_UNIT_BYTES;
        size_t count = span->count ? span->count : segment_units(a, segment);
        for (size_t i = 0; i < count; i++) {
            vector b[VECTORS];
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++) memcpy(&b[v], panel + v * sizeof(vector), sizeof(vector));
#pragma GCC unroll 6
            for (size_t r = 0; r < rows; r++) {
                vector unit = unit_all(row[r] + i * GEMM_UNIT_BYTES);
#pragma GCC unroll 4
                for (size_t v = 0; v < vectors; v++) sum[r][v] = multiply_add(sum[r][v], unit, b[v]);
            }
            panel += vectors * sizeof(vector);
            __builtin_prefetch((const void *)((uintptr_t)ahead->row[next] + offset)); /* an address past the end does no harm */
            if (++next == ahead->rows) {
                next = 0;
                offset = (offset + LINE) & (ahead->bytes - 1);
            }
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) floats_store(sums + (r * vectors + v) * FLOATS, sum[r][v]);
}

typedef void tile_function(const struct gemm_rows *a, size_t first_row, const struct span *span, const unsigned char *panel, float *sums,
                           bool more, const struct ahead *ahead);

#define TILE(rows, vectors)                                                                                                                \
    static void tile_##rows##_##vectors(const struct gemm_rows *a, size_t first_row, const struct span *span, const unsigned char *panel,  \
                                        float *sums, bool more, const struct ahead *ahead) {                                               \
        tile(rows, vectors, a, first_row, span, panel, sums, more, ahead);                                                                 \
    }
/* clang-format off */
#if PANEL_OF_FOUR
#define TILES(rows) TILE(rows, 1) TILE(rows, 2) TILE(rows, 3) TILE(rows, 4)
#define TILE_NAMES(rows) {tile_##rows##_1, tile_##rows##_2, tile_##rows##_3, tile_##rows##_4}
#else
#define TILES(rows) TILE(rows, 1) TILE(rows, 2)
#define TILE_NAMES(rows) {tile_##rows##_1, tile_##rows##_2}
#endif
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
static tile_function *const tiles[GEMM_TILE_ROWS][VECTORS] = {TILE_NAMES(1), TILE_NAMES(2), TILE_NAMES(3),
                                                              TILE_NAMES(4), TILE_NAMES(5), TILE_NAMES(6)};
/* clang-format on */
#undef TILE_NAMES
#undef TILES
#undef TILE

/* ---- a block ---- */

/* The span that follows: as many whole segments as fit GEMM_UNITS, or a part of one that doesn't. Returns its depth. */
static inline size_t next_span(const struct gemm_rows *a, struct span *span) {
    bool inside = span->count && span->first + span->count < segment_units(a, span->segment);
    if (inside) {
        span->first += span->count;
    } else {
        span->segment = span->end;
        span->first = 0;
    }
    span->count = 0;
    size_t units = segment_units(a, span->segment);
    span->end = span->segment + 1;
    if (units > GEMM_UNITS) {
        size_t left = units - span->first;
        span->count = left < GEMM_UNITS ? left : GEMM_UNITS;
        return span->count;
    }
    while (span->end < a->segments && units + segment_units(a, span->end) <= GEMM_UNITS) units += segment_units(a, span->end++);
    return units;
}

/* What finish_rows() will read and write of rows [first, first + rows), where there is a residual. */
static void look_ahead(const struct gemm_finish *finish, size_t first, size_t rows, size_t column, struct ahead *ahead) {
    size_t sample = first / finish->rows, place = first % finish->rows;
    const struct view *residual = &finish->residual, *out = &finish->out;
    size_t out_size = out->dtype == DTYPE_BF16 ? 2 : 4, residual_size = residual->dtype == DTYPE_BF16 ? 2 : 4;
    ahead->rows = 2 * rows;
    ahead->bytes = PANEL * sizeof(float);
    for (size_t r = 0; r < rows; r++) {
        size_t from = sample % residual->samples * finish->rows + place, to = sample * finish->rows + place;
        ahead->row[2 * r] = (const unsigned char *)residual->data + (from * residual->stride + column) * residual_size;
        ahead->row[2 * r + 1] = (const unsigned char *)out->data + (to * out->stride + column) * out_size;
        if (++place == finish->rows) {
            place = 0;
            sample++;
        }
    }
}

static void run_block(const struct gemm_block *block) {
    const struct gemm_rows *a = &block->a;
    size_t depth = gemm_depth(a), vectors = block->panel_columns / FLOATS;
    bool shallow = depth <= GEMM_UNITS && block->finish;
    const unsigned char *panel = block->panel;
    struct span span = {0, 0, 0, 0};
    struct ahead ahead = {.row = {panel}, .rows = 1, .bytes = LINE};
    for (size_t done = 0; done < depth;) {
        size_t units = next_span(a, &span);
        bool last = done + units == depth;
        for (size_t r = 0; r < block->rows; r += GEMM_TILE_ROWS) {
            size_t rows = block->rows - r < GEMM_TILE_ROWS ? block->rows - r : GEMM_TILE_ROWS;
            float *sums = block->sums + (shallow ? 0 : r * block->panel_columns);
            if (last && block->finish && block->finish->residual.data)
                look_ahead(block->finish, block->first_row + r, rows, block->first_column, &ahead);
            tiles[rows - 1][vectors - 1](a, r, &span, panel, sums, done > 0, &ahead);
            if (last && block->finish)
                finish_rows(block->finish, block->first_row + r, rows, block->first_column, block->columns, sums, block->panel_columns);
        }
        panel += units * block->panel_columns * GEMM_UNIT_BYTES;
        done += units;
    }
}

/* Numbers of a row in the engine's format; the last unit is filled up with zero. */
static void convert(const void *from, enum dtype dtype, size_t count, void *to) {
    for (size_t i = 0; i < count; i += FLOATS) vector_store(to, FORMAT, i, unit_filled(count - i), vector_load(from, dtype, i, count - i));
}

#endif
