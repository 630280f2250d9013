/* inpaintd token: who may use the API. The secret is shown once; the store keeps its hash. */
#include "base/file.h"
#include "base/memory.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/data_folder.h"
#include "cli/options.h"
#include "store/store.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { SECRET_BYTES = 24 };

static bool name_valid(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length < sizeof((struct token *)0)->name &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length;
}

static bool create(struct store *store, const char *name, int priority, struct error *error) {
    unsigned char random[SECRET_BYTES], digest[crypto_hash_sha256_BYTES];
    char secret[8 + 2 * SECRET_BYTES] = "inp_", hash[2 * crypto_hash_sha256_BYTES + 1];
    if (!name_valid(name))
        return error_set(error, ERROR_ARGUMENT, "a token's name is 1 to 63 letters, digits, dots, dashes and underscores");
    if (!random_bytes(random, sizeof random, error)) return false;
    sodium_bin2hex(secret + 4, sizeof secret - 4, random, sizeof random);
    crypto_hash_sha256(digest, (const unsigned char *)secret, strlen(secret));
    sodium_bin2hex(hash, sizeof hash, digest, sizeof digest);
    if (!store_token_create(store, name, hash, priority, error)) return false;
    printf("%s\n", secret);
    fprintf(stderr, "This is the only time that the token is shown. Use it as: Authorization: Bearer %.8s…\n", secret);
    return true;
}

static bool list(struct store *store, struct error *error) {
    struct token *tokens;
    size_t count;
    char created[TIME_TEXT_SIZE], revoked[TIME_TEXT_SIZE];
    if (!store_token_list(store, &tokens, &count, error)) return false;
    for (size_t i = 0; i < count; i++) {
        printf("%-24s created %s", tokens[i].name, time_text(tokens[i].created, 0, created));
        if (tokens[i].priority != 0) printf("  priority %d", tokens[i].priority);
        if (tokens[i].revoked) printf("  revoked %s", time_text(tokens[i].revoked, 0, revoked));
        putchar('\n');
    }
    memory_free(tokens);
    return true;
}

static bool run(struct store *store, const char *const *words, size_t count, int priority, struct error *error) {
    if (strcmp(words[0], "list") == 0 && count == 1) return list(store, error);
    if (strcmp(words[0], "create") == 0 && count == 2) return create(store, words[1], priority, error);
    if (strcmp(words[0], "set") == 0 && count == 2) return store_token_priority(store, words[1], priority, error);
    if (strcmp(words[0], "revoke") == 0 && count == 2) return store_token_revoke(store, words[1], error);
    return error_set(error, ERROR_ARGUMENT, "say: create NAME, set NAME, list, or revoke NAME");
}

int command_token(int argc, char **argv) {
    const char *folder = NULL, *url = NULL, *words[2];
    long long priority = 0;
    const struct option_row rows[] = {
        {"data", 'd', OPTION_TEXT, "DIR", "the server's data folder (default ~/.local/share/inpaintd)", &folder, 0, 0, NULL},
        STORE_OPTION(&url),
        {"priority", 0, OPTION_INTEGER, "N", "with create and set: what waits of a higher one is painted first (-100 to 100, default 0)",
         &priority, -PRIORITY_MAX, PRIORITY_MAX, NULL},
        {0}};
    const struct command command = {
        "token",
        "Create, list and revoke API tokens.",
        "create NAME | set NAME | list | revoke NAME [options]",
        "As soon as one token exists, every request needs one. Each token sees its own predictions and files. Works while the server "
        "runs.\n"
        "Tokens of one priority take turns, however much each has waiting; a higher priority always comes first.",
        "  inpaintd token create alice --data /var/lib/inpaintd\n  inpaintd token set alice --priority 10\n  inpaintd token revoke alice",
        rows,
        1,
        2};
    size_t count;
    int code = options_begin(&command, argc, argv, words, &count);
    if (code >= 0) return code;
    struct error error = {.code = ERROR_NONE};
    struct data_folder data;
    struct store *store = NULL;
    if (sodium_init() < 0) return 1;
    if (!data_folder_open(folder, &data, &error)) return complain(command.name, &error);
    bool fine = data_folder_use_store(&data, url, &error) && store_open(data.store, &store, &error) &&
                run(store, words, count, (int)priority, &error);
    if (store) store_close(store);
    data_folder_free(&data);
    return fine ? 0 : complain(command.name, &error);
}
