#include "worker/download.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "base/text.h"
#include "worker/address.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REDIRECTS_MAX = 5, CONNECT_SECONDS = 15 };

struct transfer {
    const struct download_limits *limits;
    struct buffer body;
    bool refused, too_long, stopped; /* why we ended it */
};

static size_t on_data(char *data, size_t size, size_t count, void *user) {
    struct transfer *transfer = user;
    size_t length = size * count;
    if (length > transfer->limits->bytes - transfer->body.length) {
        transfer->too_long = true;
        return 0;
    }
    return buffer_append(&transfer->body, data, length) ? length : 0;
}

/* The address is what DNS said and what will be connected to: nothing can change in between. */
static curl_socket_t on_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
    struct transfer *transfer = user;
    if (purpose != CURLSOCKTYPE_IPCXN) return CURL_SOCKET_BAD;
    if (!transfer->limits->private_networks && !address_is_public(&address->addr, address->addrlen)) {
        transfer->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now) {
    struct transfer *transfer = user;
    (void)total, (void)now, (void)up_total, (void)up_now;
    if (!transfer->limits->going || transfer->limits->going(transfer->limits->user)) return 0;
    transfer->stopped = true;
    return 1;
}

static bool configure(CURL *curl, const char *url, struct transfer *transfer) {
    const struct download_limits *limits = transfer->limits;
    bool ok = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)limits->seconds) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)limits->bytes) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_USERAGENT, "inpaintd") == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, transfer) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer) == CURLE_OK;
    /* Through a proxy the check would see the proxy's address. */
    if (!limits->private_networks) ok = ok && curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK;
    return ok;
}

/* The host of `url`, or of where its redirects have led. */
static void host_of(CURL *curl, const char *url, char host[128]) {
    const char *last = NULL;
    char *part = NULL;
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &last);
    snprintf(host, 128, "the server");
    CURLU *parsed = curl_url();
    if (parsed && curl_url_set(parsed, CURLUPART_URL, last ? last : url, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &part, 0) == CURLUE_OK && utf8_valid(part, strlen(part)))
        snprintf(host, 128, "%.*s", (int)utf8_cut(part, strlen(part) < 127 ? strlen(part) : 127), part);
    curl_free(part);
    curl_url_cleanup(parsed);
}

static bool explain(CURL *curl, CURLcode code, const char *url, const struct transfer *transfer, struct error *error) {
    char host[128];
    host_of(curl, url, host);
    if (transfer->stopped) return error_set(error, ERROR_CANCELED, "canceled");
    if (transfer->refused)
        return error_set(error, ERROR_NETWORK, "%s is on a private network, which this server does not download from", host);
    if (transfer->too_long || code == CURLE_FILESIZE_EXCEEDED)
        return error_set(error, ERROR_LIMIT, "%s sends more than the %zu bytes that are accepted", host, transfer->limits->bytes);
    if (transfer->body.failed || code == CURLE_OUT_OF_MEMORY) return error_set(error, ERROR_MEMORY, "out of memory during a download");
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(error, ERROR_NETWORK, "downloading it from %s took too long (more than %d seconds are not waited)", host,
                         transfer->limits->seconds);
    case CURLE_TOO_MANY_REDIRECTS:
        return error_set(error, ERROR_NETWORK, "%s redirects more than %d times", host, REDIRECTS_MAX);
    case CURLE_URL_MALFORMAT:
        return error_set(error, ERROR_ARGUMENT, "its URL is malformed");
    case CURLE_UNSUPPORTED_PROTOCOL:
        return error_set(error, ERROR_ARGUMENT, "it can only be downloaded over http or https");
    case CURLE_COULDNT_RESOLVE_HOST:
        return error_set(error, ERROR_NETWORK, "the host %s is not known", host);
    default:
        return error_set(error, ERROR_NETWORK, "it could not be downloaded from %s: %s", host, curl_easy_strerror(code));
    }
}

static bool check_status(CURL *curl, const char *url, struct error *error) {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300) return true;
    char host[128];
    host_of(curl, url, host);
    return error_set(error, ERROR_NETWORK, "%s answered with status %ld instead of a picture", host, status);
}

bool download(const char *url, const struct download_limits *limits, char **data, size_t *length, struct error *error) {
    struct transfer transfer = {.limits = limits};
    *data = NULL;
    *length = 0;
    CURL *curl = curl_easy_init();
    if (!curl) return error_set(error, ERROR_MEMORY, "out of memory for a download");
    buffer_init(&transfer.body, limits->bytes + 1);
    bool ok = configure(curl, url, &transfer) || error_set(error, ERROR_MEMORY, "out of memory for a download");
    if (ok) {
        CURLcode code = curl_easy_perform(curl);
        ok = code == CURLE_OK ? check_status(curl, url, error) : explain(curl, code, url, &transfer, error);
    }
    curl_easy_cleanup(curl);
    if (ok) {
        *length = transfer.body.length;
        *data = transfer.body.length > 0 ? buffer_take(&transfer.body) : memory_string("");
        ok = *data != NULL || error_set(error, ERROR_MEMORY, "out of memory for a download");
    }
    buffer_free(&transfer.body);
    return ok;
}
