/* Create, list, get, cancel, preview. */
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "service/create_body.h"
#include "service/cursor.h"
#include "service/input_files.h"
#include "service/json_limits.h"
#include "service/line.h"
#include "service/origin.h"
#include "service/prediction_json.h"
#include "service/preference.h"
#include "service/routes.h"
#include "service/space.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LINE_RETRY_SECONDS = 10 };

static struct prediction_view view_of(const struct request *request, const struct prediction *prediction) {
    bool data = request->service->options->data_uri_output || prediction->data_uri_output;
    return (struct prediction_view){
        .base = request->base, .blobs = data ? request->service->blobs : NULL, .aborted = request->service->options->say_aborted};
}

static bool answer_prediction(struct request *request, unsigned status, const struct prediction *prediction) {
    struct prediction_view view = view_of(request, prediction);
    request_about(request, prediction);
    return answer_json(request, status, prediction_json(prediction, &view));
}

/* ---- create ---- */

static void answer_created(struct request *request, const struct prediction *prediction, bool as_starting) {
    struct prediction_view view = view_of(request, prediction);
    char location[600], remaining[16];
    view.hide_stream = request->hide_stream;
    view.as_starting = as_starting;
    answer_json(request, 201, prediction_json(prediction, &view));
    snprintf(location, sizeof location, "%s/v1/predictions/%s", request->base, prediction->id);
    answer_header(request, "Location", location);
    snprintf(remaining, sizeof remaining, "%d", request->service->options->creates_per_minute > 0 ? request->rate_remaining : 600);
    answer_header(request, "ratelimit-remaining", remaining);
    answer_header(request, "ratelimit-reset", "1");
    struct preference preference;
    preference_parse(request_header(request, "Prefer"), request->service->options->wait_seconds, &preference);
    if (preference.applied[0] != 0) answer_header(request, "Preference-Applied", preference.applied);
}

/* The wait is over, by an end or by its time. */
static bool waited(struct request *request) {
    struct prediction prediction;
    struct error error;
    hub_wait_end(request->service->hub, request);
    if (!store_get(request->reader, request->prediction, NULL, &prediction, &error)) return answer_error(request, &error);
    answer_created(request, &prediction, !prediction_status_terminal(prediction.status));
    prediction_free(&prediction);
    return true;
}

/* The CLI of the hosted service shows a stream of pictures badly and ignores its errors; it polls
 * when no stream is offered. */
static bool stream_unwanted(const struct request *request, const struct create_body *create) {
    const char *agent = request_header(request, "User-Agent");
    return agent != NULL && strncmp(agent, "replicate-cli/", 14) == 0 && !create->stream;
}

static bool random_token(char token[40]) {
    unsigned char bytes[24];
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2base64(token, 40, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return true;
}

static bool read_cancel_after(struct request *request, int64_t *seconds) {
    const char *text = request_header(request, "Cancel-After");
    if (text == NULL) text = request_header(request, "Replicate-Max-Lifetime");
    *seconds = 0;
    if (text == NULL || cancel_after_parse(text, seconds)) return true;
    answer_problem(request, 422, "Invalid Cancel-After header",
                   "Cancel-After must be a duration of at least 5 seconds, such as 30s, 5m, 1h30m45s or 90.");
    return false;
}

static bool from_own_page(const struct request *request) {
    const char *origin = request_header(request, "Origin");
    return origin != NULL && origin_same(origin, request->base, request_header(request, "Host"));
}

static bool answer_unknown_version(struct request *request) {
    return answer_problem(request, 422, "Invalid version or not permitted",
                          "The specified version does not exist (or perhaps you don't have permission to use it?) "
                          "This server runs %s, versions %s and %s%s",
                          request->service->options->model_name, version_ids[0], version_ids[1],
                          request->service->options->model_count ? ", and the models that GET /v1/models lists." : ".");
}

/* May one more of the owner's wait? */
static bool fits_in_line(struct request *request) {
    struct error error;
    char detail[160];
    bool full;
    if (request->service->lines == NULL) return true;
    if (!lines_take(request->service->lines, request->reader, request->owner, time_monotonic(), &full, &error)) {
        answer_error(request, &error);
        return false;
    }
    if (!full) return true;
    snprintf(detail, sizeof detail,
             "The queue is full: %d of your predictions are waiting already. Send this one again when some are done.",
             request->service->options->queue_limit);
    answer_throttled(request, LINE_RETRY_SECONDS, false, detail);
    return false;
}

/* Insert, and answer at once or when the wait is over. `known` is the prediction's input. */
static bool store_and_answer(struct request *request, const struct create_body *create, const struct version_choice *choice,
                             json_t *known) {
    struct service *service = request->service;
    struct preference preference;
    struct error error;
    int64_t lifetime;
    char token[40];
    if (!read_cancel_after(request, &lifetime)) return true;
    preference_parse(request_header(request, "Prefer"), service->options->wait_seconds, &preference);
    struct prediction prediction = {.owner = request->owner,
                                    .model = (char *)(uintptr_t)choice->model,
                                    .version = (char *)(uintptr_t)choice->version,
                                    .input = known,
                                    .status = PREDICTION_STARTING,
                                    .from_web = from_own_page(request),
                                    .webhook = (char *)(uintptr_t)create->webhook,
                                    .webhook_events = create->webhook_events,
                                    .stream_token = token,
                                    .public_base = request->base,
                                    .logs = (char *)(uintptr_t) "",
                                    .created = time_wall(),
                                    .data_uri_output = preference.data_uri_output};
    prediction.created -= prediction.created % 1000; /* what is told is what is compared */
    /* Our clock may be minutes off the one that the deadline is kept by. */
    if (lifetime > 0 && !store_clock(service->writer, &prediction.deadline, &error)) return answer_error(request, &error);
    if (lifetime > 0) prediction.deadline += lifetime * 1000000 - prediction.deadline % 1000;
    if (!random_token(token) || !prediction_id_create(prediction.id, &error) ||
        !trace_continue(request_header(request, "traceparent"), prediction.trace, &error))
        return answer_error(request, &error);
    request_about(request, &prediction);
    request->hide_stream = stream_unwanted(request, create);
    if (preference.wait) {
        hub_wait_begin(service->hub, request, prediction.id, request->begun + preference_microseconds(&preference));
        request->step = waited;
    }
    if (!store_create(service->writer, &prediction, &error)) {
        if (preference.wait) hub_wait_end(service->hub, request);
        return answer_error(request, &error);
    }
    if (preference.wait) return !hub_wait_park(service->hub, request) && waited(request);
    answer_created(request, &prediction, false);
    return true;
}

/* model: the one in the path; NULL: there is none. */
static bool check_and_store(struct request *request, const struct create_body *create, const char *model) {
    struct input_problem problems[INPUT_PROBLEMS_MAX];
    struct error error;
    json_t *known = NULL;
    const char *key = NULL;
    struct version_choice choice;
    const struct service_options *options = request->service->options;
    bool exists = create->version == NULL && model != NULL ? version_newest(options, model, &choice)
                                                           : version_choose(options, create->version, &choice);
    if (!exists || (model != NULL && strcmp(model, choice.model) != 0)) return answer_unknown_version(request);
    int count = input_validate(create->input, &known, problems);
    bool answered = true;
    if (count < 0) {
        error_set(&error, ERROR_MEMORY, "out of memory");
        answer_error(request, &error);
    } else if (count > 0) {
        answer_problem_json(request, 422, problems_json(problems, count));
    } else if (!space_allows(request) || !fits_in_line(request)) {
        answered = true;
    } else if (!input_files_hold(request, known, &key, &error)) {
        if (error.code == ERROR_ARGUMENT) {
            struct input_problem problem = {.type = "format", .description = "Does not match format 'uri'"};
            snprintf(problem.field, sizeof problem.field, "input.%s", key);
            answer_problem_json(request, 422, problems_json(&problem, 1));
        } else {
            answer_error(request, &error);
        }
    } else {
        answered = store_and_answer(request, create, &choice, known);
    }
    json_decref(known);
    return answered;
}

static bool create(struct request *request, bool version_required, const char *model) {
    char trouble[256];
    struct create_body create;
    struct input_problem problems[INPUT_PROBLEMS_MAX];
    json_t *body = json_parse_body(request->body.data, request->body.length, trouble);
    if (body == NULL && trouble[0] == 0) return answer_problem(request, 507, NULL, "There is no memory for the body of this request.");
    if (body == NULL) return answer_problem(request, 400, "Malformed request body", "%s", trouble);
    int count = create_body_read(body, version_required, request->service->options->private_webhooks, &create, problems);
    bool answered = true;
    if (count > 0)
        answer_problem_json(request, 422, problems_json(problems, count));
    else
        answered = check_and_store(request, &create, model);
    json_decref(body);
    return answered;
}

bool route_prediction_create(struct request *request) { return create(request, true, NULL); }

bool route_model_create(struct request *request) {
    char name[256];
    snprintf(name, sizeof name, "%s/%s", request->parameters[0], request->parameters[1]);
    struct version_choice choice;
    if (!version_newest(request->service->options, name, &choice)) return answer_not_found(request);
    return create(request, false, name);
}

bool route_deployment_create(struct request *request) { return create(request, false, NULL); }

/* ---- get, cancel, preview ---- */

static bool find(struct request *request, struct prediction *prediction) {
    struct error error;
    if (store_get(request->reader, request->parameters[0], request_owner(request), prediction, &error)) return true;
    answer_error(request, &error);
    return false;
}

bool route_prediction_get(struct request *request) {
    struct prediction prediction;
    if (!find(request, &prediction)) return true;
    answer_prediction(request, 200, &prediction);
    prediction_free(&prediction);
    return true;
}

bool route_prediction_cancel(struct request *request) {
    struct prediction prediction;
    struct error error;
    if (!store_cancel(request->service->writer, request->parameters[0], request_owner(request), &prediction, &error))
        return answer_error(request, &error);
    answer_prediction(request, 200, &prediction);
    prediction_free(&prediction);
    return true;
}

bool route_prediction_preview(struct request *request) {
    struct prediction prediction;
    struct event *events;
    size_t count;
    struct error error;
    char blob[101] = "";
    if (!find(request, &prediction)) return true;
    request_about(request, &prediction);
    prediction_free(&prediction);
    if (!store_events(request->reader, request->prediction, 0, SIZE_MAX, &events, &count, &error)) return answer_error(request, &error);
    for (size_t i = 0; i < count; i++)
        if (events[i].kind == EVENT_PREVIEW && events[i].data != NULL) snprintf(blob, sizeof blob, "%s", events[i].data);
    events_free(events, count);
    if (blob[0] == 0) return answer_problem(request, 404, NULL, "This prediction has no preview picture (yet, or any more).");
    return answer_blob(request, blob, content_type_of(blob), "no-store");
}

/* ---- list ---- */

/* A time before 1970 is as good a bound as 1970: nothing was created then. */
static bool parse_bound(char *text, int64_t *wall) {
    if (text[0] >= '0' && text[0] <= '1' && strspn(text, "0123456789") == 4 && strncmp(text, "1970", 4) < 0) {
        memcpy(text, "1972", 4);
        if (!time_parse(text, wall)) return false;
        *wall = 1;
        return true;
    }
    return time_parse(text, wall);
}

static bool read_time(struct request *request, const char *name, int64_t *wall) {
    char *text = request_query(request, name);
    bool fine = text == NULL || parse_bound(text, wall);
    memory_free(text);
    if (!fine)
        answer_problem(request, 422, "Invalid query parameter", "%s must be a date and time in ISO 8601, such as 2026-01-31T12:00:00Z.",
                       name);
    return fine;
}

static bool read_source(struct request *request, struct store_list *list) {
    char *text = request_query(request, "source");
    bool fine = text == NULL || text[0] == 0 || strcmp(text, "web") == 0;
    if (text != NULL && strcmp(text, "web") == 0) {
        int64_t oldest = time_wall() - (int64_t)14 * 24 * 3600 * 1000000;
        list->web_only = true;
        if (list->after < oldest) list->after = oldest;
    }
    memory_free(text);
    if (!fine) answer_problem(request, 422, "Invalid query parameter", "source can only be web.");
    return fine;
}

static bool read_cursor(struct request *request, struct cursor *cursor) {
    char *text = request_query(request, "cursor");
    bool fine = text == NULL || text[0] == 0 || cursor_parse(text, cursor);
    memory_free(text);
    if (!fine) answer_problem(request, 404, NULL, "Invalid cursor");
    return fine;
}

/* The query without its cursor, to be repeated in links. */
static void append_filters(struct buffer *url, const char *query) {
    while (*query != 0) {
        size_t length = strcspn(query, "&");
        if (strncmp(query, "created_after=", 14) == 0 || strncmp(query, "created_before=", 15) == 0 || strncmp(query, "source=", 7) == 0) {
            buffer_text(url, "&");
            buffer_append(url, query, length);
        }
        query += length + (query[length] == '&');
    }
}

static json_t *page_link(const struct request *request, const struct prediction *edge, bool ascending) {
    struct cursor cursor = {.created = edge->created, .ascending = ascending};
    char text[CURSOR_TEXT_SIZE];
    struct buffer url;
    snprintf(cursor.id, sizeof cursor.id, "%s", edge->id);
    if (!cursor_format(&cursor, text)) return json_null();
    buffer_init(&url, 8192);
    buffer_format(&url, "%s/v1/predictions?cursor=%s", request->base, text);
    append_filters(&url, request->query);
    json_t *link = url.failed ? json_null() : json_string(url.data);
    buffer_free(&url);
    return link == NULL ? json_null() : link;
}

/* Add predictions until the page is large enough. Returns how many were added. */
static size_t fill_page(const struct request *request, const struct prediction *predictions, size_t count, json_t *results) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        struct prediction_view view = view_of(request, &predictions[i]);
        json_t *item = prediction_json(&predictions[i], &view);
        size_t length = item == NULL ? 0 : json_dumpb(item, NULL, 0, JSON_COMPACT);
        if (i > 0 && bytes + length > PAGE_BYTES) {
            json_decref(item);
            return i;
        }
        bytes += length;
        json_array_append_new(results, item);
    }
    return count;
}

bool route_prediction_list(struct request *request) {
    struct store_list list = {.owner = request_owner(request), .limit = PAGE_SIZE};
    struct cursor cursor = {0};
    struct prediction *predictions;
    struct error error;
    size_t count;
    bool more;
    if (!read_time(request, "created_after", &list.after) || !read_time(request, "created_before", &list.before) ||
        !read_source(request, &list) || !read_cursor(request, &cursor))
        return true;
    list.ascending = cursor.ascending;
    list.cursor_created = cursor.created;
    list.cursor_id = cursor.id;
    if (!store_list(request->reader, &list, &predictions, &count, &more, &error)) return answer_error(request, &error);

    json_t *results = json_array();
    size_t filled = fill_page(request, predictions, count, results);
    bool older = filled < count || (cursor.ascending ? cursor.created != 0 : more);
    bool newer = cursor.ascending ? more : cursor.created != 0;
    json_t *next = filled > 0 && older ? page_link(request, &predictions[filled - 1], false) : json_null();
    json_t *previous = filled > 0 && newer ? page_link(request, &predictions[0], true) : json_null();
    predictions_free(predictions, count);
    return answer_json(request, 200, json_pack("{s:o,s:o,s:o}", "next", next, "previous", previous, "results", results));
}
