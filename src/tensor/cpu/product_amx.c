/* Products by tiles: amx.h. Two tiles of rows meet two of columns, so that every tile loaded is used twice. */
#include "tensor/cpu/vector_avx512.h"

#include "tensor/cpu/amx.h"

typedef __m512 vector;
enum { VECTORS = 2 };

static inline vector vector_load(const void *row, enum dtype dtype, size_t first, size_t count) {
    return load_numbers(row, dtype, first, mask_below(count));
}
static inline void vector_store(void *row, enum dtype dtype, size_t first, size_t count, vector x) {
    store_numbers(row, dtype, first, mask_below(count), x);
}
static inline vector vector_gelu(vector x) { return gelu_f32x16(x); }
static inline vector vector_activate(vector x, enum activation act) { return activate_f32x16(x, act); }

#include "tensor/cpu/gemm_finish.h"

/* ---- registers ---- */

/* The tile instructions don't tell the compiler which memory they read: what was written before must be there. */
static inline void settle(const void *memory) { __asm__ volatile("" : : "r"(memory) : "memory"); }

void amx_begin(void) {
    enum { TILES = 8, ROW = 64 };
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } configuration = {.palette = 1};
    for (size_t i = 0; i < TILES; i++) {
        configuration.row_bytes[i] = ROW;
        configuration.rows[i] = AMX_ROWS;
    }
    settle(&configuration);
    _tile_loadconfig(&configuration);
}

void amx_end(void) { _tile_release(); }

/* ---- copies ---- */

void amx_copy(const void *from, enum dtype dtype, size_t count, size_t filled, void *to) {
    uint16_t *out = to;
    for (size_t i = 0; i < filled; i += 2 * FLOATS) {
        size_t left = i < count ? count - i : 0;
        if (dtype == DTYPE_BF16) {
            __mmask32 mask = left >= 2 * FLOATS ? 0xffffffffu : (1u << left) - 1u;
            _mm512_storeu_si512(out + i, _mm512_maskz_loadu_epi16(mask, (const uint16_t *)from + i));
        } else {
            __m512 low = load_numbers(from, dtype, i, mask_below(left));
            __m512 high = load_numbers(from, dtype, i + FLOATS, mask_below(left < FLOATS ? 0 : left - FLOATS));
            _mm512_storeu_si512(out + i, (__m512i)_mm512_cvtne2ps_pbh(high, low));
        }
    }
}

/* ---- two tiles of rows by a panel ---- */

struct ahead {
    const unsigned char *line;
    size_t lines; /* asked for at each step */
};

/* rows, columns: 1 or 2 tiles, constants. */
__attribute__((always_inline)) static inline void multiply(int rows, int columns, const struct amx_block *block, const unsigned char *a,
                                                           const unsigned char *a2, const unsigned char *panel, struct ahead *ahead) {
    const size_t stride = block->stride * block->pixel, width = (size_t)columns * 64;
    for (size_t part = 0; part < block->channels; part += AMX_PART) {
        size_t end = block->channels - part < AMX_PART ? block->channels : part + AMX_PART;
        for (size_t tap = 0; tap < block->taps; tap++)
            for (size_t c = part; c < end; c += AMX_CHANNELS) {
                size_t at = block->tap[tap] + c * sizeof(uint16_t);
                _tile_loadd(4, a + at, (long)stride);
                _tile_loadd(6, panel, (long)width);
                if (rows == 2) _tile_loadd(5, a2 + at, (long)stride);
                if (columns == 2) _tile_loadd(7, panel + 64, (long)width);
                _tile_dpbf16ps(0, 4, 6);
                if (columns == 2) _tile_dpbf16ps(1, 4, 7);
                if (rows == 2) _tile_dpbf16ps(2, 5, 6);
                if (rows == 2 && columns == 2) _tile_dpbf16ps(3, 5, 7);
                panel += AMX_ROWS * width;
                for (size_t i = 0; i < ahead->lines; i++, ahead->line += 64) __builtin_prefetch(ahead->line, 0, 2);
            }
    }
}

/* Sums [32][32]. more: go on from what is there. */
__attribute__((always_inline)) static inline void multiply_pair(int rows, int columns, const struct amx_block *block,
                                                                const unsigned char *a, const unsigned char *a2, const unsigned char *panel,
                                                                float *sums, bool more, float *to, struct ahead *ahead) {
    enum { ROW = AMX_PANEL * sizeof(float), LOWER = AMX_ROWS * AMX_PANEL, RIGHT = 16 };
    settle(sums);
    if (more) {
        _tile_loadd(0, sums, ROW);
        _tile_loadd(1, sums + RIGHT, ROW);
        _tile_loadd(2, sums + LOWER, ROW);
        _tile_loadd(3, sums + LOWER + RIGHT, ROW);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    multiply(rows, columns, block, a, a2, panel, ahead);
    _tile_stored(0, to, ROW);
    if (columns == 2) _tile_stored(1, to + RIGHT, ROW);
    if (rows == 2) _tile_stored(2, to + LOWER, ROW);
    if (rows == 2 && columns == 2) _tile_stored(3, to + LOWER + RIGHT, ROW);
    settle(to);
}

/* ---- a block ---- */

static bool in_rows(const struct amx_block *block) { return block->w % AMX_ROWS == 0; }

static const unsigned char *tile_at(const struct amx_block *block, size_t tile) {
    size_t sample = tile / block->tiles, place = tile % block->tiles, pixel = place * AMX_ROWS;
    if (in_rows(block)) {
        size_t across = block->w / AMX_ROWS;
        pixel = place / across * block->pitch + place % across * AMX_ROWS;
    }
    return block->copy + sample * block->sample + pixel * block->stride * block->pixel;
}

/* What a tile's sums become. */
static void finish_tile(const struct amx_block *block, size_t tile, size_t column, size_t columns, const float *sums) {
    size_t sample = tile / block->tiles, place = tile % block->tiles;
    size_t first = ((block->first_sample + sample) * block->picture_h + block->first_y) * block->picture_w + block->first_x;
    if (in_rows(block)) {
        size_t across = block->w / AMX_ROWS;
        first += place / across * block->picture_w + place % across * AMX_ROWS;
        finish_rows(block->finish, first, AMX_ROWS, column, columns, sums, AMX_PANEL);
        return;
    }
    size_t y = place * AMX_ROWS / block->pitch, x = place * AMX_ROWS % block->pitch;
    for (size_t r = 0; r < AMX_ROWS && y < block->h; y++, x = 0) {
        size_t places = block->pitch - x, results = x < block->w ? block->w - x : 0;
        if (results > AMX_ROWS - r) results = AMX_ROWS - r;
        if (results > 0)
            finish_rows(block->finish, first + y * block->picture_w + x, results, column, columns, sums + r * AMX_PANEL, AMX_PANEL);
        r += places;
    }
}

void amx_panel(const struct amx_block *block, const unsigned char *panel, size_t width, size_t first, size_t columns,
               const unsigned char *next) {
    size_t tiles = block->samples * block->tiles, pairs = (tiles + 1) / 2;
    /* A step takes as many lines of the panel as it is wide; all pairs together ask for the next panel's. */
    struct ahead ahead = {next, next ? (width + pairs - 1) / pairs : 0};
    bool wide = width == AMX_PANEL;
    for (size_t tile = 0; tile < tiles; tile += 2) {
        bool two = tile + 1 < tiles;
        const unsigned char *a = tile_at(block, tile), *a2 = tile_at(block, two ? tile + 1 : tile);
        float *sums = block->sums ? block->sums + tile * AMX_ROWS * AMX_PANEL : block->one, *to = block->last ? block->one : sums;
        if (two && wide)
            multiply_pair(2, 2, block, a, a2, panel, sums, !block->first, to, &ahead);
        else if (wide)
            multiply_pair(1, 2, block, a, a2, panel, sums, !block->first, to, &ahead);
        else if (two)
            multiply_pair(2, 1, block, a, a2, panel, sums, !block->first, to, &ahead);
        else
            multiply_pair(1, 1, block, a, a2, panel, sums, !block->first, to, &ahead);
        if (!block->last) continue;
        finish_tile(block, tile, first, columns, block->one);
        if (two) finish_tile(block, tile + 1, first, columns, block->one + AMX_ROWS * AMX_PANEL);
    }
}
