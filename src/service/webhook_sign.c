#include "service/webhook_sign.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static void secret_text(unsigned char key[WEBHOOK_KEY_BYTES], char secret[WEBHOOK_SECRET_SIZE]) {
    char encoded[sodium_base64_ENCODED_LEN(WEBHOOK_KEY_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    sodium_bin2base64(encoded, sizeof encoded, key, WEBHOOK_KEY_BYTES, sodium_base64_VARIANT_ORIGINAL);
    snprintf(secret, WEBHOOK_SECRET_SIZE, "whsec_%s", encoded);
    sodium_memzero(key, WEBHOOK_KEY_BYTES);
    sodium_memzero(encoded, sizeof encoded);
}

bool webhook_secret_create(char secret[WEBHOOK_SECRET_SIZE], struct error *error) {
    unsigned char key[WEBHOOK_KEY_BYTES];
    if (sodium_init() < 0) return error_set(error, ERROR_INTERNAL, "libsodium could not be started");
    randombytes_buf(key, sizeof key);
    secret_text(key, secret);
    return true;
}

static bool hmac(const char *secret, const char *const *pieces, size_t count, unsigned char digest[crypto_auth_hmacsha256_BYTES]) {
    unsigned char key[128];
    size_t length;
    crypto_auth_hmacsha256_state state;
    if (strncmp(secret, "whsec_", 6) != 0 ||
        sodium_base642bin(key, sizeof key, secret + 6, strlen(secret + 6), NULL, &length, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    crypto_auth_hmacsha256_init(&state, key, length);
    for (size_t i = 0; i < count; i++) crypto_auth_hmacsha256_update(&state, (const unsigned char *)pieces[i], strlen(pieces[i]));
    crypto_auth_hmacsha256_final(&state, digest);
    sodium_memzero(key, sizeof key);
    return true;
}

bool webhook_secret_of(const char *master, const char *owner, char secret[WEBHOOK_SECRET_SIZE]) {
    unsigned char digest[crypto_auth_hmacsha256_BYTES];
    const char *pieces[] = {"secret of ", owner};
    if (owner[0] == 0) return snprintf(secret, WEBHOOK_SECRET_SIZE, "%s", master) < WEBHOOK_SECRET_SIZE;
    if (!hmac(master, pieces, 2, digest)) return false;
    secret_text(digest, secret);
    return true;
}

bool webhook_hmac(const char *secret, const char *const *pieces, size_t count, char signature[WEBHOOK_SIGNATURE_SIZE]) {
    unsigned char digest[crypto_auth_hmacsha256_BYTES];
    if (!hmac(secret, pieces, count, digest)) return false;
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
