/* Signatures of webhooks, as Standard Webhooks has them. */
#ifndef SERVICE_WEBHOOK_SIGN_H
#define SERVICE_WEBHOOK_SIGN_H

#include "base/error.h"

#include <stdint.h>

enum { WEBHOOK_SECRET_SIZE = 64, WEBHOOK_SIGNATURE_SIZE = 64, WEBHOOK_KEY_BYTES = 24 };

/* "whsec_" and 24 random bytes in base64. */
bool webhook_secret_create(char secret[WEBHOOK_SECRET_SIZE], struct error *error);
/* The secret of one owner, made from the service's own: nobody can sign for another. "" has the service's. */
bool webhook_secret_of(const char *master, const char *owner, char secret[WEBHOOK_SECRET_SIZE]);
/* "v1,BASE64" of HMAC-SHA256 over "ID.TIMESTAMP.BODY"; false when the secret is not one. */
bool webhook_sign(const char *secret, const char *id, int64_t timestamp, const char *body, char signature[WEBHOOK_SIGNATURE_SIZE]);
/* Base64 of HMAC-SHA256 over any text with the secret's key. */
bool webhook_hmac(const char *secret, const char *const *pieces, size_t count, char signature[WEBHOOK_SIGNATURE_SIZE]);

#endif
