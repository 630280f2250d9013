#include "sample/noise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void close_to(const float *a, const float *b, size_t count, float most) {
    for (size_t i = 0; i < count; i++) assert_true(fabsf(a[i] - b[i]) <= most);
}

/* torch.manual_seed(0); torch.randn(12, device="cuda") */
static void philox_is_cudas(void **state) {
    (void)state;
    static const float expected[12] = {-0.92466259f, -0.42534415f, -2.6438457f,  0.14518388f,  -0.12086647f, -0.57972564f,
                                       -0.62285122f, -0.32838709f, -1.07454231f, -0.36314407f, -1.67105067f, 2.26550497f};
    struct noise noise;
    float out[12];
    noise_init(&noise, NOISE_PHILOX, 0);
    noise_normal(&noise, out, 12);
    close_to(out, expected, 12, 2e-6f);
    assert_int_equal(noise.calls, 1);
}

static void philox_calls_are_independent_of_their_length(void **state) {
    (void)state;
    struct noise a, b;
    float first[300], second[300], other[7];
    noise_init(&a, NOISE_PHILOX, 42);
    noise_init(&b, NOISE_PHILOX, 42);
    noise_normal(&a, first, 300);
    noise_normal(&a, second, 300);
    assert_memory_not_equal(first, second, sizeof first);
    noise_normal(&b, other, 7); /* the first call ends here: the second must not notice */
    noise_normal(&b, first, 300);
    assert_memory_equal(first, second, sizeof first);
}

/* A grid of 256 threads: one pass makes 1024 numbers, and each pass moves the counter on. */
static void philox_counts_the_passes_of_a_small_grid(void **state) {
    (void)state;
    struct noise small, wide;
    float out[1500], lanes[256];
    noise_init(&small, NOISE_PHILOX, 5);
    small.capacity = 256;
    noise_normal(&small, out, 1500);
    assert_int_equal(small.calls, 2);
    noise_init(&wide, NOISE_PHILOX, 5);
    noise_normal(&wide, lanes, 256);
    assert_memory_equal(out, lanes, sizeof lanes); /* pass 0, lane 0 */
    noise_normal(&wide, lanes, 256);
    assert_memory_equal(out + 1024, lanes, sizeof lanes); /* pass 1, lane 0 */
}

/* torch keeps the second number of a pair, across calls and even across a long call between them. */
static void mt19937_keeps_its_spare(void **state) {
    (void)state;
    struct noise a, b;
    float five[5], parts[5];
    noise_init(&a, NOISE_MT19937, 0);
    noise_init(&b, NOISE_MT19937, 0);
    noise_normal(&a, five, 5);
    for (int i = 0; i < 5; i++) noise_normal(&b, parts + i, 1);
    assert_memory_equal(five, parts, sizeof five);
    float sixteen[16], next;
    assert_true(b.has_spare);
    float spare = b.spare;
    noise_normal(&b, sixteen, 16);
    noise_normal(&b, &next, 1);
    assert_memory_equal(&next, &spare, sizeof next);
}

static void mt19937_uses_the_low_half_of_the_seed(void **state) {
    (void)state;
    struct noise a, b;
    float x[20], y[20];
    noise_init(&a, NOISE_MT19937, 7);
    noise_init(&b, NOISE_MT19937, 7 + (1ull << 32));
    noise_normal(&a, x, 20);
    noise_normal(&b, y, 20);
    assert_memory_equal(x, y, sizeof x);
}

static void both_are_normal(void **state) {
    (void)state;
    static float out[100003];
    for (int kind = NOISE_PHILOX; kind <= NOISE_MT19937; kind++) {
        struct noise noise;
        noise_init(&noise, (enum noise_kind)kind, 99);
        noise_normal(&noise, out, 100003);
        double sum = 0, squares = 0;
        for (size_t i = 0; i < 100003; i++) sum += (double)out[i], squares += (double)out[i] * (double)out[i];
        assert_true(fabs(sum / 100003) < 0.02);
        assert_true(fabs(squares / 100003 - 1) < 0.03);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_is_cudas),
        cmocka_unit_test(philox_calls_are_independent_of_their_length),
        cmocka_unit_test(philox_counts_the_passes_of_a_small_grid),
        cmocka_unit_test(mt19937_keeps_its_spare),
        cmocka_unit_test(mt19937_uses_the_low_half_of_the_seed),
        cmocka_unit_test(both_are_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
