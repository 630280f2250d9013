/* Tokens, of which only the hash is kept, and settings that all processes share. */
#include "store/postgres.h"

#include "base/memory.h"

#include <string.h>

static void read_token(struct statement *row, struct token *token) {
    memset(token, 0, sizeof *token);
    value_array(row, 0, token->name, sizeof token->name);
    value_array(row, 1, token->hash, sizeof token->hash);
    token->created = value_integer(row, 2);
    token->revoked = value_integer(row, 3);
    token->priority = (int)value_integer(row, 4);
}

struct named {
    const char *name, *hash;
    struct token *token;
    int priority;
};

static bool create(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct named *named = user;
    size_t inserted;
    (void)wake;
    struct statement statement =
        statement_begin(store, "INSERT INTO tokens (name, hash, created, priority) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING");
    statement_text(&statement, named->name);
    statement_text(&statement, named->hash);
    statement_integer(&statement, store->now);
    statement_integer(&statement, named->priority);
    if (!statement_run(&statement, &inserted, error)) return false;
    return inserted == 1 ||
           error_set(error, ERROR_CONFLICT, "there is a token named \"%s\" already: revoke it first, or choose another name", named->name);
}

bool postgres_token_create(struct store *store, const char *name, const char *hash, int priority, struct error *error) {
    struct named named = {name, hash, NULL, priority};
    if (!*name || strlen(name) >= sizeof named.token->name)
        return error_set(error, ERROR_ARGUMENT, "a token's name has between 1 and %zu bytes", sizeof named.token->name - 1);
    if (strlen(hash) >= sizeof named.token->hash) return error_set(error, ERROR_INTERNAL, "a token's hash is 64 hexadecimal digits");
    return priority_fits(priority, error) && postgres_write(store, create, &named, error);
}

struct listing {
    struct token *tokens;
    size_t count;
};

static bool read_list(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct listing *listing = user;
    size_t room = 0;
    bool memory = true;
    (void)wake;
    struct statement statement = statement_begin(store, "SELECT name, hash, created, revoked, priority FROM tokens ORDER BY number");
    while (memory && statement_row(&statement)) {
        if (listing->count == room) {
            room = room ? room * 2 : 16;
            struct token *grown = memory_resize(listing->tokens, room * sizeof *grown);
            memory = grown != NULL;
            if (!memory) break;
            listing->tokens = grown;
        }
        read_token(&statement, &listing->tokens[listing->count++]);
    }
    if (statement_end(&statement, error) && (memory || error_set(error, ERROR_MEMORY, "out of memory for tokens"))) return true;
    memory_free(listing->tokens);
    *listing = (struct listing){0};
    return false;
}

bool postgres_token_list(struct store *store, struct token **tokens, size_t *count, struct error *error) {
    struct listing listing = {0};
    bool ok = postgres_read(store, read_list, &listing, error);
    *tokens = listing.tokens;
    *count = listing.count;
    return ok;
}

static bool revoke(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct named *named = user;
    size_t revoked;
    (void)wake;
    struct statement statement = statement_begin(store, "UPDATE tokens SET revoked = $2 WHERE name = $1 AND revoked = 0");
    statement_text(&statement, named->name);
    statement_integer(&statement, store->now);
    if (!statement_run(&statement, &revoked, error)) return false;
    return revoked > 0 || error_set(error, ERROR_NOT_FOUND, "there is no live token named \"%s\"", named->name);
}

bool postgres_token_revoke(struct store *store, const char *name, struct error *error) {
    struct named named = {.name = name};
    return postgres_write(store, revoke, &named, error);
}

static bool set_priority(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct named *named = user;
    size_t set;
    (void)wake;
    struct statement statement = statement_begin(store, "UPDATE tokens SET priority = $2 WHERE name = $1 AND revoked = 0");
    statement_text(&statement, named->name);
    statement_integer(&statement, named->priority);
    if (!statement_run(&statement, &set, error)) return false;
    return set > 0 || error_set(error, ERROR_NOT_FOUND, "there is no live token named \"%s\"", named->name);
}

bool postgres_token_priority(struct store *store, const char *name, int priority, struct error *error) {
    struct named named = {.name = name, .priority = priority};
    return priority_fits(priority, error) && postgres_write(store, set_priority, &named, error);
}

/* The hash of a random secret: looking it up by equality tells nobody anything. */
static bool find(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct named *named = user;
    (void)wake;
    struct statement statement =
        statement_begin(store, "SELECT name, hash, created, revoked, priority FROM tokens WHERE hash = $1 AND revoked = 0");
    statement_text(&statement, named->hash);
    bool found = statement_row(&statement);
    if (found) read_token(&statement, named->token);
    return statement_end(&statement, error) && (found || error_set(error, ERROR_NOT_FOUND, "there is no such token"));
}

bool postgres_token_find(struct store *store, const char *hash, struct token *token, struct error *error) {
    struct named named = {NULL, hash, token, 0};
    return postgres_read(store, find, &named, error);
}

/* ---- settings ---- */

struct setting {
    const char *name, *fallback;
    char *value;
};

static bool find_setting(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct setting *setting = user;
    (void)wake;
    struct statement statement = statement_begin(store, "SELECT value FROM settings WHERE name = $1");
    statement_text(&statement, setting->name);
    if (statement_row(&statement)) value_string(&statement, 0, &setting->value);
    return statement_end(&statement, error);
}

static bool make_setting(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct setting *setting = user;
    struct statement statement = statement_begin(store, "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    statement_text(&statement, setting->name);
    statement_text(&statement, setting->fallback);
    return statement_run(&statement, NULL, error) && find_setting(store, user, wake, error);
}

bool postgres_setting(struct store *store, const char *name, const char *fallback, char **value, struct error *error) {
    struct setting setting = {.name = name, .fallback = fallback};
    bool ok =
        postgres_read(store, find_setting, &setting, error) && (setting.value || postgres_write(store, make_setting, &setting, error));
    *value = ok ? setting.value : NULL;
    if (!ok) memory_free(setting.value);
    return ok;
}
