// Addresses between the kernel's structs, text and our numbers; interfaces of the machine.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

void clinux_from_in6(const struct in6_addr *from, clinux_address *address) {
    uint64_t words[2];
    memcpy(words, from, 16);
    address->high = be64toh(words[0]);
    address->low = be64toh(words[1]);
    address->is_ipv6 = 1;
    if (address->high == 0 && address->low >> 32 == 0xffff) {
        address->low &= 0xffffffff;
        address->is_ipv6 = 0;
    }
}

void clinux_to_in6(const clinux_address *address, struct in6_addr *to) {
    uint64_t words[2] = {htobe64(address->high), htobe64(address->low)};
    if (!address->is_ipv6) words[1] = htobe64((address->low & 0xffffffff) | 0xffff00000000ull);
    memcpy(to, words, 16);
}

socklen_t clinux_to_sockaddr(const clinux_address *address, struct sockaddr_storage *storage) {
    if (address->is_ipv6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)storage;
        memset(six, 0, sizeof *six);
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(address->port);
        six->sin6_scope_id = address->scope;
        clinux_to_in6(address, &six->sin6_addr);
        return sizeof *six;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)storage;
    memset(four, 0, sizeof *four);
    four->sin_family = AF_INET;
    four->sin_port = htons(address->port);
    four->sin_addr.s_addr = htonl((uint32_t)address->low);
    return sizeof *four;
}

void clinux_from_sockaddr(const struct sockaddr *from, clinux_address *address) {
    memset(address, 0, sizeof *address);
    if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
        clinux_from_in6(&six->sin6_addr, address);
        address->port = ntohs(six->sin6_port);
        address->scope = six->sin6_scope_id;
    } else if (from->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)from;
        address->low = ntohl(four->sin_addr.s_addr);
        address->port = ntohs(four->sin_port);
    }
}

int clinux_address_parse(const char *text, clinux_address *address) {
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, text, &four) == 1) {
        address->high = 0;
        address->low = ntohl(four.s_addr);
        address->is_ipv6 = 0;
        address->scope = 0;
        return 0;
    }
    char plain[INET6_ADDRSTRLEN];
    const char *zone = strchr(text, '%');
    size_t length = zone ? (size_t)(zone - text) : strlen(text);
    if (length >= sizeof plain) return -EINVAL;
    memcpy(plain, text, length);
    plain[length] = 0;
    if (inet_pton(AF_INET6, plain, &six) != 1) return -EINVAL;
    clinux_from_in6(&six, address);
    address->scope = zone ? if_nametoindex(zone + 1) : 0;
    if (zone && address->scope == 0) return -EINVAL;
    return 0;
}

int clinux_address_format(const clinux_address *address, char *text, size_t capacity) {
    if (address->is_ipv6) {
        struct in6_addr six;
        clinux_to_in6(address, &six);
        return inet_ntop(AF_INET6, &six, text, (socklen_t)capacity) ? 0 : -errno;
    }
    struct in_addr four = {.s_addr = htonl((uint32_t)address->low)};
    return inet_ntop(AF_INET, &four, text, (socklen_t)capacity) ? 0 : -errno;
}

int clinux_interfaces(clinux_interface *list, int capacity) {
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0) return -errno;
    int count = 0;
    for (struct ifaddrs *one = all; one && count < capacity; one = one->ifa_next) {
        if (!one->ifa_addr) continue;
        int family = one->ifa_addr->sa_family;
        if (family != AF_INET && family != AF_INET6) continue;
        clinux_interface *to = &list[count++];
        memset(to, 0, sizeof *to);
        snprintf(to->name, sizeof to->name, "%s", one->ifa_name);
        clinux_from_sockaddr(one->ifa_addr, &to->address);
        to->is_loopback = (one->ifa_flags & IFF_LOOPBACK) != 0;
        to->is_up = (one->ifa_flags & IFF_UP) != 0 && (one->ifa_flags & IFF_RUNNING) != 0;
    }
    freeifaddrs(all);
    return count;
}
