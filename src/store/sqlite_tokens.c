/* Tokens, of which only the hash is kept, and settings that all processes share. */
#include "store/sqlite.h"

#include "base/memory.h"
#include "base/time.h"

#include <string.h>

static void read_token(struct query *query, struct token *token) {
    memset(token, 0, sizeof *token);
    column_array(query, 0, token->name, sizeof token->name);
    column_array(query, 1, token->hash, sizeof token->hash);
    token->created = column_integer(query, 2);
    token->revoked = column_integer(query, 3);
    token->priority = (int)column_integer(query, 4);
}

bool sqlite_token_create(struct store *base, const char *name, const char *hash, int priority, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    struct token *token;
    if (!*name || strlen(name) >= sizeof token->name)
        return error_set(error, ERROR_ARGUMENT, "a token's name has between 1 and %zu bytes", sizeof token->name - 1);
    if (strlen(hash) >= sizeof token->hash) return error_set(error, ERROR_INTERNAL, "a token's hash is 64 hexadecimal digits");
    if (!priority_fits(priority, error) || !write_begin(store, error)) return false;
    struct query query = query_begin(&store->writer, "INSERT INTO tokens (name, hash, created, priority) VALUES (?, ?, ?, ?)");
    query_text(&query, name);
    query_text(&query, hash);
    query_integer(&query, time_wall());
    query_integer(&query, priority);
    while (query_row(&query)) {
    }
    bool ok;
    if (query.result == SQLITE_CONSTRAINT_UNIQUE) {
        query_end(&query, NULL);
        ok = error_set(error, ERROR_CONFLICT, "there is a token named \"%s\" already: revoke it first, or choose another name", name);
    } else {
        ok = query_end(&query, error);
    }
    return write_end(store, ok, false, error);
}

bool sqlite_token_list(struct store *base, struct token **tokens, size_t *count, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    size_t room = 0;
    bool memory = true;
    *tokens = NULL;
    *count = 0;
    read_begin(store);
    struct query query = query_begin(&store->reader, "SELECT name, hash, created, revoked, priority FROM tokens ORDER BY number");
    while (query_row(&query)) {
        if (*count == room) {
            room = room ? room * 2 : 16;
            struct token *grown = memory_resize(*tokens, room * sizeof *grown);
            memory = grown != NULL;
            if (!memory) break;
            *tokens = grown;
        }
        read_token(&query, &(*tokens)[(*count)++]);
    }
    bool ok = query_end(&query, error) && (memory || error_set(error, ERROR_MEMORY, "out of memory for tokens"));
    read_end(store);
    if (ok) return true;
    memory_free(*tokens);
    *tokens = NULL;
    *count = 0;
    return false;
}

bool sqlite_token_revoke(struct store *base, const char *name, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    if (!write_begin(store, error)) return false;
    struct query query = query_begin(&store->writer, "UPDATE tokens SET revoked = ?2 WHERE name = ?1 AND revoked = 0");
    query_text(&query, name);
    query_integer(&query, time_wall());
    bool ok = query_run(&query, error);
    if (ok && sqlite3_changes(store->writer.database) == 0)
        ok = error_set(error, ERROR_NOT_FOUND, "there is no live token named \"%s\"", name);
    return write_end(store, ok, false, error);
}

bool sqlite_token_priority(struct store *base, const char *name, int priority, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    if (!priority_fits(priority, error) || !write_begin(store, error)) return false;
    struct query query = query_begin(&store->writer, "UPDATE tokens SET priority = ?2 WHERE name = ?1 AND revoked = 0");
    query_text(&query, name);
    query_integer(&query, priority);
    bool ok = query_run(&query, error);
    if (ok && sqlite3_changes(store->writer.database) == 0)
        ok = error_set(error, ERROR_NOT_FOUND, "there is no live token named \"%s\"", name);
    return write_end(store, ok, false, error);
}

/* The hash of a random secret: looking it up by equality tells nobody anything. */
bool sqlite_token_find(struct store *base, const char *hash, struct token *token, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    read_begin(store);
    struct query query =
        query_begin(&store->reader, "SELECT name, hash, created, revoked, priority FROM tokens WHERE hash = ? AND revoked = 0");
    query_text(&query, hash);
    bool found = query_row(&query);
    if (found) read_token(&query, token);
    bool ok = query_end(&query, error);
    read_end(store);
    return ok && (found || error_set(error, ERROR_NOT_FOUND, "there is no such token"));
}

static bool find_setting(struct connection *connection, const char *name, char **value, struct error *error) {
    struct query query = query_begin(connection, "SELECT value FROM settings WHERE name = ?");
    query_text(&query, name);
    if (query_row(&query)) column_string(&query, 0, value);
    return query_end(&query, error);
}

bool sqlite_setting(struct store *base, const char *name, const char *fallback, char **value, struct error *error) {
    struct sqlite_store *store = sqlite_of(base);
    *value = NULL;
    read_begin(store);
    bool ok = find_setting(&store->reader, name, value, error);
    read_end(store);
    if (!ok || *value) return ok;
    if (!write_begin(store, error)) return false;
    struct query query = query_begin(&store->writer, "INSERT OR IGNORE INTO settings (name, value) VALUES (?, ?)");
    query_text(&query, name);
    query_text(&query, fallback);
    ok = query_run(&query, error) && find_setting(&store->writer, name, value, error);
    ok = write_end(store, ok, false, error);
    if (ok) return true;
    memory_free(*value);
    *value = NULL;
    return false;
}
