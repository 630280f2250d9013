/* Noise against torch's: names in rng.safetensors tell the generator, the seed and the call. */
#include "golden.h"
#include "sample/noise.h"

/* philox.SEED.callN, philox.capN.SEED or mt19937.SEED.nCOUNT */
static bool noise_for(const char *name, struct noise *noise) {
    long long seed;
    unsigned long long number;
    if (sscanf(name, "philox.cap%llu.%lld", &number, &seed) == 2) {
        noise_init(noise, NOISE_PHILOX, (uint64_t)seed);
        noise->capacity = number;
    } else if (sscanf(name, "philox.%lld.call%llu", &seed, &number) == 2) {
        noise_init(noise, NOISE_PHILOX, (uint64_t)seed);
        noise->calls = number;
    } else if (sscanf(name, "mt19937.%lld.n%llu", &seed, &number) == 2) {
        noise_init(noise, NOISE_MT19937, (uint64_t)seed);
    } else {
        return false;
    }
    return true;
}

int main(void) {
    struct tally tally = {0};
    struct weights *golden = golden_open("tiny", "rng");
    for (size_t i = 0; golden && i < weights_count(golden); i++) {
        const char *name;
        const struct tensor *tensor = weights_at(golden, i, &name);
        size_t count = tensor_count(tensor);
        struct noise noise;
        float *expected = memory_array(count, sizeof *expected), *ours = memory_array(count, sizeof *ours);
        if (!expected || !ours) abort();
        if (noise_for(name, &noise)) {
            tensor_read_f32(tensor, 0, count, expected);
            noise_normal(&noise, ours, count);
            tally_error(&tally, name, largest_difference(ours, expected, count), 2e-6);
        } else {
            tally_check(&tally, name, false, "what this name asks for is not known");
        }
        memory_free(expected);
        memory_free(ours);
    }
    weights_close(golden);
    return tally_end(&tally);
}
