/* What the processor has, and what the system lets us use of it. */
#include "tensor/kernel.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The processor multiplies tiles of bf16, and the system saves the tiles' registers. They are 8 KB a thread, so that Linux
 * (5.16 and later) wants to be asked: once for the process, threads and forks included. */
static bool tiles_permitted(void) {
    enum { LEAF = 7, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d;
    if (!__get_cpuid_count(LEAF, 0, &a, &b, &c, &d) || !(d & AMX_BF16) || !(d & AMX_TILE)) return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static bool has_tiles(void) {
    static atomic_int known; /* 1: no, 2: yes; asking twice does no harm */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == 0) {
        answer = tiles_permitted() ? 2 : 1;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == 2;
}
#endif

static enum isa isa_of_processor(enum isa most) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return ISA_PLAIN;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512dq"))
        return ISA_AVX2;
    if (!__builtin_cpu_supports("avx512bf16")) return ISA_AVX512;
    return most >= ISA_AMX && has_tiles() ? ISA_AMX : ISA_AVX512BF16;
#else
    (void)most;
    return ISA_PLAIN;
#endif
}

enum isa isa_available(void) {
    static const struct {
        const char *name;
        enum isa isa;
    } caps[] = {{"plain", ISA_PLAIN}, {"avx2", ISA_AVX2}, {"avx512", ISA_AVX512}, {"avx512bf16", ISA_AVX512BF16}, {"amx", ISA_AMX}};
    enum isa most = ISA_AMX;
    const char *cap = getenv("INPAINT_ISA");
    for (size_t i = 0; cap && i < sizeof caps / sizeof *caps; i++)
        if (strcmp(cap, caps[i].name) == 0) most = caps[i].isa;
    enum isa isa = isa_of_processor(most);
    return isa < most ? isa : most;
}
