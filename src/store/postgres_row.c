/* Rows of the table of predictions, as structures. */
#include "store/postgres.h"

#include "base/text.h"

#include <string.h>

/* Columns in the order of PREDICTION_COLUMNS. */
void read_row(struct statement *row, struct prediction *prediction) {
    memset(prediction, 0, sizeof *prediction);
    value_array(row, 0, prediction->id, sizeof prediction->id);
    value_string(row, 1, &prediction->owner);
    value_string(row, 2, &prediction->model);
    value_string(row, 3, &prediction->version);
    value_json(row, 4, &prediction->input);
    value_string(row, 5, &prediction->logs);
    value_json(row, 6, &prediction->output);
    value_string(row, 7, &prediction->error);
    prediction->status = (enum prediction_status)value_integer(row, 8);
    prediction->data_removed = value_boolean(row, 9);
    prediction->from_web = value_boolean(row, 10);
    prediction->created = value_integer(row, 11);
    prediction->started = value_integer(row, 12);
    prediction->completed = value_integer(row, 13);
    prediction->deadline = value_integer(row, 14);
    prediction->predict_seconds = value_real(row, 15);
    value_string(row, 16, &prediction->webhook);
    prediction->webhook_events = (unsigned)value_integer(row, 17);
    prediction->attempt = (int)value_integer(row, 18);
    value_string(row, 19, &prediction->stream_token);
    value_string(row, 20, &prediction->public_base);
    prediction->data_uri_output = value_boolean(row, 21);
    value_array(row, 22, prediction->trace, sizeof prediction->trace);
}

static bool not_found(struct error *error) { return error_set(error, ERROR_NOT_FOUND, "there is no such prediction"); }

bool is_text(const char *text) { return utf8_valid(text, strlen(text)); }

bool find_prediction(struct postgres_store *store, const char *id, const char *owner, struct prediction *prediction, struct error *error) {
    memset(prediction, 0, sizeof *prediction);
    if (!is_text(id)) return not_found(error);
    struct statement statement =
        statement_begin(store, "SELECT " PREDICTION_COLUMNS " FROM predictions WHERE id = $1 AND ($2::text IS NULL OR owner = $2)");
    statement_text(&statement, id);
    statement_text(&statement, owner);
    bool found = statement_row(&statement);
    if (found) read_row(&statement, prediction);
    if (statement_end(&statement, error)) return found || not_found(error);
    prediction_free(prediction);
    return false;
}

/* Columns in the order of STANDING_COLUMNS. */
void read_standing(struct statement *row, struct standing *standing) {
    standing->number = value_integer(row, 0);
    value_array(row, 1, standing->id, sizeof standing->id);
    standing->status = (enum prediction_status)value_integer(row, 2);
    standing->attempt = (int)value_integer(row, 3);
    standing->released = (int)value_integer(row, 4);
    value_array(row, 5, standing->worker, sizeof standing->worker);
    standing->created = value_integer(row, 6);
    standing->started = value_integer(row, 7);
    standing->claimed = value_integer(row, 8);
    standing->lease_until = value_integer(row, 9);
    standing->deadline = value_integer(row, 10);
    standing->webhook_events = (unsigned)value_integer(row, 11);
}

bool lock_standing(struct postgres_store *store, const char *id, const char *owner, struct standing *standing, struct error *error) {
    if (!is_text(id)) return not_found(error);
    struct statement statement = statement_begin(store, "SELECT " STANDING_COLUMNS
                                                        " FROM predictions WHERE id = $1 AND ($2::text IS NULL OR owner = $2) FOR UPDATE");
    statement_text(&statement, id);
    statement_text(&statement, owner);
    bool found = statement_row(&statement);
    if (found) read_standing(&statement, standing);
    return statement_end(&statement, error) && (found || not_found(error));
}
