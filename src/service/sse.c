#include "service/sse.h"
#include "base/json.h"
#include "base/memory.h"
#include "service/prediction_json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int64_t sse_last_event_id(const char *text) {
    if (text == NULL) return -1;
    size_t seconds = strspn(text, "0123456789");
    if (seconds == 0 || seconds > 18 || text[seconds] != ':') return -1;
    text += seconds + 1;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits] != 0) return -1;
    int64_t number = 0;
    for (size_t i = 0; i < digits; i++) number = number * 10 + (text[i] - '0');
    return number;
}

void sse_write(struct buffer *out, const char *name, int64_t created, int64_t number, const char *data) {
    buffer_format(out, "event: %s\nid: %" PRId64 ":%" PRId64 "\n", name, created / 1000000, number);
    for (;;) {
        size_t length = strcspn(data, "\r\n");
        buffer_text(out, "data: ");
        buffer_append(out, data, length);
        buffer_text(out, "\n");
        data += length;
        data += data[0] == '\r' && data[1] == '\n' ? 2 : data[0] != 0;
        if (*data == 0) break; /* the newline that ends the text is not a line more */
    }
    buffer_text(out, "\n");
}

static void write_output(struct buffer *out, const struct sse_view *view, const struct event *event, size_t index) {
    char *url = output_url(view->base, view->data_uri ? view->blobs : NULL, event->data, index);
    if (url == NULL) {
        out->failed = true;
        return;
    }
    sse_write(out, "output", event->created, event->sequence * 2, url);
    memory_free(url);
}

static void write_done(struct buffer *out, const struct sse_view *view, const struct event *event, const char *failure) {
    int64_t number = event->sequence * 2;
    enum prediction_status status;
    const char *reason = "{}";
    if (prediction_status_parse(event->data, &status) && status == PREDICTION_CANCELED) reason = "{\"reason\":\"canceled\"}";
    if (prediction_status_parse(event->data, &status) && status == PREDICTION_FAILED) {
        reason = "{\"reason\":\"error\"}";
        if (number > view->after) {
            json_t *detail = json_pack("{s:s}", "detail", failure == NULL ? "Prediction failed." : failure);
            char *text = detail == NULL ? NULL : json_text(detail, JSON_COMPACT);
            sse_write(out, "error", event->created, number, text == NULL ? "{}" : text);
            memory_free(text);
            json_decref(detail);
        }
    }
    if (number + 1 > view->after) sse_write(out, "done", event->created, number + 1, reason);
}

bool sse_event(struct buffer *out, const struct sse_view *view, const struct event *event, const char *failure, size_t *outputs) {
    bool fresh = event->sequence * 2 > view->after;
    switch (event->kind) {
    case EVENT_OUTPUT:
        if (fresh) write_output(out, view, event, *outputs);
        ++*outputs;
        break;
    case EVENT_LOGS:
        if (fresh && view->logs && event->data != NULL && event->data[0] != 0)
            sse_write(out, "logs", event->created, event->sequence * 2, event->data);
        break;
    case EVENT_PREVIEW:
        if (fresh && view->previews && event->data != NULL) {
            char *url = blob_url(view->base, event->data, "preview");
            if (url != NULL) sse_write(out, "preview", event->created, event->sequence * 2, url);
            memory_free(url);
        }
        break;
    case EVENT_DONE:
        write_done(out, view, event, failure);
        return true;
    case EVENT_START:
        break;
    }
    return false;
}
