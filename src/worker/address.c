#include "worker/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct range4 {
    uint32_t network;
    unsigned bits;
};
static const struct range4 special4[] = {
    {0x00000000, 8},  /* this network */
    {0x0a000000, 8},  /* private */
    {0x64400000, 10}, /* shared behind a carrier's translation */
    {0x7f000000, 8},  /* loopback */
    {0xa9fe0000, 16}, /* link-local, and the clouds' metadata */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* protocol assignments */
    {0xc0000200, 24}, /* documentation */
    {0xc0586300, 24}, /* 6to4 relays */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarks */
    {0xc6336400, 24}, /* documentation */
    {0xcb007100, 24}, /* documentation */
    {0xe0000000, 3},  /* multicast, reserved, broadcast */
};

static bool is_public4(uint32_t address) {
    for (size_t i = 0; i < sizeof special4 / sizeof special4[0]; i++)
        if ((address ^ special4[i].network) >> (32 - special4[i].bits) == 0) return false;
    return true;
}

static uint32_t embedded4(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

struct range6 {
    uint8_t prefix[16];
    unsigned bits;
    int embedded; /* the byte at which an IPv4 address lies that decides; -1: never public */
};
static const struct range6 special6[] = {
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12},                   /* IPv4 through translation */
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, -1},       /* the same, local */
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, 12}, /* IPv4-mapped */
    {{0x20, 0x02}, 16, 2},                                /* 6to4 */
    {{0x20, 0x01, 0x00}, 23, -1},                         /* protocol assignments, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, -1},                   /* documentation */
    {{0x3f, 0xff, 0x00}, 20, -1},                         /* documentation */
};

static bool has_prefix(const uint8_t address[16], const struct range6 *range) {
    unsigned whole = range->bits / 8, rest = range->bits % 8;
    if (memcmp(address, range->prefix, whole) != 0) return false;
    return rest == 0 || (address[whole] ^ range->prefix[whole]) >> (8 - rest) == 0;
}

/* All of today's global unicast lies in 2000::/3; what else can be public carries an IPv4 address. */
static bool is_public6(const uint8_t address[16]) {
    for (size_t i = 0; i < sizeof special6 / sizeof special6[0]; i++)
        if (has_prefix(address, &special6[i])) return special6[i].embedded >= 0 && is_public4(embedded4(address + special6[i].embedded));
    return address[0] >> 5 == 1;
}

bool address_is_public(const struct sockaddr *address, socklen_t length) {
    if (address->sa_family == AF_INET && length >= (socklen_t)sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return is_public4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6 && length >= (socklen_t)sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        return is_public6(in.sin6_addr.s6_addr);
    }
    return false;
}
