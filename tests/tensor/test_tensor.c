#include "tensor/tensor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754's definition: 1 sign, 5 exponent and 10 fraction bits. */
static float f16_by_definition(unsigned bits) {
    int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    float value = exponent == 0    ? ldexpf((float)fraction, -24)
                  : exponent == 31 ? (fraction ? NAN : INFINITY)
                                   : ldexpf((float)(fraction + 1024), exponent - 25);
    return bits >> 15 ? -value : value;
}

static void test_f16(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        float value = f32_from_f16((uint16_t)bits), wanted = f16_by_definition(bits);
        if (isnan(wanted))
            assert_true(isnan(value));
        else
            assert_int_equal(bits_of(value), bits_of(wanted));
    }
}

/* All of them at once, from an odd address and any first element: what the processor's own
 * instruction makes is the same to the bit, NaNs included. */
static void test_read_f16(void **state) {
    (void)state;
    unsigned char *data = malloc(1 + 2 * 0x10000);
    float *out = malloc(0x10000 * sizeof *out);
    for (unsigned i = 0; i < 0x10000; i++) {
        data[1 + 2 * i] = (unsigned char)i;
        data[2 + 2 * i] = (unsigned char)(i >> 8);
    }
    struct tensor tensor = {.data = data + 1, .dtype = DTYPE_F16, .rank = 1, .shape = {0x10000}};
    for (unsigned first = 0; first < 11; first++) {
        tensor_read_f32(&tensor, first, 0x10000 - first, out);
        for (unsigned i = first; i < 0x10000; i++) assert_int_equal(bits_of(out[i - first]), bits_of(f32_from_f16((uint16_t)i)));
    }
    out[0] = 5;
    tensor_read_f32(&tensor, 0, 0, out);
    assert_true(out[0] == 5);
    free(data);
    free(out);
}

static void test_bf16(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        float value = f32_from_bf16((uint16_t)bits);
        assert_int_equal(bits_of(value), bits << 16);
        if (isnan(value))
            assert_true(isnan(f32_from_bf16(bf16_from_f32(value))));
        else
            assert_int_equal(bf16_from_f32(value), bits); /* what fits stays */
    }
    static const struct {
        uint32_t from;
        uint16_t to;
    } cases[] = {
        {0x3f808000, 0x3f80},                                                                   /* half way: to even, down */
        {0x3f818000, 0x3f82},                                                                   /* half way: to even, up */
        {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80}, {0xbf818000, 0xbf82}, {0x7f7fffff, 0x7f80}, /* beyond the largest: infinity */
        {0x00000001, 0x0000}, {0x7f800001, 0x7fc0},                                             /* a NaN whose bits would be cut off */
        {0xffffffff, 0xffff},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_int_equal(bf16_from_f32(from_bits(cases[i].from)), cases[i].to);
}

static void check_read(enum dtype dtype, const void *data, size_t size, const float *wanted, size_t count) {
    unsigned char moved[65];
    assert_int_equal(dtype_size(dtype) * count, size);
    memcpy(moved + 1, data, size);
    struct tensor tensor = {.data = moved + 1, .dtype = dtype, .rank = 1, .shape = {count}};
    float out[8];
    tensor_read_f32(&tensor, 0, count, out);
    assert_memory_equal(out, wanted, count * sizeof *out);
    tensor_read_f32(&tensor, 1, count - 1, out);
    assert_memory_equal(out, wanted + 1, (count - 1) * sizeof *out);
}

static void test_read(void **state) {
    (void)state;
    static const float signed_values[] = {0, -1, 100, -128}, unsigned_values[] = {0, 1, 200, 255};
    check_read(DTYPE_F32, signed_values, sizeof signed_values, signed_values, 4);
    check_read(DTYPE_F64, (double[]){0, -1, 100, -128}, 32, signed_values, 4);
    check_read(DTYPE_I64, (int64_t[]){0, -1, 100, -128}, 32, signed_values, 4);
    check_read(DTYPE_I32, (int32_t[]){0, -1, 100, -128}, 16, signed_values, 4);
    check_read(DTYPE_I16, (int16_t[]){0, -1, 100, -128}, 8, signed_values, 4);
    check_read(DTYPE_I8, (int8_t[]){0, -1, 100, -128}, 4, signed_values, 4);
    check_read(DTYPE_U8, (uint8_t[]){0, 1, 200, 255}, 4, unsigned_values, 4);
    check_read(DTYPE_BOOL, (uint8_t[]){0, 1, 0, 1}, 4, (float[]){0, 1, 0, 1}, 4);
    check_read(DTYPE_BF16, (uint16_t[]){0, 0xbf80, 0x42c8, 0xc300}, 8, signed_values, 4);
}

static void test_facts(void **state) {
    (void)state;
    assert_string_equal(dtype_name(DTYPE_BF16), "bf16");
    assert_int_equal(dtype_size(DTYPE_F64), 8);
    assert_int_equal(tensor_count(&(struct tensor){.rank = 0}), 1);
    assert_int_equal(tensor_count(&(struct tensor){.rank = 3, .shape = {2, 3, 4}}), 24);
    assert_int_equal(tensor_count(&(struct tensor){.rank = 2, .shape = {2, 0}}), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16),  cmocka_unit_test(test_read_f16), cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_read), cmocka_unit_test(test_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
