/* Tokens: "Bearer SECRET" or "Token SECRET", compared by SHA-256 hash in constant time against a
 * copy of the store's list that is at most a second old. */
#ifndef SERVICE_AUTH_H
#define SERVICE_AUTH_H

#include "store/store.h"

struct auth;
enum auth_result {
    AUTH_OPEN, /* no tokens are configured, and we listen on loopback only */
    AUTH_FINE,
    AUTH_MISSING, /* no header, or none of the two schemes */
    AUTH_WRONG
};

/* Opens a handle of its own on the store. open: may everybody in while there are no tokens? Without
 * that and without a live token, ERROR_DENIED. */
bool auth_create(const char *store_url, bool open, struct auth **auth, struct error *error);
void auth_free(struct auth *auth);
/* header: the Authorization header or NULL. name: of the token found. Any thread. */
enum auth_result auth_check(struct auth *auth, const char *header, char name[64]);

/* Hex SHA-256 of a secret. */
void auth_hash(const char *secret, char hash[65]);
/* The secret in an Authorization header; NULL when there is none. */
const char *auth_secret(const char *header);

#endif
