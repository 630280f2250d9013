/* Creating predictions. */
#include "store/postgres.h"

#include "predict/input.h"

#include <stdio.h>
#include <string.h>

static bool use_input(struct postgres_store *store, const struct prediction *prediction, const char *key, struct error *error) {
    const char *text = json_string_value(json_object_get(prediction->input, key));
    return !text || strncmp(text, "blob:", 5) != 0 || hold_blob(store, text + 5, prediction->id, error);
}

/* A file that we hold is "blob:NAME", under the field's name or the name with '_' before it. */
static bool use_inputs(struct postgres_store *store, const struct prediction *prediction, struct error *error) {
    for (size_t i = 0; i < input_fields_count; i++) {
        char held[64];
        if (input_fields[i].type != INPUT_FILE) continue;
        snprintf(held, sizeof held, "_%s", input_fields[i].name);
        if (!use_input(store, prediction, input_fields[i].name, error) || !use_input(store, prediction, held, error)) return false;
    }
    return true;
}

static bool insert(struct postgres_store *store, const struct prediction *prediction, struct error *error) {
    size_t inserted;
    struct statement statement =
        statement_begin(store, "INSERT INTO predictions (id, owner, model, version, input, from_web, created, deadline, webhook,"
                               " webhook_events, stream_token, public_base, data_uri_output, trace)"
                               " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING");
    statement_text(&statement, prediction->id);
    statement_text(&statement, prediction->owner ? prediction->owner : "");
    statement_text(&statement, prediction->model);
    statement_text(&statement, prediction->version);
    statement_json(&statement, prediction->input);
    statement_boolean(&statement, prediction->from_web);
    statement_integer(&statement, prediction->created);
    statement_integer(&statement, prediction->deadline);
    statement_text(&statement, prediction->webhook);
    statement_integer(&statement, prediction->webhook_events);
    statement_text(&statement, prediction->stream_token);
    statement_text(&statement, prediction->public_base);
    statement_boolean(&statement, prediction->data_uri_output);
    statement_text(&statement, prediction->trace[0] ? prediction->trace : NULL);
    if (!statement_run(&statement, &inserted, error)) return false;
    return inserted == 1 || error_set(error, ERROR_CONFLICT, "there is a prediction %s already", prediction->id);
}

struct creation {
    const struct prediction *prediction;
    bool there;
};

static bool create(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    const struct creation *creation = user;
    *wake = true;
    return insert(store, creation->prediction, error) && use_inputs(store, creation->prediction, error);
}

static bool look(struct postgres_store *store, void *user, bool *wake, struct error *error) {
    struct creation *creation = user;
    (void)wake;
    struct statement statement = statement_begin(store, "SELECT 1 FROM predictions WHERE id = $1");
    statement_text(&statement, creation->prediction->id);
    creation->there = statement_row(&statement);
    return statement_end(&statement, error) && creation->there && postgres_notify(store, error);
}

/* When the connection was lost while it was committed, the prediction may be there: nobody else knows
 * its id, which is new. */
bool postgres_create(struct store *store, const struct prediction *prediction, struct error *error) {
    struct creation creation = {.prediction = prediction};
    struct error problem = {.code = ERROR_NONE};
    if (strlen(prediction->id) != PREDICTION_ID_LENGTH || !prediction->model || !prediction->version || !json_is_object(prediction->input))
        return error_set(error, ERROR_INTERNAL, "a prediction was to be stored that isn't filled in");
    if (postgres_write(store, create, &creation, &problem)) return true;
    if (problem.code == ERROR_IO) postgres_read(store, look, &creation, NULL);
    return creation.there || error_set(error, problem.code, "%s", problem.message);
}
