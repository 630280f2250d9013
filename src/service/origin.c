#include "service/origin.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool port_valid(const char *text) {
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 5 || text[length] != 0) return false;
    unsigned value = 0;
    for (size_t i = 0; i < length; i++) value = value * 10 + (unsigned)(text[i] - '0');
    return value <= 65535;
}

bool host_valid(const char *host) {
    size_t length = strlen(host);
    if (length == 0 || length > 255) return false;
    const char *rest;
    if (host[0] == '[') {
        size_t inside = strspn(host + 1, "0123456789abcdefABCDEF:.");
        if (inside < 2 || host[1 + inside] != ']') return false;
        rest = host + inside + 2;
    } else {
        size_t name = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
        if (name == 0 || host[0] == '-' || host[0] == '.') return false;
        rest = host + name;
    }
    return *rest == 0 || (*rest == ':' && port_valid(rest + 1));
}

/* The first element of a comma-separated header, without spaces around it. */
static bool first_of_list(const char *list, char *out, size_t size) {
    if (list == NULL) return false;
    list += strspn(list, " \t");
    size_t length = strcspn(list, ",");
    while (length > 0 && (list[length - 1] == ' ' || list[length - 1] == '\t')) length--;
    if (length == 0 || length >= size) return false;
    memcpy(out, list, length);
    out[length] = 0;
    return true;
}

bool origin_base(const char *public_url, const char *forwarded_proto, const char *forwarded_host, const char *scheme, const char *host,
                 const char *bound, char *base, size_t size) {
    int written;
    if (public_url != NULL && public_url[0] != 0) {
        size_t length = strlen(public_url);
        while (length > 0 && public_url[length - 1] == '/') length--;
        written = snprintf(base, size, "%.*s", (int)length, public_url);
        return written > 0 && (size_t)written < size;
    }
    char proto[8], name[256];
    if (first_of_list(forwarded_proto, proto, sizeof proto)) {
        if (strcasecmp(proto, "https") == 0) scheme = "https";
        if (strcasecmp(proto, "http") == 0) scheme = "http";
    }
    const char *chosen = bound;
    if (first_of_list(forwarded_host, name, sizeof name) && host_valid(name))
        chosen = name;
    else if (host != NULL && host_valid(host))
        chosen = host;
    written = snprintf(base, size, "%s://%s", scheme, chosen);
    return written > 0 && (size_t)written < size;
}

/* The host of host[:port], without brackets. */
static bool host_name(const char *host, char *name, size_t size) {
    const char *begin = host[0] == '[' ? host + 1 : host;
    size_t length = strcspn(begin, host[0] == '[' ? "]" : ":/");
    if (length >= size) return false;
    memcpy(name, begin, length);
    name[length] = 0;
    return true;
}

bool listen_is_loopback(const char *host) {
    struct in_addr four;
    struct in6_addr six;
    if (strcasecmp(host, "localhost") == 0) return true;
    if (inet_pton(AF_INET, host, &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &six) == 1) return memcmp(&six, &in6addr_loopback, sizeof six) == 0;
    return false;
}

bool host_is_ours(const char *host, const char *public_url) {
    char name[256], other[256];
    struct in_addr four;
    struct in6_addr six;
    if (!host_name(host, name, sizeof name)) return false;
    if (strchr(name, '.') == NULL || inet_pton(AF_INET, name, &four) == 1 || inet_pton(AF_INET6, name, &six) == 1) return true;
    size_t length = strlen(name);
    if (length > 10 && strcasecmp(name + length - 10, ".localhost") == 0) return true;
    const char *public_host = public_url == NULL ? NULL : strstr(public_url, "://");
    return public_host != NULL && host_name(public_host + 3, other, sizeof other) && strcasecmp(name, other) == 0;
}

bool origin_same(const char *origin, const char *base, const char *host) {
    const char *after = strstr(origin, "://");
    if (after == NULL) return false; /* "null" */
    after += 3;
    if (host != NULL && strcasecmp(after, host) == 0) return true;
    const char *own = strstr(base, "://");
    if (own == NULL) return false;
    own += 3;
    size_t length = strcspn(own, "/");
    return strlen(after) == length && strncasecmp(after, own, length) == 0;
}

bool origin_allowed(const char *list, const char *origin) {
    while (list != NULL && *list != 0) {
        list += strspn(list, " ,\t");
        size_t length = strcspn(list, " ,\t");
        if (length == 1 && list[0] == '*') return true;
        if (length > 0 && length == strlen(origin) && strncasecmp(list, origin, length) == 0) return true;
        list += length;
    }
    return false;
}

bool listen_parse(const char *listen, char *host, size_t host_size, char *port, size_t port_size) {
    const char *colon = strrchr(listen, ':');
    if (colon == NULL || !port_valid(colon + 1) || strlen(colon + 1) >= port_size) return false;
    const char *begin = listen, *end = colon;
    if (*begin == '[') {
        if (end == begin || end[-1] != ']') return false;
        begin++;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin)) != NULL) {
        return false;
    }
    size_t length = (size_t)(end - begin);
    if (length >= host_size) return false;
    memcpy(host, begin, length);
    host[length] = 0;
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}
