#include "service/prediction_json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "service/request.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

char *blob_url(const char *base, const char *blob, const char *name) {
    const char *dot = strrchr(blob, '.');
    return memory_format("%s/v1/outputs/%s/%s%s", base, blob, name, dot == NULL ? "" : dot);
}

static char *data_uri(struct blobs *blobs, const char *blob) {
    char *data;
    size_t length;
    if (!blob_read(blobs, blob, FILE_BYTES_MAX, &data, &length, NULL)) return NULL;
    const char *type = content_type_of(blob);
    size_t head = strlen(type) + strlen("data:;base64,");
    size_t size = sodium_base64_ENCODED_LEN(length, sodium_base64_VARIANT_ORIGINAL);
    char *text = memory_alloc(head + size);
    if (text != NULL) {
        snprintf(text, head + 1, "data:%s;base64,", type);
        sodium_bin2base64(text + head, size, (const unsigned char *)data, length, sodium_base64_VARIANT_ORIGINAL);
    }
    memory_free(data);
    return text;
}

char *output_url(const char *base, struct blobs *blobs, const char *blob, size_t index) {
    if (blobs != NULL) {
        char *text = data_uri(blobs, blob);
        if (text != NULL) return text;
    }
    char name[32];
    snprintf(name, sizeof name, "out-%zu", index);
    return blob_url(base, blob, name);
}

static bool set_new(json_t *object, const char *key, json_t *value) { return json_object_set_new(object, key, value) == 0; }

static bool set_text(json_t *object, const char *key, const char *text) { return set_new(object, key, json_string_nocheck(text)); }

static bool set_time(json_t *object, const char *key, int64_t wall, int digits) {
    char text[TIME_TEXT_SIZE];
    return wall == 0 || set_text(object, key, time_text(wall, digits, text));
}

/* Only what the client gave: keys that begin with '_' are our notes to the worker. */
static json_t *input_echo(const struct prediction *prediction) {
    json_t *echo = json_object();
    const char *key;
    json_t *value;
    if (echo == NULL || prediction->data_removed || prediction->input == NULL) return echo;
    json_object_foreach(prediction->input, key, value) {
        if (key[0] != '_' && json_object_set(echo, key, value) != 0) {
            json_decref(echo);
            return NULL;
        }
    }
    return echo;
}

static json_t *output_json(const struct prediction *prediction, const struct prediction_view *view) {
    if (prediction->output == NULL || prediction->data_removed || !json_is_array(prediction->output)) return json_null();
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < json_array_size(prediction->output); i++) {
        const char *blob = json_string_value(json_array_get(prediction->output, i));
        char *url = blob == NULL ? NULL : output_url(view->base, view->blobs, blob, i);
        if (url == NULL || json_array_append_new(list, json_string_nocheck(url)) != 0) {
            json_decref(list);
            list = NULL;
        }
        memory_free(url);
    }
    return list;
}

static bool set_url(json_t *urls, const char *key, char *url) {
    bool set = url != NULL && set_text(urls, key, url);
    memory_free(url);
    return set;
}

static json_t *urls_json(const struct prediction *prediction, const struct prediction_view *view) {
    json_t *urls = json_object();
    bool fine = urls != NULL && set_url(urls, "cancel", memory_format("%s/v1/predictions/%s/cancel", view->base, prediction->id)) &&
                set_url(urls, "get", memory_format("%s/v1/predictions/%s", view->base, prediction->id));
    if (fine && !view->hide_stream && prediction->stream_token != NULL)
        fine = set_url(urls, "stream", memory_format("%s/v1/files/stream/%s", view->base, prediction->stream_token));
    fine = fine && set_url(urls, "web", memory_format("%s/p/%s", view->base, prediction->id));
    if (fine) return urls;
    json_decref(urls);
    return NULL;
}

static double seconds_between(int64_t from, int64_t to) { return from == 0 || to < from ? 0 : (double)(to - from) / 1e6; }

static bool set_metrics(json_t *object, const struct prediction *prediction) {
    double predict = prediction->predict_seconds;
    if (predict <= 0) predict = seconds_between(prediction->started, prediction->completed);
    return set_new(
        object, "metrics",
        json_pack("{s:f,s:f}", "predict_time", predict, "total_time", seconds_between(prediction->created, prediction->completed)));
}

static bool set_webhook(json_t *object, const struct prediction *prediction) {
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{WEBHOOK_START, "start"}, {WEBHOOK_OUTPUT, "output"}, {WEBHOOK_LOGS, "logs"}, {WEBHOOK_COMPLETED, "completed"}};
    if (prediction->webhook == NULL) return true;
    if (!set_text(object, "webhook", prediction->webhook)) return false;
    if ((prediction->webhook_events & WEBHOOK_ALL) == WEBHOOK_ALL) return true;
    json_t *filter = json_array();
    for (size_t i = 0; filter != NULL && i < sizeof names / sizeof names[0]; i++)
        if (prediction->webhook_events & names[i].bit) json_array_append_new(filter, json_string(names[i].name));
    return set_new(object, "webhook_events_filter", filter);
}

/* The hosted service's own word, which most of its clients do not know: they would wait for ever. */
static bool was_aborted(const struct prediction *prediction, enum prediction_status status) {
    return status == PREDICTION_CANCELED && prediction->started == 0 && prediction->deadline != 0 &&
           prediction->completed >= prediction->deadline;
}

json_t *prediction_json(const struct prediction *prediction, const struct prediction_view *view) {
    bool before_end = view->event != 0 && view->event != WEBHOOK_COMPLETED;
    bool terminal = prediction_status_terminal(prediction->status) && !before_end && !view->as_starting;
    enum prediction_status status = prediction->status;
    if (view->as_starting)
        status = PREDICTION_STARTING;
    else if (before_end && prediction_status_terminal(status))
        status = PREDICTION_PROCESSING;
    const char *word = view->aborted && was_aborted(prediction, status) ? "aborted" : prediction_status_name(status);
    bool early = view->as_starting || view->event == WEBHOOK_START || view->event == WEBHOOK_LOGS;

    json_t *object = json_object();
    if (object == NULL) return NULL;
    bool fine = set_text(object, "id", prediction->id) && set_text(object, "model", prediction->model) &&
                set_text(object, "version", prediction->version) && set_new(object, "input", input_echo(prediction)) &&
                set_text(object, "logs", prediction->data_removed || prediction->logs == NULL ? "" : prediction->logs) &&
                set_new(object, "output", early ? json_null() : output_json(prediction, view)) &&
                set_new(object, "data_removed", json_boolean(prediction->data_removed)) &&
                set_new(object, "error", terminal && prediction->error != NULL ? json_string(prediction->error) : json_null()) &&
                set_text(object, "source", prediction->from_web ? "web" : "api") && set_text(object, "status", word) &&
                set_time(object, "created_at", prediction->created, 3);
    if (fine && !view->as_starting) fine = set_time(object, "started_at", prediction->started, 6);
    if (fine && terminal) fine = set_time(object, "completed_at", prediction->completed, 6) && set_metrics(object, prediction);
    fine = fine && set_time(object, "deadline", prediction->deadline, 3) && set_webhook(object, prediction) &&
           set_new(object, "urls", urls_json(prediction, view));
    if (fine) return object;
    json_decref(object);
    return NULL;
}
