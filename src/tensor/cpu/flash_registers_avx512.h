/* The products of flash_avx512.h with sums in registers: tiles of 6 keys, or numbers of a head, by 64 queries. Needs besides
 *   multiply_add()     as for gemm_vector.h */
#ifndef TENSOR_CPU_FLASH_REGISTERS_AVX512_H
#define TENSOR_CPU_FLASH_REGISTERS_AVX512_H

enum { WIDTH_STEP = 1, ROW_STEP = 1 };
#include "tensor/cpu/flash_avx512.h"

enum { TILE = 6 /* keys, or numbers of a head, whose sums stay in registers; divides KEYS */ };

static inline __m512 multiply_add(__m512 sum, __m512i a, __m512i b);

static void flash_begin(void) {}
static void flash_end(void) {}

static inline int unit_at(const unsigned char *row, size_t unit) {
    int value;
    memcpy(&value, row + unit * UNIT, sizeof value);
    return value;
}

/* Scores of TILE keys, key by query. */
__attribute__((always_inline)) static inline void score_tile(const unsigned char *key, size_t units, const unsigned char *panel,
                                                             __m512 score[TILE][VECTORS]) {
#pragma GCC unroll 6
    for (size_t r = 0; r < TILE; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < VECTORS; v++) score[r][v] = _mm512_setzero_ps();
    for (size_t unit = 0; unit < units; unit++, panel += QUERIES * UNIT) {
        __m512i b[VECTORS];
#pragma GCC unroll 4
        for (size_t v = 0; v < VECTORS; v++) b[v] = _mm512_load_si512(panel + v * 64);
#pragma GCC unroll 6
        for (size_t r = 0; r < TILE; r++) {
            __m512i a = _mm512_set1_epi32(unit_at(key + r * units * UNIT, unit));
#pragma GCC unroll 4
            for (size_t v = 0; v < VECTORS; v++) score[r][v] = multiply_add(score[r][v], a, b[v]);
        }
    }
}

/* Powers of a block's scores and their sums. masked: some keys are not for all queries. */
__attribute__((always_inline)) static inline void power_block(const struct flash_block *block, size_t units, float scale, bool masked,
                                                              size_t first, size_t end, __m512 sum[VECTORS]) {
    __m512 factor = _mm512_set1_ps(scale);
    for (size_t k = first; k < end; k += TILE) {
        __m512 score[TILE][VECTORS];
        score_tile(block->key + k * units * UNIT, units, block->panel, score);
#pragma GCC unroll 4
        for (size_t v = 0; v < VECTORS; v++) {
            __m512 reference = _mm512_load_ps(block->reference + v * FLOATS);
#pragma GCC unroll 3
            for (size_t r = 0; r < TILE; r += 2) {
                __m512 p = power_of_two(_mm512_fmsub_ps(score[r][v], factor, reference));
                __m512 q = power_of_two(_mm512_fmsub_ps(score[r + 1][v], factor, reference));
                if (masked) {
                    p = _mm512_maskz_mov_ps(seen(block, k + r, v), p);
                    q = _mm512_maskz_mov_ps(seen(block, k + r + 1, v), q);
                }
                sum[v] = _mm512_add_ps(sum[v], _mm512_add_ps(p, q));
                store_powers(block->powers + ((k + r) / UNIT_NUMBERS * VECTORS + v) * 64, p, q);
            }
        }
    }
}

static bool powers_of(const struct flash_block *block, size_t units, float scale, float *sum) {
    __m512 total[VECTORS];
    for (size_t v = 0; v < VECTORS; v++) total[v] = _mm512_setzero_ps();
    size_t whole = block->causal ? 0 : block->keys / TILE * TILE;
    power_block(block, units, scale, false, 0, whole, total);
    power_block(block, units, scale, true, whole, block->keys, total);
    return sums_in_range(block, total, sum);
}

static void raise_reference(struct flash_block *block, size_t units, size_t width, float scale) {
    for (size_t v = 0; v < VECTORS; v++) {
        __m512 largest = first_largest(block, v);
        for (size_t k = 0; k < block->keys; k += TILE) {
            __m512 score[TILE][VECTORS];
            score_tile(block->key + k * units * UNIT, units, block->panel, score);
            for (size_t r = 0; r < TILE; r++)
                largest = _mm512_mask_max_ps(largest, seen(block, k + r, v), largest, _mm512_mul_ps(score[r][v], _mm512_set1_ps(scale)));
        }
        set_reference(block, v, width, largest);
    }
}

/* out[rows][64] += values [rows][units] times powers [units][64] */
__attribute__((always_inline)) static inline void value_tile(size_t rows, const unsigned char *value, const unsigned char *powers,
                                                             size_t units, float *out, bool more) {
    __m512 sum[TILE][VECTORS];
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < VECTORS; v++) sum[r][v] = more ? _mm512_load_ps(out + (r * VECTORS + v) * FLOATS) : _mm512_setzero_ps();
    for (size_t unit = 0; unit < units; unit++, powers += QUERIES * UNIT) {
        __m512i b[VECTORS];
#pragma GCC unroll 4
        for (size_t v = 0; v < VECTORS; v++) b[v] = _mm512_load_si512(powers + v * 64);
#pragma GCC unroll 6
        for (size_t r = 0; r < rows; r++) {
            __m512i a = _mm512_set1_epi32(unit_at(value + r * BLOCK_UNITS * UNIT, unit));
#pragma GCC unroll 4
            for (size_t v = 0; v < VECTORS; v++) sum[r][v] = multiply_add(sum[r][v], a, b[v]);
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < VECTORS; v++) _mm512_store_ps(out + (r * VECTORS + v) * FLOATS, sum[r][v]);
}

static void add_values(const struct flash_block *block, size_t width) {
    size_t units = blocks_of(block->keys, TILE) * TILE / UNIT_NUMBERS, d = 0;
    bool more = block->first_key > 0;
    for (; d + TILE <= width; d += TILE)
        value_tile(TILE, block->value + d * BLOCK_UNITS * UNIT, block->powers, units, block->out + d * QUERIES, more);
    const unsigned char *value = block->value + d * BLOCK_UNITS * UNIT;
    float *out = block->out + d * QUERIES;
    switch (width - d) {
    case 1:
        value_tile(1, value, block->powers, units, out, more);
        break;
    case 2:
        value_tile(2, value, block->powers, units, out, more);
        break;
    case 3:
        value_tile(3, value, block->powers, units, out, more);
        break;
    case 4:
        value_tile(4, value, block->powers, units, out, more);
        break;
    case 5:
        value_tile(5, value, block->powers, units, out, more);
        break;
    default:
        break;
    }
}

#endif
