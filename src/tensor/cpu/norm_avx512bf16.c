/* The norms with AVX-512 and the processor's own rounding to bf16. */
#include "tensor/cpu/norm_avx512.h"

static const char *refusal(enum dtype out) {
    if (isa_available() < ISA_AVX512BF16) return "the processor lacks the instructions";
    return out == DTYPE_BF16 ? NULL : "another number format is asked for";
}
static const char *accepts_group_norm(const struct group_norm_shape *shape) { return refusal(shape->out_dtype); }
static const char *accepts_layer_norm(const struct layer_norm_shape *shape) { return refusal(shape->out_dtype); }

extern const struct group_norm_kernel avx512bf16_group_norm;
const struct group_norm_kernel avx512bf16_group_norm = {
    .name = "avx512bf16", .accepts = accepts_group_norm, .scratch = norm_scratch, .run = norm_run};
extern const struct layer_norm_kernel avx512bf16_layer_norm;
const struct layer_norm_kernel avx512bf16_layer_norm = {.name = "avx512bf16", .accepts = accepts_layer_norm, .run = line_run};
