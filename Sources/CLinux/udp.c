// UDP sockets in batches: recvmmsg and sendmmsg with source addresses, kernel time, GSO and GRO.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

int clinux_udp_open(const clinux_address *address, int flags) {
    int family = address->is_ipv6 ? AF_INET6 : AF_INET;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    const int on = 1;
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) goto failed;
    if (flags & CLINUX_UDP_REUSEPORT && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) goto failed;
    if (flags & CLINUX_UDP_PKTINFO) {
        int done = family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on)
                                      : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
        if (done != 0) goto failed;
    }
    if (flags & CLINUX_UDP_TIMESTAMP) setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (flags & CLINUX_UDP_GRO) setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    struct sockaddr_storage storage;
    socklen_t length = clinux_to_sockaddr(address, &storage);
    if (bind(fd, (struct sockaddr *)&storage, length) != 0) goto failed;
    return fd;
failed:;
    int error = errno;
    close(fd);
    return -error;
}

int clinux_socket_name(int fd, clinux_address *address) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &length) != 0) return -errno;
    clinux_from_sockaddr((struct sockaddr *)&storage, address);
    return 0;
}

static int set_buffer(int fd, int force, int plain, int bytes) {
    int granted = 0;
    socklen_t length = sizeof granted;
    if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) != 0 &&
        setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes) != 0)
        return -errno;
    if (getsockopt(fd, SOL_SOCKET, plain, &granted, &length) != 0) return -errno;
    return granted;
}

int clinux_receive_buffer(int fd, int bytes) { return set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, bytes); }

int clinux_send_buffer(int fd, int bytes) { return set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, bytes); }

int clinux_udp_segment_supported(int fd) {
    const int off = 0;
    return setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &off, sizeof off) == 0;
}

// ---- receive

// Room for a timestamp, packet info of either family and the GRO size.
enum { RECEIVE_CONTROL = 128 };

struct clinux_receive_batch {
    uint32_t slots;
    uint32_t slot_bytes;
    struct mmsghdr *headers;
    struct iovec *vectors;
    struct sockaddr_in6 *names;
    uint8_t *control;
    uint8_t *bytes;
    clinux_datagram *datagrams;
};

clinux_receive_batch *clinux_receive_batch_new(uint32_t slots, uint32_t slot_bytes) {
    clinux_receive_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    // Three odd cache lines keep the slots' first bytes off the same cache set.
    size_t stride = ((size_t)slot_bytes + 63) / 64 * 64 + 192;
    batch->slots = slots;
    batch->slot_bytes = slot_bytes;
    batch->headers = calloc(slots, sizeof *batch->headers);
    batch->vectors = calloc(slots, sizeof *batch->vectors);
    batch->names = calloc(slots, sizeof *batch->names);
    batch->control = calloc(slots, RECEIVE_CONTROL);
    batch->bytes = malloc(stride * slots);
    batch->datagrams = calloc(slots, sizeof *batch->datagrams);
    if (!batch->headers || !batch->vectors || !batch->names || !batch->control || !batch->bytes ||
        !batch->datagrams) {
        clinux_receive_batch_free(batch);
        return NULL;
    }
    for (uint32_t i = 0; i < slots; i++) {
        batch->datagrams[i].bytes = batch->bytes + stride * i;
        batch->vectors[i].iov_base = batch->datagrams[i].bytes;
        batch->vectors[i].iov_len = slot_bytes;
        struct msghdr *header = &batch->headers[i].msg_hdr;
        header->msg_name = &batch->names[i];
        header->msg_iov = &batch->vectors[i];
        header->msg_iovlen = 1;
        header->msg_control = batch->control + (size_t)RECEIVE_CONTROL * i;
    }
    return batch;
}

void clinux_receive_batch_free(clinux_receive_batch *batch) {
    if (!batch) return;
    free(batch->headers);
    free(batch->vectors);
    free(batch->names);
    free(batch->control);
    free(batch->bytes);
    free(batch->datagrams);
    free(batch);
}

clinux_datagram *clinux_receive_batch_datagrams(clinux_receive_batch *batch) { return batch->datagrams; }

static void read_control(struct msghdr *header, clinux_datagram *datagram) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(c), sizeof time);
            datagram->arrival = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            // ipi_addr is the header's destination; ipi_spec_dst would be the interface's own for broadcasts.
            datagram->local.low = ntohl(info.ipi_addr.s_addr);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            clinux_from_in6(&info.ipi6_addr, &datagram->local);
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size = 0;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            if (size > 0 && (uint32_t)size < datagram->length) datagram->segment_size = (uint32_t)size;
        }
    }
}

int clinux_receive(int fd, clinux_receive_batch *batch, uint32_t first, uint32_t count) {
    if (first >= batch->slots) return 0;
    if (count > batch->slots - first) count = batch->slots - first;
    for (uint32_t i = first; i < first + count; i++) {
        struct msghdr *header = &batch->headers[i].msg_hdr;
        header->msg_namelen = sizeof batch->names[i];
        header->msg_controllen = RECEIVE_CONTROL;
    }
    int filled;
    do filled = recvmmsg(fd, batch->headers + first, count, MSG_DONTWAIT, NULL);
    while (filled < 0 && errno == EINTR);
    if (filled < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    for (uint32_t i = first; i < first + (uint32_t)filled; i++) {
        clinux_datagram *datagram = &batch->datagrams[i];
        clinux_from_sockaddr((struct sockaddr *)&batch->names[i], &datagram->remote);
        memset(&datagram->local, 0, sizeof datagram->local);
        datagram->arrival = 0;
        datagram->length = batch->headers[i].msg_len;
        datagram->segment_size = datagram->length;
        datagram->truncated = (batch->headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
        read_control(&batch->headers[i].msg_hdr, datagram);
    }
    return filled;
}

// ---- send

enum { SEND_CONTROL = CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t)) };

struct clinux_send_batch {
    uint32_t slots;
    struct mmsghdr *headers;
    struct iovec *vectors;
    struct sockaddr_storage *names;
    uint8_t *control;
};

clinux_send_batch *clinux_send_batch_new(uint32_t slots) {
    clinux_send_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    batch->slots = slots;
    batch->headers = calloc(slots, sizeof *batch->headers);
    batch->vectors = calloc(slots, sizeof *batch->vectors);
    batch->names = calloc(slots, sizeof *batch->names);
    batch->control = calloc(slots, SEND_CONTROL);
    if (!batch->headers || !batch->vectors || !batch->names || !batch->control) {
        clinux_send_batch_free(batch);
        return NULL;
    }
    return batch;
}

void clinux_send_batch_free(clinux_send_batch *batch) {
    if (!batch) return;
    free(batch->headers);
    free(batch->vectors);
    free(batch->names);
    free(batch->control);
    free(batch);
}

static size_t add_source(struct cmsghdr *c, const clinux_address *remote, const clinux_address *local) {
    if (remote->is_ipv6) {
        struct in6_pktinfo info = {.ipi6_ifindex = remote->scope};
        clinux_to_in6(local, &info.ipi6_addr);
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(c), &info, sizeof info);
        return CMSG_SPACE(sizeof info);
    }
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl((uint32_t)local->low)};
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(c), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
}

void clinux_send_batch_set(
    clinux_send_batch *batch, uint32_t index, const uint8_t *bytes, uint32_t length, uint32_t segment_size,
    const clinux_address *remote, const clinux_address *local) {
    if (index >= batch->slots) return;
    batch->vectors[index].iov_base = (void *)bytes;
    batch->vectors[index].iov_len = length;
    uint8_t *control = batch->control + (size_t)SEND_CONTROL * index;
    size_t used = 0;
    if (local) used += add_source((struct cmsghdr *)control, remote, local);
    if (segment_size) {
        struct cmsghdr *c = (struct cmsghdr *)(control + used);
        uint16_t size = (uint16_t)segment_size;
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof size);
        memcpy(CMSG_DATA(c), &size, sizeof size);
        used += CMSG_SPACE(sizeof size);
    }
    struct msghdr *header = &batch->headers[index].msg_hdr;
    header->msg_name = &batch->names[index];
    header->msg_namelen = clinux_to_sockaddr(remote, &batch->names[index]);
    header->msg_iov = &batch->vectors[index];
    header->msg_iovlen = 1;
    header->msg_control = used ? control : NULL;
    header->msg_controllen = used;
    header->msg_flags = 0;
}

int clinux_send(int fd, clinux_send_batch *batch, uint32_t first, uint32_t count) {
    if (first >= batch->slots) return -EINVAL;
    if (count > batch->slots - first) count = batch->slots - first;
    int sent;
    do sent = sendmmsg(fd, batch->headers + first, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}
