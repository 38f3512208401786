// One direction of a link: a queue that is emptied at a rate, what is lost behind it, and a delay. Knows no sockets and
// no clock: time is a parameter, in nanoseconds, and never goes back.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    // Flows and kinds that are counted apart. The last flow is the bulk transfer's.
    PATH_FLOWS = 17,
    PATH_KINDS = 8,
    // Packets that are on their way at once: five times what 5 Mbit/s of small packets put into 500 ms.
    PATH_PACKETS = 1 << 16,
};

#define PATH_NEVER INT64_MAX

typedef struct {
    // bit/s; 0: without bound.
    int64_t rate;
    // What may wait, the packet that is being sent included: bytes, or where that is 0, milliseconds of the rate.
    int64_t queue_bytes;
    double queue_ms;
    // After the queue: nanoseconds for each packet, and at most so many more, evenly distributed.
    int64_t delay, jitter;
    // Packets with less jitter overtake those with more.
    bool reorder;
    // Of one packet each. Gilbert–Elliott: from good to bad, from bad to good, loss while good and while bad.
    double loss;
    double to_bad, to_good, loss_good, loss_bad;
} path_settings;

typedef struct path_packet {
    struct path_packet *next;
    // Written by the path.
    int64_t entered, arrives;
    uint64_t order;
    // Bytes on the link; `length` of them are in `data`.
    int32_t size, length;
    uint8_t flow, kind;
    // The caller's own.
    uint32_t tag;
    uint8_t data[];
} path_packet;

typedef struct {
    uint64_t bytes, packets;
} path_amount;

typedef struct {
    path_amount offered, delivered, dropped, lost;
} path_count;

typedef struct path path;

// `seed`: of losses and of jitter; which packets are hit depends on it and on their order alone.
path *path_new(const path_settings *settings, uint64_t seed);
void path_free(path *one);

// What waits is kept, even if there is no room for it any longer.
void path_set(path *one, const path_settings *settings, int64_t now);
const path_settings *path_get(const path *one);

// Takes the packet. False: there was no room, and it is gone.
bool path_put(path *one, path_packet *packet, int64_t now);
// The next packet that has arrived, the caller's from now on; NULL: none has.
path_packet *path_take(path *one, int64_t now);
// When it is of use to look again; PATH_NEVER: after the next packet.
int64_t path_next(const path *one);

// Since the last call of path_forget.
const path_count *path_counted(const path *one, int flow, int kind);
// Nanoseconds that packets waited, of those that left the queue; the transmission included.
int64_t path_mean_wait(const path *one);
int64_t path_longest_wait(const path *one);
void path_forget(path *one);
