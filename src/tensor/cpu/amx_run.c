/* How an operation is shared out, and what a task does: amx.h. */
#include "tensor/cpu/amx.h"
#include "tensor/cpu/conv_axis.h"
#include "tensor/cpu/elementary.h"

/* ---- sharing out ---- */

struct layout {
    size_t block_samples, block_h, block_w; /* results of a task */
    size_t blocks_n, blocks_y, blocks_x;
    size_t depth, chunk, chunks;        /* filled channels: all, of a chunk */
    size_t panels, group, groups;       /* of columns, those of a task */
    size_t pixel, pitch, copy_h, tiles; /* of a full block: bytes, pixels, rows; tiles of a sample */
    size_t axis_y, axis_x;              /* positions */
    /* Bytes, multiples of 64. Once: axes. For each thread: head, copy, sums of two pairs of tiles and of chunks. */
    size_t axes, head, copy, sums, one;
};

static size_t round_up(size_t bytes) { return blocks_of(bytes, 64) * 64; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Results of a task: as many as make good use of each weight that is fetched. */
static void choose_block(struct layout *layout, const struct amx_shape *shape) {
    enum { RESULTS = 1024, ACROSS = 96, PART = 64 };
    layout->block_samples = 1;
    layout->block_w = shape->flat ? smaller(shape->w, RESULTS) : shape->w <= ACROSS ? shape->w : PART;
    layout->block_h = smaller(shape->h, blocks_of(RESULTS, layout->block_w));
    if (layout->block_h == shape->h && layout->block_w == shape->w)
        layout->block_samples = smaller(shape->samples, RESULTS / (shape->h * shape->w) ? RESULTS / (shape->h * shape->w) : 1);
}

static size_t tiles_of(size_t h, size_t w, size_t pitch) {
    return w % AMX_ROWS == 0 ? h * (w / AMX_ROWS) : blocks_of((h - 1) * pitch + w, AMX_ROWS);
}

/* Pixels of a sample's copy. Tiles that are no rows may end behind the last result. */
static size_t sample_pixels(const struct amx_shape *shape, size_t h, size_t w) {
    size_t pitch = (w - 1) * shape->stride + shape->kw, rows = (h - 1) * shape->stride + shape->kh;
    size_t last = shape->stride * (tiles_of(h, w, pitch) * AMX_ROWS - 1) + (shape->kh - 1) * pitch + shape->kw;
    size_t whole = rows * pitch;
    return w % AMX_ROWS == 0 || last < whole ? whole : last;
}

/* An odd number of cache lines: a tile's rows must not fall into the same sets of a cache. */
static size_t pixel_bytes(size_t channels) { return (channels / AMX_CHANNELS | 1) * AMX_CHANNELS * sizeof(uint16_t); }

/* Make the copy fit a part of the L2 cache: by fewer results while weights still are used often, then by chunks of channels. */
static void choose_chunk(struct layout *layout, const struct amx_shape *shape) {
    enum { COPY = 1000 << 10, FEWEST = 256 };
    while (layout->block_samples * sample_pixels(shape, layout->block_h, layout->block_w) * pixel_bytes(layout->depth) > COPY) {
        size_t h = layout->block_h > 1 ? blocks_of(layout->block_h, 2) : 1, w = layout->block_w;
        if (layout->block_h == 1) w = blocks_of(blocks_of(w, 2), AMX_ROWS) * AMX_ROWS;
        if (layout->block_samples > 1 || h * w < FEWEST || h * w == layout->block_h * layout->block_w) break;
        layout->block_h = h;
        layout->block_w = w;
    }
    size_t most = COPY / (layout->block_samples * sample_pixels(shape, layout->block_h, layout->block_w) * sizeof(uint16_t));
    most = most < 2 * AMX_PART ? AMX_PART : (most - AMX_CHANNELS) / AMX_PART * AMX_PART;
    layout->chunks = blocks_of(layout->depth, most);
    layout->chunk = blocks_of(blocks_of(layout->depth, layout->chunks), AMX_PART) * AMX_PART;
    if (layout->chunk > layout->depth) layout->chunk = layout->depth;
    layout->chunks = blocks_of(layout->depth, layout->chunk);
}

static void share_out(struct layout *layout, const struct amx_shape *shape, size_t threads) {
    enum { TASKS = 4 /* for each thread: shares stay even when one is interrupted */ };
    layout->blocks_n = blocks_of(shape->samples, layout->block_samples);
    layout->blocks_y = blocks_of(shape->h, layout->block_h);
    layout->blocks_x = blocks_of(shape->w, layout->block_w);
    layout->group = layout->panels;
    size_t blocks = layout->blocks_n * layout->blocks_y * layout->blocks_x, wanted = threads > 1 ? TASKS * threads : 1;
    while (blocks * blocks_of(layout->panels, layout->group) < wanted && layout->group > 1) layout->group = (layout->group + 1) / 2;
    layout->groups = blocks_of(layout->panels, layout->group);
}

static struct layout layout_of(const struct amx_shape *shape, size_t threads) {
    size_t results = shape->geglu ? AMX_PANEL / 2 : AMX_PANEL;
    struct layout layout = {.depth = amx_filled(shape->channels[0]) + amx_filled(shape->channels[1]),
                            .panels = blocks_of(shape->columns, results)};
    choose_block(&layout, shape);
    choose_chunk(&layout, shape);
    share_out(&layout, shape, threads);
    layout.pixel = pixel_bytes(layout.chunk);
    if (!shape->flat) {
        layout.axis_y = (shape->h - 1) * shape->stride + shape->kh;
        layout.axis_x = (shape->w - 1) * shape->stride + shape->kw;
    }
    layout.axes = round_up((layout.axis_y + layout.axis_x) * sizeof(ptrdiff_t));

    layout.head = 64;
    /* The last column of blocks may be narrower, and its tiles no rows: more pixels than the others have, at worst. */
    size_t rest = shape->w % layout.block_w, pixels = sample_pixels(shape, layout.block_h, layout.block_w);
    size_t pitch = (layout.block_w - 1) * shape->stride + shape->kw, tiles = tiles_of(layout.block_h, layout.block_w, pitch);
    if (rest) {
        size_t others = sample_pixels(shape, layout.block_h, rest);
        if (others > pixels) pixels = others;
        others = tiles_of(layout.block_h, rest, (rest - 1) * shape->stride + shape->kw);
        if (others > tiles) tiles = others;
    }
    layout.copy = round_up(layout.block_samples * pixels * layout.pixel);
    tiles = blocks_of(layout.block_samples * tiles, 2) * 2;
    layout.sums = layout.chunks > 1 ? tiles * AMX_ROWS * AMX_PANEL * sizeof(float) * layout.group : 0;
    layout.one = 4 * AMX_ROWS * AMX_PANEL * sizeof(float);
    return layout;
}

static size_t thread_bytes(const struct layout *layout) { return layout->head + layout->copy + layout->sums + layout->one; }

size_t amx_scratch(const struct amx_shape *shape, size_t threads) {
    struct layout layout = layout_of(shape, threads);
    return layout.axes + threads * thread_bytes(&layout);
}

/* ---- running ---- */

struct amx_task {
    const struct amx_operation *operation;
    struct layout layout;
    ptrdiff_t *source_y, *source_x; /* by position along the axis: the stored row or column, or OUTSIDE */
    unsigned char *threads;
};

/* What a thread remembers between tasks. */
struct head {
    size_t block; /* whose copy it has, all channels in one chunk; SIZE_MAX: none */
};

static unsigned char *thread_memory(const struct amx_task *task, size_t thread) {
    return task->threads + thread * thread_bytes(&task->layout);
}

/* Channels [first, first + count) of the filled ones of both inputs, of one pixel; NULL: outside. */
static void copy_pixel(const struct amx_task *task, size_t sample, size_t rows, size_t row, bool outside, size_t first, size_t count,
                       unsigned char *to) {
    const struct amx_operation *operation = task->operation;
    const struct view *view[2] = {&operation->x, &operation->x2};
    size_t begin = 0;
    for (size_t part = 0; part < 2; part++) {
        size_t channels = operation->shape.channels[part], filled = amx_filled(channels);
        size_t from = first > begin ? first - begin : 0, end = first + count > begin ? smaller(first + count - begin, filled) : 0;
        begin += filled;
        if (from >= end) continue;
        if (outside) {
            memset(to, 0, (end - from) * sizeof(uint16_t));
        } else {
            const unsigned char *source = row_read(view[part], sample, rows, row);
            source += from * (view[part]->dtype == DTYPE_BF16 ? 2 : 4);
            amx_copy(source, view[part]->dtype, channels > from ? smaller(channels, end) - from : 0, end - from, to);
        }
        to += (end - from) * sizeof(uint16_t);
    }
}

/* Places [x, x + width) of a linear layer's one row. */
static void copy_rows(const struct amx_task *task, const struct amx_block *block, size_t first, unsigned char *to) {
    size_t rows = task->operation->rows;
    for (size_t i = 0; i < block->w; i++, to += block->pixel) {
        size_t at = block->first_x + i;
        copy_pixel(task, at / rows, rows, at % rows, false, first, block->channels, to);
    }
}

static void copy_picture(const struct amx_task *task, const struct amx_block *block, size_t first, unsigned char *to) {
    const struct amx_shape *shape = &task->operation->shape;
    size_t rows = (block->h - 1) * shape->stride + shape->kh;
    const ptrdiff_t *source_y = task->source_y + block->first_y * shape->stride;
    const ptrdiff_t *source_x = task->source_x + block->first_x * shape->stride;
    for (size_t sample = 0; sample < block->samples; sample++) {
        unsigned char *pixel = to + sample * block->sample;
        for (size_t y = 0; y < rows; y++)
            for (size_t x = 0; x < block->pitch; x++, pixel += block->pixel) {
                bool outside = source_y[y] == OUTSIDE || source_x[x] == OUTSIDE;
                copy_pixel(task, block->first_sample + sample, shape->in_h * shape->in_w,
                           outside ? 0 : (size_t)source_y[y] * shape->in_w + (size_t)source_x[x], outside, first, block->channels, pixel);
            }
    }
}

static struct amx_block block_at(const struct amx_task *task, size_t number) {
    const struct amx_shape *shape = &task->operation->shape;
    const struct layout *layout = &task->layout;
    struct amx_block block = {.picture_h = shape->h,
                              .picture_w = shape->w,
                              .stride = shape->stride,
                              .pixel = layout->pixel,
                              .taps = shape->kh * shape->kw,
                              .finish = &task->operation->finish};
    block.first_x = number % layout->blocks_x * layout->block_w;
    block.first_y = number / layout->blocks_x % layout->blocks_y * layout->block_h;
    block.first_sample = number / layout->blocks_x / layout->blocks_y * layout->block_samples;
    block.w = smaller(layout->block_w, shape->w - block.first_x);
    block.h = smaller(layout->block_h, shape->h - block.first_y);
    block.samples = smaller(layout->block_samples, shape->samples - block.first_sample);
    block.pitch = (block.w - 1) * shape->stride + shape->kw;
    block.sample = sample_pixels(shape, block.h, block.w) * layout->pixel;
    block.tiles = tiles_of(block.h, block.w, block.pitch);
    return block;
}

static void find_taps(const struct amx_task *task, const struct amx_block *block, size_t *tap) {
    const struct amx_shape *shape = &task->operation->shape;
    for (size_t y = 0; y < shape->kh; y++)
        for (size_t x = 0; x < shape->kw; x++) *tap++ = (y * block->pitch + x) * block->pixel;
}

static void run_panels(const struct amx_task *task, struct amx_block *block, size_t first_channel, size_t group) {
    const struct layout *layout = &task->layout;
    size_t tiles = blocks_of(block->samples * block->tiles, 2) * 2;
    const struct amx_panels panels = {.weight = task->operation->weight,
                                      .first = group,
                                      .end = smaller(group + layout->group, layout->panels),
                                      .columns = task->operation->shape.columns,
                                      .bytes = layout->depth * block->taps * AMX_PANEL * sizeof(uint16_t),
                                      .skip = first_channel * block->taps * sizeof(uint16_t),
                                      .sums = tiles * AMX_ROWS * AMX_PANEL};
    amx_panels(block, &panels);
}

static void run_task(void *context, size_t number, size_t thread) {
    const struct amx_task *task = context;
    const struct layout *layout = &task->layout;
    unsigned char *memory = thread_memory(task, thread), *copy = memory + layout->head;
    struct head *head = (struct head *)(void *)memory;
    size_t tap[AMX_TAPS_MAX], place = number / layout->groups;
    struct amx_block block = block_at(task, place);
    block.copy = copy;
    block.tap = tap;
    block.one = (float *)(void *)(copy + layout->copy);
    block.sums = layout->chunks > 1 ? (float *)(void *)(copy + layout->copy + layout->one) : NULL;
    find_taps(task, &block, tap);
    amx_begin();
    for (size_t chunk = 0; chunk < layout->chunks; chunk++) {
        size_t first = chunk * layout->chunk;
        block.channels = smaller(layout->chunk, layout->depth - first);
        block.first = chunk == 0;
        block.last = chunk + 1 == layout->chunks;
        if (head->block != place || layout->chunks > 1) {
            if (task->operation->shape.flat)
                copy_rows(task, &block, first, copy);
            else
                copy_picture(task, &block, first, copy);
            head->block = place;
        }
        run_panels(task, &block, first, number % layout->groups * layout->group);
    }
    amx_end();
}

void amx_run(const struct amx_operation *operation, struct pool *pool) {
    const struct amx_shape *shape = &operation->shape;
    struct amx_task task = {.operation = operation, .layout = layout_of(shape, pool_threads(pool))};
    const struct layout *layout = &task.layout;
    task.source_y = operation->scratch;
    task.source_x = task.source_y + layout->axis_y;
    task.threads = (unsigned char *)operation->scratch + layout->axes;
    if (!shape->flat) {
        conv_axis(task.source_y, layout->axis_y, operation->pad_top, shape->in_h, operation->up_h);
        conv_axis(task.source_x, layout->axis_x, operation->pad_left, shape->in_w, operation->up_w);
    }
    for (size_t i = 0; i < pool_threads(pool); i++) ((struct head *)(void *)thread_memory(&task, i))->block = SIZE_MAX;
    pool_run(pool, layout->blocks_n * layout->blocks_y * layout->blocks_x * layout->groups, run_task, &task);
}
