/* What the processor has. */
#include "tensor/kernel.h"

#include <stdlib.h>
#include <string.h>

static enum isa isa_of_processor(void) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return ISA_PLAIN;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512dq"))
        return ISA_AVX2;
    return __builtin_cpu_supports("avx512bf16") ? ISA_AVX512BF16 : ISA_AVX512;
#else
    return ISA_PLAIN;
#endif
}

enum isa isa_available(void) {
    static const struct {
        const char *name;
        enum isa isa;
    } caps[] = {{"plain", ISA_PLAIN}, {"avx2", ISA_AVX2}, {"avx512", ISA_AVX512}, {"avx512bf16", ISA_AVX512BF16}};
    enum isa isa = isa_of_processor();
    const char *cap = getenv("INPAINT_ISA");
    for (size_t i = 0; cap && i < sizeof caps / sizeof *caps; i++)
        if (strcmp(cap, caps[i].name) == 0 && caps[i].isa < isa) isa = caps[i].isa;
    return isa;
}
