/* SHA-256. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>

enum { SHA256_BYTES = 32, SHA256_TEXT = 65 };

void sha256(const void *data, size_t length, unsigned char digest[SHA256_BYTES]);

/* Of what comes piece by piece. NULL when out of memory. */
struct sha256_sum;
struct sha256_sum *sha256_begin(void);
void sha256_add(struct sha256_sum *sum, const void *data, size_t length);
void sha256_end(struct sha256_sum *sum, char text[SHA256_TEXT]); /* lower-case hex; frees sum. text NULL: only frees */

void sha256_text(const unsigned char digest[SHA256_BYTES], char text[SHA256_TEXT]);

#endif
