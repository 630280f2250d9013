/* Convolutions by oneDNN: bands of rows, or channels, in pieces, one piece a task. */
#include "base/memory.h"
#include "tensor/cpu/elementary.h"
#include "tensor/cpu/onednn.h"

#include <stdint.h>
#include <stdio.h>

/* A second input's convolution is added to that of the first: no concatenation. */
enum { PARTS = 2 };
enum { FULL, LAST, KINDS };
enum { BAND_PIXELS = 512, BAND_ROWS = 4, CHANNELS = 64, BANDS_MAX = 4096 };

/* A band: rows of the result, and rows of the (enlarged) input that they see. */
struct band {
    size_t first, rows, in_first, in_rows, pad_top, pad_bottom;
};

/* How the work is cut: by the shape alone. */
struct pieces {
    size_t band_rows, bands;
    size_t channel_pieces, channels[KINDS];
    size_t pad_right;
    int parts;
    size_t c[PARTS];
    bool narrow[PARTS], copied[PARTS]; /* in bf16; enlarged or gathered into scratch memory first */
    bool tile;                         /* the result is in scratch memory before it is written */
    bool narrow_tile;                  /* in bf16 there */
};

/* Bands of equal shape share primitives. */
enum { BAND_KINDS = 4 };
struct conv_state {
    struct pieces pieces;
    dnnl_engine_t engine;
    dnnl_stream_t *streams; /* [threads] */
    size_t threads;
    size_t band_kinds;
    struct band kind[BAND_KINDS];
    struct onednn_primitive primitive[BAND_KINDS][KINDS][PARTS];
    dnnl_memory_t *weights[PARTS];                   /* [channel_pieces] */
    size_t packed_first[PARTS], packed_piece[PARTS]; /* bytes */
    size_t scratchpad, tile_bytes, copy_bytes, bias_bytes;
};

static size_t round64(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* Large pictures are cut in bands that share the weights; deep layers by channels, so that each
 * weight is read from memory once. */
static void cut_work(const struct conv_shape *shape, struct pieces *pieces) {
    size_t weights = shape->out * (shape->c + shape->c2) * shape->kh * shape->kw;
    size_t inputs = shape->samples * shape->h * shape->w * (shape->c + shape->c2);
    size_t channels = shape->out, rows = BAND_PIXELS / shape->out_w;
    if (rows < BAND_ROWS) rows = BAND_ROWS;
    if (weights > 2 * inputs && shape->out >= 2 * CHANNELS) {
        channels = CHANNELS;
        rows = shape->out_h;
    }
    if (rows > shape->out_h) rows = shape->out_h;
    pieces->band_rows = rows;
    pieces->bands = blocks_of(shape->out_h, rows);
    pieces->channel_pieces = blocks_of(shape->out, channels);
    pieces->channels[FULL] = channels;
    pieces->channels[LAST] = shape->out - (pieces->channel_pieces - 1) * channels;
}

static struct pieces cut(const struct conv_shape *shape) {
    struct pieces pieces = {.parts = shape->c2 ? 2 : 1, .c = {shape->c, shape->c2}};
    cut_work(shape, &pieces);
    size_t reach = (shape->out_w - 1) * shape->stride + shape->kw, width = shape->up_w + shape->pad_left;
    pieces.pad_right = reach > width ? reach - width : 0;
    bool enlarged = shape->up_h != shape->h || shape->up_w != shape->w;
    pieces.narrow[0] = shape->x_dtype == DTYPE_BF16;
    pieces.narrow[1] = shape->x2_dtype == DTYPE_BF16;
    pieces.copied[0] = enlarged || shape->x_stride != shape->c;
    pieces.copied[1] = enlarged || shape->x2_stride != shape->c2;
    bool f32_first = shape->out_dtype == DTYPE_BF16 && (shape->c2 || shape->has_residual || !pieces.narrow[0]);
    pieces.tile = pieces.channel_pieces > 1 || f32_first;
    pieces.narrow_tile = shape->out_dtype == DTYPE_BF16 && !f32_first;
    return pieces;
}

static struct band band_at(const struct conv_shape *shape, const struct pieces *pieces, size_t number) {
    struct band band = {.first = number * pieces->band_rows};
    band.rows = shape->out_h - band.first < pieces->band_rows ? shape->out_h - band.first : pieces->band_rows;
    /* Rows counted from the padding's edge, then cut to those that exist. */
    size_t begin = band.first * shape->stride, end = begin + (band.rows - 1) * shape->stride + shape->kh;
    size_t first_real = shape->pad_top, end_real = shape->pad_top + shape->up_h;
    size_t real_begin = begin > first_real ? begin : first_real, real_end = end < end_real ? end : end_real;
    if (real_begin >= real_end) return band; /* nothing but padding: in_rows is 0 */
    band.in_first = real_begin - first_real;
    band.in_rows = real_end - real_begin;
    band.pad_top = real_begin - begin;
    band.pad_bottom = end - real_end;
    return band;
}

static bool same_kind(const struct band *a, const struct band *b) {
    return a->rows == b->rows && a->in_rows == b->in_rows && a->pad_top == b->pad_top && a->pad_bottom == b->pad_bottom;
}

/* The kind of a band; `count` when it is a new one. */
static size_t kind_of(const struct band *kinds, size_t count, const struct band *band) {
    size_t kind = 0;
    while (kind < count && !same_kind(&kinds[kind], band)) kind++;
    return kind;
}

/* Kinds of all bands, 0 when there are too many or oneDNN can't have one. */
static size_t find_kinds(const struct conv_shape *shape, const struct pieces *pieces, struct band kinds[BAND_KINDS]) {
    size_t count = 0;
    for (size_t i = 0; i < pieces->bands; i++) {
        struct band band = band_at(shape, pieces, i);
        size_t kind = kind_of(kinds, count, &band);
        if (band.in_rows == 0 || kind == BAND_KINDS) return 0;
        if (kind == count) kinds[count++] = band;
    }
    return count;
}

static int channel_kind(const struct pieces *pieces, size_t piece) {
    return piece + 1 == pieces->channel_pieces && pieces->channels[LAST] != pieces->channels[FULL] ? LAST : FULL;
}
static bool kind_exists(const struct pieces *pieces, int channel, int part) {
    return part < pieces->parts && (channel == FULL || channel_kind(pieces, pieces->channel_pieces - 1) == LAST);
}

/* ---- one piece as oneDNN sees it ---- */

struct piece {
    dnnl_convolution_desc_t operation;
    dnnl_memory_desc_t src, weights, bias, dst;
    struct onednn_description description;
};

/* Rows of pixels, channels last; oneDNN names the dimensions n, c, h, w. */
static bool describe_picture(dnnl_memory_desc_t *picture, size_t c, size_t h, size_t w, bool narrow) {
    dnnl_dims_t dims = {1, (int64_t)c, (int64_t)h, (int64_t)w};
    return dnnl_memory_desc_init_by_tag(picture, 4, dims, narrow ? dnnl_bf16 : dnnl_f32, dnnl_nhwc) == dnnl_success;
}

/* weights NULL: any layout. */
static bool describe_piece(const struct conv_shape *shape, const struct pieces *pieces, const struct band *band, int channel, int part,
                           const dnnl_memory_desc_t *weights, struct piece *piece) {
    size_t out = pieces->channels[channel];
    bool narrow = pieces->narrow[part], last = part == pieces->parts - 1;
    bool biased = part == 0 && (shape->has_bias || shape->has_per_sample);
    bool narrow_result = pieces->tile ? pieces->narrow_tile : shape->out_dtype == DTYPE_BF16;
    dnnl_dims_t weight_dims = {(int64_t)out, (int64_t)pieces->c[part], (int64_t)shape->kh, (int64_t)shape->kw};
    dnnl_dims_t bias_dims = {(int64_t)out}, strides = {(int64_t)shape->stride, (int64_t)shape->stride};
    dnnl_dims_t before = {(int64_t)band->pad_top, (int64_t)shape->pad_left};
    dnnl_dims_t after = {(int64_t)band->pad_bottom, (int64_t)pieces->pad_right};
    if (!describe_picture(&piece->src, pieces->c[part], band->in_rows, shape->up_w, narrow) ||
        !describe_picture(&piece->dst, out, band->rows, shape->out_w, narrow_result) ||
        dnnl_memory_desc_init_by_tag(&piece->bias, 1, bias_dims, dnnl_f32, dnnl_x) != dnnl_success)
        return false;
    if (weights)
        piece->weights = *weights;
    else if (dnnl_memory_desc_init_by_tag(&piece->weights, 4, weight_dims, narrow ? dnnl_bf16 : dnnl_f32, dnnl_format_tag_any) !=
             dnnl_success)
        return false;
    piece->description = (struct onednn_description){
        .operation = &piece->operation, .sum = part > 0, .src = &piece->src, .dst = &piece->dst, .bias = biased ? &piece->bias : NULL};
    if (last && !shape->has_residual) piece->description.act = shape->act;
    return dnnl_convolution_forward_desc_init(&piece->operation, dnnl_forward_inference, dnnl_convolution_direct, &piece->src,
                                              &piece->weights, biased ? &piece->bias : NULL, &piece->dst, strides, before,
                                              after) == dnnl_success;
}

/* ---- choosing ---- */

static bool all_pieces_fast(const struct conv_shape *shape, dnnl_engine_t engine) {
    struct pieces pieces = cut(shape);
    struct band kinds[BAND_KINDS];
    size_t count = find_kinds(shape, &pieces, kinds);
    for (int i = 0; i < KINDS * PARTS; i++) {
        dnnl_memory_desc_t weights;
        for (size_t kind = 0; kind < count && kind_exists(&pieces, i / PARTS, i % PARTS); kind++) {
            struct piece piece;
            if (!describe_piece(shape, &pieces, &kinds[kind], i / PARTS, i % PARTS, kind ? &weights : NULL, &piece) ||
                !onednn_try(engine, &piece.description, &weights))
                return false;
        }
    }
    return count > 0;
}

static const char *accepts(const struct conv_shape *shape) {
    if (isa_available() == ISA_PLAIN) return "the processor has no vectors worth it";
    bool narrow = shape->x_dtype == DTYPE_BF16 || (shape->c2 && shape->x2_dtype == DTYPE_BF16);
    if (narrow && isa_available() < ISA_AVX512BF16) return "the processor does not multiply bf16";
    if (blocks_of(shape->out_h, BAND_ROWS) > BANDS_MAX) return "too high";
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
    struct conv_state *state = context;
    for (int i = 0; i < BAND_KINDS * KINDS * PARTS; i++)
        onednn_primitive_free(&state->primitive[i / PARTS / KINDS][i / PARTS % KINDS][i % PARTS]);
    for (int part = 0; part < PARTS; part++) {
        for (size_t i = 0; state->weights[part] && i < state->pieces.channel_pieces; i++)
            if (state->weights[part][i]) dnnl_memory_destroy(state->weights[part][i]);
        memory_free(state->weights[part]);
    }
    for (size_t i = 0; state->streams && i < state->threads; i++)
        if (state->streams[i]) dnnl_stream_destroy(state->streams[i]);
    memory_free(state->streams);
    if (state->engine) dnnl_engine_destroy(state->engine);
    memory_free(state);
}

static bool create_primitives(const struct conv_shape *shape, struct conv_state *state, struct error *error) {
    state->band_kinds = find_kinds(shape, &state->pieces, state->kind);
    for (size_t i = 0; i < state->band_kinds * KINDS * PARTS; i++) {
        size_t kind = i / PARTS / KINDS;
        int channel = (int)(i / PARTS % KINDS), part = (int)(i % PARTS);
        if (!kind_exists(&state->pieces, channel, part)) continue;
        struct piece piece;
        struct onednn_primitive *primitive = &state->primitive[kind][channel][part];
        const dnnl_memory_desc_t *weights = kind ? &state->primitive[0][channel][part].weights : NULL;
        if (!describe_piece(shape, &state->pieces, &state->kind[kind], channel, part, weights, &piece))
            return onednn_failed(error, "description");
        if (!onednn_primitive_create(state->engine, state->threads, &piece.description, primitive, error)) return false;
        if (primitive->scratchpad > state->scratchpad) state->scratchpad = primitive->scratchpad;
    }
    return true;
}

static bool create_weights(struct conv_state *state, struct error *error) {
    size_t pieces = state->pieces.channel_pieces, first = 0;
    for (int part = 0; part < state->pieces.parts; part++) {
        state->weights[part] = memory_array(pieces, sizeof(dnnl_memory_t));
        if (!state->weights[part]) return onednn_failed(error, "list");
        for (size_t i = 0; i < pieces; i++) {
            const dnnl_memory_desc_t *weights = &state->primitive[0][channel_kind(&state->pieces, i)][part].weights;
            if (dnnl_memory_create(&state->weights[part][i], weights, state->engine, DNNL_MEMORY_NONE) != dnnl_success)
                return onednn_failed(error, "weight");
            size_t bytes = round64(dnnl_memory_desc_get_size(weights));
            if (bytes > state->packed_piece[part]) state->packed_piece[part] = bytes;
        }
        state->packed_first[part] = first;
        first += state->packed_piece[part] * pieces;
    }
    return true;
}

static void find_sizes(const struct conv_shape *shape, struct conv_state *state) {
    const struct pieces *pieces = &state->pieces;
    size_t rows = 0;
    for (size_t i = 0; i < state->band_kinds; i++)
        if (state->kind[i].in_rows > rows) rows = state->kind[i].in_rows;
    for (int part = 0; part < pieces->parts; part++) {
        size_t bytes = round64(rows * shape->up_w * pieces->c[part] * sizeof(float));
        if (pieces->copied[part] && bytes > state->copy_bytes) state->copy_bytes = bytes;
    }
    if (pieces->tile) state->tile_bytes = round64(pieces->band_rows * shape->out_w * pieces->channels[FULL] * sizeof(float));
    state->bias_bytes = round64(pieces->channels[FULL] * sizeof(float));
}

static bool prepare(const struct conv_shape *shape, size_t threads, void **context, struct error *error) {
    struct conv_state *state = memory_zero(sizeof *state);
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
    if (fine) {
        find_sizes(shape, state);
        *context = state;
    } else {
        release(state);
    }
    return fine;
}

/* ---- weights ---- */

static size_t state_packed_size(const void *context) {
    const struct conv_state *state = context;
    size_t bytes = 0;
    for (int part = 0; part < state->pieces.parts; part++) bytes += state->packed_piece[part] * state->pieces.channel_pieces;
    return bytes;
}

static void state_layout(const void *context, char *text, size_t size) {
    const struct conv_state *state = context;
    snprintf(text, size, "onednn %zu", state->pieces.channels[FULL]);
    for (int part = 0; part < state->pieces.parts; part++) onednn_layout_text(&state->primitive[0][FULL][part].weights, text, size);
    if (kind_exists(&state->pieces, LAST, 0)) onednn_layout_text(&state->primitive[0][LAST][0].weights, text, size);
}

/* Weights [first_out, ...) x [first_in, ...) of the whole. Of one output they are one run of numbers. */
static void pack_piece(const struct tensor *weight, const dnnl_memory_desc_t *weights, size_t first_out, size_t first_in, void *packed) {
    size_t taps_w = (size_t)weights->dims[3], taps = (size_t)weights->dims[2] * taps_w, weight_in = weight->shape[1];
    size_t run = (size_t)weights->dims[1] * taps;
    for (size_t first = 0; first < run; first += ONEDNN_CHUNK) {
        size_t count = run - first < ONEDNN_CHUNK ? run - first : ONEDNN_CHUNK, offset[ONEDNN_CHUNK];
        for (size_t i = 0; i < count; i++) {
            size_t tap = (first + i) % taps;
            offset[i] = onednn_offset(weights, 1, (first + i) / taps) + onednn_offset(weights, 2, tap / taps_w) +
                        onednn_offset(weights, 3, tap % taps_w);
        }
        for (size_t out = 0; out < (size_t)weights->dims[0]; out++) {
            float value[ONEDNN_CHUNK];
            tensor_read_f32(weight, ((first_out + out) * weight_in + first_in) * taps + first, count, value);
            onednn_scatter(weights, packed, onednn_offset(weights, 0, out), offset, value, count);
        }
    }
}

static void state_pack(const struct conv_shape *shape, const void *context, void *packed) {
    const struct conv_state *state = context;
    const struct pieces *pieces = &state->pieces;
    memset(packed, 0, state_packed_size(state));
    for (int part = 0; part < pieces->parts; part++)
        for (size_t i = 0; i < pieces->channel_pieces; i++) {
            unsigned char *to = (unsigned char *)packed + state->packed_first[part] + i * state->packed_piece[part];
            pack_piece(shape->weight, &state->primitive[0][channel_kind(pieces, i)][part].weights, i * pieces->channels[FULL],
                       shape->weight_first + (part ? shape->c : 0), to);
        }
}

/* ---- running ---- */

/* Of each thread: the result, the copied input, a bias, oneDNN's own. */
static size_t thread_bytes(const struct conv_state *state) {
    return state->tile_bytes + state->copy_bytes + state->bias_bytes + round64(state->scratchpad);
}
static size_t state_scratch(const void *context) {
    const struct conv_state *state = context;
    return state->threads * thread_bytes(state);
}

struct conv_task {
    const struct conv_shape *shape;
    const struct conv_operands *operands;
    const struct conv_state *state;
};

struct place {
    size_t sample, channel, channels, channel_piece, band_kind;
    int channel_kind;
    struct band band;
    void *tile, *copy, *scratchpad;
    float *bias;
};

static void find_place(const struct conv_task *task, size_t number, size_t thread, struct place *place) {
    const struct conv_state *state = task->state;
    const struct pieces *pieces = &state->pieces;
    place->band = band_at(task->shape, pieces, number % pieces->bands);
    place->band_kind = kind_of(state->kind, state->band_kinds, &place->band);
    place->sample = number / pieces->bands % task->shape->samples;
    place->channel_piece = number / pieces->bands / task->shape->samples;
    place->channel_kind = channel_kind(pieces, place->channel_piece);
    place->channel = place->channel_piece * pieces->channels[FULL];
    place->channels = pieces->channels[place->channel_kind];
    unsigned char *at = (unsigned char *)task->operands->scratch + thread * thread_bytes(state);
    place->tile = at;
    place->copy = at + state->tile_bytes;
    place->bias = (float *)(void *)(at + state->tile_bytes + state->copy_bytes);
    place->scratchpad = at + state->tile_bytes + state->copy_bytes + state->bias_bytes;
}

/* The band's input, dense and enlarged. */
static void copy_input(const struct conv_task *task, const struct place *place, const struct view *x, size_t c) {
    const struct conv_shape *shape = task->shape;
    size_t bytes = c * dtype_size(x->dtype);
    unsigned char *to = place->copy;
    for (size_t y = 0; y < place->band.in_rows; y++) {
        size_t source_y = upsample_source(place->band.in_first + y, shape->h, shape->up_h);
        for (size_t column = 0; column < shape->up_w; column++, to += bytes) {
            size_t row = source_y * shape->w + upsample_source(column, shape->w, shape->up_w);
            memcpy(to, row_read(x, place->sample, shape->h * shape->w, row), bytes);
        }
    }
}

/* Bias and embedding of the piece's channels. */
static const float *find_bias(const struct conv_task *task, const struct place *place) {
    const struct conv_operands *operands = task->operands;
    if (!task->shape->has_per_sample) return operands->bias ? operands->bias + place->channel : NULL;
    numbers_load(row_read(&operands->per_sample, place->sample, 1, 0), DTYPE_F32, place->channel, place->channels, place->bias);
    if (operands->bias) numbers_add(operands->bias, DTYPE_F32, place->channel, place->channels, place->bias);
    return place->bias;
}

static void convolve(const struct conv_task *task, const struct place *place, int part, size_t thread) {
    const struct conv_shape *shape = task->shape;
    const struct conv_state *state = task->state;
    const struct view *x = part ? &task->operands->x2 : &task->operands->x;
    struct onednn_pointers pointers = {.scratchpad = place->scratchpad, .dst = place->tile};
    if (!state->pieces.tile)
        pointers.dst = row_write(&task->operands->out, place->sample, shape->out_h * shape->out_w, place->band.first * shape->out_w);
    if (state->pieces.copied[part]) {
        copy_input(task, place, x, state->pieces.c[part]);
        pointers.src = place->copy;
    } else {
        pointers.src = row_read(x, place->sample, shape->h * shape->w, place->band.in_first * shape->w);
    }
    if (part == 0) pointers.bias = find_bias(task, place);
    onednn_execute(&state->primitive[place->band_kind][place->channel_kind][part], state->streams[thread], thread,
                   state->weights[part][place->channel_piece], &pointers);
}

/* What oneDNN left to do: residual and what comes after it, the way to the result's place. */
static void finish_rows(const struct conv_task *task, const struct place *place) {
    const struct conv_shape *shape = task->shape;
    const struct conv_operands *operands = task->operands;
    const struct pieces *pieces = &task->state->pieces;
    if (!shape->has_residual && !pieces->tile) return;
    size_t pixels = shape->out_h * shape->out_w, first = place->band.first * shape->out_w, count = place->band.rows * shape->out_w;
    for (size_t i = 0; i < count; i++) {
        unsigned char *out =
            (unsigned char *)row_write(&operands->out, place->sample, pixels, first + i) + place->channel * dtype_size(operands->out.dtype);
        if (pieces->narrow_tile) {
            memcpy(out, (const uint16_t *)place->tile + i * place->channels, place->channels * sizeof(uint16_t));
            continue;
        }
        float *sums = pieces->tile ? (float *)place->tile + i * place->channels : (float *)(void *)out;
        if (shape->has_residual) {
            numbers_add(row_read(&operands->residual, place->sample, pixels, first + i), operands->residual.dtype, place->channel,
                        place->channels, sums);
            activate(sums, place->channels, shape->act);
        }
        if (pieces->tile) numbers_store(out, operands->out.dtype, 0, place->channels, sums);
    }
}

static void run_task(void *context, size_t number, size_t thread) {
    const struct conv_task *task = context;
    struct place place;
    find_place(task, number, thread, &place);
    int before = onednn_begin();
    for (int part = 0; part < task->state->pieces.parts; part++) convolve(task, &place, part, thread);
    onednn_end(before);
    finish_rows(task, &place);
}

static void run(const struct conv_shape *shape, const struct conv_operands *operands, void *context, struct pool *pool) {
    const struct conv_state *state = context;
    const struct pieces *pieces = &state->pieces;
    for (int part = 0; part < pieces->parts; part++)
        for (size_t i = 0; i < pieces->channel_pieces; i++)
            onednn_point_weights(state->weights[part][i],
                                 (const unsigned char *)operands->weight + state->packed_first[part] + i * state->packed_piece[part]);
    struct conv_task task = {shape, operands, state};
    pool_run(pool, shape->samples * pieces->bands * pieces->channel_pieces, run_task, &task);
}

extern const struct conv_kernel onednn_conv;
const struct conv_kernel onednn_conv = {.name = "onednn",
                                        .accepts = accepts,
                                        .prepare = prepare,
                                        .release = release,
                                        .run = run,
                                        .state_scratch = state_scratch,
                                        .state_packed_size = state_packed_size,
                                        .state_layout = state_layout,
                                        .state_pack = state_pack};
