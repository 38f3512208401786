// Linux calls that Swift's Glibc module does not show, with structs of our own. It knows nothing of media.
// _GNU_SOURCE is defined in the .c files only: in a header that Swift imports it breaks the Glibc module.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>

// Every function that can fail returns a negative errno.

// ---- addresses

// An IPv4 or IPv6 address and port as numbers in host order; IPv4 stands in the low 32 bits.
typedef struct clinux_address {
    uint64_t high;
    uint64_t low;
    uint32_t scope;
    uint16_t port;
    uint8_t is_ipv6;
} clinux_address;

// Numeric text only; 0 or -EINVAL. The port is left alone.
int clinux_address_parse(const char *text, clinux_address *address);
// Writes the numeric form without port; `capacity` >= 64.
int clinux_address_format(const clinux_address *address, char *text, size_t capacity);

typedef struct clinux_interface {
    char name[16];
    clinux_address address;
    uint8_t is_loopback;
    uint8_t is_up;
} clinux_interface;

// Addresses of the interfaces, at most `capacity`; the count or -errno.
int clinux_interfaces(clinux_interface *list, int capacity);

// ---- UDP

enum {
    CLINUX_UDP_REUSEPORT = 1,  // share the port with sockets of the same user
    CLINUX_UDP_PKTINFO = 2,    // tell the address that a datagram came to
    CLINUX_UDP_GRO = 4,        // let the kernel merge datagrams of one flow
    CLINUX_UDP_TIMESTAMP = 8,  // per-packet kernel receive time
};

// A bound, non-blocking, close-on-exec socket or -errno. IPv6 sockets take IPv6 only. Absent features are left off.
int clinux_udp_open(const clinux_address *address, int flags);
int clinux_socket_name(int fd, clinux_address *address);
// Tries the FORCE variant first; the size that the kernel granted (its doubled book-keeping value) or -errno.
int clinux_receive_buffer(int fd, int bytes);
int clinux_send_buffer(int fd, int bytes);
// 1 where the kernel knows UDP_SEGMENT.
int clinux_udp_segment_supported(int fd);

typedef struct clinux_datagram {
    clinux_address remote;
    // The address of ours that it came to; all zero without CLINUX_UDP_PKTINFO. No port.
    clinux_address local;
    // CLOCK_REALTIME nanoseconds of the kernel's receipt; 0: none.
    int64_t arrival;
    uint8_t *bytes;
    uint32_t length;
    // Bytes of each merged datagram but the last; `length` where nothing was merged.
    uint32_t segment_size;
    uint8_t truncated;
} clinux_datagram;

// Preallocated slots for recvmmsg.
typedef struct clinux_receive_batch clinux_receive_batch;
clinux_receive_batch *clinux_receive_batch_new(uint32_t slots, uint32_t slot_bytes);
void clinux_receive_batch_free(clinux_receive_batch *batch);
clinux_datagram *clinux_receive_batch_datagrams(clinux_receive_batch *batch);
// Fills slots first..<first+count; how many were filled (0: nothing there) or -errno.
int clinux_receive(int fd, clinux_receive_batch *batch, uint32_t first, uint32_t count);

// Preallocated headers for sendmmsg. The bytes stay the caller's until clinux_send returned.
typedef struct clinux_send_batch clinux_send_batch;
clinux_send_batch *clinux_send_batch_new(uint32_t slots);
void clinux_send_batch_free(clinux_send_batch *batch);
// Fills slot `index`. `segment_size` 0: one datagram. `local` NULL: the kernel picks the source address.
void clinux_send_batch_set(
    clinux_send_batch *batch, uint32_t index, const uint8_t *bytes, uint32_t length, uint32_t segment_size,
    const clinux_address *remote, const clinux_address *local);
// Sends slots first..<first+count; how many went out (at least one) or -errno of slot `first`. Never blocks.
int clinux_send(int fd, clinux_send_batch *batch, uint32_t first, uint32_t count);

// ---- TCP

// A listening, non-blocking, close-on-exec socket or -errno.
int clinux_tcp_listen(const clinux_address *address, int reuse_port, int backlog);
// A bound socket that holds a port without REUSEPORT, to see whether somebody else has it; type 1 stream, 2 datagram.
int clinux_probe_port(const clinux_address *address, int is_stream);
// A non-blocking connection or -errno.
int clinux_tcp_accept(int fd, clinux_address *remote);
// TCP_NODELAY, TCP_NOTSENT_LOWAT, SO_SNDBUF.
int clinux_tcp_tune(int fd, int not_sent_bytes, int send_buffer_bytes);
// Bytes that were written and not yet sent; 0 where the kernel does not say.
int clinux_tcp_unsent(int fd);
// Bytes, 0 at end of stream, or -errno.
int64_t clinux_read(int fd, uint8_t *bytes, size_t capacity);
// Bytes taken, or -errno; raises no signal.
int64_t clinux_write(int fd, const uint8_t *bytes, size_t length);
void clinux_close(int fd);

// ---- waiting

enum { CLINUX_READABLE = 1, CLINUX_WRITABLE = 2, CLINUX_HANGUP = 4 };

typedef struct clinux_event {
    uint64_t token;
    uint32_t events;
} clinux_event;

int clinux_poll_new(void);
int clinux_poll_add(int poll, int fd, uint32_t events, uint64_t token);
int clinux_poll_change(int poll, int fd, uint32_t events, uint64_t token);
int clinux_poll_remove(int poll, int fd);
// Waits at most `nanoseconds` (negative: for ever); the number of events or -errno; 0 when a signal came.
int clinux_poll_wait(int poll, clinux_event *events, int capacity, int64_t nanoseconds);

int clinux_eventfd(void);
void clinux_eventfd_signal(int fd);
void clinux_eventfd_clear(int fd);

// ---- time, threads, randomness, machine

int64_t clinux_monotonic_ns(void);
int64_t clinux_realtime_ns(void);

typedef struct clinux_thread clinux_thread;
// Runs body(context) on a thread with all signals blocked. `cpu` < 0: any. NULL when the system refused.
clinux_thread *clinux_thread_start(const char *name, int cpu, void (*body)(void *), void *context);
void clinux_thread_join(clinux_thread *thread);

// On Linux each thread has a nice value of its own (-20...19, higher is less urgent), and those that it starts begin with it.
// The calling thread's.
int clinux_nice(void);
// Sets it; 0 or -errno: -EACCES where a lower one needs a privilege.
int clinux_set_nice(int nice);
// Those of all other threads that have a lower one; needs no privilege. 0 or -errno.
int clinux_step_back_others(int nice);

// CPUs that this process may use.
int clinux_cpu_count(void);
// The n-th of them or -1.
int clinux_cpu_at(int index);
// CPUs that the cgroup's quota allows, rounded up; 0 without a quota.
int clinux_cpu_quota(void);
uint64_t clinux_random(void);
// Starts this program again, same process, with a heap on large pages (glibc reads that at its start alone), where the kernel
// has them on request and nobody has set GLIBC_TUNABLES. Returns only where it stays as it is.
void clinux_restart_on_large_pages(void);
// Text of an errno; static storage of the C library.
const char *clinux_error_text(int error);

#endif
