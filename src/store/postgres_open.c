/* Opening and closing a PostgreSQL store; the table of its functions. */
#include "store/postgres.h"

#include "base/memory.h"

static void close_store(struct store *base) {
    struct postgres_store *store = postgres_of(base);
    listener_close(store->listener);
    if (store->link.connection) PQfinish(store->link.connection);
    pthread_mutex_destroy(&store->lock);
    memory_free(store->link.url);
    memory_free(store);
}

bool postgres_store_open(const char *url, struct store **opened, struct error *error) {
    if (!postgres_check_url(url, error)) return false;
    struct postgres_store *store = memory_zero(sizeof *store);
    if (!store) return error_set(error, ERROR_MEMORY, "out of memory");
    store->base.backend = &postgres_backend;
    pthread_mutex_init(&store->lock, NULL);
    store->link.url = memory_string(url);
    bool ok = (store->link.url || error_set(error, ERROR_MEMORY, "out of memory")) &&
              (store->link.connection = postgres_connect(url, error)) != NULL && postgres_migrate(store->link.connection, error) &&
              (store->listener = listener_open(url, error)) != NULL;
    if (!ok) {
        close_store(&store->base);
        return error_context(error, "store");
    }
    *opened = &store->base;
    return true;
}

static bool tell(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    (void)user;
    (void)wake;
    return postgres_notify(store, error);
}

/* Sleepers here are woken even when the database is away. */
static void wake(struct store *base) {
    if (!postgres_read(base, tell, NULL, NULL)) listener_wake(postgres_of(base)->listener);
}

const struct store_backend postgres_backend = {
#define OPERATION(name, parameters, arguments) .name = postgres_##name,
#include "store/operations.def"
#undef OPERATION
    .wake = wake,
    .close = close_store,
};
