#include "sample/noise.h"

#include <math.h>
#include <string.h>

static const float TWO_PI = 6.283185307179586f;

void noise_init(struct noise *noise, enum noise_kind kind, uint64_t seed) {
    memset(noise, 0, sizeof *noise);
    noise->kind = kind;
    noise->seed = seed;
    if (kind != NOISE_MT19937) return;
    /* Matsumoto & Nishimura 2002. Torch seeds with the low 32 bits only. */
    noise->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < 624; i++) {
        uint32_t last = noise->state[i - 1];
        noise->state[i] = 1812433253u * (last ^ (last >> 30)) + i;
    }
    noise->index = 624;
}

/* ==== CUDA: Philox4x32-10 (Salmon et al. 2011), then Box and Muller ==== */

static void philox(uint64_t seed, uint64_t call, uint64_t thread, uint32_t out[4]) {
    uint32_t c[4] = {(uint32_t)call, (uint32_t)(call >> 32), (uint32_t)thread, (uint32_t)(thread >> 32)};
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)c[0] * 0xD2511F53u, b = (uint64_t)c[2] * 0xCD9E8D57u;
        c[0] = (uint32_t)(b >> 32) ^ c[1] ^ key0;
        c[2] = (uint32_t)(a >> 32) ^ c[3] ^ key1;
        c[1] = (uint32_t)b;
        c[3] = (uint32_t)a;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    memcpy(out, c, sizeof c);
}

/* Two normals from two integers, as curand's _curand_box_muller. */
static void box_muller(uint32_t x, uint32_t y, float out[2]) {
    float u = (float)x * 0x1p-32f + 0x1p-33f;
    float angle = (float)y * (TWO_PI * 0x1p-32f) + TWO_PI * 0x1p-33f;
    float radius = sqrtf(-2.0f * logf(u));
    out[0] = sinf(angle) * radius;
    out[1] = cosf(angle) * radius;
}

/* Each thread of the grid makes four normals a pass and writes them one grid apart. A grid that
 * covers all elements at once therefore uses only the first of the four. */
static void philox_normal(struct noise *noise, float *out, size_t count) {
    size_t threads = (count + 255) / 256 * 256;
    if (noise->capacity && threads > noise->capacity) threads = noise->capacity;
    for (size_t base = 0; base < count; base += 4 * threads, noise->calls++) {
        for (size_t thread = 0; thread < threads && base + thread < count; thread++) {
            uint32_t bits[4];
            float normal[4];
            philox(noise->seed, noise->calls, thread, bits);
            box_muller(bits[0], bits[1], normal);
            if (count - base > 2 * threads)
                box_muller(bits[2], bits[3], normal + 2);
            else
                normal[2] = normal[3] = 0; /* lanes that no element takes */
            for (size_t lane = 0; lane < 4; lane++) {
                size_t i = base + lane * threads + thread;
                if (i < count) out[i] = normal[lane];
            }
        }
    }
}

/* ==== CPU: mt19937 ==== */

static uint32_t mt19937(struct noise *noise) {
    uint32_t *state = noise->state;
    if (noise->index == 624) {
        for (size_t i = 0; i < 624; i++) {
            uint32_t y = (state[i] & 0x80000000u) | (state[(i + 1) % 624] & 0x7fffffffu);
            state[i] = state[(i + 397) % 624] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
        }
        noise->index = 0;
    }
    uint32_t y = state[noise->index++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* [0, 1) with 24 and with 53 random bits. */
static float uniform_float(struct noise *noise) { return (float)(mt19937(noise) & 0xffffffu) * 0x1p-24f; }
static double uniform_double(struct noise *noise) {
    uint64_t high = mt19937(noise), bits = high << 32 | mt19937(noise);
    return (double)(bits & ((1ull << 53) - 1)) * 0x1p-53;
}

/* One number at a time, in double; every second one was kept from the call before. */
static float scalar_normal(struct noise *noise) {
    if (noise->has_spare) {
        noise->has_spare = 0;
        return noise->spare;
    }
    double u = uniform_double(noise), v = uniform_double(noise);
    double radius = sqrt(-2.0 * log1p(-v)), angle = 2.0 * 3.14159265358979323846 * u;
    noise->spare = (float)(radius * sin(angle));
    noise->has_spare = 1;
    return (float)(radius * cos(angle));
}

/* Sixteen uniform numbers -> sixteen normal ones, in place: i and i + 8 make a pair. */
static void normal_sixteen(float *x) {
    for (size_t i = 0; i < 8; i++) {
        float radius = sqrtf(-2.0f * logf(1.0f - x[i])), angle = TWO_PI * x[i + 8];
        x[i] = radius * cosf(angle);
        x[i + 8] = radius * sinf(angle);
    }
}

/* Torch's normal_fill: all uniform numbers first, then sixteens; when some are left over, the last
 * sixteen are drawn anew, those that were finished already included. */
static void fill_normal(struct noise *noise, float *out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = uniform_float(noise);
    for (size_t i = 0; i + 16 <= count; i += 16) normal_sixteen(out + i);
    if (count % 16 == 0) return;
    float *last = out + count - 16;
    for (size_t i = 0; i < 16; i++) last[i] = uniform_float(noise);
    normal_sixteen(last);
}

void noise_normal(struct noise *noise, float *out, size_t count) {
    if (noise->kind == NOISE_PHILOX) {
        philox_normal(noise, out, count);
    } else if (count >= 16) {
        fill_normal(noise, out, count);
    } else {
        for (size_t i = 0; i < count; i++) out[i] = scalar_normal(noise);
    }
}
