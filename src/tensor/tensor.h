/* A read-only view of numbers somewhere else: usually a weight inside a mapped file. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include <stddef.h>
#include <stdint.h>

enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_F64, DTYPE_I64, DTYPE_I32, DTYPE_I16, DTYPE_I8, DTYPE_U8, DTYPE_BOOL };
enum { TENSOR_RANK_MAX = 8 };

struct tensor {
    const void *data; /* little endian, row-major, not necessarily aligned to more than one byte */
    enum dtype dtype;
    int rank;
    size_t shape[TENSOR_RANK_MAX];
};

size_t dtype_size(enum dtype dtype); /* bytes of one element */
const char *dtype_name(enum dtype dtype);
size_t tensor_count(const struct tensor *tensor); /* elements; 1 for rank 0 */

/* Elements [first, first + count) as f32. Only the three float types, f64 and the integers; exact
 * for all but f64 and i64. */
void tensor_read_f32(const struct tensor *tensor, size_t first, size_t count, float *out);

float f32_from_f16(uint16_t bits);
float f32_from_bf16(uint16_t bits);
uint16_t bf16_from_f32(float value); /* round to nearest even; NaN stays NaN */

#endif
