/* What is behind store.h: one table of functions per database. */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include "store/store.h"

struct store_backend {
#define OPERATION(name, parameters, arguments) bool(*name) parameters;
#include "store/operations.def"
#undef OPERATION
    void (*wake)(struct store *store);
    void (*close)(struct store *store);
};

/* The head of every backend's own structure. */
struct store {
    const struct store_backend *backend;
};

/* The wish's models as a JSON array, NULL for any; ERROR_ARGUMENT for a wish that can't be. */
bool wish_models(const struct store_wish *wish, json_t **models, struct error *error);

/* From a row's times, whatever the clocks said. */
struct ended ended_of(int64_t sequence, enum prediction_status status, int64_t created, int64_t started, int64_t completed, double ran);

/* ERROR_ARGUMENT for a token's priority that can't be. */
bool priority_fits(int priority, struct error *error);

bool sqlite_store_open(const char *path, struct store **store, struct error *error);
bool postgres_store_open(const char *url, struct store **store, struct error *error);

#endif
