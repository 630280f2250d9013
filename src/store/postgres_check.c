/* The invariants of prediction.h, one query each: a row that it returns breaks it. */
#include "store/postgres.h"

static const struct {
    const char *sentence, *sql;
} invariants[] = {
    {"a status is out of range", "SELECT id FROM predictions WHERE status NOT BETWEEN 0 AND 4"},
    {"an ended prediction has its time of completion, and only such a one",
     "SELECT id FROM predictions WHERE (status >= 2) <> (completed > 0) OR (completed > 0 AND completed < greatest(created, started))"},
    {"a processing prediction has a worker and a lease, and only such a one",
     "SELECT id FROM predictions WHERE (status = 1) <> (worker IS NOT NULL) OR (status = 1) <> (lease_until > 0) OR"
     " (status = 1 AND (attempt < 1 OR started = 0 OR claimed = 0))"},
    {"attempts are limited, and never more were given back than handed out",
     "SELECT id FROM predictions WHERE attempt - released > 2 OR attempt < released OR (status IN (2, 3) AND attempt <= released)"},
    {"an output belongs to a success, and only to it",
     "SELECT id FROM predictions WHERE (output IS NOT NULL) <> (status = 2 AND NOT data_removed)"},
    {"a sentence belongs to a failure, and only to it", "SELECT id FROM predictions WHERE (error IS NOT NULL) <> (status = 3)"},
    {"an ended prediction shows no preview", "SELECT id FROM predictions WHERE status >= 2 AND preview IS NOT NULL"},
    {"its start is told exactly once, when it has started",
     "SELECT id FROM predictions p WHERE (SELECT count(*) FROM events WHERE prediction = p.id AND kind = 0) <> (started > 0)::int"},
    {"its end is told exactly once, when it has ended",
     "SELECT id FROM predictions p WHERE (SELECT count(*) FROM events WHERE prediction = p.id AND kind = 4) <> (status >= 2)::int"},
    {"the end told is the end it came to",
     "SELECT p.id FROM predictions p JOIN events e ON e.prediction = p.id AND e.kind = 4 WHERE e.data <>"
     " CASE p.status WHEN 2 THEN 'succeeded' WHEN 3 THEN 'failed' WHEN 4 THEN 'canceled' END"},
    {"nothing is told after the end",
     "SELECT e.prediction FROM events e JOIN events d ON d.prediction = e.prediction AND d.kind = 4 WHERE e.sequence > d.sequence"},
    {"nothing is told before the start",
     "SELECT e.prediction FROM events e JOIN events s ON s.prediction = e.prediction AND s.kind = 0 WHERE e.sequence < s.sequence"},
    {"the logs are what was told of them",
     "SELECT id FROM predictions p WHERE logs <> coalesce((SELECT string_agg(data, '' ORDER BY sequence)"
     " FROM events WHERE prediction = p.id AND kind = 2), '')"},
    {"the outputs are what was told of them",
     "SELECT id FROM predictions p WHERE (SELECT count(*) FROM events WHERE prediction = p.id AND kind = 1) <>"
     " coalesce(json_array_length(output::json), 0)"},
    {"at most one preview is kept", "SELECT prediction FROM events WHERE kind = 3 GROUP BY prediction HAVING count(*) > 1"},
    {"an event belongs to a prediction", "SELECT prediction FROM events WHERE prediction NOT IN (SELECT id FROM predictions)"},
    {"a webhook belongs to a prediction that asked for it", "SELECT w.prediction FROM webhooks w LEFT JOIN predictions p ON p.id = "
                                                            "w.prediction WHERE p.webhook IS NULL OR (p.webhook_events & w.event) = 0"},
    {"start and end are in the outbox once at most",
     "SELECT prediction FROM webhooks WHERE event IN (1, 8) GROUP BY prediction, event HAVING count(*) > 1"},
    {"logs and output wait in the outbox once at most", "SELECT prediction FROM webhooks WHERE event IN (2, 4) AND tries "
                                                        "= 0 GROUP BY prediction, event HAVING count(*) > 1"},
    {"an output's blob is in use",
     "SELECT p.id FROM predictions p, json_array_elements_text(p.output::json) o (blob) WHERE NOT EXISTS (SELECT 1 FROM blob_uses WHERE "
     "blob_uses.blob = o.blob AND holder = p.id)"},
    {"a file's blob is in use",
     "SELECT f.id FROM files f WHERE NOT EXISTS (SELECT 1 FROM blob_uses WHERE blob = f.blob AND holder = f.id)"},
    {"a blob in use is no garbage",
     "SELECT blob FROM blob_garbage g WHERE handed_out = 0 AND EXISTS (SELECT 1 FROM blob_uses WHERE blob = g.blob)"},
    {"no event is beyond the counter", "SELECT prediction FROM events WHERE sequence > (SELECT last FROM event_counter)"},
    {"a blob is used by something that is there", "SELECT holder FROM blob_uses WHERE holder NOT IN (SELECT id FROM predictions WHERE NOT "
                                                  "data_removed) AND holder NOT IN (SELECT id FROM files)"},
};

static bool check(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    (void)user;
    (void)wake;
    for (size_t i = 0; i < sizeof invariants / sizeof invariants[0]; i++) {
        char id[64] = "";
        struct statement statement = statement_begin(store, invariants[i].sql);
        bool broken = statement_row(&statement);
        if (broken) value_array(&statement, 0, id, sizeof id);
        if (!statement_end(&statement, error)) return false;
        if (broken) return error_set(error, ERROR_INTERNAL, "broken: %s (%s)", invariants[i].sentence, id);
    }
    return true;
}

bool postgres_check(struct store *store, struct error *error) { return postgres_read(store, check, NULL, error); }
