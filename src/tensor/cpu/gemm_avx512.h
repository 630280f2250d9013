/* The product of gemm.h in vectors of 512 bits. Included by one file for each instruction that
 * multiplies: that file defines multiply_add() first. */
#ifndef TENSOR_CPU_GEMM_AVX512_H
#define TENSOR_CPU_GEMM_AVX512_H

#include "tensor/cpu/gemm.h"
#include "tensor/cpu/vector_avx512.h"

#include <string.h>

/* sum + a * b in each lane: of one f32, or of two bf16. */
static inline __m512 multiply_add(__m512 sum, __m512i a, __m512i b);

/* ---- a tile: up to 6 rows by up to 4 vectors, sums in registers ---- */

/* Part of the depth: whole segments [segment, end), or units [first, first + count) of one. */
struct span {
    size_t segment, end, first, count;
};

static inline int unit_of(const unsigned char *row, size_t unit) {
    int value;
    memcpy(&value, row + unit * GEMM_UNIT_BYTES, sizeof value);
    return value;
}

__attribute__((always_inline)) static inline void tile(size_t rows, size_t vectors, const struct gemm_rows *a, size_t first_row,
                                                       const struct span *span, const unsigned char *panel, float *sums, bool more) {
    __m512 sum[GEMM_TILE_ROWS][GEMM_PANEL / FLOATS];
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) sum[r][v] = more ? _mm512_loadu_ps(sums + (r * vectors + v) * FLOATS) : _mm512_setzero_ps();
    for (size_t segment = span->segment; segment < span->end; segment++) {
        const unsigned char *const *start = a->row + segment * a->capacity + first_row;
        const unsigned char *row[GEMM_TILE_ROWS];
#pragma GCC unroll 6
        for (size_t r = 0; r < rows; r++) row[r] = start[r] + span->first * GEMM_UNIT_BYTES;
        size_t count = span->count ? span->count : segment_units(a, segment);
        for (size_t i = 0; i < count; i++) {
            __m512i b[GEMM_PANEL / FLOATS];
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++) b[v] = _mm512_loadu_si512(panel + v * 64);
#pragma GCC unroll 6
            for (size_t r = 0; r < rows; r++) {
                __m512i unit = _mm512_set1_epi32(unit_of(row[r], i));
#pragma GCC unroll 4
                for (size_t v = 0; v < vectors; v++) sum[r][v] = multiply_add(sum[r][v], unit, b[v]);
            }
            panel += vectors * 64;
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) _mm512_storeu_ps(sums + (r * vectors + v) * FLOATS, sum[r][v]);
}

typedef void tile_function(const struct gemm_rows *a, size_t first_row, const struct span *span, const unsigned char *panel, float *sums,
                           bool more);

#define TILE(rows, vectors)                                                                                                                \
    static void tile_##rows##_##vectors(const struct gemm_rows *a, size_t first_row, const struct span *span, const unsigned char *panel,  \
                                        float *sums, bool more) {                                                                          \
        tile(rows, vectors, a, first_row, span, panel, sums, more);                                                                        \
    }
/* clang-format off */
#define TILES(rows) TILE(rows, 1) TILE(rows, 2) TILE(rows, 3) TILE(rows, 4)
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
#define TILE_NAMES(rows) {tile_##rows##_1, tile_##rows##_2, tile_##rows##_3, tile_##rows##_4}
static tile_function *const tiles[GEMM_TILE_ROWS][GEMM_PANEL / FLOATS] = {TILE_NAMES(1), TILE_NAMES(2), TILE_NAMES(3),
                                                                          TILE_NAMES(4), TILE_NAMES(5), TILE_NAMES(6)};
/* clang-format on */
#undef TILE_NAMES
#undef TILES
#undef TILE

/* ---- what happens to the sums ---- */

/* Rows of one sample. */
struct finish_run {
    const void *per_sample;
    const unsigned char *residual;
    unsigned char *out;
    size_t residual_stride, out_stride; /* bytes */
    size_t rows, column, columns;
    const float *sums;
    size_t stride;
};

static inline size_t view_bytes(const struct view *view) { return view->stride * (view->dtype == DTYPE_BF16 ? 2 : 4); }

/* residual: whether there is one; special: geglu or an activation. Constants, like the formats, so that each gets a loop of its own. */
__attribute__((always_inline)) static inline void finish_run(const struct gemm_finish *finish, const struct finish_run *run, bool special,
                                                             bool residual, enum dtype residual_dtype, enum dtype out_dtype) {
    __m512 base[GEMM_PANEL / FLOATS], gate_base[GEMM_PANEL / FLOATS];
    for (size_t v = 0; v * FLOATS < run->columns; v++) {
        size_t column = run->column + v * FLOATS;
        __mmask16 mask = mask_below(run->columns - v * FLOATS);
        base[v] = finish->bias ? _mm512_maskz_loadu_ps(mask, finish->bias + column) : _mm512_setzero_ps();
        if (special && finish->geglu)
            gate_base[v] = finish->bias ? _mm512_maskz_loadu_ps(mask, finish->bias + finish->columns + column) : _mm512_setzero_ps();
        if (run->per_sample) base[v] = _mm512_add_ps(base[v], load_numbers(run->per_sample, finish->per_sample.dtype, column, mask));
    }
    const float *sums = run->sums;
    const unsigned char *from = run->residual;
    unsigned char *to = run->out;
    for (size_t r = 0; r < run->rows; r++, sums += run->stride, from += run->residual_stride, to += run->out_stride) {
        for (size_t v = 0; v * FLOATS < run->columns; v++) {
            size_t column = run->column + v * FLOATS;
            __mmask16 mask = mask_below(run->columns - v * FLOATS);
            __m512 x = _mm512_add_ps(_mm512_loadu_ps(sums + v * FLOATS), base[v]);
            if (special && finish->geglu)
                x = _mm512_mul_ps(x, gelu_f32x16(_mm512_add_ps(_mm512_loadu_ps(sums + GEMM_PANEL / 2 + v * FLOATS), gate_base[v])));
            if (residual) x = _mm512_add_ps(x, load_numbers(from, residual_dtype, column, mask));
            if (special) x = activate_f32x16(x, finish->act);
            store_numbers(to, out_dtype, column, mask, x);
        }
    }
}

static void finish_one_run(const struct gemm_finish *finish, const struct finish_run *run) {
    enum dtype out = finish->out.dtype, residual = finish->residual.dtype;
    bool has = finish->residual.data != NULL;
    if (finish->geglu || finish->act != ACT_NONE)
        finish_run(finish, run, true, has, residual, out);
    else if (!has && out == DTYPE_BF16)
        finish_run(finish, run, false, false, DTYPE_F32, DTYPE_BF16);
    else if (!has)
        finish_run(finish, run, false, false, DTYPE_F32, DTYPE_F32);
    else if (residual == DTYPE_F32 && out == DTYPE_F32)
        finish_run(finish, run, false, true, DTYPE_F32, DTYPE_F32);
    else
        finish_run(finish, run, false, true, residual, out);
}

/* Rows [first, first + rows) of the result from sums [rows][stride]. */
static void finish_rows(const struct gemm_finish *finish, size_t first, size_t rows, size_t column, size_t columns, const float *sums,
                        size_t stride) {
    size_t sample = first / finish->rows, place = first % finish->rows;
    const struct view *per_sample = &finish->per_sample, *residual = &finish->residual, *out = &finish->out;
    struct finish_run run = {.column = column, .columns = columns, .sums = sums, .stride = stride};
    for (; rows > 0; rows -= run.rows, sample++, place = 0) {
        run.rows = rows < finish->rows - place ? rows : finish->rows - place;
        run.out_stride = view_bytes(out);
        run.out = (unsigned char *)out->data + (sample * finish->rows + place) * run.out_stride;
        if (residual->data) {
            run.residual_stride = view_bytes(residual);
            run.residual =
                (const unsigned char *)residual->data + (sample % residual->samples * finish->rows + place) * run.residual_stride;
        }
        if (per_sample->data)
            run.per_sample = (const unsigned char *)per_sample->data + sample % per_sample->samples * view_bytes(per_sample);
        finish_one_run(finish, &run);
        run.sums += run.rows * stride;
    }
}

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

static inline void run_block(const struct gemm_block *block) {
    const struct gemm_rows *a = &block->a;
    size_t depth = gemm_depth(a), vectors = block->panel_columns / FLOATS;
    bool shallow = depth <= GEMM_UNITS && block->finish;
    const unsigned char *panel = block->panel;
    struct span span = {0, 0, 0, 0};
    for (size_t done = 0; done < depth;) {
        size_t units = next_span(a, &span);
        bool last = done + units == depth;
        for (size_t r = 0; r < block->rows; r += GEMM_TILE_ROWS) {
            size_t rows = block->rows - r < GEMM_TILE_ROWS ? block->rows - r : GEMM_TILE_ROWS;
            float *sums = block->sums + (shallow ? 0 : r * block->panel_columns);
            tiles[rows - 1][vectors - 1](a, r, &span, panel, sums, done > 0);
            if (last && block->finish)
                finish_rows(block->finish, block->first_row + r, rows, block->first_column, block->columns, sums, block->panel_columns);
        }
        panel += units * block->panel_columns * GEMM_UNIT_BYTES;
        done += units;
    }
}

#endif
