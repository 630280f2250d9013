/* Which network addresses an input may be fetched from. */
#ifndef WORKER_ADDRESS_H
#define WORKER_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* True for a unicast address of the public Internet; false for loopback, private, link-local,
 * shared, reserved, documentation and multicast ranges (the special-purpose registries of RFC 6890),
 * for IPv6 forms that carry such an IPv4 address, and for every other family. */
bool address_is_public(const struct sockaddr *address, socklen_t length);

#endif
