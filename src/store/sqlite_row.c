/* Rows of the table of predictions, as structures. */
#include "store/sqlite.h"

#include <string.h>

/* Columns in the order of PREDICTION_COLUMNS. */
void read_prediction(struct query *query, struct prediction *prediction) {
    memset(prediction, 0, sizeof *prediction);
    column_array(query, 0, prediction->id, sizeof prediction->id);
    column_string(query, 1, &prediction->owner);
    column_string(query, 2, &prediction->model);
    column_string(query, 3, &prediction->version);
    column_json(query, 4, &prediction->input);
    column_string(query, 5, &prediction->logs);
    column_json(query, 6, &prediction->output);
    column_string(query, 7, &prediction->error);
    prediction->status = (enum prediction_status)column_integer(query, 8);
    prediction->data_removed = column_integer(query, 9) != 0;
    prediction->from_web = column_integer(query, 10) != 0;
    prediction->created = column_integer(query, 11);
    prediction->started = column_integer(query, 12);
    prediction->completed = column_integer(query, 13);
    prediction->deadline = column_integer(query, 14);
    prediction->predict_seconds = sqlite3_column_double(query->statement, 15);
    column_string(query, 16, &prediction->webhook);
    prediction->webhook_events = (unsigned)column_integer(query, 17);
    prediction->attempt = (int)column_integer(query, 18);
    column_string(query, 19, &prediction->stream_token);
    column_string(query, 20, &prediction->public_base);
    prediction->data_uri_output = column_integer(query, 21) != 0;
    column_array(query, 22, prediction->trace, sizeof prediction->trace);
}

static bool not_found(struct error *error) { return error_set(error, ERROR_NOT_FOUND, "there is no such prediction"); }

bool get_prediction(struct connection *connection, const char *id, const char *owner, struct prediction *prediction, struct error *error) {
    struct query query =
        query_begin(connection, "SELECT " PREDICTION_COLUMNS " FROM predictions WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)");
    query_text(&query, id);
    query_text(&query, owner);
    memset(prediction, 0, sizeof *prediction);
    bool found = query_row(&query);
    if (found) read_prediction(&query, prediction);
    if (query_end(&query, error)) return found || not_found(error);
    prediction_free(prediction);
    return false;
}

/* Columns in the order of STATE_COLUMNS. */
void read_state(struct query *query, struct state *state) {
    state->number = column_integer(query, 0);
    column_array(query, 1, state->id, sizeof state->id);
    state->status = (enum prediction_status)column_integer(query, 2);
    state->attempt = (int)column_integer(query, 3);
    state->released = (int)column_integer(query, 4);
    column_array(query, 5, state->worker, sizeof state->worker);
    state->created = column_integer(query, 6);
    state->started = column_integer(query, 7);
    state->claimed = column_integer(query, 8);
    state->lease_until = column_integer(query, 9);
    state->deadline = column_integer(query, 10);
    state->webhook_events = (unsigned)column_integer(query, 11);
}

bool get_state(struct sqlite_store *store, const char *id, const char *owner, struct state *state, struct error *error) {
    struct query query =
        query_begin(&store->writer, "SELECT " STATE_COLUMNS " FROM predictions WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)");
    query_text(&query, id);
    query_text(&query, owner);
    bool found = query_row(&query);
    if (found) read_state(&query, state);
    return query_end(&query, error) && (found || not_found(error));
}
