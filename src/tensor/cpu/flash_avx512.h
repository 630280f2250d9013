/* Attention in blocks (Dao 2022; Rabe and Staats 2021) with queries in the lanes: 64 queries meet a
 * block of keys, and neither scores nor sums ever cross mask.
 *
 *   scores^T [keys][64] = K [keys][width] Q^T [width][64]     in registers
 *   P = 2^(scores^T - reference)                              written once, as the next product's panel
 *   O^T [width][64] += V^T [width][keys] P
 *
 * The reference of a query need not be its largest score: it must only be near enough that no power
 * leaves f32. It begins as 0. Where a block's sum of powers gets too large (or the first one's too small),
 * the block is done again with the largest score so far. So there is no pass for the maximum.
 *
 * Included by what makes the products: flash_registers_avx512.h, flash_amx.c. Those define first
 *   UNIT_NUMBERS       numbers in a unit of four bytes
 *   WIDTH_STEP         units of a query or key are filled up with zeros to a multiple of it
 *   ROW_STEP           so are the rows of V^T and O^T
 * and somewhere
 *   flash_begin(), flash_end()       around a thread's task
 *   powers_of(), raise_reference(), add_values()
 *   power_of_two()     2^x in each lane, as exactly as the format deserves
 *   store_powers()     two rows of powers as units of keys
 *   flash_convert()    numbers of a row in the format; the last unit is filled up with zero */
#ifndef TENSOR_CPU_FLASH_AVX512_H
#define TENSOR_CPU_FLASH_AVX512_H

#include "tensor/cpu/elementary.h"
#include "tensor/cpu/vector_avx512.h"

enum {
    QUERIES = 64, /* of a task: lanes of VECTORS vectors */
    VECTORS = QUERIES / FLOATS,
    BLOCK_UNITS = 144, /* of keys in a block: its powers, 36 KB, stay in the L2 cache */
    KEYS = BLOCK_UNITS * UNIT_NUMBERS,
    UNIT = 4,          /* bytes */
    WIDTH_MOST = 1024, /* of a head */
};

static inline __m512 power_of_two(__m512 x);
static inline void store_powers(unsigned char *powers, __m512 first, __m512 second);
static void flash_convert(const void *from, enum dtype dtype, size_t count, void *to);

struct flash_block;
static void flash_begin(void);
static void flash_end(void);
/* Powers of a block's scores; whether they stayed in range, and if so their sums. units: of a query. */
static bool powers_of(const struct flash_block *block, size_t units, float scale, float *sum);
/* Make the largest score so far the reference, and fit what has been summed to it. */
static void raise_reference(struct flash_block *block, size_t units, size_t width, float scale);
/* out += values times powers */
static void add_values(const struct flash_block *block, size_t width);

/* ---- memory ---- */

struct flash_layout {
    size_t width_units;                     /* units of a query or key */
    size_t blocks;                          /* of keys */
    size_t key_block, value_block;          /* bytes: [KEYS][width_units], [width][BLOCK_UNITS] */
    size_t panel, rows, powers, out, state; /* bytes of a thread's parts, multiples of 64 */
};

static size_t round_up(size_t bytes) { return blocks_of(bytes, 64) * 64; }

static size_t rows_filled(size_t width) { return blocks_of(width, ROW_STEP) * ROW_STEP; }

static struct flash_layout layout_of(const struct attention_shape *shape) {
    struct flash_layout layout = {.width_units = blocks_of(shape->head_width, UNIT_NUMBERS * WIDTH_STEP) * WIDTH_STEP,
                                  .blocks = blocks_of(shape->k_tokens, KEYS)};
    layout.key_block = round_up(KEYS * layout.width_units * UNIT);
    layout.value_block = round_up(rows_filled(shape->head_width) * BLOCK_UNITS * UNIT);
    layout.panel = layout.width_units * QUERIES * UNIT;
    layout.rows = round_up(QUERIES * layout.width_units * UNIT);
    layout.powers = BLOCK_UNITS * QUERIES * UNIT;
    layout.out = rows_filled(shape->head_width) * QUERIES * sizeof(float);
    layout.state = 2 * QUERIES * sizeof(float);
    return layout;
}
static size_t thread_bytes(const struct flash_layout *layout) {
    return layout->panel + layout->rows + layout->powers + layout->out + layout->state;
}
static size_t packed_bytes(const struct flash_layout *layout, const struct attention_shape *shape) {
    return shape->k_samples * shape->heads * layout->blocks * (layout->key_block + layout->value_block);
}
static size_t scratch(const struct attention_shape *shape, size_t threads) {
    struct flash_layout layout = layout_of(shape);
    return packed_bytes(&layout, shape) + threads * thread_bytes(&layout);
}

struct flash_task {
    const struct attention_shape *shape;
    const struct attention_operands *operands;
    struct flash_layout layout;
    size_t query_blocks;
    float scale; /* of scores: log2(e) / sqrt(width) */
};

static unsigned char *keys_of(const struct flash_task *task, size_t sample, size_t head, size_t block) {
    size_t number = (sample * task->shape->heads + head) * task->layout.blocks + block;
    return (unsigned char *)task->operands->scratch + number * (task->layout.key_block + task->layout.value_block);
}

/* ---- keys and values ---- */

/* Numbers [d, d + 16) of the keys of one unit, side by side. */
static inline __m512i value_units(const struct flash_task *task, size_t sample, size_t first, size_t end, size_t d, __mmask16 mask) {
    const struct view *view = &task->operands->v;
    __m512i unit = _mm512_setzero_si512();
    for (size_t k = 0; k < UNIT_NUMBERS && first + k < end; k++) {
        __m512 x = load_numbers(row_read(view, sample, task->shape->k_tokens, first + k), view->dtype, d, mask);
        if (UNIT_NUMBERS == 1) return _mm512_castps_si512(x);
        __m512i half = _mm512_cvtepu16_epi32(narrow_bf16(x));
        unit = _mm512_or_si512(unit, k ? _mm512_slli_epi32(half, 16) : half);
    }
    return unit;
}

/* Values on their side: [width][BLOCK_UNITS], keys side by side in a unit; zeros after the last. */
static void turn_values(const struct flash_task *task, size_t sample, size_t head, size_t first, size_t keys, unsigned char *out) {
    size_t width = task->shape->head_width;
    for (size_t unit = 0; unit < BLOCK_UNITS; unit += FLOATS)
        for (size_t d = 0; d < width; d += FLOATS) {
            __m512i square[FLOATS];
            __mmask16 mask = mask_below(width - d);
            for (size_t i = 0; i < FLOATS; i++)
                square[i] = value_units(task, sample, first + (unit + i) * UNIT_NUMBERS, first + keys, head * width + d, mask);
            transpose_16x16(square);
            for (size_t i = 0; i < FLOATS && d + i < rows_filled(width); i++)
                _mm512_store_si512(out + ((d + i) * BLOCK_UNITS + unit) * UNIT, square[i]);
        }
}

static void pack_keys(void *context, size_t number, size_t thread) {
    (void)thread;
    const struct flash_task *task = context;
    const struct attention_shape *shape = task->shape;
    size_t block = number % task->layout.blocks, head = number / task->layout.blocks % shape->heads;
    size_t sample = number / task->layout.blocks / shape->heads, first = block * KEYS;
    size_t keys = shape->k_tokens - first < KEYS ? shape->k_tokens - first : KEYS;
    unsigned char *out = keys_of(task, sample, head, block);
    memset(out, 0, task->layout.key_block);
    for (size_t k = 0; k < keys; k++) {
        const unsigned char *key = row_read(&task->operands->k, sample, shape->k_tokens, first + k);
        key += head * shape->head_width * dtype_size(task->operands->k.dtype);
        flash_convert(key, task->operands->k.dtype, shape->head_width, out + k * task->layout.width_units * UNIT);
    }
    turn_values(task, sample, head, first, keys, out + task->layout.key_block);
}

/* ---- 64 queries ---- */

struct flash_block {
    size_t first_query, queries, first_key, keys; /* keys that some query may see */
    const unsigned char *key, *value;
    unsigned char *panel, *powers;
    float *out;             /* [width][QUERIES] */
    float *sum, *reference; /* [QUERIES]: of powers; reference times scale, in powers of two */
    bool causal;
};

/* Queries of the head on their side: [width_units][QUERIES]; zeros where there are fewer. */
static void load_queries(const struct flash_task *task, size_t sample, size_t head, struct flash_block *block, unsigned char *rows) {
    const struct attention_shape *shape = task->shape;
    size_t units = task->layout.width_units;
    memset(rows, 0, task->layout.rows);
    for (size_t q = 0; q < block->queries; q++) {
        const unsigned char *query = row_read(&task->operands->q, sample, shape->q_tokens, block->first_query + q);
        query += head * shape->head_width * dtype_size(task->operands->q.dtype);
        flash_convert(query, task->operands->q.dtype, shape->head_width, rows + q * units * UNIT);
    }
    for (size_t unit = 0; unit < units; unit += FLOATS)
        for (size_t v = 0; v < VECTORS; v++) {
            __m512i square[FLOATS];
            __mmask16 mask = mask_below(units - unit);
            for (size_t i = 0; i < FLOATS; i++) square[i] = _mm512_maskz_loadu_epi32(mask, rows + ((v * FLOATS + i) * units + unit) * UNIT);
            transpose_16x16(square);
            for (size_t i = 0; i < FLOATS && unit + i < units; i++)
                _mm512_store_si512(block->panel + ((unit + i) * VECTORS + v) * 64, square[i]);
        }
}

/* Lanes of vector v whose query may see key `key` of the block. */
static inline __mmask16 seen(const struct flash_block *block, size_t key, size_t v) {
    if (key >= block->keys) return 0;
    if (!block->causal) return 0xffff;
    size_t token = block->first_key + key, query = block->first_query + v * FLOATS; /* of the first lane */
    if (token <= query) return 0xffff;
    return (__mmask16)(token - query >= FLOATS ? 0 : 0xffffu << (token - query));
}

/* Whether a block's sums of powers are in range; then they are in `sum`. */
static bool sums_in_range(const struct flash_block *block, const __m512 total[VECTORS], float *sum) {
    /* Far from the ends of f32's range: 2^60 of 2^127. Nothing of weight is lost below 2^-40 of 2^-126. */
    const __m512 most = _mm512_set1_ps(0x1p60f), least = _mm512_set1_ps(block->first_key == 0 ? 0x1p-40f : 0.0f);
    bool fine = true;
    for (size_t v = 0; v < VECTORS; v++) {
        fine =
            fine && _mm512_cmp_ps_mask(total[v], most, _CMP_LE_OQ) == 0xffff && _mm512_cmp_ps_mask(total[v], least, _CMP_GE_OQ) == 0xffff;
        _mm512_store_ps(sum + v * FLOATS, total[v]);
    }
    return fine;
}

/* What vector v's largest score is looked for from. */
static inline __m512 first_largest(const struct flash_block *block, size_t v) {
    return block->first_key == 0 ? _mm512_set1_ps(-INFINITY) : _mm512_load_ps(block->reference + v * FLOATS);
}

/* Another reference for vector v: what has been summed shrinks with it. */
static void set_reference(struct flash_block *block, size_t v, size_t width, __m512 largest) {
    __m512 old = _mm512_load_ps(block->reference + v * FLOATS);
    _mm512_store_ps(block->reference + v * FLOATS, largest);
    if (block->first_key == 0) return;
    __m512 shrink = exp_f32x16(_mm512_mul_ps(_mm512_sub_ps(old, largest), _mm512_set1_ps(0x1.62e43p-1f)));
    _mm512_store_ps(block->sum + v * FLOATS, _mm512_mul_ps(_mm512_load_ps(block->sum + v * FLOATS), shrink));
    for (size_t d = 0; d < width; d++) {
        float *out = block->out + d * QUERIES + v * FLOATS;
        _mm512_store_ps(out, _mm512_mul_ps(_mm512_load_ps(out), shrink));
    }
}

static void attend(const struct flash_task *task, struct flash_block *block) {
    size_t units = task->layout.width_units, width = task->shape->head_width;
    float sum[QUERIES] __attribute__((aligned(64)));
    if (!powers_of(block, units, task->scale, sum)) {
        raise_reference(block, units, width, task->scale);
        powers_of(block, units, task->scale, sum);
    }
    for (size_t q = 0; q < QUERIES; q++) block->sum[q] += sum[q];
    add_values(block, width);
}

/* Up to 16 numbers of up to 16 queries' results. */
static void store_square(const struct flash_task *task, size_t sample, size_t column, const struct flash_block *block, size_t first,
                         size_t d, size_t count) {
    __m512i square[FLOATS];
    __mmask16 mask = mask_below(count);
    for (size_t i = 0; i < FLOATS; i++)
        square[i] = i < count ? _mm512_load_si512(block->out + (d + i) * QUERIES + first) : _mm512_setzero_si512();
    transpose_16x16(square);
    for (size_t i = 0; i < FLOATS && first + i < block->queries; i++) {
        void *row = row_write(&task->operands->out, sample, task->shape->q_tokens, block->first_query + first + i);
        __m512 weight = _mm512_set1_ps(1.0f / block->sum[first + i]);
        store_numbers(row, task->operands->out.dtype, column + d, mask, _mm512_mul_ps(_mm512_castsi512_ps(square[i]), weight));
    }
}

static void store_queries(const struct flash_task *task, size_t sample, size_t head, const struct flash_block *block) {
    size_t width = task->shape->head_width;
    for (size_t first = 0; first < block->queries; first += FLOATS)
        for (size_t d = 0; d < width; d += FLOATS)
            store_square(task, sample, head * width, block, first, d, width - d < FLOATS ? width - d : FLOATS);
}

static void run_task(void *context, size_t number, size_t thread) {
    const struct flash_task *task = context;
    const struct attention_shape *shape = task->shape;
    const struct flash_layout *layout = &task->layout;
    size_t head = number / task->query_blocks % shape->heads, sample = number / task->query_blocks / shape->heads;
    size_t key_sample = sample / (shape->samples / shape->k_samples);
    unsigned char *memory = keys_of(task, shape->k_samples, 0, 0) + thread * thread_bytes(layout);
    struct flash_block block = {.panel = memory, .powers = memory + layout->panel + layout->rows, .causal = shape->causal};
    block.out = (float *)(void *)(block.powers + layout->powers);
    block.sum = (float *)(void *)((unsigned char *)block.out + layout->out);
    block.reference = block.sum + QUERIES;
    memset(block.sum, 0, layout->state);
    block.first_query = number % task->query_blocks * QUERIES;
    block.queries = shape->q_tokens - block.first_query < QUERIES ? shape->q_tokens - block.first_query : QUERIES;
    load_queries(task, sample, head, &block, memory + layout->panel);
    flash_begin();
    size_t end = shape->causal ? block.first_query + block.queries : shape->k_tokens;
    for (block.first_key = 0; block.first_key < end; block.first_key += KEYS) {
        block.keys = end - block.first_key < KEYS ? end - block.first_key : KEYS;
        block.key = keys_of(task, key_sample, head, block.first_key / KEYS);
        block.value = block.key + layout->key_block;
        attend(task, &block);
    }
    flash_end();
    store_queries(task, sample, head, &block);
}

static void run(const struct attention_shape *shape, const struct attention_operands *operands, struct pool *pool) {
    struct flash_task task = {.shape = shape,
                              .operands = operands,
                              .layout = layout_of(shape),
                              .query_blocks = blocks_of(shape->q_tokens, QUERIES),
                              .scale = 1.44269504f / sqrtf((float)shape->head_width)};
    pool_run(pool, shape->k_samples * shape->heads * task.layout.blocks, pack_keys, &task);
    pool_run(pool, shape->samples * shape->heads * task.query_blocks, run_task, &task);
}

#endif
