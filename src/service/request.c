#include "service/request.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "service/routes.h"
#include "service/upload.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

struct request *request_create(struct service *service, struct MHD_Connection *connection, const char *target) {
    struct request *request = memory_zero(sizeof *request);
    if (request == NULL) return NULL;
    request->service = service;
    request_step_begins(request);
    atomic_fetch_add(&service->requests, 1);
    request->connection = connection;
    request->begun = time_monotonic();
    request->query = request->path = request->raw_path = "";
    request->target = memory_string(target);
    if (request->target == NULL) {
        request_free(request);
        return NULL;
    }
    buffer_init(&request->body, service->options->body_bytes);
    return request;
}

void request_free(struct request *request) {
    if (request == NULL) return;
    if (request->response != NULL) MHD_destroy_response(request->response);
    upload_free(request->upload);
    atomic_fetch_sub(&request->service->requests, 1);
    atomic_fetch_sub(&request->service->body_bytes, request->body_charged);
    buffer_free(&request->body);
    memory_free(request->target);
    memory_free(request->text);
    memory_free(request);
}

void request_about(struct request *request, const struct prediction *prediction) {
    memcpy(request->prediction, prediction->id, sizeof request->prediction);
    trace_id(prediction->trace, request->trace);
    log_about(request->prediction, request->trace);
}

const char *request_owner(const struct request *request) { return request->has_owner ? request->owner : NULL; }

const char *request_header(const struct request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

bool request_is(const struct request *request, const char *method) { return strcmp(request->method, method) == 0; }

/* One application/x-www-form-urlencoded value. */
static char *decode_query(const char *text, size_t length) {
    char *out = memory_alloc(length + 1);
    size_t used = 0;
    if (out == NULL) return NULL;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '%' && i + 2 < length + 0 && isxdigit((unsigned char)text[i + 1]) && isxdigit((unsigned char)text[i + 2])) {
            char digits[3] = {text[i + 1], text[i + 2], 0};
            out[used++] = (char)strtol(digits, NULL, 16);
            i += 2;
        } else {
            out[used++] = text[i] == '+' ? ' ' : text[i];
        }
    }
    out[used] = 0;
    return out;
}

char *request_query(const struct request *request, const char *name) {
    size_t wanted = strlen(name);
    for (const char *rest = request->query; *rest != 0;) {
        size_t length = strcspn(rest, "&");
        if (length > wanted && strncmp(rest, name, wanted) == 0 && rest[wanted] == '=')
            return decode_query(rest + wanted + 1, length - wanted - 1);
        if (length == wanted && strncmp(rest, name, wanted) == 0) return memory_string("");
        rest += length + (rest[length] == '&');
    }
    return NULL;
}

void request_step_begins(struct request *request) {
    request->thread = pthread_self();
    request->failures = memory_failures();
}

/* ---- answers ---- */

bool answer_response(struct request *request, unsigned status, struct MHD_Response *response) {
    if (request->response != NULL) MHD_destroy_response(request->response);
    request->response = response;
    request->status = status;
    return true;
}

void answer_header(struct request *request, const char *name, const char *value) {
    if (request->response != NULL) MHD_add_response_header(request->response, name, value);
}

static bool answer_heap(struct request *request, unsigned status, const char *type, char *text) {
    if (text == NULL) return answer_response(request, 500, NULL);
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(strlen(text), text, memory_free);
    if (response == NULL) memory_free(text);
    answer_response(request, status, response);
    answer_header(request, "Content-Type", type);
    answer_header(request, "Cache-Control", "no-store");
    return true;
}

static bool answer_dumped(struct request *request, unsigned status, const char *type, json_t *body) {
    char *text = body == NULL ? NULL : json_text(body, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(body);
    return answer_heap(request, status, type, text);
}

/* Whatever is said of a request that there was not enough memory for may be wrong: what could not be read looks as if it
 * were not there, or not valid, and a document may lack what nobody missed while it was made. */
static bool short_of_memory(struct request *request, json_t *body) {
    if (!pthread_equal(request->thread, pthread_self()) || memory_failures() == request->failures) return false;
    json_decref(body);
    request->failures = memory_failures();
    answer_problem(request, 507, NULL, "There is not enough memory for this request now; look later what became of it.");
    return true;
}

bool answer_json(struct request *request, unsigned status, json_t *body) {
    if (short_of_memory(request, body)) return true;
    return answer_dumped(request, status, "application/json; charset=utf-8", body);
}

bool answer_problem_json(struct request *request, unsigned status, json_t *body) {
    if (status < 500 && short_of_memory(request, body)) return true;
    return answer_dumped(request, status, "application/problem+json", body);
}

bool answer_text(struct request *request, unsigned status, const char *type, const char *text) {
    return answer_heap(request, status, type, memory_string(text));
}

bool answer_empty(struct request *request, unsigned status) {
    answer_response(request, status, MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT));
    answer_header(request, "Cache-Control", "no-store");
    return true;
}

bool answer_problem(struct request *request, unsigned status, const char *title, const char *detail, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, detail);
    int length = vsnprintf(text, sizeof text, detail, arguments);
    va_end(arguments);
    if (length < 0) text[0] = 0;
    json_t *body = json_object();
    if (title != NULL) json_object_set_new(body, "title", json_string(title));
    json_t *sentence = json_string(text); /* NULL when it quotes bytes that are no text */
    json_object_set_new(body, "detail", sentence != NULL ? sentence : json_string("The request has bytes that are not UTF-8."));
    json_object_set_new(body, "status", json_integer(status));
    return answer_problem_json(request, status, body);
}

bool answer_not_found(struct request *request) { return answer_problem(request, 404, NULL, "The requested resource could not be found."); }

bool answer_throttled(struct request *request, int seconds, bool again, const char *detail) {
    char text[16];
    answer_problem_json(request, 429, json_pack("{s:s,s:i,s:i}", "detail", detail, "status", 429, "retry_after", seconds));
    snprintf(text, sizeof text, "%d", seconds);
    answer_header(request, "Retry-After", text);
    answer_header(request, "x-should-retry", again ? "true" : "false");
    return true;
}

bool answer_error(struct request *request, const struct error *error) {
    switch (error->code) {
    case ERROR_NOT_FOUND:
        return answer_not_found(request);
    case ERROR_FULL:
        log_error("%s", error->message);
        return answer_problem(request, 507, "Insufficient storage", "The server's disk is full.");
    case ERROR_IO: /* whether a change was made may not be known: no client may send it again by itself */
        log_error("%s %s: %s", request->method, request->route == NULL ? "?" : request->route->pattern, error->message);
        answer_problem(request, 503, "Store not available",
                       "The server can't reach its store now; look later what became of this request.");
        answer_header(request, "Retry-After", "5");
        answer_header(request, "x-should-retry", request_is(request, "GET") ? "true" : "false");
        return true;
    default:
        log_error("%s %s: %s", request->method, request->route == NULL ? "?" : request->route->pattern, error->message);
        return answer_problem(request, 500, "Internal server error",
                              "The server could not do this because of an error of its own; its log says more.");
    }
}

const char *content_type_of(const char *name) {
    static const struct {
        const char *ending, *type;
    } types[] = {{".png", "image/png"},
                 {".jpg", "image/jpeg"},
                 {".jpeg", "image/jpeg"},
                 {".webp", "image/webp"},
                 {".html", "text/html; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".js", "text/javascript; charset=utf-8"},
                 {".mjs", "text/javascript; charset=utf-8"},
                 {".svg", "image/svg+xml"},
                 {".ico", "image/x-icon"},
                 {".json", "application/json; charset=utf-8"},
                 {".webmanifest", "application/manifest+json"},
                 {".txt", "text/plain; charset=utf-8"},
                 {".woff2", "font/woff2"}};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof types / sizeof types[0]; i++)
        if (strcasecmp(dot, types[i].ending) == 0) return types[i].type;
    return "application/octet-stream";
}

/* ---- blobs ---- */

enum range { RANGE_NONE, RANGE_PART, RANGE_BAD };

/* One range of bytes; anything else (several, other units) means the whole. */
static enum range parse_range(const char *text, uint64_t size, uint64_t *first, uint64_t *last) {
    if (text == NULL || strncasecmp(text, "bytes=", 6) != 0 || strchr(text, ',') != NULL) return RANGE_NONE;
    text += 6;
    text += strspn(text, " ");
    size_t from_digits = strspn(text, "0123456789");
    const char *after = text + from_digits;
    if (*after != '-') return RANGE_NONE;
    size_t to_digits = strspn(after + 1, "0123456789");
    size_t rest = to_digits + 1 + strspn(after + 1 + to_digits, " ");
    if (after[rest] != 0 || from_digits > 18 || to_digits > 18 || from_digits + to_digits == 0) return RANGE_NONE;
    uint64_t from = strtoull(text, NULL, 10), to = strtoull(after + 1, NULL, 10);
    if (from_digits == 0) { /* the last `to` bytes */
        if (to == 0 || size == 0) return RANGE_BAD;
        *first = to >= size ? 0 : size - to;
        *last = size - 1;
        return RANGE_PART;
    }
    if (to_digits > 0 && to < from) return RANGE_NONE;
    if (from >= size) return RANGE_BAD;
    *first = from;
    *last = to_digits == 0 || to >= size ? size - 1 : to;
    return RANGE_PART;
}

static void http_date(int64_t wall, char text[64]) {
    time_t seconds = (time_t)(wall / 1000000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(text, 64, "%a, %d %b %Y %H:%M:%S GMT", &parts);
}

/* Does If-None-Match (or If-Range) name this tag? Our tags are strong and have no comma. */
static bool tag_listed(const char *list, const char *tag) { return list != NULL && (strcmp(list, "*") == 0 || strstr(list, tag) != NULL); }

bool answer_blob(struct request *request, const char *blob, const char *type, const char *cache) {
    int descriptor;
    size_t size;
    int64_t modified;
    struct error error = {.code = ERROR_NONE};
    char tag[112], date[64], range_text[80];
    if (!blob_open(request->service->blobs, blob, &descriptor, &size, &modified, &error))
        return error.code == ERROR_NOT_FOUND ? answer_problem(request, 404, NULL, "File not found") : answer_error(request, &error);
    snprintf(tag, sizeof tag, "\"%s\"", blob);
    http_date(modified, date);
    const char *if_range = request_header(request, "If-Range");
    const char *range =
        if_range == NULL || strcmp(if_range, tag) == 0 || strcmp(if_range, date) == 0 ? request_header(request, "Range") : NULL;
    uint64_t first = 0, last = size == 0 ? 0 : size - 1;
    unsigned status = 200;
    enum range kind = parse_range(range, size, &first, &last);
    if (tag_listed(request_header(request, "If-None-Match"), tag)) {
        close(descriptor);
        answer_empty(request, 304);
        MHD_del_response_header(request->response, "Cache-Control", "no-store");
    } else if (kind == RANGE_BAD) {
        close(descriptor);
        answer_problem(request, 416, NULL, "The range lies outside of the file's %zu bytes.", size);
        snprintf(range_text, sizeof range_text, "bytes */%zu", size);
        answer_header(request, "Content-Range", range_text);
        return true;
    } else {
        struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(size == 0 ? 0 : last - first + 1, descriptor, first);
        if (response == NULL) close(descriptor);
        if (kind == RANGE_PART) status = 206;
        answer_response(request, status, response);
        answer_header(request, "Content-Type", type);
        answer_header(request, "Accept-Ranges", "bytes");
        snprintf(range_text, sizeof range_text, "bytes %llu-%llu/%zu", (unsigned long long)first, (unsigned long long)last, size);
        if (status == 206) answer_header(request, "Content-Range", range_text);
    }
    answer_header(request, "ETag", tag);
    answer_header(request, "Last-Modified", date);
    answer_header(request, "Cache-Control", cache);
    answer_header(request, "Content-Security-Policy", "default-src 'none'; sandbox");
    return true;
}
