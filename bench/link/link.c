// A link between clients and servers in user space: UDP both ways, each way with a rate, a queue, a delay, jitter and loss
// that change when told to. Orders come by standard input, reports go to standard output, one JSON object a line. README.md
// of the benchmarks names them. One thread; the only clock is CLOCK_MONOTONIC.
#define _GNU_SOURCE
#include "path.h"
#include "settings.h"
#include "transfer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    DOWN, UP, WAYS,
    FLOWS = PATH_FLOWS - 1,
    CLIENTS = 16,
    // What IPv4 and UDP add to a datagram.
    OVERHEAD = 28,
    DATAGRAM = 65536,
    SOCKET_BUFFER = 4 << 20,
};
// What can be seen of a packet without its keys.
enum { AUDIO, VIDEO, RTX, RTP, RTCP, CONTROL, OTHER, TRANSFER };
static const char *const KINDS[PATH_KINDS] = {"audio", "video", "rtx", "rtp", "rtcp", "control", "other", "transfer"};
static const char *const NAMES[WAYS] = {"down", "up"};
static const int64_t REPORT = 100000000;

typedef struct {
    struct sockaddr_in address;
    // Talks to the server for this client, so that the server tells clients apart.
    int upstream;
} client;

typedef struct {
    int listening;
    struct sockaddr_in server;
    uint8_t kinds[128];
    client clients[CLIENTS];
    int client_count;
} flow;

static struct {
    int epoll, timer;
    struct sockaddr_in address;
    path *ways[WAYS];
    transfer *transfer;
    bool is_transferring;
    flow flows[FLOWS];
    int flow_count;
    schedule_line *schedule;
    size_t schedule_count, schedule_next;
    int64_t started, reported;
    char input[LINE_BYTES];
    size_t input_bytes;
    bool is_ending;
} state;

static int64_t monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/// `text`: without quotation marks, backslashes and control characters, which none of the callers' texts has a use for.
__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *text, ...) {
    va_list values;
    char line[LINE_BYTES];
    va_start(values, text);
    vsnprintf(line, sizeof line, text, values);
    va_end(values);
    for (char *at = line; *at; at++) {
        if (*at == '"' || *at == '\\' || (unsigned char)*at < ' ') *at = '\'';
    }
    printf("{\"error\":\"%s\"}\n", line);
    fflush(stdout);
    exit(2);
}

// ---- addresses and sockets

static bool read_address(const char *text, struct sockaddr_in *address) {
    char host[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host || colon[1] < '0' || colon[1] > '9') return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    char *rest = NULL;
    unsigned long port = strtoul(colon + 1, &rest, 10);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return *rest == 0 && port <= 65535 && inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

static int open_socket(uint32_t tag) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = SOCKET_BUFFER;
    if (fd < 0) fail("no socket: %s", strerror(errno));
    // The queue is the link's own: none of the kernel's shall be full.
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size)) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size)) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};
    if (epoll_ctl(state.epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll: %s", strerror(errno));
    return fd;
}

// A tag of epoll's: flow and client; client 255 is the flow's own socket.
enum { TAG_INPUT = 1 << 16, TAG_TIMER, OWN = 255 };

static uint32_t tag(int flow_index, int client_index) { return (uint32_t)(flow_index << 8 | client_index); }

static client *client_of(flow *one, int index, const struct sockaddr_in *address) {
    for (int i = 0; i < one->client_count; i++) {
        client *known = &one->clients[i];
        if (known->address.sin_port == address->sin_port && known->address.sin_addr.s_addr == address->sin_addr.s_addr) return known;
    }
    if (one->client_count == CLIENTS) return NULL;
    client *made = &one->clients[one->client_count];
    made->address = *address;
    made->upstream = open_socket(tag(index, one->client_count));
    if (connect(made->upstream, (struct sockaddr *)&one->server, sizeof one->server)) fail("connect: %s", strerror(errno));
    one->client_count++;
    return made;
}

// ---- packets

/// RFC 7983 §7, RFC 5761 §4; the payload type is in clear.
static uint8_t kind_of(const flow *one, const uint8_t *data, ssize_t bytes) {
    if (bytes < 2) return OTHER;
    if (data[0] < 64) return CONTROL;
    if (data[0] < 128 || data[0] > 191) return OTHER;
    if (data[1] >= 192 && data[1] <= 223) return RTCP;
    return one->kinds[data[1] & 127];
}

static void read_socket(int flow_index, int client_index, int64_t now) {
    static uint8_t data[DATAGRAM];
    flow *one = &state.flows[flow_index];
    bool is_up = client_index == OWN;
    int fd = is_up ? one->listening : one->clients[client_index].upstream;
    for (;;) {
        struct sockaddr_in from;
        socklen_t from_bytes = sizeof from;
        ssize_t bytes = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &from_bytes);
        if (bytes < 0 && errno == ECONNREFUSED) continue;
        if (bytes < 0) return;
        int index = client_index;
        if (is_up) {
            client *sender = client_of(one, flow_index, &from);
            if (!sender) continue;
            index = (int)(sender - one->clients);
        }
        path_packet *packet = malloc(sizeof *packet + (size_t)bytes);
        if (!packet) fail("no memory");
        packet->size = (int32_t)bytes + OVERHEAD;
        packet->length = (int32_t)bytes;
        packet->flow = (uint8_t)flow_index;
        packet->kind = kind_of(one, data, bytes);
        packet->tag = (uint32_t)index;
        memcpy(packet->data, data, (size_t)bytes);
        path_put(state.ways[is_up ? UP : DOWN], packet, now);
    }
}

static void deliver(const path_packet *packet, int way, int64_t now) {
    if (packet->kind == TRANSFER) {
        if (state.transfer) transfer_arrived(state.transfer, packet->tag, now);
        return;
    }
    const flow *one = &state.flows[packet->flow];
    const client *other = &one->clients[packet->tag];
    // What the kernel refuses is lost, as on any link.
    if (way == UP) {
        (void)!send(other->upstream, packet->data, (size_t)packet->length, 0);
    } else {
        (void)!sendto(one->listening, packet->data, (size_t)packet->length, 0, (const struct sockaddr *)&other->address, sizeof other->address);
    }
}

static void send_segments(int64_t now) {
    for (uint32_t number; state.is_transferring && transfer_send(state.transfer, now, &number);) {
        path_packet *packet = calloc(1, sizeof *packet);
        if (!packet) fail("no memory");
        packet->size = TRANSFER_SEGMENT;
        packet->flow = FLOWS;
        packet->kind = TRANSFER;
        packet->tag = number;
        path_put(state.ways[DOWN], packet, now);
    }
}

// ---- orders

static void change(int way, char *words, int64_t now) {
    path_settings settings = *path_get(state.ways[way]);
    const char *wrong = settings_read(&settings, words);
    if (wrong) fail("%s: of no use: %s", NAMES[way], wrong);
    path_set(state.ways[way], &settings, now);
}

static void read_kinds(flow *one, char *words) {
    for (char *word, *rest = words; (word = strsep(&rest, " "));) {
        char *numbers = strchr(word, '=');
        int kind = AUDIO;
        if (!*word) continue;
        if (!numbers) fail("flow: of no use: %s", word);
        *numbers++ = 0;
        while (kind < RTP && strcmp(word, KINDS[kind])) kind++;
        if (kind == RTP) fail("flow: of no use: %s", word);
        for (char *number; (number = strsep(&numbers, ","));) {
            char *end = NULL;
            unsigned long value = strtoul(number, &end, 10);
            if (!*number || *end || value > 127) fail("flow: no payload type: %s", number);
            one->kinds[value] = (uint8_t)kind;
        }
    }
}

/// "ADDRESS:PORT audio=111 video=96,98 rtx=97": a server, and what its packets are.
static void add_flow(char *words) {
    if (state.flow_count == FLOWS) fail("flow: there are %d already", FLOWS);
    flow *one = &state.flows[state.flow_count];
    char *rest = words, *server = strsep(&rest, " ");
    memset(one->kinds, RTP, sizeof one->kinds);
    if (!server || !read_address(server, &one->server) || one->server.sin_port == 0) fail("flow: ADDRESS:PORT of the server is missing");
    if (rest) read_kinds(one, rest);
    one->listening = open_socket(tag(state.flow_count, OWN));
    struct sockaddr_in bound = state.address;
    socklen_t bytes = sizeof bound;
    if (bind(one->listening, (struct sockaddr *)&bound, bytes)) fail("bind: %s", strerror(errno));
    getsockname(one->listening, (struct sockaddr *)&bound, &bytes);
    printf("{\"flow\":%d,\"port\":%d}\n", state.flow_count++, ntohs(bound.sin_port));
}

static void set_transfer(const char *what) {
    state.is_transferring = !strcmp(what, "on");
    if (!state.is_transferring && strcmp(what, "off")) fail("transfer: on or off");
    if (!state.transfer) state.transfer = transfer_new(path_get(state.ways[UP])->delay);
    if (!state.transfer) fail("no memory");
}

static void start(int64_t now) {
    state.started = state.reported = now;
    for (int way = 0; way < WAYS; way++) path_forget(state.ways[way]);
    printf("{\"started\":%.6f}\n", (double)now / 1e9);
}

static void obey(char *order, int64_t now) {
    char *words = order, *verb = strsep(&words, " \t");
    if (!*verb) return;
    if (!strcmp(verb, NAMES[DOWN])) change(DOWN, words, now);
    else if (!strcmp(verb, NAMES[UP])) change(UP, words, now);
    else if (!strcmp(verb, "flow")) add_flow(words);
    else if (!strcmp(verb, "transfer")) set_transfer(words ? words : "");
    else if (!strcmp(verb, "start")) start(now);
    else fail("no such order: %s", verb);
}

static void read_input(int64_t now) {
    size_t room = sizeof state.input - 1 - state.input_bytes;
    ssize_t bytes = read(STDIN_FILENO, state.input + state.input_bytes, room);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (bytes <= 0) {
        state.is_ending = true;
        return;
    }
    state.input_bytes += (size_t)bytes;
    char *line = state.input, *end;
    while ((end = memchr(line, '\n', state.input_bytes - (size_t)(line - state.input)))) {
        *end = 0;
        obey(line, now);
        line = end + 1;
    }
    state.input_bytes -= (size_t)(line - state.input);
    memmove(state.input, line, state.input_bytes);
    if (state.input_bytes == sizeof state.input - 1) fail("an order has more than %zu bytes", sizeof state.input - 2);
}

// ---- reports

static void report_amount(const char *name, path_amount amount, bool is_first) {
    printf("%s\"%s\":[%llu,%llu]", is_first ? "" : ",", name, (unsigned long long)amount.bytes, (unsigned long long)amount.packets);
}

static void report_flow(const path *way, int index) {
    bool is_first = true;
    putchar('{');
    for (int kind = 0; kind < PATH_KINDS; kind++) {
        const path_count *count = path_counted(way, index, kind);
        if (!count->offered.packets && !count->delivered.packets && !count->lost.packets) continue;
        printf("%s\"%s\":{", is_first ? "" : ",", KINDS[kind]);
        report_amount("offered", count->offered, true);
        report_amount("delivered", count->delivered, false);
        report_amount("dropped", count->dropped, false);
        report_amount("lost", count->lost, false);
        putchar('}');
        is_first = false;
    }
    putchar('}');
}

/// What happened in the 100 ms before `at`. Bytes are those on the link, and numbers of packets stand beside them.
static void report(int64_t at) {
    printf("{\"at\":%.6f", (double)at / 1e9);
    for (int i = 0; i < WAYS; i++) {
        path *way = state.ways[i];
        printf(",\"%s\":{\"rate\":%lld,\"wait_ms\":[%.2f,%.2f],\"flows\":[", NAMES[i], (long long)path_get(way)->rate,
               (double)path_mean_wait(way) / 1e6, (double)path_longest_wait(way) / 1e6);
        for (int index = 0; index < state.flow_count; index++) {
            if (index) putchar(',');
            report_flow(way, index);
        }
        printf("]");
        if (i == DOWN && state.transfer) {
            printf(",\"transfer\":");
            report_flow(way, FLOWS);
        }
        printf("}");
        path_forget(way);
    }
    printf("}\n");
}

// ---- the loop

static void move(int64_t now) {
    for (int way = 0; way < WAYS; way++) {
        for (path_packet *packet; (packet = path_take(state.ways[way], now));) {
            deliver(packet, way, now);
            free(packet);
        }
    }
    if (state.transfer) {
        transfer_advance(state.transfer, now);
        send_segments(now);
    }
}

/// However late we wake: what is due happens in its order, and a report holds what happened before it.
static void advance(int64_t now) {
    for (;;) {
        int64_t at = state.reported + REPORT;
        bool has_order = state.started && state.schedule_next < state.schedule_count;
        schedule_line *order = has_order ? &state.schedule[state.schedule_next] : NULL;
        if (order && state.started + order->at <= now && state.started + order->at < at) {
            move(state.started + order->at);
            obey(order->order, state.started + order->at);
            state.schedule_next++;
        } else if (at <= now) {
            move(at);
            state.reported = at;
            report(at);
        } else {
            break;
        }
    }
    move(now);
}

static void set_timer(void) {
    int64_t next = state.reported + REPORT;
    for (int way = 0; way < WAYS; way++) {
        int64_t at = path_next(state.ways[way]);
        if (at < next) next = at;
    }
    if (state.transfer && transfer_next(state.transfer) < next) next = transfer_next(state.transfer);
    if (state.started && state.schedule_next < state.schedule_count) {
        int64_t at = state.started + state.schedule[state.schedule_next].at;
        if (at < next) next = at;
    }
    struct itimerspec wake = {.it_value = {.tv_sec = next / 1000000000, .tv_nsec = next % 1000000000}};
    timerfd_settime(state.timer, TFD_TIMER_ABSTIME, &wake, NULL);
}

static void run(void) {
    state.reported = monotonic();
    while (!state.is_ending) {
        set_timer();
        struct epoll_event events[32];
        int count = epoll_wait(state.epoll, events, 32, -1);
        int64_t now = monotonic();
        advance(now);
        for (int i = 0; i < count; i++) {
            uint32_t what = events[i].data.u32;
            uint64_t times;
            if (what == TAG_INPUT) read_input(now);
            else if (what == TAG_TIMER) (void)!read(state.timer, &times, sizeof times);
            else read_socket((int)(what >> 8), (int)(what & 255), now);
        }
        advance(now);
        fflush(stdout);
    }
}

static void usage(void) {
    puts("usage: link [--address IPv4] [--seed N] [--down \"WORDS\"] [--up \"WORDS\"] [--schedule FILE]\n"
         "WORDS: rate=BIT/S queue=BYTES queue-ms=MS delay-ms=MS jitter-ms=MS reorder=0|1 loss=P bursts=P,R[,BAD[,GOOD]]\n"
         "Orders by standard input: flow ADDRESS:PORT [audio=PT] [video=PT,PT] [rtx=PT] | down WORDS | up WORDS |\n"
         "transfer on|off | start. FILE has lines \"SECONDS ORDER\", counted from `start`. The end of input ends it.");
}

static void open_link(int count, char **arguments) {
    static const struct option OPTIONS[] = {
        {"address", required_argument, NULL, 'a'}, {"seed", required_argument, NULL, 's'},
        {"down", required_argument, NULL, 'd'},    {"up", required_argument, NULL, 'u'},
        {"schedule", required_argument, NULL, 'f'}, {"help", no_argument, NULL, 'h'}, {0},
    };
    uint64_t seed = 1;
    const path_settings settings = {.queue_ms = 300};
    char problem[LINE_BYTES], address[64], *words[WAYS] = {NULL, NULL};
    snprintf(address, sizeof address, "127.0.0.1:0");
    for (int option; (option = getopt_long(count, arguments, "", OPTIONS, NULL)) != -1;) {
        if (option == 'a') snprintf(address, sizeof address, "%.40s:0", optarg);
        else if (option == 's') seed = strtoull(optarg, NULL, 10);
        else if (option == 'd') words[DOWN] = optarg;
        else if (option == 'u') words[UP] = optarg;
        else if (option == 'f') {
            if (!schedule_read(optarg, &state.schedule, &state.schedule_count, problem, sizeof problem)) fail("%s", problem);
        } else {
            usage();
            exit(option == 'h' ? 0 : 2);
        }
    }
    if (!read_address(address, &state.address)) fail("no IPv4 address: %s", address);
    for (int way = 0; way < WAYS; way++) {
        state.ways[way] = path_new(&settings, seed * WAYS + (uint64_t)way);
        if (!state.ways[way]) fail("no memory");
        if (words[way]) change(way, words[way], monotonic());
    }
}

int main(int count, char **arguments) {
    open_link(count, arguments);
    // A link does not wait for a machine that is busy; where we may not ask for that, it does.
    (void)setpriority(PRIO_PROCESS, 0, -20);
    state.epoll = epoll_create1(EPOLL_CLOEXEC);
    state.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event input = {.events = EPOLLIN, .data.u32 = TAG_INPUT}, timer = {.events = EPOLLIN, .data.u32 = TAG_TIMER};
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    if (epoll_ctl(state.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input)) fail("standard input is no pipe");
    if (epoll_ctl(state.epoll, EPOLL_CTL_ADD, state.timer, &timer)) fail("epoll: %s", strerror(errno));
    run();
    for (int way = 0; way < WAYS; way++) path_free(state.ways[way]);
    transfer_free(state.transfer);
    free(state.schedule);
    return 0;
}
