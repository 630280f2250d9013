/* Products by oneDNN's matmul: rows by columns in pieces, one piece a task. */
#include "base/memory.h"
#include "tensor/cpu/elementary.h"
#include "tensor/cpu/onednn.h"

#include <stdint.h>
#include <stdio.h>

/* x W1^T, then x2 W2^T added to it; the gates of geglu beside them. */
enum part { PART_X, PART_X2, PART_GATE, PARTS };
enum { FULL, LAST, KINDS }; /* pieces of full size, and what is left at the end */
enum { ROWS = 128, COLUMNS = 64, TASKS = 16 };

/* How the work is cut: by the shape alone. */
struct pieces {
    size_t segments, rows; /* a piece's rows are of one segment: a sample, or all samples */
    size_t row_pieces, row_size[KINDS];
    size_t column_pieces, column_size[KINDS];
    bool part[PARTS], narrow[PARTS]; /* narrow: in bf16 */
    bool tile;                       /* the product is f32 in scratch memory before it is written */
};

struct linear_state {
    struct pieces pieces;
    dnnl_engine_t engine;
    dnnl_stream_t *streams; /* [threads] */
    size_t threads;
    struct onednn_primitive primitive[KINDS][KINDS][PARTS]; /* rows, columns */
    dnnl_memory_t *weights[PARTS];                          /* [column_pieces] */
    size_t packed_first[PARTS], packed_piece[PARTS];        /* bytes */
    size_t scratchpad;                                      /* bytes of the largest */
};

static size_t round64(size_t bytes) { return (bytes + 63) / 64 * 64; }

static struct pieces cut(const struct linear_shape *shape) {
    struct pieces pieces = {.segments = 1, .rows = shape->samples * shape->rows};
    if (shape->in2 || shape->has_per_sample) {
        pieces.segments = shape->samples;
        pieces.rows = shape->rows;
    }
    size_t rows = pieces.rows < ROWS ? pieces.rows : ROWS, columns = shape->out;
    pieces.row_pieces = blocks_of(pieces.rows, rows);
    size_t row_tasks = pieces.segments * pieces.row_pieces;
    if (row_tasks < TASKS) {
        columns = blocks_of(blocks_of(shape->out, TASKS / row_tasks), COLUMNS) * COLUMNS;
        if (columns > shape->out) columns = shape->out;
    }
    pieces.column_pieces = blocks_of(shape->out, columns);
    pieces.row_size[FULL] = rows;
    pieces.row_size[LAST] = pieces.rows - (pieces.row_pieces - 1) * rows;
    pieces.column_size[FULL] = columns;
    pieces.column_size[LAST] = shape->out - (pieces.column_pieces - 1) * columns;
    pieces.part[PART_X] = true;
    pieces.part[PART_X2] = shape->in2 > 0;
    pieces.part[PART_GATE] = shape->geglu;
    pieces.narrow[PART_X] = pieces.narrow[PART_GATE] = shape->x_dtype == DTYPE_BF16;
    pieces.narrow[PART_X2] = shape->x2_dtype == DTYPE_BF16;
    bool more_to_do = shape->in2 || shape->has_residual || shape->geglu || !pieces.narrow[PART_X];
    pieces.tile = shape->out_dtype == DTYPE_BF16 && more_to_do;
    return pieces;
}

static int row_kind(const struct pieces *pieces, size_t piece) {
    return piece + 1 == pieces->row_pieces && pieces->row_size[LAST] != pieces->row_size[FULL] ? LAST : FULL;
}
static int column_kind(const struct pieces *pieces, size_t piece) {
    return piece + 1 == pieces->column_pieces && pieces->column_size[LAST] != pieces->column_size[FULL] ? LAST : FULL;
}
static bool kind_exists(const struct pieces *pieces, int row, int column, int part) {
    return pieces->part[part] && (row == FULL || row_kind(pieces, pieces->row_pieces - 1) == LAST) &&
           (column == FULL || column_kind(pieces, pieces->column_pieces - 1) == LAST);
}

/* ---- one piece as oneDNN sees it ---- */

struct piece {
    dnnl_matmul_desc_t operation;
    dnnl_memory_desc_t src, weights, bias, dst;
    struct onednn_description description;
};

static bool describe_matrix(dnnl_memory_desc_t *matrix, size_t rows, size_t columns, size_t stride, bool narrow) {
    dnnl_dims_t dims = {(int64_t)rows, (int64_t)columns}, strides = {(int64_t)stride, 1};
    return dnnl_memory_desc_init_by_strides(matrix, 2, dims, narrow ? dnnl_bf16 : dnnl_f32, strides) == dnnl_success;
}

/* weights NULL: any layout. */
static bool describe_piece(const struct linear_shape *shape, const struct pieces *pieces, int row, int column, int part,
                           const dnnl_memory_desc_t *weights, struct piece *piece) {
    size_t rows = pieces->row_size[row], columns = pieces->column_size[column], depth = part == PART_X2 ? shape->in2 : shape->in;
    bool narrow = pieces->narrow[part], scratch = pieces->tile || part == PART_GATE;
    bool last = part == PART_X2 || (part == PART_X && !pieces->part[PART_X2]);
    bool biased = (shape->has_bias || shape->has_per_sample) && part != PART_X2;
    dnnl_dims_t weight_dims = {(int64_t)depth, (int64_t)columns};
    if (!describe_matrix(&piece->src, rows, depth, part == PART_X2 ? shape->x2_stride : shape->x_stride, narrow) ||
        !describe_matrix(&piece->dst, rows, columns, scratch ? pieces->column_size[FULL] : shape->out,
                         !scratch && shape->out_dtype == DTYPE_BF16) ||
        !describe_matrix(&piece->bias, 1, columns, columns, false))
        return false;
    if (weights)
        piece->weights = *weights;
    else if (dnnl_memory_desc_init_by_tag(&piece->weights, 2, weight_dims, narrow ? dnnl_bf16 : dnnl_f32, dnnl_format_tag_any) !=
             dnnl_success)
        return false;
    piece->description = (struct onednn_description){.operation = &piece->operation,
                                                     .sum = part == PART_X2,
                                                     .src = &piece->src,
                                                     .dst = &piece->dst,
                                                     .bias = biased ? &piece->bias : NULL};
    if (part == PART_GATE) piece->description.act = ACT_GELU;
    if (last && !shape->has_residual) piece->description.act = shape->act;
    return dnnl_matmul_desc_init(&piece->operation, &piece->src, &piece->weights, biased ? &piece->bias : NULL, &piece->dst) ==
           dnnl_success;
}

/* ---- choosing ---- */

static bool all_pieces_fast(const struct linear_shape *shape, dnnl_engine_t engine) {
    struct pieces pieces = cut(shape);
    for (int part = 0; part < PARTS; part++)
        for (int column = 0; column < KINDS; column++) {
            dnnl_memory_desc_t weights;
            for (int row = 0; row < KINDS; row++) {
                struct piece piece;
                if (!kind_exists(&pieces, row, column, part)) continue;
                if (!describe_piece(shape, &pieces, row, column, part, row == FULL ? NULL : &weights, &piece) ||
                    !onednn_try(engine, &piece.description, &weights))
                    return false;
            }
        }
    return true;
}

static const char *accepts(const struct linear_shape *shape) {
    if (isa_available() == ISA_PLAIN) return "the processor has no vectors worth it";
    bool narrow = shape->x_dtype == DTYPE_BF16 || (shape->in2 && shape->x2_dtype == DTYPE_BF16);
    if (narrow && isa_available() < ISA_AVX512BF16) return "the processor does not multiply bf16";
    if (shape->geglu && shape->in2) return "geglu of two inputs";
    dnnl_engine_t engine;
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) return "oneDNN has no engine";
    int before = onednn_begin();
    bool fast = all_pieces_fast(shape, engine);
    onednn_end(before);
    dnnl_engine_destroy(engine);
    return fast ? NULL : "oneDNN has no fast way";
}

/* ---- state ---- */

static void release(void *context) {
    struct linear_state *state = context;
    for (int i = 0; i < KINDS * KINDS * PARTS; i++)
        onednn_primitive_free(&state->primitive[i / PARTS / KINDS][i / PARTS % KINDS][i % PARTS]);
    for (int part = 0; part < PARTS; part++) {
        for (size_t i = 0; state->weights[part] && i < state->pieces.column_pieces; i++)
            if (state->weights[part][i]) dnnl_memory_destroy(state->weights[part][i]);
        memory_free(state->weights[part]);
    }
    for (size_t i = 0; state->streams && i < state->threads; i++)
        if (state->streams[i]) dnnl_stream_destroy(state->streams[i]);
    memory_free(state->streams);
    if (state->engine) dnnl_engine_destroy(state->engine);
    memory_free(state);
}

static bool create_primitives(const struct linear_shape *shape, struct linear_state *state, struct error *error) {
    for (int i = 0; i < KINDS * KINDS * PARTS; i++) {
        int row = i / PARTS / KINDS, column = i / PARTS % KINDS, part = i % PARTS;
        if (!kind_exists(&state->pieces, row, column, part)) continue;
        struct piece piece;
        struct onednn_primitive *primitive = &state->primitive[row][column][part];
        const dnnl_memory_desc_t *weights = row == FULL ? NULL : &state->primitive[FULL][column][part].weights;
        if (!describe_piece(shape, &state->pieces, row, column, part, weights, &piece)) return onednn_failed(error, "description");
        if (!onednn_primitive_create(state->engine, state->threads, &piece.description, primitive, error)) return false;
        if (primitive->scratchpad > state->scratchpad) state->scratchpad = primitive->scratchpad;
    }
    return true;
}

static bool create_weights(struct linear_state *state, struct error *error) {
    size_t columns = state->pieces.column_pieces, first = 0;
    for (int part = 0; part < PARTS; part++) {
        if (!state->pieces.part[part]) continue;
        state->weights[part] = memory_array(columns, sizeof(dnnl_memory_t));
        if (!state->weights[part]) return onednn_failed(error, "list");
        for (size_t i = 0; i < columns; i++) {
            const dnnl_memory_desc_t *weights = &state->primitive[FULL][column_kind(&state->pieces, i)][part].weights;
            if (dnnl_memory_create(&state->weights[part][i], weights, state->engine, DNNL_MEMORY_NONE) != dnnl_success)
                return onednn_failed(error, "weight");
            size_t bytes = round64(dnnl_memory_desc_get_size(weights));
            if (bytes > state->packed_piece[part]) state->packed_piece[part] = bytes;
        }
        state->packed_first[part] = first;
        first += state->packed_piece[part] * columns;
    }
    return true;
}

static bool prepare(const struct linear_shape *shape, size_t threads, void **context, struct error *error) {
    struct linear_state *state = memory_zero(sizeof *state);
    if (!state) return onednn_failed(error, "state");
    state->pieces = cut(shape);
    state->threads = threads;
    state->streams = memory_array(threads, sizeof(dnnl_stream_t));
    bool fine = state->streams && dnnl_engine_create(&state->engine, dnnl_cpu, 0) == dnnl_success;
    for (size_t i = 0; i < threads && fine; i++)
        fine = dnnl_stream_create(&state->streams[i], state->engine, dnnl_stream_default_flags) == dnnl_success;
    if (!fine) onednn_failed(error, "stream");
    int before = onednn_begin();
    fine = fine && create_primitives(shape, state, error) && create_weights(state, error);
    onednn_end(before);
    if (fine)
        *context = state;
    else
        release(state);
    return fine;
}

/* ---- weights ---- */

static size_t state_packed_size(const void *context) {
    const struct linear_state *state = context;
    size_t bytes = 0;
    for (int part = 0; part < PARTS; part++)
        if (state->pieces.part[part]) bytes += state->packed_piece[part] * state->pieces.column_pieces;
    return bytes;
}

static void state_layout(const void *context, char *text, size_t size) {
    const struct linear_state *state = context;
    snprintf(text, size, "onednn %zu", state->pieces.column_size[FULL]);
    for (int part = 0; part < PARTS; part++)
        if (state->pieces.part[part]) onednn_layout_text(&state->primitive[FULL][FULL][part].weights, text, size);
    if (kind_exists(&state->pieces, FULL, LAST, PART_X)) onednn_layout_text(&state->primitive[FULL][LAST][PART_X].weights, text, size);
}

/* The part's weights from row `row` of all weights one below the other. */
static void pack_piece(const struct linear_shape *shape, const dnnl_memory_desc_t *weights, int part, size_t row, void *packed) {
    size_t depth = (size_t)weights->dims[0], columns = (size_t)weights->dims[1];
    size_t first = shape->weight_first + (part == PART_X2 ? shape->in : 0);
    for (size_t k = 0; k < depth; k += ONEDNN_CHUNK) {
        size_t count = depth - k < ONEDNN_CHUNK ? depth - k : ONEDNN_CHUNK, offset[ONEDNN_CHUNK];
        for (size_t i = 0; i < count; i++) offset[i] = onednn_offset(weights, 0, k + i);
        for (size_t n = 0; n < columns; n++) {
            float value[ONEDNN_CHUNK];
            size_t of_row = row + n, column_offset = onednn_offset(weights, 1, n);
            int which = 0;
            while (of_row >= shape->weight[which]->shape[0]) of_row -= shape->weight[which++]->shape[0];
            tensor_read_f32(shape->weight[which], of_row * shape->weight[which]->shape[1] + first + k, count, value);
            onednn_scatter(weights, packed, column_offset, offset, value, count);
        }
    }
}

static void state_pack(const struct linear_shape *shape, const void *context, void *packed) {
    const struct linear_state *state = context;
    const struct pieces *pieces = &state->pieces;
    memset(packed, 0, state_packed_size(state));
    for (int part = 0; part < PARTS; part++)
        for (size_t i = 0; pieces->part[part] && i < pieces->column_pieces; i++) {
            unsigned char *to = (unsigned char *)packed + state->packed_first[part] + i * state->packed_piece[part];
            size_t row = i * pieces->column_size[FULL] + (part == PART_GATE ? shape->out : 0);
            pack_piece(shape, &state->primitive[FULL][column_kind(pieces, i)][part].weights, part, row, to);
        }
}

/* ---- running ---- */

/* Of each thread: the product, the gates, a bias, oneDNN's own. */
static size_t tile_bytes(const struct pieces *pieces) {
    return round64(pieces->row_size[FULL] * pieces->column_size[FULL] * sizeof(float));
}
static size_t bias_bytes(const struct pieces *pieces) { return round64(pieces->column_size[FULL] * sizeof(float)); }
static size_t thread_bytes(const struct pieces *pieces, size_t scratchpad) {
    return (pieces->tile ? tile_bytes(pieces) : 0) + (pieces->part[PART_GATE] ? tile_bytes(pieces) : 0) + bias_bytes(pieces) +
           round64(scratchpad);
}

static size_t state_scratch(const void *context) {
    const struct linear_state *state = context;
    return state->threads * thread_bytes(&state->pieces, state->scratchpad);
}

struct linear_task {
    const struct linear_shape *shape;
    const struct linear_operands *operands;
    const struct linear_state *state;
};

/* What one task works on. */
struct place {
    size_t segment, row, rows, column, columns, column_piece; /* row: in the segment */
    int row_kind, column_kind;
    float *tile, *gate, *bias;
    void *scratchpad;
};

static void find_place(const struct linear_task *task, size_t number, size_t thread, struct place *place) {
    const struct pieces *pieces = &task->state->pieces;
    size_t row_piece = number % pieces->row_pieces;
    place->segment = number / pieces->row_pieces % pieces->segments;
    place->column_piece = number / pieces->row_pieces / pieces->segments;
    place->row_kind = row_kind(pieces, row_piece);
    place->column_kind = column_kind(pieces, place->column_piece);
    place->row = row_piece * pieces->row_size[FULL];
    place->rows = pieces->row_size[place->row_kind];
    place->column = place->column_piece * pieces->column_size[FULL];
    place->columns = pieces->column_size[place->column_kind];
    unsigned char *at = (unsigned char *)task->operands->scratch + thread * thread_bytes(pieces, task->state->scratchpad);
    place->tile = (float *)(void *)at;
    if (pieces->tile) at += tile_bytes(pieces);
    place->gate = (float *)(void *)at;
    if (pieces->part[PART_GATE]) at += tile_bytes(pieces);
    place->bias = (float *)(void *)at;
    place->scratchpad = at + bias_bytes(pieces);
}

/* Bias and embedding of the piece's columns. */
static const float *find_bias(const struct linear_task *task, const struct place *place) {
    const struct linear_operands *operands = task->operands;
    if (!task->shape->has_per_sample) return operands->bias ? operands->bias + place->column : NULL;
    numbers_load(row_read(&operands->per_sample, place->segment, 1, 0), DTYPE_F32, place->column, place->columns, place->bias);
    if (operands->bias) numbers_add(operands->bias, DTYPE_F32, place->column, place->columns, place->bias);
    return place->bias;
}

static unsigned char *out_at(const struct linear_task *task, const struct place *place, size_t row) {
    const struct view *out = &task->operands->out;
    return (unsigned char *)row_write(out, place->segment, task->state->pieces.rows, place->row + row) +
           place->column * dtype_size(out->dtype);
}

static void multiply(const struct linear_task *task, const struct place *place, int part, size_t thread) {
    const struct linear_state *state = task->state;
    const struct linear_operands *operands = task->operands;
    const struct view *x = part == PART_X2 ? &operands->x2 : &operands->x;
    struct onednn_pointers pointers = {.src = row_read(x, place->segment, state->pieces.rows, place->row), .scratchpad = place->scratchpad};
    pointers.dst = part == PART_GATE ? (void *)place->gate : state->pieces.tile ? (void *)place->tile : out_at(task, place, 0);
    if (part == PART_X) pointers.bias = find_bias(task, place);
    if (part == PART_GATE && operands->bias) pointers.bias = operands->bias + task->shape->out + place->column;
    onednn_execute(&state->primitive[place->row_kind][place->column_kind][part], state->streams[thread], thread,
                   state->weights[part][place->column_piece], &pointers);
}

/* What oneDNN left to do: gates, residual and what comes after it, the way into bf16. */
static void finish_rows(const struct linear_task *task, const struct place *place) {
    const struct linear_shape *shape = task->shape;
    const struct linear_operands *operands = task->operands;
    const struct pieces *pieces = &task->state->pieces;
    if (!shape->geglu && !shape->has_residual && !pieces->tile) return;
    for (size_t row = 0; row < place->rows; row++) {
        void *out = out_at(task, place, row);
        float *sums = pieces->tile ? place->tile + row * pieces->column_size[FULL] : out;
        if (shape->geglu) {
            const float *gate = place->gate + row * pieces->column_size[FULL];
            for (size_t i = 0; i < place->columns; i++) sums[i] *= gate[i];
        }
        if (shape->has_residual) {
            size_t all = place->segment * pieces->rows + place->row + row;
            numbers_add(row_read(&operands->residual, all / shape->rows, shape->rows, all % shape->rows), operands->residual.dtype,
                        place->column, place->columns, sums);
            activate(sums, place->columns, shape->act);
        }
        if (pieces->tile) numbers_store(out, operands->out.dtype, 0, place->columns, sums);
    }
}

static void run_task(void *context, size_t number, size_t thread) {
    const struct linear_task *task = context;
    struct place place;
    find_place(task, number, thread, &place);
    int before = onednn_begin();
    for (int part = 0; part < PARTS; part++)
        if (task->state->pieces.part[part]) multiply(task, &place, part, thread);
    onednn_end(before);
    finish_rows(task, &place);
}

static void run(const struct linear_shape *shape, const struct linear_operands *operands, void *context, struct pool *pool) {
    const struct linear_state *state = context;
    const struct pieces *pieces = &state->pieces;
    for (int part = 0; part < PARTS; part++)
        for (size_t i = 0; pieces->part[part] && i < pieces->column_pieces; i++)
            onednn_point_weights(state->weights[part][i],
                                 (const unsigned char *)operands->weight + state->packed_first[part] + i * state->packed_piece[part]);
    struct linear_task task = {shape, operands, state};
    pool_run(pool, pieces->segments * pieces->row_pieces * pieces->column_pieces, run_task, &task);
}

extern const struct linear_kernel onednn_linear;
const struct linear_kernel onednn_linear = {.name = "onednn",
                                            .accepts = accepts,
                                            .prepare = prepare,
                                            .release = release,
                                            .state_packed_size = state_packed_size,
                                            .state_layout = state_layout,
                                            .state_pack = state_pack,
                                            .state_scratch = state_scratch,
                                            .run = run};
