/* Normal noise from a seed, as torch makes it. */
#ifndef SAMPLE_NOISE_H
#define SAMPLE_NOISE_H

#include <stddef.h>
#include <stdint.h>

enum noise_kind {
    NOISE_PHILOX, /* torch.randn on CUDA: what the hosted model does; the default */
    NOISE_MT19937 /* torch.randn on the CPU */
};

struct noise {
    enum noise_kind kind;
    uint64_t seed;   /* negative seeds: two's complement */
    uint64_t calls;  /* Philox: calls made so far */
    size_t capacity; /* Philox: elements that one pass of the GPU's grid covers; 0 = no limit */
    /* mt19937 */
    uint32_t state[624];
    int index;
    int has_spare;
    float spare;
};

void noise_init(struct noise *noise, enum noise_kind kind, uint64_t seed);
/* The next torch.randn(count): fills out[count]. */
void noise_normal(struct noise *noise, float *out, size_t count);

#endif
