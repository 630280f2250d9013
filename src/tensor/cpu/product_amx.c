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

/* ---- what is still to be done with sums ---- */

/* A pair of tiles' sums that are finished line by line while the next pair's products are made: the units that multiply
 * tiles are others than those that add vectors. */
enum kind { NOTHING, TO_BF16, TO_F32, TO_RESIDUAL /* f32, both */, TO_GEGLU /* bf16 */ };

struct amx_pending {
    enum kind kind;
    size_t line, lines; /* the next one, of how many */
    size_t share;       /* lines of a step */
    const float *sums;  /* [lines][32] */
    unsigned char *out[2];
    const unsigned char *residual[2];   /* of each tile */
    size_t out_stride, residual_stride; /* bytes */
    vector base[2];
};

__attribute__((always_inline)) static inline void finish_line(enum kind kind, struct amx_pending *pending) {
    size_t tile = pending->line / AMX_ROWS, row = pending->line % AMX_ROWS;
    const float *sums = pending->sums + pending->line * AMX_PANEL;
    unsigned char *out = pending->out[tile] + row * pending->out_stride;
    vector x = floats_load(sums) + pending->base[0], y = floats_load(sums + FLOATS) + pending->base[1];
    pending->line++;
    if (kind == TO_GEGLU) {
        _mm256_storeu_si256((__m256i *)(void *)out, narrow_bf16(x * gelu_bf16_f32x16(y)));
    } else if (kind == TO_BF16) {
        _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh(y, x));
    } else {
        if (kind == TO_RESIDUAL) {
            const float *from = (const float *)(const void *)(pending->residual[tile] + row * pending->residual_stride);
            x += floats_load(from);
            y += floats_load(from + FLOATS);
        }
        _mm512_storeu_ps(out, x);
        _mm512_storeu_ps(out + sizeof(vector), y);
    }
}

static void finish_pending(struct amx_pending *pending) {
    while (pending->line < pending->lines) {
        if (pending->kind == TO_GEGLU)
            finish_line(TO_GEGLU, pending);
        else if (pending->kind == TO_BF16)
            finish_line(TO_BF16, pending);
        else if (pending->kind == TO_F32)
            finish_line(TO_F32, pending);
        else
            finish_line(TO_RESIDUAL, pending);
    }
    pending->kind = NOTHING;
    pending->line = pending->lines = 0;
}

/* ---- two tiles of rows by a panel ---- */

/* What to ask for while products are made: in each step lines of the panel that follows, in the last steps what this pair's sums
 * will meet. */
struct ahead {
    const unsigned char *line;
    size_t lines;
    struct amx_pending coming; /* its next line counts what has been asked for */
    size_t first_step, coming_lines;
};

static inline void ask_for_lines(struct ahead *ahead) {
    struct amx_pending *coming = &ahead->coming;
    for (size_t i = 0; i < ahead->coming_lines && coming->line < coming->lines; i++, coming->line++) {
        size_t tile = coming->line / AMX_ROWS, row = coming->line % AMX_ROWS;
        const unsigned char *out = coming->out[tile] + row * coming->out_stride;
        __builtin_prefetch(out, 1, 3);
        if (coming->kind == TO_F32 || coming->kind == TO_RESIDUAL) __builtin_prefetch(out + 64, 1, 3);
        if (coming->kind != TO_RESIDUAL) continue;
        const unsigned char *residual = coming->residual[tile] + row * coming->residual_stride;
        __builtin_prefetch(residual, 0, 3);
        __builtin_prefetch(residual + 64, 0, 3);
    }
}

/* rows, columns: 1 or 2 tiles; kind: of what is pending. All constants. */
__attribute__((always_inline)) static inline void multiply(int rows, int columns, enum kind kind, const struct amx_block *block,
                                                           const unsigned char *a, const unsigned char *a2, const unsigned char *panel,
                                                           struct ahead *ahead, struct amx_pending *pending) {
    const size_t stride = block->stride * block->pixel, width = (size_t)columns * 64;
    size_t step = 0;
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
                if (step++ >= ahead->first_step) ask_for_lines(ahead);
                if (kind != NOTHING)
                    for (size_t i = 0; i < pending->share && pending->line < pending->lines; i++) finish_line(kind, pending);
            }
    }
}

/* Sums [32][32]. more: go on from what is there. */
__attribute__((always_inline)) static inline void multiply_pair(int rows, int columns, enum kind kind, const struct amx_block *block,
                                                                const unsigned char *a, const unsigned char *a2, const unsigned char *panel,
                                                                float *sums, bool more, float *to, struct ahead *ahead,
                                                                struct amx_pending *pending) {
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
    multiply(rows, columns, kind, block, a, a2, panel, ahead, pending);
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

/* The row of the result that a tile's first line is, if its lines follow each other in it and are of one sample; else SIZE_MAX. */
static size_t first_row(const struct amx_block *block, size_t tile) {
    if (!in_rows(block)) return SIZE_MAX;
    size_t sample = tile / block->tiles, place = tile % block->tiles, across = block->w / AMX_ROWS;
    size_t y = (block->first_sample + sample) * block->picture_h + block->first_y + place / across;
    size_t first = y * block->picture_w + block->first_x + place % across * AMX_ROWS, rows = block->finish->rows;
    return first / rows == (first + AMX_ROWS - 1) / rows ? first : SIZE_MAX;
}

static enum kind kind_of(const struct gemm_finish *finish, size_t columns) {
    bool plain = finish->act == ACT_NONE && !finish->residual.data;
    if (finish->geglu) return plain && columns == FLOATS && finish->out.dtype == DTYPE_BF16 ? TO_GEGLU : NOTHING;
    if (finish->act != ACT_NONE || columns < AMX_PANEL) return NOTHING;
    if (plain) return finish->out.dtype == DTYPE_BF16 ? TO_BF16 : TO_F32;
    return finish->out.dtype == DTYPE_F32 && finish->residual.dtype == DTYPE_F32 ? TO_RESIDUAL : NOTHING;
}

/* Leave a pair's sums to be finished later; false if they are of a kind that can't wait. */
static bool leave_pair(const struct amx_block *block, size_t tile, size_t column, size_t columns, const float *sums,
                       struct amx_pending *pending) {
    const struct gemm_finish *finish = block->finish;
    const struct view *out = &finish->out, *residual = &finish->residual, *per_sample = &finish->per_sample;
    size_t first[2] = {first_row(block, tile), first_row(block, tile + 1)}, sample = first[0] / finish->rows;
    enum kind kind = kind_of(finish, columns);
    if (kind == NOTHING || first[0] == SIZE_MAX || first[1] == SIZE_MAX || sample != first[1] / finish->rows) return false;
    *pending = (struct amx_pending){.kind = kind, .lines = 2 * AMX_ROWS, .sums = sums, .out_stride = view_bytes(out)};
    for (size_t i = 0; i < 2; i++) {
        pending->out[i] =
            (unsigned char *)out->data + first[i] * pending->out_stride + column * (out->dtype == DTYPE_BF16 ? 2 : sizeof(float));
        if (kind != TO_RESIDUAL) continue;
        size_t from = sample % residual->samples * finish->rows + first[i] % finish->rows;
        pending->residual_stride = view_bytes(residual);
        pending->residual[i] = (const unsigned char *)residual->data + from * pending->residual_stride + column * sizeof(float);
    }
    size_t second = kind == TO_GEGLU ? finish->columns + column : column + FLOATS;
    if (finish->bias) {
        pending->base[0] = floats_load(finish->bias + column);
        pending->base[1] = floats_load(finish->bias + second);
    }
    if (per_sample->data) {
        const unsigned char *row = (const unsigned char *)per_sample->data + sample % per_sample->samples * view_bytes(per_sample);
        pending->base[0] += vector_load(row, per_sample->dtype, column, FLOATS);
        if (kind != TO_GEGLU) pending->base[1] += vector_load(row, per_sample->dtype, column + FLOATS, FLOATS);
    }
    return true;
}

/* A whole pair by a whole panel, with what is pending. */
static void multiply_whole(const struct amx_block *block, const unsigned char *a, const unsigned char *a2, const unsigned char *panel,
                           float *sums, float *to, struct ahead *ahead, struct amx_pending *pending) {
    bool more = !block->first;
    switch (pending->kind) {
    case NOTHING:
        multiply_pair(2, 2, NOTHING, block, a, a2, panel, sums, more, to, ahead, pending);
        break;
    case TO_BF16:
        multiply_pair(2, 2, TO_BF16, block, a, a2, panel, sums, more, to, ahead, pending);
        break;
    case TO_F32:
        multiply_pair(2, 2, TO_F32, block, a, a2, panel, sums, more, to, ahead, pending);
        break;
    case TO_RESIDUAL:
        multiply_pair(2, 2, TO_RESIDUAL, block, a, a2, panel, sums, more, to, ahead, pending);
        break;
    case TO_GEGLU:
        multiply_pair(2, 2, TO_GEGLU, block, a, a2, panel, sums, more, to, ahead, pending);
        break;
    }
    finish_pending(pending);
}

static void multiply_rest(const struct amx_block *block, bool two, bool wide, const unsigned char *a, const unsigned char *a2,
                          const unsigned char *panel, float *sums, float *to, struct ahead *ahead) {
    struct amx_pending none = {.kind = NOTHING};
    if (wide)
        multiply_pair(1, 2, NOTHING, block, a, a2, panel, sums, !block->first, to, ahead, &none);
    else if (two)
        multiply_pair(2, 1, NOTHING, block, a, a2, panel, sums, !block->first, to, ahead, &none);
    else
        multiply_pair(1, 1, NOTHING, block, a, a2, panel, sums, !block->first, to, ahead, &none);
}

/* Where a panel is, and what it makes. */
struct panel {
    const unsigned char *data;
    size_t width, column, columns;
    float *sums; /* where the block's sums wait, or NULL */
};

/* Tiles `tile` and, if there is one, `tile` + 1 by one panel. */
static void multiply_tiles(const struct amx_block *block, const struct panel *panel, size_t tile, struct ahead *ahead,
                           struct amx_pending *pending) {
    bool wide = panel->width == AMX_PANEL, two = tile + 1 < block->samples * block->tiles, whole = wide && two;
    const unsigned char *a = tile_at(block, tile), *a2 = tile_at(block, two ? tile + 1 : tile);
    float *unused = pending->sums == block->one ? block->one + 2 * AMX_ROWS * AMX_PANEL : block->one;
    float *sums = panel->sums ? panel->sums + tile * AMX_ROWS * AMX_PANEL : unused, *to = block->last ? unused : sums;
    bool later = block->last && whole && leave_pair(block, tile, panel->column, panel->columns, to, &ahead->coming);
    if (whole)
        multiply_whole(block, a, a2, panel->data, sums, to, ahead, pending);
    else
        multiply_rest(block, two, wide, a, a2, panel->data, sums, to, ahead);
    if (later) {
        size_t share = pending->share;
        *pending = ahead->coming;
        pending->line = 0;
        pending->share = share;
    }
    ahead->coming.lines = 0;
    if (later || !block->last) return;
    finish_tile(block, tile, panel->column, panel->columns, to);
    if (two) finish_tile(block, tile + 1, panel->column, panel->columns, to + AMX_ROWS * AMX_PANEL);
}

static struct panel panel_at(const struct amx_block *block, const struct amx_panels *panels, size_t number) {
    bool geglu = block->finish->geglu;
    size_t results = geglu ? AMX_PANEL / 2 : AMX_PANEL, left = panels->columns - number * results;
    struct panel panel = {.column = number * results, .columns = left < results ? left : results};
    panel.width = !geglu && left <= AMX_PANEL / 2 ? AMX_PANEL / 2 : AMX_PANEL;
    panel.data = panels->weight + number * panels->bytes + panels->skip * panel.width;
    if (block->sums) panel.sums = block->sums + (number - panels->first) * panels->sums;
    return panel;
}

void amx_panels(const struct amx_block *block, const struct amx_panels *panels) {
    enum { ASK_STEPS = 16, LINES = 2 * AMX_ROWS, FEW = 1 << 20 };
    size_t steps = (block->channels + AMX_CHANNELS - 1) / AMX_CHANNELS * block->taps, tiles = block->samples * block->tiles;
    size_t ask = steps < ASK_STEPS ? steps : ASK_STEPS, pairs = (tiles + 1) / 2, all = panels->end - panels->first;
    struct amx_pending pending = {.kind = NOTHING, .share = (LINES + steps - 1) / steps};
    struct ahead ahead = {.first_step = steps - ask, .coming_lines = (LINES + ask - 1) / ask};
    /* Few weights stay in the L2 cache: whole rows of the result are made, and their memory is met once. Many are each used for all
     * rows before the next; in twos where one makes only half a line of the result. */
    bool few = all * panels->bytes <= FEW;
    size_t group = few ? all : block->finish->geglu ? 2 : 1;
    for (size_t first = panels->first; first < panels->end; first += group) {
        size_t end = first + group < panels->end ? first + group : panels->end;
        if (!few) {
            /* A step takes as many lines of a panel as it is wide; all pairs together ask for the panels that follow, or for the
             * first ones: another block's turn may come. */
            ahead.line = panel_at(block, panels, end < panels->end ? end : panels->first).data;
            ahead.lines = (AMX_PANEL + pairs - 1) / pairs;
        }
        for (size_t tile = 0; tile < tiles; tile += 2)
            for (size_t number = first; number < end; number++) {
                struct panel panel = panel_at(block, panels, number);
                multiply_tiles(block, &panel, tile, &ahead, &pending);
            }
    }
    finish_pending(&pending);
}
