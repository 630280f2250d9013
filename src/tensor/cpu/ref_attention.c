/* Attention in plain C: blocks of queries meet blocks of keys, with a running maximum and sum
 * (Milakov and Gimelshein 2018; Rabe and Staats 2021), so that no more than a block of the matrix
 * exists at a time. */
#include "tensor/cpu/elementary.h"

enum { QUERIES = 32, KEYS = 64 };

static const char *accepts(const struct attention_shape *shape) {
    (void)shape;
    return NULL;
}

/* What a thread holds: queries, result [QUERIES][width]; keys turned on their side [width][KEYS];
 * values [KEYS][width]; scores [QUERIES][KEYS]. */
static size_t numbers_per_thread(const struct attention_shape *shape) {
    return (2 * QUERIES + 2 * KEYS) * shape->head_width + (size_t)QUERIES * KEYS;
}

static size_t scratch(const struct attention_shape *shape, size_t threads) { return threads * numbers_per_thread(shape) * sizeof(float); }

struct attention_task {
    const struct attention_shape *shape;
    const struct attention_operands *operands;
    size_t query_blocks;
};

struct block {
    float *query, *out, *key, *value, *score;
    float maximum[QUERIES], sum[QUERIES];
    size_t first_query, queries;
    size_t first_key, keys;
};

static void load_keys(const struct attention_task *task, size_t sample, size_t head, struct block *block) {
    const struct attention_shape *shape = task->shape;
    size_t width = shape->head_width;
    float *row = block->value; /* filled with the values afterwards */
    for (size_t k = 0; k < block->keys; k++) {
        numbers_load(row_read(&task->operands->k, sample, shape->k_tokens, block->first_key + k), task->operands->k.dtype, head * width,
                     width, row);
        for (size_t d = 0; d < width; d++) block->key[d * KEYS + k] = row[d];
    }
    for (size_t d = 0; d < width; d++)
        for (size_t k = block->keys; k < KEYS; k++) block->key[d * KEYS + k] = 0;
    for (size_t k = 0; k < block->keys; k++)
        numbers_load(row_read(&task->operands->v, sample, shape->k_tokens, block->first_key + k), task->operands->v.dtype, head * width,
                     width, block->value + k * width);
}

/* Keys of the block that query q may see. */
static size_t visible(const struct attention_shape *shape, const struct block *block, size_t q) {
    if (!shape->causal) return block->keys;
    size_t token = block->first_query + q;
    if (token < block->first_key) return 0;
    size_t seen = token - block->first_key + 1;
    return seen < block->keys ? seen : block->keys;
}

static void score_query(const struct block *block, size_t q, size_t width, float *score) {
    float sum[KEYS] = {0};
    const float *query = block->query + q * width;
    for (size_t d = 0; d < width; d++)
        for (size_t k = 0; k < KEYS; k++) sum[k] += query[d] * block->key[d * KEYS + k];
    memcpy(score, sum, sizeof sum);
}

/* Take in the block's keys for one query. */
static void attend(const struct attention_shape *shape, struct block *block, size_t q) {
    size_t width = shape->head_width, seen = visible(shape, block, q);
    if (seen == 0) return;
    float *score = block->score + q * KEYS, *out = block->out + q * width;
    score_query(block, q, width, score);
    float maximum = block->maximum[q];
    for (size_t k = 0; k < seen; k++) maximum = score[k] > maximum ? score[k] : maximum;
    float shrink = quad_exp(quad_all(block->maximum[q] - maximum))[0], sum = 0;
    for (size_t k = 0; k < KEYS; k += QUAD) quad_store(score + k, quad_exp(quad_load(score + k) - quad_all(maximum)));
    for (size_t k = 0; k < seen; k++) sum += score[k];
    block->sum[q] = block->sum[q] * shrink + sum;
    block->maximum[q] = maximum;
    for (size_t d = 0; d < width; d++) out[d] *= shrink;
    for (size_t k = 0; k < seen; k++) {
        const float *value = block->value + k * width;
        for (size_t d = 0; d < width; d++) out[d] += score[k] * value[d];
    }
}

static void begin_block(const struct attention_task *task, size_t sample, size_t head, struct block *block) {
    const struct attention_shape *shape = task->shape;
    size_t width = shape->head_width;
    float scale = 1.0f / sqrtf((float)width);
    for (size_t q = 0; q < block->queries; q++) {
        float *query = block->query + q * width;
        numbers_load(row_read(&task->operands->q, sample, shape->q_tokens, block->first_query + q), task->operands->q.dtype, head * width,
                     width, query);
        for (size_t d = 0; d < width; d++) query[d] *= scale;
        block->maximum[q] = -INFINITY;
        block->sum[q] = 0;
    }
    memset(block->out, 0, block->queries * width * sizeof *block->out);
}

static void run_task(void *context, size_t number, size_t thread) {
    const struct attention_task *task = context;
    const struct attention_shape *shape = task->shape;
    size_t width = shape->head_width;
    size_t head = number / task->query_blocks % shape->heads, sample = number / task->query_blocks / shape->heads;
    struct block block;
    block.query = (float *)task->operands->scratch + thread * numbers_per_thread(shape);
    block.out = block.query + QUERIES * width;
    block.key = block.out + QUERIES * width;
    block.value = block.key + KEYS * width;
    block.score = block.value + KEYS * width;
    block.first_query = number % task->query_blocks * QUERIES;
    block.queries = shape->q_tokens - block.first_query < QUERIES ? shape->q_tokens - block.first_query : QUERIES;
    begin_block(task, sample, head, &block);
    size_t key_sample = sample / (shape->samples / shape->k_samples);
    size_t key_end = shape->causal ? block.first_query + block.queries : shape->k_tokens;
    for (block.first_key = 0; block.first_key < key_end; block.first_key += KEYS) {
        block.keys = key_end - block.first_key < KEYS ? key_end - block.first_key : KEYS;
        load_keys(task, key_sample, head, &block);
        for (size_t q = 0; q < block.queries; q++) attend(shape, &block, q);
    }
    for (size_t q = 0; q < block.queries; q++) {
        float *out = block.out + q * width;
        for (size_t d = 0; d < width; d++) out[d] /= block.sum[q];
        numbers_store(row_write(&task->operands->out, sample, shape->q_tokens, block.first_query + q), task->operands->out.dtype,
                      head * width, width, out);
    }
}

static void run(const struct attention_shape *shape, const struct attention_operands *operands, struct pool *pool) {
    struct attention_task task = {shape, operands, blocks_of(shape->q_tokens, QUERIES)};
    pool_run(pool, shape->samples * shape->heads * task.query_blocks, run_task, &task);
}

extern const struct attention_kernel ref_attention;
const struct attention_kernel ref_attention = {.name = "ref", .accepts = accepts, .scratch = scratch, .run = run};
