/* Kernels on the shapes of Stable Diffusion 1.5 (512x512, both halves of guidance), each row in turns
 * with the processor's peak, so that a busy machine slows both.
 *
 *   bench-kernels linear|conv|attention [--row NAME] [--shape TEXT] [--dtype bf16|f32] [--threads N] [--rounds N] [--cpu]
 *
 * A line: shape, row, milliseconds (best), GFLOP/s, share of the peak (median over rounds). */
#include "base/memory.h"
#include "base/pool.h"
#include "base/time.h"
#include "tensor/kernel.h"
#include "tensor/peak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bench {
    struct pool *pool;
    const char *row, *shape;
    enum dtype dtype;
    size_t threads, rounds;
    bool cpu;
    double peak_done; /* multiply-adds of a thread */
};

enum { PEAK_ROUNDS = 4000000 /* of 12 multiply-adds: some 15 ms */ };

struct linear_bench {
    const char *name;
    size_t rows, in, in2, out;
    bool geglu, residual;
};
static const struct linear_bench linears[] = {
    {"qkv64", 4096, 320, 0, 960, false, false},       {"out64", 4096, 320, 0, 320, false, true},
    {"geglu64", 4096, 320, 0, 1280, true, false},     {"down64", 4096, 1280, 0, 320, false, true},
    {"qkv32", 1024, 640, 0, 1920, false, false},      {"out32", 1024, 640, 0, 640, false, true},
    {"geglu32", 1024, 640, 0, 2560, true, false},     {"down32", 1024, 2560, 0, 640, false, true},
    {"qkv16", 256, 1280, 0, 3840, false, false},      {"out16", 256, 1280, 0, 1280, false, true},
    {"geglu16", 256, 1280, 0, 5120, true, false},     {"down16", 256, 5120, 0, 1280, false, true},
    {"geglu8", 64, 1280, 0, 5120, true, false},       {"short64", 4096, 640, 320, 320, false, false},
    {"short16", 256, 1280, 1280, 1280, false, false},
};

struct conv_bench {
    const char *name;
    size_t samples, size, c, c2, out, stride, up;
    bool residual;
};
static const struct conv_bench convs[] = {
    {"in64", 2, 64, 9, 0, 320, 1, 1, false},        {"320", 2, 64, 320, 0, 320, 1, 1, true},
    {"640+320", 2, 64, 640, 320, 320, 1, 1, false}, {"320+320", 2, 64, 320, 320, 320, 1, 1, false},
    {"down64", 2, 64, 320, 0, 320, 2, 1, false},    {"up64", 2, 32, 640, 0, 640, 1, 2, false},
    {"640", 2, 32, 640, 0, 640, 1, 1, true},        {"1280+640", 2, 32, 1280, 640, 640, 1, 1, false},
    {"down32", 2, 32, 640, 0, 640, 2, 1, false},    {"up32", 2, 16, 1280, 0, 1280, 1, 2, false},
    {"1280", 2, 16, 1280, 0, 1280, 1, 1, true},     {"1280+1280", 2, 16, 1280, 1280, 1280, 1, 1, false},
    {"1280at8", 2, 8, 1280, 0, 1280, 1, 1, true},   {"2560at8", 2, 8, 1280, 1280, 1280, 1, 1, false},
    {"out64", 2, 64, 320, 0, 4, 1, 1, false},       {"vae512", 1, 512, 128, 0, 128, 1, 1, true},
    {"vae256", 1, 256, 256, 0, 256, 1, 1, true},    {"vae128", 1, 128, 512, 0, 512, 1, 1, true},
    {"vaeup256", 1, 256, 256, 0, 256, 1, 2, false}, {"vaeout", 1, 512, 128, 0, 3, 1, 1, false},
};

struct attention_bench {
    const char *name;
    size_t samples, tokens, keys, heads, width;
};
static const struct attention_bench attentions[] = {
    {"self64", 2, 4096, 4096, 8, 40}, {"self32", 2, 1024, 1024, 8, 80}, {"self16", 2, 256, 256, 8, 160},
    {"self8", 2, 64, 64, 8, 160},     {"cross64", 2, 4096, 77, 8, 40},  {"cross32", 2, 1024, 77, 8, 80},
    {"cross16", 2, 256, 77, 8, 160},  {"vae64", 1, 4096, 4096, 1, 512}, {"clip", 2, 77, 77, 12, 64},
};

/* ---- operands ---- */

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void *numbers(enum dtype dtype, size_t count, float scale) {
    void *data = memory_aligned(count * dtype_size(dtype));
    if (!data) exit(1);
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        float x = ((float)next_random(&state) / 8388608.0f - 1.0f) * scale;
        if (dtype == DTYPE_BF16)
            ((uint16_t *)data)[i] = bf16_from_f32(x);
        else
            ((float *)data)[i] = x;
    }
    return data;
}

static struct view view(enum dtype dtype, size_t samples, size_t rows, size_t columns) {
    return (struct view){numbers(dtype, samples * rows * columns, 1), dtype, columns, samples};
}

/* ---- timing ---- */

typedef void run_function(const void *kernel, const void *shape, const void *operands, void *state, struct pool *pool);

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* With --cpu time is the processor's own, which waiting behind other programs doesn't count in. */
static double now(const struct bench *bench) {
    if (!bench->cpu) return (double)time_monotonic() / 1e6;
    struct timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return ((double)spent.tv_sec + (double)spent.tv_nsec / 1e9) / (double)bench->threads;
}

static double seconds_of(const struct bench *bench, run_function *run, const void *kernel, const void *shape, const void *operands,
                         void *state, int times) {
    double start = now(bench);
    for (int i = 0; i < times; i++) run(kernel, shape, operands, state, bench->pool);
    return (now(bench) - start) / times;
}

/* One thread's share of the peak; the multiply-adds done. */
static double peak_share(enum dtype dtype) {
    enum isa isa = isa_available();
    if (dtype == DTYPE_BF16) return isa >= ISA_AMX ? peak_bf16_amx(PEAK_ROUNDS / 16) : peak_bf16_avx512(PEAK_ROUNDS);
    return isa >= ISA_AVX512 ? peak_f32_avx512(PEAK_ROUNDS) : peak_f32_avx2(PEAK_ROUNDS);
}

static void run_peak(void *context, size_t task, size_t thread) {
    (void)thread;
    struct bench *bench = context;
    double done = peak_share(bench->dtype);
    if (task == 0) bench->peak_done = done;
}

static double peak_of(struct bench *bench) {
    double start = now(bench);
    pool_run(bench->pool, bench->threads, run_peak, bench);
    return 2 * bench->peak_done * (double)bench->threads / (now(bench) - start) / 1e9;
}

static void measure(struct bench *bench, const char *name, const char *row, double multiply_adds, run_function *run, const void *kernel,
                    const void *shape, const void *operands, void *state) {
    enum { ROUNDS_MOST = 100 };
    double share[ROUNDS_MOST], best = 1e9;
    size_t rounds = bench->rounds < ROUNDS_MOST ? bench->rounds : ROUNDS_MOST;
    double once = seconds_of(bench, run, kernel, shape, operands, state, 1);
    int times = once < 0.05 ? (int)(0.05 / once) + 1 : 1;
    for (size_t i = 0; i < rounds; i++) {
        double peak = peak_of(bench);
        double seconds = seconds_of(bench, run, kernel, shape, operands, state, times);
        double peak_after = peak_of(bench);
        share[i] = 2 * multiply_adds / seconds / 1e9 / ((peak + peak_after) / 2);
        if (seconds < best) best = seconds;
    }
    qsort(share, rounds, sizeof *share, compare);
    printf("%-10s %-14s %9.3f ms %7.1f GFLOP/s %5.1f %% of peak (%.1f to %.1f)\n", name, row, best * 1e3, 2 * multiply_adds / best / 1e9,
           100 * share[rounds / 2], 100 * share[0], 100 * share[rounds - 1]);
    fflush(stdout);
}

static bool wanted(const char *filter, const char *name) { return !filter || strcmp(filter, name) == 0; }

/* ---- the three operations ---- */

static void run_linear(const void *kernel, const void *shape, const void *operands, void *state, struct pool *pool) {
    ((const struct linear_kernel *)kernel)->run(shape, operands, state, pool);
}

static void bench_linear(struct bench *bench, const struct linear_bench *test) {
    enum { SAMPLES = 2 };
    size_t in = test->in + test->in2;
    struct tensor weight = {.dtype = DTYPE_F32, .rank = 2, .shape = {test->out * (test->geglu ? 2 : 1), in}};
    weight.data = numbers(DTYPE_F32, tensor_count(&weight), 0.05f);
    struct linear_shape shape = {.samples = SAMPLES,
                                 .rows = test->rows,
                                 .in = test->in,
                                 .in2 = test->in2,
                                 .out = test->out,
                                 .x_dtype = bench->dtype,
                                 .x2_dtype = bench->dtype,
                                 .out_dtype = test->residual ? DTYPE_F32 : bench->dtype,
                                 .compute = bench->dtype,
                                 .geglu = test->geglu,
                                 .has_bias = true,
                                 .has_residual = test->residual,
                                 .weights = 1,
                                 .weight = {&weight}};
    struct linear_operands operands = {.x = view(bench->dtype, SAMPLES, test->rows, test->in),
                                       .out = view(shape.out_dtype, SAMPLES, test->rows, test->out),
                                       .bias = numbers(DTYPE_F32, 2 * test->out, 1)};
    if (test->in2) operands.x2 = view(bench->dtype, SAMPLES, test->rows, test->in2);
    if (test->residual) operands.residual = view(DTYPE_F32, SAMPLES, test->rows, test->out);
    for (size_t k = 0; linear_kernels[k]; k++) {
        const struct linear_kernel *kernel = linear_kernels[k];
        if (!wanted(bench->row, kernel->name) || (!bench->row && strcmp(kernel->name, "ref") == 0) || kernel->accepts(&shape)) continue;
        void *state = NULL;
        if (kernel->prepare && !kernel->prepare(&shape, bench->threads, &state, NULL)) exit(1);
        size_t scratch = kernel->state_scratch ? kernel->state_scratch(state)
                         : kernel->scratch     ? kernel->scratch(&shape, bench->threads)
                                               : 0;
        void *packed = memory_aligned(kernel->state_packed_size ? kernel->state_packed_size(state) : kernel->packed_size(&shape));
        operands.scratch = memory_aligned(scratch + 64);
        if (!packed || !operands.scratch) exit(1);
        if (kernel->state_pack)
            kernel->state_pack(&shape, state, packed);
        else
            kernel->pack(&shape, packed);
        operands.weight = packed;
        double multiply_adds = (double)(SAMPLES * test->rows) * (double)in * (double)weight.shape[0];
        measure(bench, test->name, kernel->name, multiply_adds, run_linear, kernel, &shape, &operands, state);
        if (kernel->release && state) kernel->release(state);
        memory_aligned_free(packed);
        memory_aligned_free(operands.scratch);
    }
    memory_aligned_free(operands.x.data);
    memory_aligned_free(operands.x2.data);
    memory_aligned_free(operands.out.data);
    memory_aligned_free(operands.residual.data);
    memory_aligned_free((void *)(uintptr_t)operands.bias);
    memory_aligned_free((void *)(uintptr_t)weight.data);
}

static void run_conv(const void *kernel, const void *shape, const void *operands, void *state, struct pool *pool) {
    ((const struct conv_kernel *)kernel)->run(shape, operands, state, pool);
}

static void bench_conv(struct bench *bench, const struct conv_bench *test) {
    size_t in = test->c + test->c2, up = test->size * test->up, out_size = up / test->stride;
    struct tensor weight = {.dtype = DTYPE_F32, .rank = 4, .shape = {test->out, in, 3, 3}};
    weight.data = numbers(DTYPE_F32, tensor_count(&weight), 0.02f);
    struct conv_shape shape = {.samples = test->samples,
                               .h = test->size,
                               .w = test->size,
                               .up_h = up,
                               .up_w = up,
                               .c = test->c,
                               .c2 = test->c2,
                               .out = test->out,
                               .out_h = out_size,
                               .out_w = out_size,
                               .kh = 3,
                               .kw = 3,
                               .stride = test->stride,
                               .pad_top = 1,
                               .pad_left = 1,
                               .x_dtype = bench->dtype,
                               .x2_dtype = bench->dtype,
                               .out_dtype = test->residual ? DTYPE_F32 : bench->dtype,
                               .compute = bench->dtype,
                               .has_bias = true,
                               .has_residual = test->residual,
                               .weight = &weight};
    size_t pixels = test->size * test->size, out_pixels = out_size * out_size;
    struct conv_operands operands = {.x = view(bench->dtype, test->samples, pixels, test->c),
                                     .out = view(shape.out_dtype, test->samples, out_pixels, test->out),
                                     .bias = numbers(DTYPE_F32, test->out, 1)};
    if (test->c2) operands.x2 = view(bench->dtype, test->samples, pixels, test->c2);
    if (test->residual) operands.residual = view(DTYPE_F32, test->samples, out_pixels, test->out);
    for (size_t k = 0; conv_kernels[k]; k++) {
        const struct conv_kernel *kernel = conv_kernels[k];
        if (!wanted(bench->row, kernel->name) || (!bench->row && strcmp(kernel->name, "ref") == 0) || kernel->accepts(&shape)) continue;
        void *state = NULL;
        if (kernel->prepare && !kernel->prepare(&shape, bench->threads, &state, NULL)) exit(1);
        size_t scratch = kernel->state_scratch ? kernel->state_scratch(state)
                         : kernel->scratch     ? kernel->scratch(&shape, bench->threads)
                                               : 0;
        void *packed = memory_aligned(kernel->state_packed_size ? kernel->state_packed_size(state) : kernel->packed_size(&shape));
        operands.scratch = memory_aligned(scratch + 64);
        if (!packed || !operands.scratch) exit(1);
        if (kernel->state_pack)
            kernel->state_pack(&shape, state, packed);
        else
            kernel->pack(&shape, packed);
        operands.weight = packed;
        double multiply_adds = (double)(test->samples * out_pixels) * 9 * (double)in * (double)test->out;
        measure(bench, test->name, kernel->name, multiply_adds, run_conv, kernel, &shape, &operands, state);
        if (kernel->release && state) kernel->release(state);
        memory_aligned_free(packed);
        memory_aligned_free(operands.scratch);
    }
    memory_aligned_free(operands.x.data);
    memory_aligned_free(operands.x2.data);
    memory_aligned_free(operands.out.data);
    memory_aligned_free(operands.residual.data);
    memory_aligned_free((void *)(uintptr_t)operands.bias);
    memory_aligned_free((void *)(uintptr_t)weight.data);
}

static void run_attention(const void *kernel, const void *shape, const void *operands, void *state, struct pool *pool) {
    (void)state;
    ((const struct attention_kernel *)kernel)->run(shape, operands, pool);
}

static void bench_attention(struct bench *bench, const struct attention_bench *test) {
    size_t c = test->heads * test->width;
    struct attention_shape shape = {.samples = test->samples,
                                    .q_samples = test->samples,
                                    .k_samples = test->samples,
                                    .q_tokens = test->tokens,
                                    .k_tokens = test->keys,
                                    .heads = test->heads,
                                    .head_width = test->width,
                                    .dtype = bench->dtype,
                                    .compute = bench->dtype};
    struct attention_operands operands = {.q = view(bench->dtype, test->samples, test->tokens, c),
                                          .k = view(bench->dtype, test->samples, test->keys, c),
                                          .v = view(bench->dtype, test->samples, test->keys, c),
                                          .out = view(bench->dtype, test->samples, test->tokens, c)};
    double multiply_adds = 2 * (double)(test->samples * test->tokens) * (double)test->keys * (double)c;
    for (size_t k = 0; attention_kernels[k]; k++) {
        const struct attention_kernel *kernel = attention_kernels[k];
        if (!wanted(bench->row, kernel->name) || (!bench->row && strcmp(kernel->name, "ref") == 0) || kernel->accepts(&shape)) continue;
        operands.scratch = memory_aligned(kernel->scratch ? kernel->scratch(&shape, bench->threads) + 64 : 64);
        if (!operands.scratch) exit(1);
        measure(bench, test->name, kernel->name, multiply_adds, run_attention, kernel, &shape, &operands, NULL);
        memory_aligned_free(operands.scratch);
    }
    memory_aligned_free(operands.q.data);
    memory_aligned_free(operands.k.data);
    memory_aligned_free(operands.v.data);
    memory_aligned_free(operands.out.data);
}

int main(int argc, char **argv) {
    struct bench bench = {.dtype = DTYPE_BF16, .rounds = 5};
    const char *operation = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--cpu") == 0) bench.cpu = true;
    for (int i = 2; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--row") == 0) bench.row = argv[i + 1];
        if (strcmp(argv[i], "--shape") == 0) bench.shape = argv[i + 1];
        if (strcmp(argv[i], "--dtype") == 0) bench.dtype = strcmp(argv[i + 1], "f32") == 0 ? DTYPE_F32 : DTYPE_BF16;
        if (strcmp(argv[i], "--threads") == 0) bench.threads = strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--rounds") == 0) bench.rounds = strtoul(argv[i + 1], NULL, 10);
    }
    bench.pool = pool_create(bench.threads, NULL);
    if (!bench.pool || bench.rounds == 0) return 1;
    bench.threads = pool_threads(bench.pool);
    printf("peak: f32 %.0f, bf16 %.0f GFLOP/s, %zu threads\n", peak_gflops(bench.pool, DTYPE_F32, 0.2),
           peak_gflops(bench.pool, DTYPE_BF16, 0.2), bench.threads);
    if (strcmp(operation, "linear") == 0)
        for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
            if (wanted(bench.shape, linears[i].name)) bench_linear(&bench, &linears[i]);
    if (strcmp(operation, "conv") == 0)
        for (size_t i = 0; i < sizeof convs / sizeof *convs; i++)
            if (wanted(bench.shape, convs[i].name)) bench_conv(&bench, &convs[i]);
    if (strcmp(operation, "attention") == 0)
        for (size_t i = 0; i < sizeof attentions / sizeof *attentions; i++)
            if (wanted(bench.shape, attentions[i].name)) bench_attention(&bench, &attentions[i]);
    pool_free(bench.pool);
    return 0;
}
