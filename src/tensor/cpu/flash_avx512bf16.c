/* Attention of flash_avx512.h with bf16 operands and f32 sums. */
enum { UNIT_NUMBERS = 2 };
#include "tensor/cpu/flash_registers_avx512.h"

#include "tensor/cpu/flash_bf16.h"

static inline __m512 multiply_add(__m512 sum, __m512i a, __m512i b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }

static const char *accepts(const struct attention_shape *shape) {
    if (isa_available() < ISA_AVX512BF16) return "the processor lacks the instructions";
    if (shape->compute != DTYPE_BF16) return "another number format is asked for";
    if (shape->head_width > WIDTH_MOST) return "the heads are too wide";
    return NULL;
}

extern const struct attention_kernel avx512bf16_attention;
const struct attention_kernel avx512bf16_attention = {.name = "avx512bf16", .accepts = accepts, .scratch = scratch, .run = run};
