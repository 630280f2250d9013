/* Who we are to the client: the base of the URLs that we emit, and which web pages may talk to us. */
#ifndef SERVICE_ORIGIN_H
#define SERVICE_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

/* host[:port] as in a Host header: a name, an IPv4 address or an IPv6 one in brackets; no spaces,
 * no control or other odd characters, at most 255 bytes. */
bool host_valid(const char *host);
/* The base: `public_url` when configured, else from the forwarding headers of a proxy, else scheme
 * and Host, else scheme and `bound`. Odd forwarding headers are ignored. False when it does not fit. */
bool origin_base(const char *public_url, const char *forwarded_proto, const char *forwarded_host, const char *scheme, const char *host,
                 const char *bound, char *base, size_t size);
/* Is this host (of a Host header) one that no foreign web page can have pointed at us: an address,
 * localhost, a name without dots, or the public URL's host? */
bool host_is_ours(const char *host, const char *public_url);
/* Is the Origin header's value the same origin as base (scheme://host[:port])? */
bool origin_same(const char *origin, const char *base, const char *host);
/* Is it on the comma-separated allow-list ("*" allows all)? */
bool origin_allowed(const char *list, const char *origin);
/* Does this listen address ("127.0.0.1:8080", "[::1]:0", "localhost:80") stay on this machine? */
bool listen_parse(const char *listen, char *host, size_t host_size, char *port, size_t port_size);
bool listen_is_loopback(const char *host);

#endif
