/* Attention in blocks (Dao 2022; Rabe and Staats 2021) in f32, with queries in the lanes: 16 queries meet
 * a block of keys, and neither scores nor sums ever cross lanes.
 *
 *   scores [keys][16] = K [keys][width] Q^T [width][16]     tiles of 6 keys, in registers
 *   P = 2^(scores - largest score so far)                   in place
 *   out [width][16] += V^T [width][keys] P                  tiles of 6 numbers of a head
 *
 * A task is a few such groups of queries of one head: each block of keys and values is copied once for
 * all of them, as f32 and without the gaps between rows. */
#include "tensor/cpu/elementary.h"
#include "tensor/cpu/vector_avx2.h"

enum {
    VECTORS = 2,
    LANES = VECTORS * FLOATS, /* queries of a group */
    NUMBERS = 16384,          /* of a task's queries, about: 64 KB, and as much for the result */
    TILE = 6,                 /* with 2 vectors: 12 sums, 2 factors and one broadcast fill 15 of 16 registers */
    KEYS = 96,                /* of a block; a multiple of TILE */
    WIDTH_MOST = 1024,
};

/* ---- memory of a thread, in numbers ---- */

struct flash_layout {
    size_t groups; /* of queries in a task */
    size_t rows;   /* keys of a block, or values: [KEYS][width] */
    size_t panel;  /* of a group: queries [width][LANES] */
    size_t out;    /* of a group: [width][LANES] */
    size_t scores; /* [KEYS][LANES] */
    size_t state;  /* of a group: largest score and sum of powers, [2][LANES] */
};

static struct flash_layout layout_of(const struct attention_shape *shape) {
    size_t width = shape->head_width, all = blocks_of(shape->q_tokens, LANES), groups = blocks_of(NUMBERS, width * LANES);
    return (struct flash_layout){.groups = groups < all ? groups : all,
                                 .rows = KEYS * width,
                                 .panel = width * LANES,
                                 .out = width * LANES,
                                 .scores = KEYS * LANES,
                                 .state = 2 * LANES};
}
static size_t thread_numbers(const struct flash_layout *layout) {
    return 2 * layout->rows + layout->groups * (layout->panel + layout->out + layout->state) + layout->scores;
}
static size_t scratch(const struct attention_shape *shape, size_t threads) {
    struct flash_layout layout = layout_of(shape);
    return threads * thread_numbers(&layout) * sizeof(float);
}

struct flash_task {
    const struct attention_shape *shape;
    const struct attention_operands *operands;
    struct flash_layout layout;
    size_t query_blocks;
    float scale; /* of scores: log2(e) / sqrt(width) */
};

struct flash_block {
    size_t width, sample, key_sample, head;
    size_t first_query, queries, first_key, keys;
    float *key, *value, *scores;
    float *panel, *out, *state; /* of the first group */
    bool causal;
};

/* ---- queries, keys and values as f32 ---- */

static void copy_row(const struct view *view, size_t sample, size_t rows, size_t row, size_t column, size_t width, float *out) {
    const void *from = row_read(view, sample, rows, row);
    for (size_t i = 0; i < width; i += FLOATS) {
        size_t count = width - i < FLOATS ? width - i : FLOATS;
        store_numbers(out, DTYPE_F32, i, count, load_numbers(from, view->dtype, column + i, count));
    }
}

/* The block's keys, with zeros up to a whole tile, and its values. */
static void load_keys(const struct flash_task *task, const struct flash_block *block) {
    const struct attention_shape *shape = task->shape;
    size_t width = block->width, column = block->head * width, whole = blocks_of(block->keys, TILE) * TILE;
    for (size_t k = 0; k < block->keys; k++) {
        copy_row(&task->operands->k, block->key_sample, shape->k_tokens, block->first_key + k, column, width, block->key + k * width);
        copy_row(&task->operands->v, block->key_sample, shape->k_tokens, block->first_key + k, column, width, block->value + k * width);
    }
    memset(block->key + block->keys * width, 0, (whole - block->keys) * width * sizeof *block->key);
}

/* Turn a square of 8 rows by 8 numbers on its side. */
static inline void transpose_8x8(__m256 row[FLOATS]) {
    __m256 t[FLOATS];
    for (int i = 0; i < FLOATS; i += 4) { /* 4 by 4 within 128 bits */
        __m256 low = _mm256_unpacklo_ps(row[i], row[i + 1]), high = _mm256_unpackhi_ps(row[i], row[i + 1]);
        __m256 low2 = _mm256_unpacklo_ps(row[i + 2], row[i + 3]), high2 = _mm256_unpackhi_ps(row[i + 2], row[i + 3]);
        t[i] = _mm256_shuffle_ps(low, low2, 0x44);
        t[i + 1] = _mm256_shuffle_ps(low, low2, 0xee);
        t[i + 2] = _mm256_shuffle_ps(high, high2, 0x44);
        t[i + 3] = _mm256_shuffle_ps(high, high2, 0xee);
    }
    for (int i = 0; i < 4; i++) {
        row[i] = _mm256_permute2f128_ps(t[i], t[4 + i], 0x20);
        row[4 + i] = _mm256_permute2f128_ps(t[i], t[4 + i], 0x31);
    }
}

/* Eight numbers of eight queries, from query `first`, on their side and scaled. */
static void load_square(const struct flash_task *task, const struct flash_block *block, size_t first, size_t d, float *panel) {
    const struct view *view = &task->operands->q;
    size_t count = block->width - d < FLOATS ? block->width - d : FLOATS;
    __m256 square[FLOATS];
    for (size_t i = 0; i < FLOATS; i++) {
        size_t query = first + i < block->queries ? first + i : block->queries - 1; /* filled up with the last */
        const void *row = row_read(view, block->sample, task->shape->q_tokens, block->first_query + query);
        square[i] = _mm256_mul_ps(load_numbers(row, view->dtype, block->head * block->width + d, count), _mm256_set1_ps(task->scale));
    }
    transpose_8x8(square);
    for (size_t i = 0; i < count; i++) _mm256_storeu_ps(panel + (d + i) * LANES, square[i]);
}

static void load_queries(const struct flash_task *task, const struct flash_block *block) {
    for (size_t first = 0; first < block->queries; first += FLOATS) {
        float *panel = block->panel + first / LANES * task->layout.panel + first % LANES;
        for (size_t d = 0; d < block->width; d += FLOATS) load_square(task, block, first, d, panel);
        if (first + FLOATS >= block->queries && first % LANES == 0) /* the group's other half is nobody's */
            for (size_t d = 0; d < block->width; d++) memset(panel + d * LANES + FLOATS, 0, FLOATS * sizeof *panel);
    }
}

/* ---- a group of queries and a block of keys ---- */

/* Scores of TILE keys, key by query. */
static inline void score_tile(const float *key, size_t width, const float *panel, float *scores) {
    __m256 score[TILE][VECTORS];
#pragma GCC unroll 6
    for (size_t r = 0; r < TILE; r++)
#pragma GCC unroll 2
        for (size_t v = 0; v < VECTORS; v++) score[r][v] = _mm256_setzero_ps();
    for (size_t d = 0; d < width; d++) {
        __m256 b[VECTORS];
#pragma GCC unroll 2
        for (size_t v = 0; v < VECTORS; v++) b[v] = _mm256_loadu_ps(panel + d * LANES + v * FLOATS);
#pragma GCC unroll 6
        for (size_t r = 0; r < TILE; r++) {
            __m256 a = _mm256_broadcast_ss(key + r * width + d);
#pragma GCC unroll 2
            for (size_t v = 0; v < VECTORS; v++) score[r][v] = _mm256_fmadd_ps(a, b[v], score[r][v]);
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < TILE; r++)
#pragma GCC unroll 2
        for (size_t v = 0; v < VECTORS; v++) _mm256_storeu_ps(scores + r * LANES + v * FLOATS, score[r][v]);
}

/* All ones in the lanes of vector v whose query, of the group from `first`, may see key `key` of the block. */
static inline __m256 seen(const struct flash_block *block, size_t first, size_t key, size_t v) {
    size_t token = block->first_key + key, query = block->first_query + first + v * FLOATS; /* of the first lane */
    if (key >= block->keys) return _mm256_setzero_ps();
    size_t blind = block->causal && token > query ? token - query : 0;
    __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), from = _mm256_set1_epi32(blind < FLOATS ? (int)blind : FLOATS);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(lanes, _mm256_sub_epi32(from, _mm256_set1_epi32(1))));
}

/* The largest score so far; scores that don't count become minus infinity. */
static void find_largest(const struct flash_block *block, size_t first, __m256 largest[VECTORS]) {
    size_t whole = block->causal ? 0 : block->keys, end = blocks_of(block->keys, TILE) * TILE;
    for (size_t k = 0; k < end; k++)
#pragma GCC unroll 2
        for (size_t v = 0; v < VECTORS; v++) {
            float *at = block->scores + k * LANES + v * FLOATS;
            __m256 score = _mm256_loadu_ps(at);
            if (k >= whole) {
                score = _mm256_blendv_ps(_mm256_set1_ps(-INFINITY), score, seen(block, first, k, v));
                _mm256_storeu_ps(at, score);
            }
            largest[v] = _mm256_max_ps(largest[v], score);
        }
}

/* Powers in place of the scores, and their sums. 2^-126 for a score of minus infinity is far below the sum's last bit. */
static void find_powers(float *scores, size_t keys, const __m256 largest[VECTORS], __m256 sum[VECTORS]) {
    for (size_t k = 0; k < keys; k++)
#pragma GCC unroll 2
        for (size_t v = 0; v < VECTORS; v++) {
            float *at = scores + k * LANES + v * FLOATS;
            __m256 power = power_of_two_f32x8(_mm256_sub_ps(_mm256_loadu_ps(at), largest[v]));
            sum[v] = _mm256_add_ps(sum[v], power);
            _mm256_storeu_ps(at, power);
        }
}

/* Fit what has been summed to a larger score. */
static void shrink_sums(float *out, size_t width, float *sums, const __m256 old[VECTORS], const __m256 largest[VECTORS]) {
    for (size_t v = 0; v < VECTORS; v++) {
        __m256 shrink = power_of_two_f32x8(_mm256_sub_ps(old[v], largest[v]));
        _mm256_storeu_ps(sums + v * FLOATS, _mm256_mul_ps(_mm256_loadu_ps(sums + v * FLOATS), shrink));
        for (size_t d = 0; d < width; d++) {
            float *at = out + d * LANES + v * FLOATS;
            _mm256_storeu_ps(at, _mm256_mul_ps(_mm256_loadu_ps(at), shrink));
        }
    }
}

/* out [rows][LANES] += values [keys][rows] times powers [keys][LANES] */
__attribute__((always_inline)) static inline void value_tile(size_t rows, const float *value, size_t width, const float *powers,
                                                             size_t keys, float *out) {
    __m256 sum[TILE][VECTORS];
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (size_t v = 0; v < VECTORS; v++) sum[r][v] = _mm256_loadu_ps(out + r * LANES + v * FLOATS);
    for (size_t k = 0; k < keys; k++) {
        __m256 b[VECTORS];
#pragma GCC unroll 2
        for (size_t v = 0; v < VECTORS; v++) b[v] = _mm256_loadu_ps(powers + k * LANES + v * FLOATS);
#pragma GCC unroll 6
        for (size_t r = 0; r < rows; r++) {
            __m256 a = _mm256_broadcast_ss(value + k * width + r);
#pragma GCC unroll 2
            for (size_t v = 0; v < VECTORS; v++) sum[r][v] = _mm256_fmadd_ps(a, b[v], sum[r][v]);
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (size_t v = 0; v < VECTORS; v++) _mm256_storeu_ps(out + r * LANES + v * FLOATS, sum[r][v]);
}

static void add_values(const struct flash_block *block, float *out) {
    size_t width = block->width, d = 0;
    for (; d + TILE <= width; d += TILE) value_tile(TILE, block->value + d, width, block->scores, block->keys, out + d * LANES);
    const float *value = block->value + d;
    out += d * LANES;
    switch (width - d) {
    case 1:
        value_tile(1, value, width, block->scores, block->keys, out);
        break;
    case 2:
        value_tile(2, value, width, block->scores, block->keys, out);
        break;
    case 3:
        value_tile(3, value, width, block->scores, block->keys, out);
        break;
    case 4:
        value_tile(4, value, width, block->scores, block->keys, out);
        break;
    case 5:
        value_tile(5, value, width, block->scores, block->keys, out);
        break;
    default:
        break;
    }
}

/* Queries from `first` of the task's. */
static void attend(const struct flash_task *task, const struct flash_block *block, size_t first) {
    size_t group = first / LANES, width = block->width;
    const float *panel = block->panel + group * task->layout.panel;
    float *out = block->out + group * task->layout.out, *tops = block->state + group * task->layout.state, *sums = tops + LANES;
    for (size_t k = 0; k < block->keys; k += TILE) score_tile(block->key + k * width, width, panel, block->scores + k * LANES);
    __m256 old[VECTORS], largest[VECTORS], sum[VECTORS];
    int raised = 0;
    for (size_t v = 0; v < VECTORS; v++) old[v] = largest[v] = _mm256_loadu_ps(tops + v * FLOATS);
    find_largest(block, first, largest);
    for (size_t v = 0; v < VECTORS; v++) raised |= _mm256_movemask_ps(_mm256_cmp_ps(largest[v], old[v], _CMP_NEQ_UQ));
    if (raised && block->first_key > 0) shrink_sums(out, width, sums, old, largest);
    for (size_t v = 0; v < VECTORS; v++) sum[v] = _mm256_setzero_ps();
    find_powers(block->scores, block->keys, largest, sum);
    for (size_t v = 0; v < VECTORS; v++) {
        _mm256_storeu_ps(tops + v * FLOATS, largest[v]);
        _mm256_storeu_ps(sums + v * FLOATS, _mm256_add_ps(_mm256_loadu_ps(sums + v * FLOATS), sum[v]));
    }
    add_values(block, out);
}

/* ---- a task ---- */

/* Up to eight numbers of up to eight queries' results. */
static void store_square(const struct flash_task *task, const struct flash_block *block, size_t first, size_t d) {
    size_t group = first / LANES, lane = first % LANES, count = block->width - d < FLOATS ? block->width - d : FLOATS;
    const float *out = block->out + group * task->layout.out + lane, *sums = block->state + group * task->layout.state + LANES + lane;
    __m256 square[FLOATS], weight = _mm256_div_ps(_mm256_set1_ps(1.0f), _mm256_loadu_ps(sums));
    for (size_t i = 0; i < FLOATS; i++)
        square[i] = i < count ? _mm256_mul_ps(_mm256_loadu_ps(out + (d + i) * LANES), weight) : _mm256_setzero_ps();
    transpose_8x8(square);
    for (size_t i = 0; i < FLOATS && first + i < block->queries; i++) {
        void *row = row_write(&task->operands->out, block->sample, task->shape->q_tokens, block->first_query + first + i);
        store_numbers(row, task->operands->out.dtype, block->head * block->width + d, count, square[i]);
    }
}

static void begin_groups(const struct flash_task *task, const struct flash_block *block) {
    memset(block->out, 0, task->layout.groups * task->layout.out * sizeof *block->out);
    for (size_t group = 0; group < task->layout.groups; group++)
        for (size_t i = 0; i < LANES; i++) {
            block->state[group * task->layout.state + i] = -INFINITY;
            block->state[group * task->layout.state + LANES + i] = 0;
        }
}

static void run_task(void *context, size_t number, size_t thread) {
    const struct flash_task *task = context;
    const struct attention_shape *shape = task->shape;
    const struct flash_layout *layout = &task->layout;
    struct flash_block block = {.width = shape->head_width, .causal = shape->causal};
    block.head = number / task->query_blocks % shape->heads;
    block.sample = number / task->query_blocks / shape->heads;
    block.key_sample = block.sample / (shape->samples / shape->k_samples);
    size_t queries = layout->groups * LANES;
    block.first_query = number % task->query_blocks * queries;
    block.queries = shape->q_tokens - block.first_query < queries ? shape->q_tokens - block.first_query : queries;
    block.key = (float *)task->operands->scratch + thread * thread_numbers(layout);
    block.value = block.key + layout->rows;
    block.scores = block.value + layout->rows;
    block.panel = block.scores + layout->scores;
    block.out = block.panel + layout->groups * layout->panel;
    block.state = block.out + layout->groups * layout->out;
    begin_groups(task, &block);
    load_queries(task, &block);
    size_t end = shape->causal ? block.first_query + block.queries : shape->k_tokens;
    for (block.first_key = 0; block.first_key < end; block.first_key += KEYS) {
        block.keys = end - block.first_key < KEYS ? end - block.first_key : KEYS;
        load_keys(task, &block);
        for (size_t first = 0; first < block.queries; first += LANES) attend(task, &block, first);
    }
    for (size_t first = 0; first < block.queries; first += FLOATS)
        for (size_t d = 0; d < block.width; d += FLOATS) store_square(task, &block, first, d);
}

static void run(const struct attention_shape *shape, const struct attention_operands *operands, struct pool *pool) {
    struct flash_task task = {
        .shape = shape, .operands = operands, .layout = layout_of(shape), .scale = 1.44269504f / sqrtf((float)shape->head_width)};
    task.query_blocks = blocks_of(shape->q_tokens, task.layout.groups * LANES);
    pool_run(pool, shape->samples * shape->heads * task.query_blocks, run_task, &task);
}

static const char *accepts(const struct attention_shape *shape) {
    if (isa_available() < ISA_AVX2) return "the processor lacks the instructions";
    if (shape->head_width > WIDTH_MOST) return "the heads are too wide";
    return NULL;
}

extern const struct attention_kernel avx2_attention;
const struct attention_kernel avx2_attention = {.name = "avx2", .accepts = accepts, .scratch = scratch, .run = run};
