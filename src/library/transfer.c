#include "library/transfer.h"

#include "base/memory.h"
#include "base/time.h"
#include "library/checksum.h"
#include "library/part.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 16,
    FAILURES_MAX = 8,     /* in a row, with next to nothing received between them: half a minute */
    PAUSE_FIRST = 250000, /* microseconds; doubled with each failure */
    PAUSE_SHORT = 20000,  /* after a connection that brought something */
    PAUSE_LONGEST = 60,   /* seconds that a server may ask for */
    SAVE_EVERY = 1000000, /* microseconds */
    SHOW_EVERY = 100000,
    POLL_MILLISECONDS = 100
};

/* Why a connection was ended by us, or what came of it. */
enum outcome { OUTCOME_GOING, OUTCOME_NO_RANGES, OUTCOME_OTHER_CONTENT, OUTCOME_TOO_LONG, OUTCOME_DISK };

struct connection {
    struct transfer *transfer;
    CURL *curl; /* NULL: idle */
    struct curl_slist *headers;
    struct part *part;
    struct span *span;
    uint64_t received;
    bool judged; /* the answer's head was looked at */
    enum outcome outcome;
    char etag[ETAG_SIZE], range[80]; /* of the answer's head */
};

struct transfer {
    const struct transfer_options *options;
    struct part *parts;
    size_t count;
    CURLM *multi;
    struct connection connections[CONNECTIONS_MAX];
    uint64_t total, checked;
    int64_t saved, shown;
    struct error *error;
    bool failed;
};

static bool fail(struct transfer *transfer) {
    transfer->failed = true;
    return false;
}

static bool stopped(const struct transfer *transfer) { return transfer->options->hub->stop && *transfer->options->hub->stop; }

/* ==== Telling ==== */

static void tell(struct transfer *transfer, bool checking, const char *note) {
    int64_t now = time_monotonic();
    if (!transfer->options->progress || (!note && now - transfer->shown < SHOW_EVERY)) return;
    transfer->shown = now;
    struct transfer_progress progress = {.checking = checking, .total = transfer->total, .done = transfer->checked, .note = note};
    for (size_t i = 0; !checking && i < transfer->count; i++) progress.done += part_done(&transfer->parts[i]);
    transfer->options->progress(transfer->options->user, &progress);
}

/* ==== One connection ==== */

static void copy_value(const char *line, size_t length, char *to, size_t size) {
    while (length > 0 && (*line == ' ' || *line == '\t')) line++, length--;
    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == '\n')) length--;
    if (length >= size) length = 0; /* too long to be one that we could use */
    memcpy(to, line, length);
    to[length] = 0;
}

/* Only the last answer of a chain of redirects counts. */
static size_t on_header(char *line, size_t size, size_t count, void *user) {
    struct connection *connection = user;
    size_t length = size * count;
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) connection->etag[0] = connection->range[0] = 0;
    if (length > 5 && strncasecmp(line, "etag:", 5) == 0) copy_value(line + 5, length - 5, connection->etag, sizeof connection->etag);
    if (length > 14 && strncasecmp(line, "content-range:", 14) == 0)
        copy_value(line + 14, length - 14, connection->range, sizeof connection->range);
    return length;
}

/* Is this the range that was asked for, of a file as long as it should be? */
static bool is_our_range(const struct connection *connection) {
    uint64_t first, last, size;
    if (sscanf(connection->range, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &first, &last, &size) != 3) return false;
    return first == connection->span->first + connection->span->done && last == connection->span->end - 1 &&
           size == connection->part->to->file->size;
}

static enum outcome judge(struct connection *connection) {
    struct part *part = connection->part;
    long status = 0;
    curl_easy_getinfo(connection->curl, CURLINFO_RESPONSE_CODE, &status);
    if (part->single || (status == 200 && part->count == 1 && connection->span->done == 0)) return OUTCOME_GOING;
    if (status == 206 && is_our_range(connection)) {
        if (!part->etag[0]) memcpy(part->etag, connection->etag, sizeof part->etag);
        return OUTCOME_GOING;
    }
    /* The whole file in answer to a range: it changed since (If-Range), or this server knows no ranges. */
    return part->etag[0] && strcmp(part->etag, connection->etag) != 0 ? OUTCOME_OTHER_CONTENT : OUTCOME_NO_RANGES;
}

static size_t on_data(char *data, size_t size, size_t count, void *user) {
    struct connection *connection = user;
    struct span *span = connection->span;
    size_t length = size * count;
    if (!connection->judged) connection->outcome = judge(connection);
    connection->judged = true;
    if (connection->outcome != OUTCOME_GOING) return 0;
    if (length > span->end - span->first - span->done) {
        connection->outcome = OUTCOME_TOO_LONG;
        return 0;
    }
    if (!part_write(connection->part, span, data, length, connection->transfer->error)) {
        connection->outcome = OUTCOME_DISK;
        return 0;
    }
    connection->received += length;
    return length;
}

static bool set_range(struct connection *connection) {
    const struct part *part = connection->part;
    const struct span *span = connection->span;
    char text[ETAG_SIZE + 20];
    if (part->single) return true;
    snprintf(text, sizeof text, "%" PRIu64 "-%" PRIu64, span->first + span->done, span->end - 1);
    if (curl_easy_setopt(connection->curl, CURLOPT_RANGE, text) != CURLE_OK) return false;
    if (part->etag[0] != '"') return true; /* none, or a weak one, which If-Range may not carry */
    snprintf(text, sizeof text, "If-Range: %s", part->etag);
    connection->headers = curl_slist_append(NULL, text);
    return connection->headers && curl_easy_setopt(connection->curl, CURLOPT_HTTPHEADER, connection->headers) == CURLE_OK;
}

static void end_connection(struct connection *connection) {
    if (!connection->curl) return;
    curl_multi_remove_handle(connection->transfer->multi, connection->curl);
    curl_easy_cleanup(connection->curl);
    curl_slist_free_all(connection->headers);
    connection->span->busy = false;
    connection->curl = NULL;
    connection->headers = NULL;
}

static bool begin_connection(struct transfer *transfer, struct connection *connection, struct part *part, struct span *span) {
    *connection = (struct connection){.transfer = transfer, .part = part, .span = span, .curl = curl_easy_init()};
    CURL *curl = connection->curl;
    if (!curl) return error_set(transfer->error, ERROR_MEMORY, "out of memory for a download");
    if (part->single) span->done = 0;
    bool ok = hub_configure(transfer->options->hub, curl) && set_range(connection);
    ok = ok && curl_easy_setopt(curl, CURLOPT_URL, part->to->url) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_HEADERDATA, connection) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_WRITEDATA, connection) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_PRIVATE, connection) == CURLE_OK;
    span->busy = true;
    if (ok && curl_multi_add_handle(transfer->multi, curl) == CURLM_OK) return true;
    end_connection(connection);
    return error_set(transfer->error, ERROR_MEMORY, "out of memory for a download");
}

/* ==== What comes of it ==== */

/* A failure that may pass. False: there were too many. */
static bool try_later(struct transfer *transfer, struct connection *connection, CURLcode code) {
    struct part *part = connection->part;
    curl_off_t asked = 0;
    long status = 0;
    curl_easy_getinfo(connection->curl, CURLINFO_RETRY_AFTER, &asked);
    curl_easy_getinfo(connection->curl, CURLINFO_RESPONSE_CODE, &status);
    part->failures = connection->received >= 65536 ? 0 : part->failures + 1;
    int64_t pause = part->failures ? (int64_t)PAUSE_FIRST << (part->failures - 1) : PAUSE_SHORT;
    if (code == CURLE_HTTP_RETURNED_ERROR && asked > 0) pause = (asked < PAUSE_LONGEST ? asked : PAUSE_LONGEST) * 1000000;
    part->not_before = time_monotonic() + pause;
    if (part->failures < FAILURES_MAX) return true;
    const struct transfer_options *options = transfer->options;
    if (code == CURLE_HTTP_RETURNED_ERROR) return hub_refusal(options->hub, options->id, part->to->file->path, status, transfer->error);
    return error_set(transfer->error, ERROR_NETWORK,
                     "%s could not be downloaded from %s: %s, %d times in a row. What is there is kept: say the same again to go on",
                     part->to->file->path, options->hub->endpoint, code == CURLE_OK ? "it ended too early" : curl_easy_strerror(code),
                     part->failures);
}

/* Other connections at the same file have to be ended before it begins anew. */
static bool restart(struct transfer *transfer, struct part *part, bool single) {
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (transfer->connections[i].curl && transfer->connections[i].part == part) end_connection(&transfer->connections[i]);
    return part_restart(part, single, transfer->error);
}

static bool too_long(struct transfer *transfer, struct part *part) {
    if (part->again)
        return error_set(transfer->error, ERROR_FORMAT,
                         "%s sends more of %s than its list of files says there is; try another mirror (--from URL)",
                         transfer->options->hub->endpoint, part->to->file->path);
    part->again = true;
    return restart(transfer, part, part->single);
}

static bool refused(struct transfer *transfer, const struct connection *connection, CURLcode code) {
    long status = 0;
    curl_easy_getinfo(connection->curl, CURLINFO_RESPONSE_CODE, &status);
    /* 403 is also how a signed URL that ran out is answered: the next one is signed anew. */
    bool now = status == 401 || status == 404 || status == 410 || status == 451;
    if (code != CURLE_HTTP_RETURNED_ERROR || !now) return false;
    hub_refusal(transfer->options->hub, transfer->options->id, connection->part->to->file->path, status, transfer->error);
    return true;
}

static bool conclude(struct transfer *transfer, struct connection *connection, CURLcode code) {
    struct part *part = connection->part;
    bool done = connection->span->done == connection->span->end - connection->span->first, fine = true;
    if (connection->outcome == OUTCOME_DISK || refused(transfer, connection, code))
        fine = false;
    else if (connection->outcome == OUTCOME_TOO_LONG)
        fine = too_long(transfer, part);
    else if (connection->outcome == OUTCOME_OTHER_CONTENT)
        fine = try_later(transfer, connection, code) && restart(transfer, part, part->single);
    else if (connection->outcome == OUTCOME_NO_RANGES)
        fine = restart(transfer, part, true);
    else if (code == CURLE_HTTP_RETURNED_ERROR || !done)
        fine = try_later(transfer, connection, code);
    else
        part->failures = 0;
    end_connection(connection);
    return fine;
}

/* Idle connections take spans, in the order of the files. */
static bool give_work(struct transfer *transfer) {
    int64_t now = time_monotonic();
    int limit = transfer->options->connections < CONNECTIONS_MAX ? transfer->options->connections : CONNECTIONS_MAX;
    size_t at = 0;
    for (int i = 0; i < limit; i++) {
        if (transfer->connections[i].curl) continue;
        struct span *span = NULL;
        for (; at < transfer->count; at++) {
            struct part *part = &transfer->parts[at];
            if (!part->whole && part->not_before <= now && (span = part_next(part))) break;
        }
        if (!span) return true;
        if (!begin_connection(transfer, &transfer->connections[i], &transfer->parts[at], span)) return false;
    }
    return true;
}

static bool hear(struct transfer *transfer) {
    int running, left;
    if (curl_multi_perform(transfer->multi, &running) != CURLM_OK) return error_set(transfer->error, ERROR_INTERNAL, "curl gave up");
    for (CURLMsg *message; (message = curl_multi_info_read(transfer->multi, &left));) {
        struct connection *connection = NULL;
        if (message->msg != CURLMSG_DONE) continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &connection);
        if (!conclude(transfer, connection, code)) return false;
    }
    return true;
}

static bool save(struct transfer *transfer) {
    transfer->saved = time_monotonic();
    for (size_t i = 0; i < transfer->count; i++)
        if (!part_save(&transfer->parts[i], transfer->error)) return false;
    return true;
}

static bool receive(struct transfer *transfer) {
    while (!stopped(transfer)) {
        bool all = true;
        for (size_t i = 0; all && i < transfer->count; i++) all = part_done(&transfer->parts[i]) == transfer->parts[i].to->file->size;
        if (all) return true;
        if (!give_work(transfer) || !hear(transfer)) return false;
        if (time_monotonic() - transfer->saved > SAVE_EVERY && !save(transfer)) return false;
        tell(transfer, false, NULL);
        curl_multi_poll(transfer->multi, NULL, 0, POLL_MILLISECONDS, NULL);
    }
    return error_set(transfer->error, ERROR_CANCELED, "stopped; what is there is kept: say the same again to go on");
}

/* ==== Checking ==== */

static bool on_checked(void *user, uint64_t bytes) {
    struct transfer *transfer = user;
    transfer->checked += bytes;
    tell(transfer, true, NULL);
    return !stopped(transfer);
}

/* Right: it gets its name. Wrong once: all of it again. */
static bool check(struct transfer *transfer, struct part *part) {
    const struct hub_file *file = part->to->file;
    struct checksum found;
    char *path = part_path(part->to->path, ".part");
    if (!path) return error_set(transfer->error, ERROR_MEMORY, "out of memory for a download");
    bool fine = checksum_file(path, on_checked, transfer, &found, transfer->error);
    memory_free(path);
    if (!fine) return false;
    bool right = found.size == file->size && (!file->sha256[0] || strcmp(found.sha256, file->sha256) == 0) &&
                 (!file->git[0] || !found.git[0] || strcmp(found.git, file->git) == 0);
    if (right) return part_finish(part, transfer->error);
    transfer->checked -= found.size;
    if (part->again) {
        part_restart(part, false, NULL); /* what is wrong is not kept */
        part_save(part, NULL);
        return error_set(transfer->error, ERROR_FORMAT,
                         "%s arrived damaged twice: its SHA-256 is %s, not %s. Nothing was put in place; try another mirror (--from URL)",
                         file->path, file->sha256[0] ? found.sha256 : found.git, file->sha256[0] ? file->sha256 : file->git);
    }
    char note[300];
    snprintf(note, sizeof note, "%.200s arrived damaged (its hash is wrong): once more", file->path);
    tell(transfer, true, note);
    part->again = true;
    return part_restart(part, false, transfer->error);
}

static bool check_all(struct transfer *transfer, bool *complete) {
    *complete = true;
    for (size_t i = 0; i < transfer->count; i++) {
        struct part *part = &transfer->parts[i];
        if (part->whole) continue;
        if (!check(transfer, part)) return false;
        *complete = *complete && part->whole;
    }
    return true;
}

static bool run(struct transfer *transfer) {
    bool complete = false;
    while (!complete) {
        transfer->checked = 0;
        bool fine = receive(transfer);
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) end_connection(&transfer->connections[i]);
        struct error *reason = transfer->error, later = {.code = ERROR_NONE};
        if (!fine) transfer->error = &later; /* a full disk refuses this too, but is told of already */
        bool saved = save(transfer);
        transfer->error = reason;
        if (!fine || !saved || !check_all(transfer, &complete)) return fail(transfer);
    }
    return true;
}

bool transfer_files(const struct transfer_options *options, const struct transfer_file *files, size_t count, struct error *error) {
    struct transfer *transfer = memory_zero(sizeof *transfer);
    if (!transfer) return error_set(error, ERROR_MEMORY, "out of memory for a download");
    transfer->options = options;
    transfer->error = error;
    transfer->multi = curl_multi_init();
    /* Each on a connection of its own: streams of one would share its speed. */
    if (transfer->multi) curl_multi_setopt(transfer->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    transfer->parts = memory_array(count ? count : 1, sizeof *transfer->parts);
    bool fine = (transfer->multi && transfer->parts) || error_set(error, ERROR_MEMORY, "out of memory for a download");
    for (; fine && transfer->count < count; transfer->count++) {
        fine = part_open(&transfer->parts[transfer->count], &files[transfer->count], error);
        transfer->total += files[transfer->count].file->size;
    }
    fine = fine && run(transfer);
    for (size_t i = 0; i < transfer->count; i++) part_close(&transfer->parts[i]);
    memory_free(transfer->parts);
    if (transfer->multi) curl_multi_cleanup(transfer->multi);
    memory_free(transfer);
    return fine;
}
