#include "service/webhook_sign.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

bool webhook_secret_create(char secret[WEBHOOK_SECRET_SIZE], struct error *error) {
    unsigned char key[WEBHOOK_KEY_BYTES];
    char encoded[sodium_base64_ENCODED_LEN(WEBHOOK_KEY_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    if (sodium_init() < 0) return error_set(error, ERROR_INTERNAL, "libsodium could not be started");
    randombytes_buf(key, sizeof key);
    sodium_bin2base64(encoded, sizeof encoded, key, sizeof key, sodium_base64_VARIANT_ORIGINAL);
    snprintf(secret, WEBHOOK_SECRET_SIZE, "whsec_%s", encoded);
    sodium_memzero(key, sizeof key);
    sodium_memzero(encoded, sizeof encoded);
    return true;
}

bool webhook_hmac(const char *secret, const char *const *pieces, size_t count, char signature[WEBHOOK_SIGNATURE_SIZE]) {
    unsigned char key[128], digest[crypto_auth_hmacsha256_BYTES];
    size_t length;
    crypto_auth_hmacsha256_state state;
    if (strncmp(secret, "whsec_", 6) != 0 ||
        sodium_base642bin(key, sizeof key, secret + 6, strlen(secret + 6), NULL, &length, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    crypto_auth_hmacsha256_init(&state, key, length);
    for (size_t i = 0; i < count; i++) crypto_auth_hmacsha256_update(&state, (const unsigned char *)pieces[i], strlen(pieces[i]));
    crypto_auth_hmacsha256_final(&state, digest);
    sodium_memzero(key, sizeof key);
    sodium_bin2base64(signature, WEBHOOK_SIGNATURE_SIZE, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
    return true;
}

bool webhook_sign(const char *secret, const char *id, int64_t timestamp, const char *body, char signature[WEBHOOK_SIGNATURE_SIZE]) {
    char seconds[32], encoded[WEBHOOK_SIGNATURE_SIZE];
    snprintf(seconds, sizeof seconds, "%" PRId64, timestamp);
    const char *pieces[] = {id, ".", seconds, ".", body};
    if (!webhook_hmac(secret, pieces, 5, encoded)) return false;
    int length = snprintf(signature, WEBHOOK_SIGNATURE_SIZE, "v1,%s", encoded);
    return length > 0 && length < WEBHOOK_SIGNATURE_SIZE;
}
