#include "tensor/peak.h"

#include "base/time.h"
#include "tensor/kernel.h"

typedef double peak_loop(long rounds);

struct measurement {
    peak_loop *loop;
    long rounds;
    double done;
};

static void run_share(void *context, size_t task, size_t thread) {
    (void)thread;
    struct measurement *measurement = context;
    double done = measurement->loop(measurement->rounds);
    if (task == 0) measurement->done = done;
}

double peak_f32_plain(long rounds) {
    enum { CHAINS = 12, LANES = 4 };
    float sums[CHAINS][LANES] = {0};
    for (long n = 0; n < rounds; n++) {
        for (int c = 0; c < CHAINS; c++)
            for (int i = 0; i < LANES; i++) sums[c][i] = sums[c][i] * 0.9f + 1.0001f;
        __asm__ volatile("" : : "r"(sums) : "memory");
    }
    return (double)rounds * CHAINS * LANES;
}

static peak_loop *loop_for(enum dtype dtype) {
    enum isa isa = isa_available();
    if (dtype == DTYPE_BF16 && isa >= ISA_AMX) return peak_bf16_amx;
    if (dtype == DTYPE_BF16) return isa >= ISA_AVX512BF16 ? peak_bf16_avx512 : NULL;
    if (isa >= ISA_AVX512) return peak_f32_avx512;
    return isa >= ISA_AVX2 ? peak_f32_avx2 : peak_f32_plain;
}

static double best_rate(struct pool *pool, peak_loop *loop, double seconds) {
    struct measurement measurement = {.loop = loop, .rounds = 100000};
    if (!loop) return 0;
    size_t threads = pool_threads(pool);
    double best = 0;
    int64_t began = time_monotonic();
    /* Short bursts, and the best of them: other programs only ever make it slower. */
    do {
        int64_t start = time_monotonic();
        pool_run(pool, threads, run_share, &measurement);
        double spent = (double)(time_monotonic() - start) / 1e6;
        double rate = spent > 0 ? 2 * measurement.done * (double)threads / spent / 1e9 : 0;
        if (rate > best) best = rate;
        if (spent < 0.02) measurement.rounds *= 2;
    } while ((double)(time_monotonic() - began) / 1e6 < seconds);
    return best;
}

double peak_gflops(struct pool *pool, enum dtype dtype, double seconds) { return best_rate(pool, loop_for(dtype), seconds); }

double peak_bf16_vectors_gflops(struct pool *pool, double seconds) {
    return best_rate(pool, isa_available() >= ISA_AVX512BF16 ? peak_bf16_avx512 : NULL, seconds);
}
