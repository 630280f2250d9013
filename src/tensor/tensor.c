#include "tensor/tensor.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

size_t dtype_size(enum dtype dtype) {
    switch (dtype) {
    case DTYPE_F64:
    case DTYPE_I64:
        return 8;
    case DTYPE_F32:
    case DTYPE_I32:
        return 4;
    case DTYPE_F16:
    case DTYPE_BF16:
    case DTYPE_I16:
        return 2;
    case DTYPE_I8:
    case DTYPE_U8:
    case DTYPE_BOOL:
        return 1;
    }
    return 0;
}

const char *dtype_name(enum dtype dtype) {
    switch (dtype) {
    case DTYPE_F32:
        return "f32";
    case DTYPE_F16:
        return "f16";
    case DTYPE_BF16:
        return "bf16";
    case DTYPE_F64:
        return "f64";
    case DTYPE_I64:
        return "i64";
    case DTYPE_I32:
        return "i32";
    case DTYPE_I16:
        return "i16";
    case DTYPE_I8:
        return "i8";
    case DTYPE_U8:
        return "u8";
    case DTYPE_BOOL:
        return "bool";
    }
    return "unknown";
}

size_t tensor_count(const struct tensor *tensor) {
    size_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

static float f32_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float f32_from_bf16(uint16_t bits) { return f32_from_bits((uint32_t)bits << 16); }

float f32_from_f16(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    uint32_t exponent = (bits >> 10) & 31u;
    uint32_t fraction = bits & 0x3ffu;
    if (exponent == 31) /* infinity, or NaN made quiet as the processor does */
        return f32_from_bits(sign | 0x7f800000u | fraction << 13 | (fraction ? 0x400000u : 0));
    if (exponent == 0) { /* zero or subnormal: a multiple of 2^-24, exact in f32 */
        float value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    return f32_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t bf16_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u); /* rounding could carry a NaN into infinity */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static void read_f16_plain(const unsigned char *from, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, from + 2 * i, sizeof bits);
        out[i] = f32_from_f16(bits);
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2,f16c"))) static void read_f16_f16c(const unsigned char *from, size_t count, float *out) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(from + 2 * i))));
    read_f16_plain(from + 2 * i, count - i, out + i);
}
#endif

static void read_f16(const unsigned char *from, size_t count, float *out) {
#if defined(__x86_64__)
    /* Every processor with AVX2 has F16C, which older compilers can't ask about. */
    if (__builtin_cpu_supports("avx2")) {
        read_f16_f16c(from, count, out);
        return;
    }
#endif
    read_f16_plain(from, count, out);
}

static void read_bf16(const unsigned char *from, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, from + 2 * i, sizeof bits);
        out[i] = f32_from_bf16(bits);
    }
}

/* One loop for each type that C converts by itself; memcpy because a file aligns nothing. */
#define READ_AS(type)                                                                                                                      \
    for (size_t i = 0; i < count; i++) {                                                                                                   \
        type element;                                                                                                                      \
        memcpy(&element, from + i * sizeof element, sizeof element);                                                                       \
        out[i] = (float)element;                                                                                                           \
    }

void tensor_read_f32(const struct tensor *tensor, size_t first, size_t count, float *out) {
    if (count == 0) return;
    const unsigned char *from = (const unsigned char *)tensor->data + first * dtype_size(tensor->dtype);
    switch (tensor->dtype) {
    case DTYPE_F32:
        memcpy(out, from, count * sizeof *out);
        break;
    case DTYPE_F16:
        read_f16(from, count, out);
        break;
    case DTYPE_BF16:
        read_bf16(from, count, out);
        break;
    case DTYPE_F64:
        READ_AS(double)
        break;
    case DTYPE_I64:
        READ_AS(int64_t)
        break;
    case DTYPE_I32:
        READ_AS(int32_t)
        break;
    case DTYPE_I16:
        READ_AS(int16_t)
        break;
    case DTYPE_I8:
        READ_AS(int8_t)
        break;
    case DTYPE_U8:
    case DTYPE_BOOL:
        READ_AS(uint8_t)
        break;
    }
}
