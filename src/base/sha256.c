#include "base/sha256.h"

#include "base/memory.h"

#include <nettle/sha2.h>
#include <stdio.h>

struct sha256_sum {
    struct sha256_ctx state;
};

void sha256(const void *data, size_t length, unsigned char digest[SHA256_BYTES]) {
    struct sha256_ctx state;
    sha256_init(&state);
    sha256_update(&state, length, data);
    sha256_digest(&state, SHA256_BYTES, digest);
}

void sha256_text(const unsigned char digest[SHA256_BYTES], char text[SHA256_TEXT]) {
    for (size_t i = 0; i < SHA256_BYTES; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

struct sha256_sum *sha256_begin(void) {
    struct sha256_sum *sum = memory_alloc(sizeof *sum);
    if (sum) sha256_init(&sum->state);
    return sum;
}

void sha256_add(struct sha256_sum *sum, const void *data, size_t length) { sha256_update(&sum->state, length, data); }

void sha256_end(struct sha256_sum *sum, char text[SHA256_TEXT]) {
    unsigned char digest[SHA256_BYTES];
    if (sum && text) {
        sha256_digest(&sum->state, SHA256_BYTES, digest);
        sha256_text(digest, text);
    }
    memory_free(sum);
}
