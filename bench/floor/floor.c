// The least that forwarding costs on this machine: one thread, one socket; recvmmsg, parse, unprotect, then for each
// subscriber copy, rewrite number, timestamp and SSRC, protect, and the same sends as the server makes (one UDP_SEGMENT
// message per subscriber and size class, sendmmsg). No signaling, ICE, feedback, layers or history: keys and addresses come
// from a file. What goes out is sealed by the server's own means where the CPU has them, what comes in is unprotected by EVP,
// so this is less than any server can do.
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "keys.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

// The server's own bounds (Sources/RTP/Limits.swift), where they shape system calls.
enum {
    RECEIVE_SLOTS = 64,
    RECEIVE_BYTES = 65535,
    SEND_SLOTS = 256,
    SEND_BYTES = 1 << 20,
    SOCKET_BUFFER = 4 << 20,
    SEGMENTS = 64,
    SEGMENTED_BYTES = 65000,
    EQUALISING_PADDING = 16,
    DATAGRAM_BYTES = 1500,
    STREAMS = 8,
    AUDIO_TYPE = 111,
};

typedef struct {
    uint16_t length, header;
    uint64_t index;
    uint32_t timestamp;
    uint8_t bytes[DATAGRAM_BYTES];
} packet;

/// One SSRC of the publisher, and what of it waits for its frame's end.
typedef struct {
    uint32_t ssrc;
    uint64_t first_index;
    floor_replay replay;
    bool is_audio, is_due;
    long long deadline;
    int count;
    packet pending[SEGMENTS];
} stream;

typedef struct {
    _Alignas(cgcm_alignment) floor_srtp srtp;
    const struct sockaddr *address;
    socklen_t address_bytes;
    uint32_t ssrc[STREAMS];
    uint32_t timestamp[STREAMS];
    uint64_t first_index[STREAMS];
} subscriber;

typedef struct {
    unsigned long long received, bytes_received, malformed, unauthentic, repeated, forwarded, bytes_sent, messages, calls, full, failed;
} totals;

typedef struct {
    bool uses_segmentation, sends;
    floor_gcm gcm;
    long long frame_wait_ns;
    int socket;
    _Alignas(cgcm_alignment) floor_srtp inbound;
    stream streams[STREAMS];
    int stream_count;
    subscriber *subscribers;
    int subscriber_count;
    totals totals;
    // Receiving.
    struct mmsghdr in[RECEIVE_SLOTS];
    struct iovec in_bytes[RECEIVE_SLOTS];
    uint8_t in_control[RECEIVE_SLOTS][64];
    uint8_t *in_slab;
    // Sending.
    struct mmsghdr out[SEND_SLOTS];
    struct iovec out_bytes[SEND_SLOTS];
    uint8_t out_control[SEND_SLOTS][CMSG_SPACE(sizeof(uint16_t))];
    int out_packets[SEND_SLOTS];
    int out_count;
    uint8_t *out_slab;
    size_t out_used;
} program;

static volatile sig_atomic_t must_end, must_report;

static void on_signal(int number) {
    if (number == SIGUSR1)
        must_report = 1;
    else
        must_end = 1;
}

static uint16_t load16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static uint32_t load32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static void store16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static void store32(uint8_t *at, uint32_t value) {
    store16(at, (uint16_t)(value >> 16));
    store16(at + 2, (uint16_t)value);
}

static long long monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

// ---- out

static void flush_out(program *p) {
    int first = 0;
    while (p->sends && first < p->out_count) {
        p->totals.calls++;
        int sent = sendmmsg(p->socket, p->out + first, (unsigned)(p->out_count - first), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) {
            bool is_full = errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM;
            int last = is_full ? p->out_count : first + 1;
            for (; first < last; first++) {
                *(is_full ? &p->totals.full : &p->totals.failed) += (unsigned)p->out_packets[first];
                p->totals.forwarded -= (unsigned)p->out_packets[first];
            }
            continue;
        }
        first += sent;
    }
    p->out_count = 0;
    p->out_used = 0;
}

static void add_message(program *p, const subscriber *to, uint8_t *bytes, size_t length, int segment, int packets) {
    if (p->out_count == SEND_SLOTS) flush_out(p);
    int slot = p->out_count++;
    struct msghdr *header = &p->out[slot].msg_hdr;
    p->out_bytes[slot] = (struct iovec){.iov_base = bytes, .iov_len = length};
    p->out_packets[slot] = packets;
    header->msg_name = (void *)to->address;
    header->msg_namelen = to->address_bytes;
    header->msg_control = NULL;
    header->msg_controllen = 0;
    if (packets > 1) {
        uint16_t size = (uint16_t)segment;
        header->msg_control = p->out_control[slot];
        header->msg_controllen = sizeof p->out_control[slot];
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(header)), &size, sizeof size);
    }
    p->totals.messages++;
    p->totals.forwarded += (unsigned)packets;
    p->totals.bytes_sent += length;
}

/// How many packets go out as one message, and the size all but the last are padded to.
static int next_group(const stream *s, int first, int *size) {
    int largest = s->pending[first].length, smallest = largest, end = first + 1;
    while (end < s->count && end - first < SEGMENTS) {
        // A packet with padding of its own is not padded again: only the last one may stay as it is.
        if (s->pending[end - 1].bytes[0] & 0x20) break;
        int next = s->pending[end].length;
        int would_be = next > largest ? next : largest;
        if (would_be - smallest > EQUALISING_PADDING) break;
        if ((end - first + 1) * (would_be + FLOOR_GCM_TAG_BYTES) > SEGMENTED_BYTES) break;
        largest = would_be;
        if (next < smallest) smallest = next;
        end++;
    }
    *size = largest;
    return end - first;
}

static int write_packet(subscriber *to, int number, const stream *s, const packet *from, uint8_t *out, int padding) {
    uint64_t index = from->index - s->first_index + to->first_index[number];
    int length = from->length;
    memcpy(out, from->bytes, from->length);
    store16(out + 2, (uint16_t)index);
    store32(out + 4, from->timestamp + to->timestamp[number]);
    store32(out + 8, to->ssrc[number]);
    if (padding) {
        memset(out + length, 0, (size_t)padding);
        length += padding;
        out[length - 1] = (uint8_t)padding;
        out[0] |= 0x20;
    }
    return floor_protect(&to->srtp, out, from->header, length, to->ssrc[number], index);
}

static void send_group(program *p, subscriber *to, int number, int first, int count, int size) {
    const stream *s = &p->streams[number];
    if (p->out_used + (size_t)count * (size_t)(size + FLOOR_GCM_TAG_BYTES) > SEND_BYTES) flush_out(p);
    uint8_t *start = p->out_slab + p->out_used;
    size_t used = 0;
    for (int i = first; i < first + count; i++) {
        const packet *from = &s->pending[i];
        bool is_last = i == first + count - 1;
        int length = write_packet(to, number, s, from, start + used, is_last ? 0 : size - from->length);
        if (!length) {
            fputs("OpenSSL refused to protect a packet\n", stderr);
            exit(1);
        }
        if (!p->uses_segmentation) add_message(p, to, start + used, (size_t)length, 0, 1);
        used += (size_t)length;
    }
    p->out_used += used;
    if (p->uses_segmentation) add_message(p, to, start, used, size + to->srtp.overhead, count);
}

/// Subscribers outside, packets inside: what goes to one of them becomes one message.
static void fan_out(program *p) {
    for (int i = 0; i < p->subscriber_count; i++) {
        for (int number = 0; number < p->stream_count; number++) {
            const stream *s = &p->streams[number];
            if (!s->is_due) continue;
            int first = 0;
            while (first < s->count) {
                int size;
                int count = p->uses_segmentation ? next_group(s, first, &size) : (size = s->pending[first].length, 1);
                // Without room in the batch the slab must not begin anew under a message that is being added.
                if (p->out_count == SEND_SLOTS) flush_out(p);
                send_group(p, &p->subscribers[i], number, first, count, size);
                first += count;
            }
        }
    }
    flush_out(p);
    for (int number = 0; number < p->stream_count; number++) {
        stream *s = &p->streams[number];
        if (s->is_due) s->count = 0;
        s->is_due = false;
    }
}

// ---- in

/// The header's length with CSRCs and extension, 0: no RTP.
static int header_length(const uint8_t *bytes, int length) {
    if (length < 12 || bytes[0] >> 6 != 2) return 0;
    // RTCP on the same port (RFC 5761 §4).
    if (bytes[1] >= 192 && bytes[1] <= 223) return 0;
    int header = 12 + 4 * (bytes[0] & 0x0f);
    if (bytes[0] & 0x10) {
        if (length < header + 4) return 0;
        header += 4 + 4 * load16(bytes + header + 2);
    }
    return header <= length ? header : 0;
}

static stream *find_stream(program *p, uint32_t ssrc) {
    for (int i = 0; i < p->stream_count; i++)
        if (p->streams[i].ssrc == ssrc) return &p->streams[i];
    return NULL;
}

static stream *add_stream(program *p, uint32_t ssrc, uint64_t index, uint8_t payload_type) {
    int number = p->stream_count++;
    stream *s = &p->streams[number];
    s->ssrc = ssrc;
    s->first_index = index;
    s->is_audio = payload_type == AUDIO_TYPE;
    for (int i = 0; i < p->subscriber_count; i++) {
        // Other numbers than the publisher's, and never the same SSRC twice for one key.
        p->subscribers[i].ssrc[number] = ssrc + 1 + (uint32_t)number;
        p->subscribers[i].timestamp[number] = 0x10000u * (uint32_t)(i + 1);
        p->subscribers[i].first_index[number] = (uint64_t)(i % 1000) + 1;
        for (int other = 0; other < number; other++)
            if (p->subscribers[i].ssrc[other] == p->subscribers[i].ssrc[number]) {
                p->subscribers[i].ssrc[number] += 2 * STREAMS;
                other = -1;
            }
    }
    return s;
}

static void take(program *p, uint8_t *bytes, int length, long long now) {
    p->totals.received++;
    p->totals.bytes_received += (unsigned)length;
    int header = header_length(bytes, length);
    if (!header || length > DATAGRAM_BYTES - EQUALISING_PADDING) {
        p->totals.malformed++;
        return;
    }
    uint32_t ssrc = load32(bytes + 8);
    stream *s = find_stream(p, ssrc);
    if (!s && p->stream_count == STREAMS) {
        p->totals.malformed++;
        return;
    }
    uint64_t index = s ? floor_replay_guess(&s->replay, load16(bytes + 2)) : load16(bytes + 2);
    if (s && (!floor_replay_admits(&s->replay, index) || index < s->first_index)) {
        p->totals.repeated++;
        return;
    }
    int plain = floor_unprotect(&p->inbound, bytes, header, length, ssrc, index);
    if (!plain) {
        p->totals.unauthentic++;
        return;
    }
    if (!s) s = add_stream(p, ssrc, index, bytes[1] & 0x7f);
    floor_replay_note(&s->replay, index);
    if (s->count == SEGMENTS) {
        s->is_due = true;
        fan_out(p);
    }
    if (!s->count) s->deadline = now + p->frame_wait_ns;
    packet *kept = &s->pending[s->count++];
    kept->length = (uint16_t)plain;
    kept->header = (uint16_t)header;
    kept->index = index;
    kept->timestamp = load32(bytes + 4);
    memcpy(kept->bytes, bytes, (size_t)plain);
    s->is_due = s->is_due || s->is_audio || bytes[1] & 0x80;
}

static int segment_size(struct msghdr *header, int length) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO) continue;
        int size = 0;
        memcpy(&size, CMSG_DATA(c), sizeof size);
        if (size > 0 && size < length) return size;
    }
    return length;
}

static void receive(program *p, long long now) {
    for (int i = 0; i < RECEIVE_SLOTS; i++) p->in[i].msg_hdr.msg_controllen = sizeof p->in_control[i];
    int count = recvmmsg(p->socket, p->in, RECEIVE_SLOTS, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        uint8_t *bytes = p->in_bytes[i].iov_base;
        int length = (int)p->in[i].msg_len;
        int size = segment_size(&p->in[i].msg_hdr, length);
        for (int begin = 0; begin < length; begin += size)
            take(p, bytes + begin, begin + size <= length ? size : length - begin, now);
    }
}

/// Sends what is due; nanoseconds until something else is, -1: nothing waits.
static long long send_due(program *p, long long now) {
    bool any = false;
    long long wait = -1;
    for (int i = 0; i < p->stream_count; i++) {
        stream *s = &p->streams[i];
        if (s->count && now >= s->deadline) s->is_due = true;
        any = any || s->is_due;
        if (s->count && !s->is_due && (wait < 0 || s->deadline - now < wait)) wait = s->deadline - now;
    }
    if (any) fan_out(p);
    return wait;
}

// ---- the program

/// Nanoseconds on a CPU, as the scheduler counts them (proc(5)): what the server is measured by. 0: it does not tell.
static unsigned long long scheduled(void) {
    unsigned long long cpu = 0;
    FILE *file = fopen("/proc/thread-self/schedstat", "r");
    if (!file) return 0;
    if (fscanf(file, "%llu", &cpu) != 1) cpu = 0;
    fclose(file);
    return cpu;
}

static void report(const program *p) {
    const totals *t = &p->totals;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf(
        "{\"received\": %llu, \"bytes_received\": %llu, \"malformed\": %llu, \"unauthentic\": %llu, "
        "\"repeated\": %llu, \"forwarded\": %llu, \"bytes_sent\": %llu, \"messages\": %llu, \"send_calls\": %llu, "
        "\"socket_full\": %llu, \"socket_error\": %llu, \"user_us\": %lld, \"system_us\": %lld, \"cpu_ns\": %llu, "
        "\"resident_kib\": %ld}\n",
        t->received, t->bytes_received, t->malformed, t->unauthentic, t->repeated, t->forwarded, t->bytes_sent,
        t->messages, t->calls, t->full, t->failed,
        usage.ru_utime.tv_sec * 1000000LL + usage.ru_utime.tv_usec,
        usage.ru_stime.tv_sec * 1000000LL + usage.ru_stime.tv_usec, scheduled(), usage.ru_maxrss);
    fflush(stdout);
}

static void set_buffer(int fd, int force, int plain) {
    const int bytes = SOCKET_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
}

static bool open_socket(program *p, const floor_keys *keys) {
    const int on = 1, off = 0;
    p->socket = socket(keys->server.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (p->socket < 0 || bind(p->socket, (const struct sockaddr *)&keys->server, keys->server_bytes) != 0) {
        perror("UDP socket");
        return false;
    }
    set_buffer(p->socket, SO_RCVBUFFORCE, SO_RCVBUF);
    set_buffer(p->socket, SO_SNDBUFFORCE, SO_SNDBUF);
    setsockopt(p->socket, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    if (p->uses_segmentation && setsockopt(p->socket, IPPROTO_UDP, UDP_SEGMENT, &off, sizeof off) != 0) {
        fputs("this kernel has no UDP_SEGMENT: going on without\n", stderr);
        p->uses_segmentation = false;
    }
    return true;
}

static bool open_buffers(program *p) {
    p->in_slab = malloc((size_t)RECEIVE_SLOTS * (RECEIVE_BYTES + 193));
    p->out_slab = malloc(SEND_BYTES + SEGMENTED_BYTES + DATAGRAM_BYTES);
    if (!p->in_slab || !p->out_slab) return false;
    for (int i = 0; i < RECEIVE_SLOTS; i++) {
        p->in_bytes[i] = (struct iovec){p->in_slab + (size_t)i * (RECEIVE_BYTES + 193), RECEIVE_BYTES};
        p->in[i].msg_hdr = (struct msghdr){
            .msg_iov = &p->in_bytes[i], .msg_iovlen = 1, .msg_control = p->in_control[i]};
    }
    for (int i = 0; i < SEND_SLOTS; i++) {
        struct cmsghdr *c = (struct cmsghdr *)p->out_control[i];
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        p->out[i].msg_hdr = (struct msghdr){.msg_iov = &p->out_bytes[i], .msg_iovlen = 1};
    }
    return true;
}

static bool open_peers(program *p, const floor_keys *keys) {
    size_t bytes = (size_t)keys->subscriber_count * sizeof *p->subscribers;
    p->subscribers = aligned_alloc(cgcm_alignment, bytes);
    if (!p->subscribers) return false;
    memset(p->subscribers, 0, bytes);
    const floor_peer *publisher = &keys->publisher;
    const uint8_t *inbound = publisher->from_client;
    if (!floor_srtp_open(&p->inbound, keys->profile, inbound, inbound + FLOOR_KEY_BYTES, false, p->gcm)) return false;
    for (; p->subscriber_count < keys->subscriber_count; p->subscriber_count++) {
        const floor_peer *peer = &keys->subscribers[p->subscriber_count];
        subscriber *to = &p->subscribers[p->subscriber_count];
        to->address = (const struct sockaddr *)&peer->address;
        to->address_bytes = peer->address_bytes;
        const uint8_t *outbound = peer->to_client;
        if (!floor_srtp_open(&to->srtp, keys->profile, outbound, outbound + FLOOR_KEY_BYTES, true, p->gcm)) return false;
    }
    return true;
}

static void close_program(program *p) {
    for (int i = 0; i < p->subscriber_count; i++) floor_srtp_close(&p->subscribers[i].srtp);
    floor_srtp_close(&p->inbound);
    if (p->socket >= 0) close(p->socket);
    free(p->subscribers);
    free(p->in_slab);
    free(p->out_slab);
    free(p);
}

/// Until a signal, or with `until_eof` the end of standard input.
static void run(program *p, bool until_eof, const sigset_t *signals) {
    struct pollfd files[2] = {{.fd = p->socket, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    long long wait = -1;
    while (!must_end) {
        struct timespec timeout = {wait / 1000000000, wait % 1000000000};
        int ready = ppoll(files, until_eof ? 2 : 1, wait < 0 ? NULL : &timeout, signals);
        if (must_report) {
            must_report = 0;
            report(p);
        }
        if (ready < 0 && errno != EINTR) break;
        if (ready < 0) continue;
        char drained[256];
        if (until_eof && files[1].revents && read(STDIN_FILENO, drained, sizeof drained) <= 0) break;
        if (files[0].revents) receive(p, monotonic());
        wait = send_due(p, monotonic());
    }
}

static int usage(int status) {
    fputs(
        "usage: floor [--no-gso] [--no-send] [--gcm evp|own] [--frame-wait US] [--until-eof] KEYS\n"
        "Forwards RTP between the addresses of KEYS (bench/README.md, \"Keys from a file\"). Prints one line of JSON at\n"
        "SIGUSR1 and at its end: SIGTERM, SIGINT, or with --until-eof the end of standard input.\n"
        "  --no-gso     one message per packet\n"
        "  --no-send    does all but the system call that sends\n"
        "  --gcm        what AES-GCM is done by: OpenSSL's EVP, or the server's own (own, where the CPU has it)\n"
        "  --frame-wait how long a video packet waits for its frame's end, microseconds (1000, as the server)\n",
        status ? stderr : stdout);
    return status;
}

int main(int count, char **arguments) {
    static const struct option options[] = {
        {"no-gso", no_argument, NULL, 'g'},    {"no-send", no_argument, NULL, 's'},
        {"until-eof", no_argument, NULL, 'e'}, {"frame-wait", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},      {"gcm", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    bool uses_segmentation = true, sends = true, until_eof = false;
    floor_gcm gcm = cgcm_best() == cgcm_unavailable ? FLOOR_EVP : FLOOR_OWN;
    long frame_wait_us = 1000;
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        if (option == 'g')
            uses_segmentation = false;
        else if (option == 's')
            sends = false;
        else if (option == 'e')
            until_eof = true;
        else if (option == 'c' && strcmp(optarg, "evp") == 0)
            gcm = FLOOR_EVP;
        else if (option == 'c' && strcmp(optarg, "own") == 0) {
            if (cgcm_best() == cgcm_unavailable) {
                fputs("this CPU has no instructions for GCM that are known here\n", stderr);
                return 1;
            }
            gcm = FLOOR_OWN;
        } else if (option == 'w') {
            char *rest = NULL;
            frame_wait_us = strtol(optarg, &rest, 10);
            if (!*optarg || *rest || frame_wait_us < 0 || frame_wait_us > 60000000) return usage(2);
        } else
            return usage(option == 'h' ? 0 : 2);
    }
    if (optind != count - 1) return usage(2);
    sigset_t blocked, before;
    sigemptyset(&blocked);
    struct sigaction action = {.sa_handler = on_signal};
    for (int i = 0; i < 3; i++) {
        const int number = (int[]){SIGTERM, SIGINT, SIGUSR1}[i];
        sigaddset(&blocked, number);
        sigaction(number, &action, NULL);
    }
    // They arrive in ppoll alone.
    sigprocmask(SIG_BLOCK, &blocked, &before);

    floor_keys keys;
    if (!floor_keys_read(&keys, arguments[optind])) return 1;
    program *p = aligned_alloc(cgcm_alignment, sizeof *p);
    int status = 1;
    if (p) {
        memset(p, 0, sizeof *p);
        p->socket = -1;
        p->uses_segmentation = uses_segmentation;
        p->sends = sends;
        p->gcm = gcm;
        p->frame_wait_ns = frame_wait_us * 1000LL;
        if (open_socket(p, &keys) && open_buffers(p) && open_peers(p, &keys)) {
            printf(
                "{\"listening\": true, \"segmentation\": %s, \"gcm\": \"%s\"}\n",
                p->uses_segmentation ? "true" : "false", p->gcm == FLOOR_OWN ? "own" : "evp");
            fflush(stdout);
            run(p, until_eof, &before);
            report(p);
            status = 0;
        }
        close_program(p);
    }
    floor_keys_free(&keys);
    return status;
}
