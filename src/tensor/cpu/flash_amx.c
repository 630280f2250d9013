/* Attention of flash_avx512.h with the products by tiles (amx.h): 32 keys, or numbers of a head, meet 32 queries. Scores
 * leave the tiles through a buffer; while one buffer's powers are made, the next one's scores are. */
enum { UNIT_NUMBERS = 2, WIDTH_STEP = 16, ROW_STEP = 16 };
#include "tensor/cpu/flash_avx512.h"

#include "tensor/cpu/amx.h"
#include "tensor/cpu/flash_bf16.h"

enum {
    SIDE = 32,                  /* keys and queries of two tiles each */
    HALVES = QUERIES / SIDE,    /* of the queries */
    TILE_UNITS = 16,            /* units of depth in a tile */
    PANEL_ROW = QUERIES * UNIT, /* bytes of a row of the queries' panel, of powers, and of sums */
    VALUE_ROW = BLOCK_UNITS * UNIT,
};

static void flash_begin(void) { amx_begin(); }
static void flash_end(void) { amx_end(); }

/* The tile instructions don't tell the compiler which memory they read. */
static inline void settle(const void *memory) { __asm__ volatile("" : : "r"(memory) : "memory"); }

/* Scores of keys [first, first + 32) and one half of the queries: [32][32]. */
static void score_square(const struct flash_block *block, size_t units, size_t first, size_t half, float *scores) {
    const unsigned char *key = block->key + first * units * UNIT, *panel = block->panel + half * SIDE * UNIT;
    const long row = (long)(units * UNIT);
    settle(key);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t unit = 0; unit < units; unit += TILE_UNITS) {
        _tile_loadd(4, key, row);
        _tile_loadd(6, panel, PANEL_ROW);
        _tile_loadd(5, key + AMX_ROWS * row, row);
        _tile_loadd(7, panel + 64, PANEL_ROW);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        key += TILE_UNITS * UNIT;
        panel += TILE_UNITS * PANEL_ROW;
    }
    enum { ROW = SIDE * sizeof(float) };
    _tile_stored(0, scores, ROW);
    _tile_stored(1, scores + FLOATS, ROW);
    _tile_stored(2, scores + AMX_ROWS * SIDE, ROW);
    _tile_stored(3, scores + AMX_ROWS * SIDE + FLOATS, ROW);
    settle(scores);
}

/* A square's powers, added to its queries' sums. masked: some keys are not for all queries. */
__attribute__((always_inline)) static inline void power_square(const struct flash_block *block, const float *scores, float scale,
                                                               bool masked, size_t first, size_t half, __m512 sum[VECTORS / HALVES]) {
    enum { MINE = VECTORS / HALVES };
    const __m512 factor = _mm512_set1_ps(scale);
    __m512 reference[MINE];
#pragma GCC unroll 2
    for (size_t v = 0; v < MINE; v++) reference[v] = _mm512_load_ps(block->reference + (half * MINE + v) * FLOATS);
#pragma GCC unroll 4
    for (size_t k = 0; k < SIDE; k += 2, scores += 2 * SIDE)
#pragma GCC unroll 2
        for (size_t v = 0; v < MINE; v++) {
            size_t place = half * MINE + v;
            __m512 p = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(scores + v * FLOATS), factor, reference[v]));
            __m512 q = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(scores + SIDE + v * FLOATS), factor, reference[v]));
            if (masked) {
                p = _mm512_maskz_mov_ps(seen(block, first + k, place), p);
                q = _mm512_maskz_mov_ps(seen(block, first + k + 1, place), q);
            }
            sum[v] = _mm512_add_ps(sum[v], _mm512_add_ps(p, q));
            store_powers(block->powers + ((first + k) / UNIT_NUMBERS * VECTORS + place) * 64, p, q);
        }
}

static bool powers_of(const struct flash_block *block, size_t units, float scale, float *sum) {
    float scores[2][SIDE * SIDE] __attribute__((aligned(64)));
    __m512 total[VECTORS];
    for (size_t v = 0; v < VECTORS; v++) total[v] = _mm512_setzero_ps();
    size_t squares = blocks_of(block->keys, SIDE) * HALVES;
    score_square(block, units, 0, 0, scores[0]);
    for (size_t i = 0; i < squares; i++) {
        size_t next = i + 1, first = i / HALVES * SIDE, half = i % HALVES;
        if (next < squares) score_square(block, units, next / HALVES * SIDE, next % HALVES, scores[next % 2]);
        if (block->causal || first + SIDE > block->keys)
            power_square(block, scores[i % 2], scale, true, first, half, total + half * VECTORS / HALVES);
        else
            power_square(block, scores[i % 2], scale, false, first, half, total + half * VECTORS / HALVES);
    }
    return sums_in_range(block, total, sum);
}

static void raise_reference(struct flash_block *block, size_t units, size_t width, float scale) {
    float scores[SIDE * SIDE] __attribute__((aligned(64)));
    __m512 largest[VECTORS];
    for (size_t v = 0; v < VECTORS; v++) largest[v] = first_largest(block, v);
    for (size_t first = 0; first < block->keys; first += SIDE)
        for (size_t half = 0; half < HALVES; half++) {
            score_square(block, units, first, half, scores);
            for (size_t k = 0; k < SIDE; k++)
                for (size_t v = half * VECTORS / HALVES; v < (half + 1) * VECTORS / HALVES; v++) {
                    __m512 score = _mm512_load_ps(scores + k * SIDE + v % (VECTORS / HALVES) * FLOATS);
                    largest[v] =
                        _mm512_mask_max_ps(largest[v], seen(block, first + k, v), largest[v], _mm512_mul_ps(score, _mm512_set1_ps(scale)));
                }
        }
    for (size_t v = 0; v < VECTORS; v++) set_reference(block, v, width, largest[v]);
}

/* One or two tiles of V^T's rows times one half of the powers, added to out. */
__attribute__((always_inline)) static inline void value_square(size_t tiles, const unsigned char *value, const unsigned char *powers,
                                                               size_t units, float *out, bool more) {
    float *lower = out + AMX_ROWS * QUERIES;
    if (more) {
        _tile_loadd(0, out, PANEL_ROW);
        _tile_loadd(1, out + FLOATS, PANEL_ROW);
        if (tiles == 2) _tile_loadd(2, lower, PANEL_ROW);
        if (tiles == 2) _tile_loadd(3, lower + FLOATS, PANEL_ROW);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size_t unit = 0; unit < units; unit += TILE_UNITS) {
        _tile_loadd(4, value, VALUE_ROW);
        _tile_loadd(6, powers, PANEL_ROW);
        if (tiles == 2) _tile_loadd(5, value + AMX_ROWS * VALUE_ROW, VALUE_ROW);
        _tile_loadd(7, powers + 64, PANEL_ROW);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (tiles == 2) _tile_dpbf16ps(2, 5, 6);
        if (tiles == 2) _tile_dpbf16ps(3, 5, 7);
        value += TILE_UNITS * UNIT;
        powers += TILE_UNITS * PANEL_ROW;
    }
    _tile_stored(0, out, PANEL_ROW);
    _tile_stored(1, out + FLOATS, PANEL_ROW);
    if (tiles == 2) _tile_stored(2, lower, PANEL_ROW);
    if (tiles == 2) _tile_stored(3, lower + FLOATS, PANEL_ROW);
}

static void add_values(const struct flash_block *block, size_t width) {
    size_t units = blocks_of(block->keys, SIDE) * SIDE / UNIT_NUMBERS;
    bool more = block->first_key > 0;
    settle(block->powers);
    for (size_t half = 0; half < HALVES; half++) {
        const unsigned char *powers = block->powers + half * SIDE * UNIT;
        float *out = block->out + half * SIDE;
        for (size_t d = 0; d < width; d += 2 * AMX_ROWS)
            if (width - d > AMX_ROWS)
                value_square(2, block->value + d * VALUE_ROW, powers, units, out + d * QUERIES, more);
            else
                value_square(1, block->value + d * VALUE_ROW, powers, units, out + d * QUERIES, more);
    }
    settle(block->out);
}

static const char *accepts(const struct attention_shape *shape) {
    if (isa_available() < ISA_AMX) return "the processor lacks the instructions";
    if (shape->compute != DTYPE_BF16) return "another number format is asked for";
    if (shape->head_width > WIDTH_MOST) return "the heads are too wide";
    return NULL;
}

extern const struct attention_kernel amx_attention;
const struct attention_kernel amx_attention = {.name = "amx", .accepts = accepts, .scratch = scratch, .run = run};
