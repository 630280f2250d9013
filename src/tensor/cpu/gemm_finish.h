/* What happens to a product's sums before they are stored. Included by gemm_vector.h, and by engines that multiply in another
 * way; needs of its file
 *   vector, FLOATS, VECTORS          the type, how many numbers it holds, how many vectors are a panel
 *   vector_load(), vector_store()    of a row in either format; of the last numbers only `count`
 *   vector_gelu(), vector_activate() */
#ifndef TENSOR_CPU_GEMM_FINISH_H
#define TENSOR_CPU_GEMM_FINISH_H

#include "tensor/cpu/gemm.h"

#include <string.h>

enum { PANEL = VECTORS * FLOATS };

static inline vector floats_load(const float *from) {
    vector x;
    memcpy(&x, from, sizeof x);
    return x;
}

/* Rows of one sample. */
struct finish_run {
    const void *per_sample;
    const unsigned char *residual;
    unsigned char *out;
    size_t residual_stride, out_stride; /* bytes */
    size_t rows, column, columns;
    const float *sums;
    size_t stride;
};

static inline size_t view_bytes(const struct view *view) { return view->stride * (view->dtype == DTYPE_BF16 ? 2 : 4); }

/* residual: whether there is one; special: geglu or an activation. Constants, like the formats, so that each gets a loop of its own. */
__attribute__((always_inline)) static inline void finish_run(const struct gemm_finish *finish, const struct finish_run *run, bool special,
                                                             bool residual, enum dtype residual_dtype, enum dtype out_dtype) {
    vector base[VECTORS], gate_base[VECTORS];
    for (size_t v = 0; v * FLOATS < run->columns; v++) {
        size_t column = run->column + v * FLOATS, count = run->columns - v * FLOATS;
        base[v] = gate_base[v] = (vector){0};
        if (finish->bias) base[v] = vector_load(finish->bias, DTYPE_F32, column, count);
        if (finish->bias && special && finish->geglu) gate_base[v] = vector_load(finish->bias, DTYPE_F32, finish->columns + column, count);
        if (run->per_sample) base[v] += vector_load(run->per_sample, finish->per_sample.dtype, column, count);
    }
    const float *sums = run->sums;
    const unsigned char *from = run->residual;
    unsigned char *to = run->out;
    for (size_t r = 0; r < run->rows; r++) {
        for (size_t v = 0; v * FLOATS < run->columns; v++) {
            size_t column = run->column + v * FLOATS, count = run->columns - v * FLOATS;
            vector x = floats_load(sums + v * FLOATS) + base[v];
            if (special && finish->geglu) x *= vector_gelu(floats_load(sums + PANEL / 2 + v * FLOATS) + gate_base[v]);
            if (residual) x += vector_load(from, residual_dtype, column, count);
            if (special) x = vector_activate(x, finish->act);
            vector_store(to, out_dtype, column, count, x);
        }
        sums += run->stride;
        to += run->out_stride;
        if (residual) from += run->residual_stride;
    }
}

static void finish_one_run(const struct gemm_finish *finish, const struct finish_run *run) {
    enum dtype out = finish->out.dtype, residual = finish->residual.dtype;
    bool has = finish->residual.data != NULL;
    if (finish->geglu || finish->act != ACT_NONE)
        finish_run(finish, run, true, has, residual, out);
    else if (!has && out == DTYPE_BF16)
        finish_run(finish, run, false, false, DTYPE_F32, DTYPE_BF16);
    else if (!has)
        finish_run(finish, run, false, false, DTYPE_F32, DTYPE_F32);
    else if (residual == DTYPE_F32 && out == DTYPE_F32)
        finish_run(finish, run, false, true, DTYPE_F32, DTYPE_F32);
    else
        finish_run(finish, run, false, true, residual, out);
}

/* Rows [first, first + rows) of the result from sums [rows][stride]. */
static void finish_rows(const struct gemm_finish *finish, size_t first, size_t rows, size_t column, size_t columns, const float *sums,
                        size_t stride) {
    size_t sample = first / finish->rows, place = first % finish->rows;
    const struct view *per_sample = &finish->per_sample, *residual = &finish->residual, *out = &finish->out;
    struct finish_run run = {.column = column, .columns = columns, .sums = sums, .stride = stride};
    for (; rows > 0; rows -= run.rows, sample++, place = 0) {
        run.rows = rows < finish->rows - place ? rows : finish->rows - place;
        run.out_stride = view_bytes(out);
        run.out = (unsigned char *)out->data + (sample * finish->rows + place) * run.out_stride;
        if (residual->data) {
            run.residual_stride = view_bytes(residual);
            run.residual =
                (const unsigned char *)residual->data + (sample % residual->samples * finish->rows + place) * run.residual_stride;
        }
        if (per_sample->data)
            run.per_sample = (const unsigned char *)per_sample->data + sample % per_sample->samples * view_bytes(per_sample);
        finish_one_run(finish, &run);
        run.sums += run.rows * stride;
    }
}

#endif
