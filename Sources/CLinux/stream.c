// TCP for ICE (RFC 6544): listen, accept, tune, read, write.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

static int bound(const clinux_address *address, int type, int reuse_address, int reuse_port) {
    int family = address->is_ipv6 ? AF_INET6 : AF_INET;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    const int on = 1;
    struct sockaddr_storage storage;
    socklen_t length = clinux_to_sockaddr(address, &storage);
    if ((family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        (reuse_address && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) ||
        (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        bind(fd, (struct sockaddr *)&storage, length) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int clinux_tcp_listen(const clinux_address *address, int reuse_port, int backlog) {
    int fd = bound(address, SOCK_STREAM, 1, reuse_port);
    if (fd < 0) return fd;
    if (listen(fd, backlog) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int clinux_probe_port(const clinux_address *address, int is_stream) {
    // SO_REUSEADDR lets TIME_WAIT pass for streams; for datagrams it would let another server pass, so not there.
    return bound(address, is_stream ? SOCK_STREAM : SOCK_DGRAM, is_stream, 0);
}

int clinux_tcp_accept(int fd, clinux_address *remote) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    int connection;
    do connection = accept4(fd, (struct sockaddr *)&storage, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (connection < 0 && errno == EINTR);
    if (connection < 0) return -errno;
    clinux_from_sockaddr((struct sockaddr *)&storage, remote);
    return connection;
}

int clinux_tcp_tune(int fd, int not_sent_bytes, int send_buffer_bytes) {
    const int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &not_sent_bytes, sizeof not_sent_bytes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes);
    return 0;
}

int clinux_tcp_unsent(int fd) {
    int bytes = 0;
    return ioctl(fd, SIOCOUTQNSD, &bytes) == 0 && bytes > 0 ? bytes : 0;
}

int64_t clinux_read(int fd, uint8_t *bytes, size_t capacity) {
    ssize_t n;
    do n = recv(fd, bytes, capacity, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t clinux_write(int fd, const uint8_t *bytes, size_t length) {
    ssize_t n;
    do n = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

void clinux_close(int fd) { close(fd); }
