#include "library/hub.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "base/text.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum {
    LISTING_BYTES_MAX = 16 << 20,
    FILES_MAX = 50000,
    REDIRECTS_MAX = 8,
    CONNECT_SECONDS = 20,
    SLOW_SECONDS = 30,
    LISTING_SECONDS = 60,
    TRIES = 4
};
#define FILE_BYTES_MAX ((uint64_t)1 << 40)

/* ==== Names ==== */

static bool valid_part(const char *part, size_t length) {
    if (length == 0 || length > 96 || part[0] == '.' || part[0] == '-') return false;
    for (size_t i = 0; i < length; i++) {
        char c = part[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) return false;
    }
    return true;
}

bool hub_valid_id(const char *id) {
    const char *slash = strchr(id, '/');
    return slash && valid_part(id, (size_t)(slash - id)) && valid_part(slash + 1, strlen(slash + 1));
}

bool hub_valid_path(const char *path) {
    size_t length = strlen(path);
    if (length == 0 || length > 1000 || !utf8_valid(path, length)) return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)path[i] < ' ' || path[i] == 127 || path[i] == '\\') return false;
    for (const char *part = path; part;) {
        const char *slash = strchr(part, '/');
        size_t size = slash ? (size_t)(slash - part) : strlen(part);
        if (size == 0 || size > 200 || (part[0] == '.' && (size == 1 || (size == 2 && part[1] == '.')))) return false;
        part = slash ? slash + 1 : NULL;
    }
    return true;
}

static bool is_hex(const char *text, size_t length) { return strlen(text) == length && strspn(text, "0123456789abcdef") == length; }

/* ==== Requests ==== */

bool hub_configure(const struct hub *hub, void *easy) {
    CURL *curl = easy;
    /* What was asked for under TLS must not be answered without it. */
    const char *protocols = strncmp(hub->endpoint, "https:", 6) == 0 ? "https" : "http,https";
    bool ok = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, protocols) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 64L) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SLOW_SECONDS) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_USERAGENT, "inpaintd") == CURLE_OK;
    if (hub->token && *hub->token) { /* curl keeps it from other hosts */
        ok = ok && curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) == CURLE_OK;
        ok = ok && curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, hub->token) == CURLE_OK;
    }
    return ok;
}

bool hub_refusal(const struct hub *hub, const char *id, const char *what, long status, struct error *error) {
    bool token = hub->token && *hub->token;
    if (status == 401 || status == 403)
        return error_set(
            error, ERROR_DENIED,
            token ? "%s refused %s of %s (status %ld) to the owner of this HF_TOKEN: the model is gated or private; accept its terms "
                    "on its page, or use a token that may read it"
                  : "%s refused %s of %s (status %ld): there is no such model, or it is gated or private. If it is, accept its "
                    "terms on its page, and say again with HF_TOKEN=... set to a token of yours",
            hub->endpoint, what, id, status);
    if (status == 404)
        return error_set(error, ERROR_NOT_FOUND, "%s has no %s of %s (status 404): is the name right?", hub->endpoint, what, id);
    if (status == 429)
        return error_set(error, ERROR_NETWORK, "%s wants us to slow down (status 429): try again in some minutes, or with HF_TOKEN set",
                         hub->endpoint);
    return error_set(error, ERROR_NETWORK, "%s answered with status %ld when asked for %s of %s", hub->endpoint, status, what, id);
}

struct answer {
    struct buffer body;
    const struct hub *hub;
    bool too_long;
};

static size_t on_data(char *data, size_t size, size_t count, void *user) {
    struct answer *answer = user;
    answer->too_long = size * count > answer->body.maximum - answer->body.length;
    return !answer->too_long && buffer_append(&answer->body, data, size * count) ? size * count : 0;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now) {
    const struct answer *answer = user;
    (void)total, (void)now, (void)up_total, (void)up_now;
    return answer->hub->stop && *answer->hub->stop;
}

static bool explain(CURL *curl, CURLcode code, const struct answer *answer, const char *id, struct error *error) {
    const struct hub *hub = answer->hub;
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_HTTP_RETURNED_ERROR) return hub_refusal(hub, id, "the list of files", status, error);
    if (code == CURLE_ABORTED_BY_CALLBACK) return error_set(error, ERROR_CANCELED, "stopped");
    if (answer->too_long)
        return error_set(error, ERROR_LIMIT, "%s: the list of files is longer than %d MB", hub->endpoint, LISTING_BYTES_MAX >> 20);
    return error_set(error, ERROR_NETWORK, "%s can't be reached: %s", hub->endpoint, curl_easy_strerror(code));
}

/* One try; *again: it may go better the next time. */
static bool ask(CURL *curl, struct answer *answer, const char *id, bool *again, struct error *error) {
    long status = 0;
    buffer_clear(&answer->body);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK) return true;
    *again = !answer->too_long && code != CURLE_ABORTED_BY_CALLBACK && code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_URL_MALFORMAT &&
             (code != CURLE_HTTP_RETURNED_ERROR || status >= 500);
    return explain(curl, code, answer, id, error);
}

static bool get(const struct hub *hub, const char *url, const char *id, struct answer *answer, struct error *error) {
    CURL *curl = curl_easy_init();
    bool ok = curl && hub_configure(hub, curl);
    ok = ok && curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)LISTING_SECONDS) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_XFERINFODATA, answer) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
    if (!ok) error_set(error, ERROR_MEMORY, "out of memory for a download");
    bool again = ok;
    for (int i = 0; ok && i < TRIES; i++) {
        again = false;
        if (ask(curl, answer, id, &again, error)) break;
        ok = again && i + 1 < TRIES;
    }
    curl_easy_cleanup(curl);
    return ok;
}

/* ==== The list of files ==== */

static bool read_file(const json_t *value, struct hub_file *file, struct error *error) {
    const char *path = json_string_value(json_object_get(value, "rfilename"));
    if (!path) return error_set(error, ERROR_FORMAT, "a file without a name is in the list of files");
    if (!hub_valid_path(path))
        return error_set(error, ERROR_FORMAT, "the list of files names one whose path no repository can hold (\"..\"?)");
    const json_t *lfs = json_object_get(value, "lfs"), *size = json_object_get(value, "size");
    const char *sha256 = json_string_value(json_object_get(lfs, "sha256")), *git = json_string_value(json_object_get(value, "blobId"));
    if (json_is_object(lfs) && json_is_integer(json_object_get(lfs, "size"))) size = json_object_get(lfs, "size");
    if (!json_is_integer(size)) return error_set(error, ERROR_FORMAT, "the list of files does not say how long %.200s is", path);
    if (json_integer_value(size) < 0 || (uint64_t)json_integer_value(size) > FILE_BYTES_MAX)
        return error_set(error, ERROR_LIMIT, "%.200s should have %" JSON_INTEGER_FORMAT " bytes, which can't be", path,
                         json_integer_value(size));
    if (sha256 && !is_hex(sha256, 64)) return error_set(error, ERROR_FORMAT, "the SHA-256 of %.200s is none", path);
    file->size = (uint64_t)json_integer_value(size);
    if (sha256)
        memcpy(file->sha256, sha256, 65);
    else if (git && !json_is_object(lfs) && is_hex(git, 40))
        memcpy(file->git, git, 41);
    file->path = memory_string(path);
    return file->path || error_set(error, ERROR_MEMORY, "out of memory for a list of files");
}

static bool read_files(const json_t *siblings, struct hub_listing *listing, struct error *error) {
    size_t count = json_array_size(siblings);
    if (!json_is_array(siblings)) return error_set(error, ERROR_FORMAT, "there is no list of files in the answer");
    if (count > FILES_MAX) return error_set(error, ERROR_LIMIT, "the repository has %zu files; %d are the most", count, FILES_MAX);
    listing->files = memory_array(count ? count : 1, sizeof *listing->files);
    if (!listing->files) return error_set(error, ERROR_MEMORY, "out of memory for a list of files");
    for (size_t i = 0; i < count; i++) {
        struct hub_file *file = &listing->files[listing->count];
        *file = (struct hub_file){0};
        if (!read_file(json_array_get(siblings, i), file, error)) return false;
        listing->count++;
    }
    return true;
}

/* Printable ASCII only: it will be shown, and typed. */
static void copy_word(const char *from, char *to, size_t size) {
    size_t length = 0;
    for (; from && *from && length + 1 < size; from++)
        if (*from > ' ' && *from <= '~') to[length++] = *from;
    to[length] = 0;
}

/* From the card; else from the tags, where the Hub repeats it. "other" has a name of its own. */
static void read_license(const json_t *answer, struct hub_listing *listing) {
    const json_t *card = json_object_get(answer, "cardData"), *tags = json_object_get(answer, "tags");
    copy_word(json_string_value(json_object_get(card, "license")), listing->license, sizeof listing->license);
    if (strcmp(listing->license, "other") == 0 && json_is_string(json_object_get(card, "license_name")))
        copy_word(json_string_value(json_object_get(card, "license_name")), listing->license, sizeof listing->license);
    for (size_t i = 0; !listing->license[0] && i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));
        if (tag && strncmp(tag, "license:", 8) == 0) copy_word(tag + 8, listing->license, sizeof listing->license);
    }
    if (!listing->license[0]) snprintf(listing->license, sizeof listing->license, "unknown");
    char link[300];
    copy_word(json_string_value(json_object_get(card, "license_link")), link, sizeof link);
    listing->license_link = strncmp(link, "https://", 8) == 0 ? memory_string(link) : NULL;
}

static bool read_listing(const char *text, size_t length, const char *id, struct hub_listing *listing, struct error *error) {
    json_error_t where;
    json_t *answer = json_loadb(text, length, 0, &where);
    if (!json_is_object(answer)) {
        json_decref(answer);
        return error_set(error, ERROR_FORMAT, "the answer is no JSON object: is this address a Hub's?");
    }
    const char *name = json_string_value(json_object_get(answer, "id")), *revision = json_string_value(json_object_get(answer, "sha"));
    bool fine = revision && (is_hex(revision, 40) || is_hex(revision, 64));
    if (!fine) error_set(error, ERROR_FORMAT, "the answer does not say which revision it is about");
    if (fine) snprintf(listing->revision, sizeof listing->revision, "%s", revision);
    listing->id = memory_string(name && hub_valid_id(name) ? name : id);
    if (fine && !listing->id) fine = error_set(error, ERROR_MEMORY, "out of memory for a list of files");
    if (fine) read_license(answer, listing);
    fine = fine && read_files(json_object_get(answer, "siblings"), listing, error);
    json_decref(answer);
    return fine;
}

/* text, with what is special in a URL's path as %XX. */
static void append_escaped(struct buffer *url, const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("-._~/", *c);
        buffer_format(url, plain ? "%c" : "%%%02X", *c);
    }
}

bool hub_list(const struct hub *hub, const char *id, const char *revision, struct hub_listing *listing, struct error *error) {
    struct buffer url;
    struct answer answer = {.hub = hub};
    *listing = (struct hub_listing){0};
    buffer_init(&url, 8192);
    buffer_format(&url, "%s/api/models/%s", hub->endpoint, id);
    if (revision) {
        buffer_text(&url, "/revision/");
        append_escaped(&url, revision);
    }
    buffer_text(&url, "?blobs=true");
    buffer_init(&answer.body, LISTING_BYTES_MAX);
    bool fine =
        url.failed ? error_set(error, ERROR_ARGUMENT, "the address of the Hub is too long") : get(hub, url.data, id, &answer, error);
    if (fine && !read_listing(answer.body.data ? answer.body.data : "", answer.body.length, id, listing, error))
        fine = error_context(error, "%s", hub->endpoint);
    buffer_free(&answer.body);
    buffer_free(&url);
    if (!fine) hub_listing_free(listing);
    return fine;
}

void hub_listing_free(struct hub_listing *listing) {
    for (size_t i = 0; i < listing->count; i++) memory_free(listing->files[i].path);
    memory_free(listing->files);
    memory_free(listing->id);
    memory_free(listing->license_link);
    *listing = (struct hub_listing){0};
}

const struct hub_file *hub_find(const struct hub_listing *listing, const char *path) {
    for (size_t i = 0; i < listing->count; i++)
        if (strcmp(listing->files[i].path, path) == 0) return &listing->files[i];
    return NULL;
}

char *hub_url(const struct hub *hub, const struct hub_listing *listing, const char *path) {
    struct buffer url;
    buffer_init(&url, 8192);
    buffer_format(&url, "%s/%s/resolve/%s/", hub->endpoint, listing->id, listing->revision);
    append_escaped(&url, path);
    return buffer_take(&url);
}
