/* The norms with AVX-512. */
#include "tensor/cpu/norm_avx512.h"

static const char *accepts_group_norm(const struct group_norm_shape *shape) {
    (void)shape;
    return isa_available() < ISA_AVX512 ? "the processor lacks the instructions" : NULL;
}
static const char *accepts_layer_norm(const struct layer_norm_shape *shape) {
    (void)shape;
    return isa_available() < ISA_AVX512 ? "the processor lacks the instructions" : NULL;
}

extern const struct group_norm_kernel avx512_group_norm;
const struct group_norm_kernel avx512_group_norm = {
    .name = "avx512", .accepts = accepts_group_norm, .scratch = norm_scratch, .run = norm_run};
extern const struct layer_norm_kernel avx512_layer_norm;
const struct layer_norm_kernel avx512_layer_norm = {.name = "avx512", .accepts = accepts_layer_norm, .run = line_run};
