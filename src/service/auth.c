#include "service/auth.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct auth {
    struct store *store;
    bool open;
    pthread_mutex_t lock;
    struct token *tokens;
    size_t count;
    int64_t read; /* monotonic */
};

enum { AUTH_FRESH = 1000000 };

static bool refresh(struct auth *auth, struct error *error) {
    struct token *tokens;
    size_t count;
    if (!store_token_list(auth->store, &tokens, &count, error)) return false;
    memory_free(auth->tokens);
    auth->tokens = tokens;
    auth->count = count;
    auth->read = time_monotonic();
    return true;
}

bool auth_create(const char *store_url, bool open, struct auth **out, struct error *error) {
    struct auth *auth = memory_zero(sizeof *auth);
    if (auth == NULL) return error_set(error, ERROR_MEMORY, "out of memory");
    pthread_mutex_init(&auth->lock, NULL);
    auth->open = open;
    if (!store_open(store_url, &auth->store, error) || !refresh(auth, error)) {
        auth_free(auth);
        return false;
    }
    size_t live = 0;
    for (size_t i = 0; i < auth->count; i++) live += auth->tokens[i].revoked == 0;
    if (!open && live == 0) {
        auth_free(auth);
        return error_set(error, ERROR_DENIED,
                         "listening beyond this machine needs a token: make one with `inpaintd token create NAME`, or listen on 127.0.0.1");
    }
    *out = auth;
    return true;
}

void auth_free(struct auth *auth) {
    if (auth == NULL) return;
    store_close(auth->store);
    memory_free(auth->tokens);
    pthread_mutex_destroy(&auth->lock);
    memory_free(auth);
}

void auth_hash(const char *secret, char hash[65]) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, (const unsigned char *)secret, strlen(secret));
    sodium_bin2hex(hash, 65, digest, sizeof digest);
}

const char *auth_secret(const char *header) {
    if (header == NULL) return NULL;
    size_t length = strcspn(header, " \t");
    if (!(length == 6 && strncasecmp(header, "Bearer", 6) == 0) && !(length == 5 && strncasecmp(header, "Token", 5) == 0)) return NULL;
    header += length;
    header += strspn(header, " \t");
    return *header == 0 ? NULL : header;
}

/* Every token is compared, so that the time tells nothing about which one was near. */
static bool find(const struct auth *auth, const char hash[65], char name[64]) {
    bool found = false;
    for (size_t i = 0; i < auth->count; i++) {
        if (sodium_memcmp(auth->tokens[i].hash, hash, 64) == 0 && auth->tokens[i].revoked == 0) {
            found = true;
            snprintf(name, 64, "%s", auth->tokens[i].name);
        }
    }
    return found;
}

enum auth_result auth_check(struct auth *auth, const char *header, char name[64]) {
    const char *secret = auth_secret(header);
    char hash[65] = "";
    struct error error;
    name[0] = 0;
    if (secret != NULL) auth_hash(secret, hash);
    pthread_mutex_lock(&auth->lock);
    bool fresh = time_monotonic() - auth->read < AUTH_FRESH;
    if (!fresh && !refresh(auth, &error)) log_error("reading tokens: %s", error.message);
    bool found = secret != NULL && find(auth, hash, name);
    /* A token made a moment ago works at once. */
    if (secret != NULL && !found && fresh && refresh(auth, &error)) found = find(auth, hash, name);
    bool open = auth->open && auth->count == 0;
    pthread_mutex_unlock(&auth->lock);
    if (found) return AUTH_FINE;
    if (open) return AUTH_OPEN;
    return secret == NULL ? AUTH_MISSING : AUTH_WRONG;
}
