/* Opening and closing a SQLite store; the table of its functions. */
#include "store/sqlite.h"

#include "base/memory.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RETRY_MICROSECONDS = 2000 };

static void close_connection(struct connection *connection) {
    for (size_t i = 0; i < connection->statement_count; i++) sqlite3_finalize(connection->statements[i]);
    if (connection->database) sqlite3_close(connection->database);
    pthread_mutex_destroy(&connection->lock);
}

static void close_store(struct store *base) {
    struct sqlite_store *store = sqlite_of(base);
    close_connection(&store->reader);
    close_connection(&store->writer);
    wake_close(store->wake);
    pthread_cond_destroy(&store->creations.changed);
    pthread_mutex_destroy(&store->creations.lock);
    memory_free(store);
}

/* SQLite does not wait where waiting could deadlock: while another process makes the file, turns it
 * to a write-ahead log, recovers that log or takes it away again. All of them are done soon. */
static int apply_settings(sqlite3 *database, const char *settings) {
    int64_t give_up = time_monotonic() + (int64_t)BUSY_MILLISECONDS * 1000;
    for (;;) {
        int result = sqlite3_exec(database, settings, NULL, NULL, NULL);
        if ((result & 0xff) != SQLITE_BUSY || time_monotonic() > give_up) return result;
        time_sleep(RETRY_MICROSECONDS);
    }
}

static bool open_connection(struct connection *connection, const char *path, const char *settings, struct error *error) {
    int result = sqlite3_open_v2(path, &connection->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result == SQLITE_OK) result = sqlite3_extended_result_codes(connection->database, 1);
    if (result == SQLITE_OK) result = sqlite3_busy_timeout(connection->database, BUSY_MILLISECONDS);
    if (result == SQLITE_OK) result = apply_settings(connection->database, settings);
    return result == SQLITE_OK || sqlite_error(connection->database, result, error);
}

/* Only its owner may read the file: it holds prompts and the secret that signs webhooks. SQLite
 * gives the files beside it the same rights. A file that is there already must not be opened here:
 * closing it again would drop the locks of every other handle that this process has on it, and
 * another process would take the log away from under them. */
static bool make_file(const char *path, struct error *error) {
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) return errno == EEXIST || error_from_errno(error, "can't open the store %s", path);
    close(descriptor);
    return true;
}

/* A commit returns after the log is on the disk (synchronous = FULL). */
static const char writer_settings[] =
    "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;"
    "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON";
static const char reader_settings[] = "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON";

static struct wake *open_wake(const char *path, struct error *error) {
    char *name = memory_format("%s-wake", path);
    struct wake *wake = name ? wake_open(name) : NULL;
    memory_free(name);
    if (!wake) error_set(error, ERROR_MEMORY, "out of memory");
    return wake;
}

bool sqlite_store_open(const char *path, struct store **opened, struct error *error) {
    struct sqlite_store *store = memory_zero(sizeof *store);
    if (!store) return error_set(error, ERROR_MEMORY, "out of memory");
    store->base.backend = &sqlite_backend;
    pthread_mutex_init(&store->writer.lock, NULL);
    pthread_mutex_init(&store->reader.lock, NULL);
    pthread_mutex_init(&store->creations.lock, NULL);
    pthread_cond_init(&store->creations.changed, NULL);
    store->creations.last = &store->creations.first;
    bool ok = make_file(path, error) && open_connection(&store->writer, path, writer_settings, error) &&
              sqlite_migrate(store->writer.database, error) && prepare_transactions(&store->writer, error) &&
              open_connection(&store->reader, path, reader_settings, error) && (store->wake = open_wake(path, error)) != NULL;
    if (!ok) {
        close_store(&store->base);
        return error_context(error, "store %s", path);
    }
    *opened = &store->base;
    return true;
}

bool sqlite_wait(struct store *store, uint32_t *seen, int milliseconds) { return wake_wait(sqlite_of(store)->wake, seen, milliseconds); }

/* Several processes, but one machine. */
bool sqlite_clock(struct store *store, int64_t *now, struct error *error) {
    (void)store, (void)error;
    *now = time_wall();
    return true;
}

static void wake(struct store *store) { wake_all(sqlite_of(store)->wake); }

const struct store_backend sqlite_backend = {
#define OPERATION(name, parameters, arguments) .name = sqlite_##name,
#include "store/operations.def"
#undef OPERATION
    .wake = wake,
    .close = close_store,
};
