/* Which blobs are in use by whom; what nobody uses becomes garbage, to be deleted by whoever calls
 * store_expire_data(). One that takes a blob into use and one that lets go of it at the same time must
 * see each other: each locks the blob's name first. */
#include "store/postgres.h"

#define LOCK "pg_advisory_xact_lock(hashtext(blob), 'blob_uses'::regclass::oid::int)"

bool hold_blob(struct postgres_store *store, const char *blob, const char *holder, struct error *error) {
    struct statement statement = statement_begin(store, "SELECT " LOCK " FROM (SELECT $1::text AS blob) named");
    statement_text(&statement, blob);
    if (!statement_run(&statement, NULL, error)) return false;
    statement = statement_begin(store, "INSERT INTO blob_uses (blob, holder) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    statement_text(&statement, blob);
    statement_text(&statement, holder);
    if (!statement_run(&statement, NULL, error)) return false;
    statement = statement_begin(store, "DELETE FROM blob_garbage WHERE blob = $1 AND handed_out = 0");
    statement_text(&statement, blob);
    return statement_run(&statement, NULL, error);
}

bool let_blobs_go(struct postgres_store *store, const char *holder, struct error *error) {
    struct statement statement =
        statement_begin(store, "SELECT " LOCK " FROM (SELECT blob FROM blob_uses WHERE holder = $1 ORDER BY hashtext(blob)) held");
    statement_text(&statement, holder);
    if (!statement_run(&statement, NULL, error)) return false;
    statement = statement_begin(store, "INSERT INTO blob_garbage (blob) SELECT blob FROM blob_uses mine WHERE holder = $1 AND NOT EXISTS"
                                       " (SELECT 1 FROM blob_uses other WHERE other.blob = mine.blob AND other.holder <> $1)"
                                       " ON CONFLICT DO NOTHING");
    statement_text(&statement, holder);
    if (!statement_run(&statement, NULL, error)) return false;
    statement = statement_begin(store, "DELETE FROM blob_uses WHERE holder = $1");
    statement_text(&statement, holder);
    return statement_run(&statement, NULL, error);
}

struct looked_up {
    const char *blob;
    bool used;
};

static bool look_up(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct looked_up *looked_up = user;
    (void)wake;
    struct statement statement = statement_begin(store, "SELECT EXISTS (SELECT 1 FROM blob_uses WHERE blob = $1)"
                                                        " OR EXISTS (SELECT 1 FROM predictions WHERE status = 1 AND preview = $1)");
    statement_text(&statement, looked_up->blob);
    looked_up->used = statement_row(&statement) && value_boolean(&statement, 0);
    return statement_end(&statement, error);
}

bool postgres_blob_used(struct store *store, const char *blob, bool *used, struct error *error) {
    struct looked_up looked_up = {.blob = blob};
    bool ok = postgres_read(store, look_up, &looked_up, error);
    *used = looked_up.used;
    return ok;
}
