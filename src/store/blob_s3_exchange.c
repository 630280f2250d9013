/* One HTTP request to S3 and its answer.
 *
 * libcurl signs (CURLOPT_AWS_SIGV4). Debian 12's takes path, query and headers into the signature as they
 * are, so they are given to it as a signature wants them: queries sorted, escaped and with a '=' after
 * every name; names in lower case; no header that is sent empty or left out; and the body's hash in
 * x-amz-content-sha256, because libcurl would take that of an empty body for an upload. */
#include "base/memory.h"
#include "base/time.h"
#include "store/blob_s3.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TEXT_BYTES_MAX = 8 << 20, /* a page of a list has a thousand names */
    CONNECT_MILLISECONDS = 5000,
    SILENCE_SECONDS = 15, /* that a server may be (nearly) silent */
    SILENCE_SLOW_SECONDS = 120,
    SILENCE_IMPATIENT_SECONDS = 5,
    SLOWEST = 1000,        /* bytes in a second, or it is silent */
    SECONDS_MAX = 900,     /* for the largest */
    BYTES_A_SECOND = 65536 /* for shorter bodies, over a minute */
};

struct exchange {
    CURL *curl;
    const struct s3_request *request;
    struct s3_answer *answer;
    uint64_t sent;
};

/* ---- connections are kept and shared ---- */

static CURL *take_connection(struct s3 *s3) {
    pthread_mutex_lock(&s3->lock);
    CURL *curl = s3->idle_count > 0 ? s3->idle[--s3->idle_count] : NULL;
    pthread_mutex_unlock(&s3->lock);
    return curl ? curl : curl_easy_init();
}

static void leave_connection(struct s3 *s3, CURL *curl) {
    curl_easy_reset(curl);
    pthread_mutex_lock(&s3->lock);
    bool kept = s3->idle_count < S3_IDLE_CONNECTIONS;
    if (kept) s3->idle[s3->idle_count++] = curl;
    pthread_mutex_unlock(&s3->lock);
    if (!kept) curl_easy_cleanup(curl);
}

/* ---- what libcurl asks for ---- */

static size_t on_send(char *data, size_t size, size_t count, void *user) {
    struct exchange *exchange = user;
    const struct s3_body *body = exchange->request->body;
    size_t room = size * count, left = body ? body->length - (size_t)exchange->sent : 0;
    if (room > left) room = left;
    if (room == 0) return 0;
    if (body->data) {
        memcpy(data, (const char *)body->data + exchange->sent, room);
    } else {
        ssize_t got;
        do got = pread(body->descriptor, data, room, (off_t)(body->offset + exchange->sent));
        while (got < 0 && errno == EINTR);
        if (got <= 0) {
            if (got == 0) errno = EIO;
            error_from_errno(&exchange->answer->own, "can't read what is to be stored");
            return CURL_READFUNC_ABORT;
        }
        room = (size_t)got;
    }
    exchange->sent += room;
    return room;
}

static int on_seek(void *user, curl_off_t offset, int origin) {
    struct exchange *exchange = user;
    size_t length = exchange->request->body ? exchange->request->body->length : 0;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > length) return CURL_SEEKFUNC_FAIL;
    exchange->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t on_receive(char *data, size_t size, size_t count, void *user) {
    struct exchange *exchange = user;
    struct s3_answer *answer = exchange->answer;
    size_t length = size * count;
    long status = 0;
    curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
    if (!exchange->request->into_file || status < 200 || status > 299) {
        if (buffer_append(&answer->text, data, length)) return length;
        error_set(&answer->own, ERROR_IO, "S3 answers with a document that is too long");
        return 0;
    }
    if (length > exchange->request->maximum - answer->length) {
        error_set(&answer->own, ERROR_LIMIT, "the blob has more than the %zu bytes allowed", exchange->request->maximum);
        return 0;
    }
    if (!blob_write_all(exchange->request->descriptor, data, length)) {
        error_from_errno(&answer->own, "can't keep a blob while it is read");
        return 0;
    }
    answer->length += length;
    return length;
}

/* The value of header `name` in this line, into text; nothing when it is another's, or odd. */
static void copy_header(const char *line, size_t length, const char *name, char *text, size_t size) {
    size_t at = strlen(name);
    if (length <= at || strncasecmp(line, name, at) != 0 || line[at] != ':') return;
    for (at++; at < length && (line[at] == ' ' || line[at] == '\t'); at++) {
    }
    while (length > at && strchr(" \t\r\n", line[length - 1])) length--;
    text[0] = 0;
    if (length - at >= size) return;
    for (size_t i = at; i < length; i++)
        if (line[i] < ' ' || line[i] > '~' || strchr("<>&", line[i])) return;
    memcpy(text, line + at, length - at);
    text[length - at] = 0;
}

static size_t on_header(char *line, size_t size, size_t count, void *user) {
    struct s3_answer *answer = ((struct exchange *)user)->answer;
    size_t length = size * count;
    char date[64] = "";
    copy_header(line, length, "etag", answer->tag, sizeof answer->tag);
    copy_header(line, length, "x-amz-bucket-region", answer->region, sizeof answer->region);
    copy_header(line, length, "date", date, sizeof date);
    time_t seconds = date[0] ? curl_getdate(date, NULL) : -1;
    if (seconds > 0) answer->date = (int64_t)seconds * 1000000;
    return length;
}

/* Not inherited by the programs that this one starts. */
static curl_socket_t on_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)user, (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- asking ---- */

static bool add_header(struct curl_slist **headers, const char *name, const char *value) {
    char *line = memory_format("%s:%s", name, value);
    struct curl_slist *longer = line ? curl_slist_append(*headers, line) : NULL;
    memory_free(line);
    if (longer) *headers = longer;
    return longer != NULL;
}

static bool set_headers(struct s3 *s3, const struct s3_request *request, const struct s3_sums *sums, struct curl_slist **headers) {
    return add_header(headers, "x-amz-content-sha256", sums->sha256) &&
           (!s3->settings.session || add_header(headers, "x-amz-security-token", s3->settings.session)) &&
           (!request->body || request->body->length == 0 || add_header(headers, "content-md5", sums->md5));
}

static bool set_url(struct s3 *s3, const struct s3_request *request, CURL *curl) {
    const struct s3_settings *settings = &s3->settings;
    char *url = memory_format("%s/%s%s%s%s%s%s", settings->endpoint, settings->bucket, request->name ? "/" : "",
                              request->name ? settings->prefix : "", request->name ? request->name : "", request->query ? "?" : "",
                              request->query ? request->query : "");
    bool ok = url && curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK;
    memory_free(url);
    return ok;
}

static bool set_method(const struct s3_request *request, CURL *curl) {
    if (strcmp(request->method, "GET") == 0) return true;
    if (strcmp(request->method, "HEAD") == 0) return curl_easy_setopt(curl, CURLOPT_NOBODY, 1L) == CURLE_OK;
    bool ok = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
    if (strcmp(request->method, "DELETE") == 0) return ok;
    curl_off_t length = request->body ? (curl_off_t)request->body->length : 0;
    return ok && curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, length) == CURLE_OK;
}

static bool set_limits(const struct s3_request *request, bool impatient, CURL *curl) {
    long silence = impatient ? SILENCE_IMPATIENT_SECONDS : request->slow ? SILENCE_SLOW_SECONDS : SILENCE_SECONDS;
    long seconds =
        request->into_file || request->slow ? SECONDS_MAX : 60 + (request->body ? (long)(request->body->length / BYTES_A_SECOND) : 0);
    return curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MILLISECONDS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)SLOWEST) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, silence) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT, seconds < SECONDS_MAX ? seconds : (long)SECONDS_MAX) == CURLE_OK;
}

static bool set_identity(struct s3 *s3, CURL *curl) {
    const struct s3_settings *settings = &s3->settings;
    return curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, s3->signature) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERNAME, settings->key) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PASSWORD, settings->secret) == CURLE_OK &&
           (!settings->authorities || curl_easy_setopt(curl, CURLOPT_CAINFO, settings->authorities) == CURLE_OK);
}

static bool configure(struct s3 *s3, struct exchange *exchange, bool impatient) {
    CURL *curl = exchange->curl;
    bool ok = set_url(s3, exchange->request, curl) && set_method(exchange->request, curl) && set_identity(s3, curl);
    ok = ok && set_limits(exchange->request, impatient, curl);
    ok = ok && curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_USERAGENT, "inpaintd") == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_FILETIME, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_READDATA, exchange) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_SEEKDATA, exchange) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_receive) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    return ok && curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange) == CURLE_OK;
}

/* ---- what the answer means ---- */

static bool on_error_field(void *user, const char *path, const char *text) {
    struct s3_answer *answer = user;
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.";
    if (!text || strlen(text) >= S3_CODE_SIZE || strspn(text, letters) != strlen(text)) return true;
    if (strcmp(path, "Code") == 0) snprintf(answer->code, sizeof answer->code, "%s", text);
    return true;
}

/* An error's document may come with status 200 too, when the server noticed late. */
static void read_code(struct s3_answer *answer) {
    char root[64];
    struct s3_answer read = {.status = 0};
    if (answer->text.length == 0 || !s3_xml_read(answer->text.data, answer->text.length, root, on_error_field, &read)) return;
    if (strcmp(root, "Error") != 0) return;
    memcpy(answer->code, read.code, sizeof answer->code);
    if (answer->status < 300) answer->status = 500;
}

void s3_exchange(struct s3 *s3, const struct s3_request *request, const struct s3_sums *sums, bool impatient, struct s3_answer *answer) {
    struct exchange exchange = {.request = request, .answer = answer};
    struct curl_slist *headers = NULL;
    curl_off_t modified = -1;
    *answer = (struct s3_answer){.failure = CURLE_OK};
    buffer_init(&answer->text, TEXT_BYTES_MAX);
    exchange.curl = take_connection(s3);
    if (!exchange.curl) {
        error_set(&answer->own, ERROR_MEMORY, "out of memory for a request to S3");
        return;
    }
    if (configure(s3, &exchange, impatient) && set_headers(s3, request, sums, &headers) &&
        curl_easy_setopt(exchange.curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK) {
        answer->failure = curl_easy_perform(exchange.curl);
        curl_easy_getinfo(exchange.curl, CURLINFO_RESPONSE_CODE, &answer->status);
        curl_easy_getinfo(exchange.curl, CURLINFO_FILETIME_T, &modified);
        if (modified > 0 && modified < INT64_MAX / 1000000) answer->modified = modified * 1000000;
        if (answer->failure == CURLE_OK) read_code(answer);
    } else {
        error_set(&answer->own, ERROR_MEMORY, "out of memory for a request to S3");
    }
    leave_connection(s3, exchange.curl);
    curl_slist_free_all(headers);
}

void s3_answer_free(struct s3_answer *answer) { buffer_free(&answer->text); }
