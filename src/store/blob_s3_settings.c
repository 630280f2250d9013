/* Where the bucket is and who we are there: the URL says where, the environment who. */
#include "base/memory.h"
#include "store/blob_s3.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define LOWER   "abcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER

static bool only(const char *text, const char *allowed, size_t minimum, size_t maximum) {
    size_t length = strlen(text);
    return length >= minimum && length <= maximum && strspn(text, allowed) == length;
}

static const char *environment(const char *first, const char *second) {
    const char *value = getenv(first);
    if (value && *value) return value;
    value = second ? getenv(second) : NULL;
    return value && *value ? value : NULL;
}

/* Visible ASCII: it becomes a header. */
static bool is_token(const char *text, size_t maximum) {
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~') return false;
    return length > 0 && length <= maximum;
}

/* scheme://host[:port] of a URL that is nothing more. */
static char *read_endpoint(const char *text) {
    char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL, *rest = NULL, *made = NULL;
    CURLU *url = curl_url();
    bool ok = url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK;
    ok = ok && curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK && curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    ok = ok && curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK && strcmp(path, "/") == 0;
    ok = ok && (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0) && only(host, LETTERS DIGITS ".-:[]", 1, 253);
    static const CURLUPart unwanted[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT};
    for (size_t i = 0; ok && i < sizeof unwanted / sizeof *unwanted; i++) {
        ok = curl_url_get(url, unwanted[i], &rest, 0) != CURLUE_OK;
        curl_free(rest);
        rest = NULL;
    }
    bool has_port = ok && curl_url_get(url, CURLUPART_PORT, &port, 0) == CURLUE_OK;
    if (ok) made = has_port ? memory_format("%s://%s:%s", scheme, host, port) : memory_format("%s://%s", scheme, host);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_url_cleanup(url);
    return made;
}

/* The value of `name` in a query; a heap string, or NULL. */
static char *query_value(const char *query, const char *name) {
    size_t length = strlen(name);
    for (; query; query = strchr(query, '&') ? strchr(query, '&') + 1 : NULL)
        if (strncmp(query, name, length) == 0 && query[length] == '=')
            return memory_string_n(query + length + 1, strcspn(query + length + 1, "&"));
    return NULL;
}

static bool query_known(const char *query) {
    for (; query; query = strchr(query, '&') ? strchr(query, '&') + 1 : NULL)
        if (strncmp(query, "endpoint=", 9) != 0 && strncmp(query, "region=", 7) != 0) return false;
    return true;
}

/* Prefix without slashes at its ends, then one. */
static char *read_prefix(const char *text, size_t length) {
    while (length > 0 && text[0] == '/') text++, length--;
    while (length > 0 && text[length - 1] == '/') length--;
    return length == 0 ? memory_string("") : memory_format("%.*s/", (int)length, text);
}

static bool read_place(const char *url, struct s3_settings *settings, struct error *error) {
    const char *place = url + 5, *query = strchr(place, '?');
    size_t length = query ? (size_t)(query - place) : strlen(place), bucket = strcspn(place, "/?");
    if (length > 512 || memchr(place, '@', length))
        return error_set(error, ERROR_ARGUMENT, "the blobs' URL must be s3://BUCKET/PREFIX, and keys go into the environment");
    settings->bucket = memory_string_n(place, bucket);
    settings->prefix = read_prefix(place + bucket, length - bucket);
    if (!settings->bucket || !settings->prefix) return error_set(error, ERROR_MEMORY, "out of memory");
    if (!only(settings->bucket, LETTERS DIGITS ".-_", 3, 63) || strstr(settings->bucket, ".."))
        return error_set(error, ERROR_ARGUMENT, "the name of an S3 bucket has 3 to 63 letters, digits, dots and dashes");
    if (!only(settings->prefix, LETTERS DIGITS "-._~/", 0, 300) || strstr(settings->prefix, "//") || strstr(settings->prefix, "./"))
        return error_set(error, ERROR_ARGUMENT, "the prefix in the bucket may have letters, digits, - . _ ~ and single slashes");
    if (query && !query_known(query + 1))
        return error_set(error, ERROR_ARGUMENT, "after s3://BUCKET/PREFIX? only endpoint= and region= are known");
    return true;
}

static bool read_server(const char *url, struct s3_settings *settings, struct error *error) {
    const char *query = strchr(url, '?'), *region = environment("AWS_REGION", "AWS_DEFAULT_REGION"),
               *endpoint = environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
    char *told = query ? query_value(query + 1, "endpoint") : NULL;
    settings->region = query ? query_value(query + 1, "region") : NULL;
    if (!settings->region) settings->region = memory_string(region ? region : "us-east-1");
    bool ok = settings->region && only(settings->region, LETTERS DIGITS "-", 1, 63);
    if (!ok)
        error_set(error, ERROR_ARGUMENT, "the S3 region (region= or AWS_REGION) has letters, digits and dashes");
    else if (told || endpoint)
        settings->endpoint = read_endpoint(told ? told : endpoint);
    else
        settings->endpoint = memory_format("https://s3.%s.amazonaws.com", settings->region);
    memory_free(told);
    return ok && (settings->endpoint ||
                  error_set(error, ERROR_ARGUMENT,
                            "the S3 endpoint (endpoint= or AWS_ENDPOINT_URL) must be http://HOST:PORT or https://HOST:PORT"));
}

static bool read_identity(struct s3_settings *settings, struct error *error) {
    const char *key = environment("AWS_ACCESS_KEY_ID", NULL), *secret = environment("AWS_SECRET_ACCESS_KEY", NULL),
               *session = environment("AWS_SESSION_TOKEN", NULL), *authorities = environment("AWS_CA_BUNDLE", NULL);
    if (!key || !secret)
        return error_set(error, ERROR_ARGUMENT, "blobs in S3 need AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment");
    if (!is_token(key, 128) || !is_token(secret, 256) || (session && !is_token(session, 16384)))
        return error_set(error, ERROR_ARGUMENT,
                         "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_SESSION_TOKEN has a blank or an odd character in it");
    settings->key = memory_string(key);
    settings->secret = memory_string(secret);
    settings->session = memory_string(session);
    settings->authorities = memory_string(authorities);
    return (settings->key && settings->secret && (!session || settings->session) && (!authorities || settings->authorities)) ||
           error_set(error, ERROR_MEMORY, "out of memory");
}

bool s3_settings_read(const char *url, struct s3_settings *settings, struct error *error) {
    *settings = (struct s3_settings){0};
    if (read_place(url, settings, error) && read_server(url, settings, error) && read_identity(settings, error)) return true;
    s3_settings_free(settings);
    return false;
}

void s3_settings_free(struct s3_settings *settings) {
    if (settings->secret) sodium_memzero(settings->secret, strlen(settings->secret));
    if (settings->session) sodium_memzero(settings->session, strlen(settings->session));
    memory_free(settings->endpoint);
    memory_free(settings->bucket);
    memory_free(settings->prefix);
    memory_free(settings->region);
    memory_free(settings->key);
    memory_free(settings->secret);
    memory_free(settings->session);
    memory_free(settings->authorities);
    *settings = (struct s3_settings){0};
}
