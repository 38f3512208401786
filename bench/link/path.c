// See path.h.
#include "path.h"

#include <stdlib.h>
#include <string.h>

struct path {
    path_settings settings;
    // The queue; its first packet is being sent and has `left` bits to go as of `served`.
    path_packet *first, *last;
    int64_t waiting, served;
    double left;
    // Behind the queue: a heap, the earliest arrival first.
    path_packet **heap;
    int count;
    uint64_t order;
    int64_t latest;
    // One sequence of random numbers for each use, so that none depends on another's settings.
    uint64_t loss_seed, burst_seed, jitter_seed;
    bool is_bad;
    path_count counts[PATH_FLOWS][PATH_KINDS];
    int64_t waited, longest, left_queue;
};

/// SplitMix64; a number from 0 to below 1.
static double draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

path *path_new(const path_settings *settings, uint64_t seed) {
    path *one = calloc(1, sizeof *one);
    if (!one) return NULL;
    one->heap = malloc(PATH_PACKETS * sizeof *one->heap);
    if (!one->heap) {
        free(one);
        return NULL;
    }
    one->settings = *settings;
    one->loss_seed = seed * 3;
    one->burst_seed = seed * 3 + 0x100000001;
    one->jitter_seed = seed * 3 + 0x200000002;
    return one;
}

void path_free(path *one) {
    if (!one) return;
    for (path_packet *next, *packet = one->first; packet; packet = next) {
        next = packet->next;
        free(packet);
    }
    for (int i = 0; i < one->count; i++) free(one->heap[i]);
    free(one->heap);
    free(one);
}

// ---- behind the queue

static bool is_before(const path_packet *a, const path_packet *b) {
    return a->arrives != b->arrives ? a->arrives < b->arrives : a->order < b->order;
}

static void push(path *one, path_packet *packet) {
    int at = one->count++;
    for (int above; at > 0 && is_before(packet, one->heap[above = (at - 1) / 2]); at = above) {
        one->heap[at] = one->heap[above];
    }
    one->heap[at] = packet;
}

static path_packet *pop(path *one) {
    path_packet *found = one->heap[0], *moved = one->heap[--one->count];
    int at = 0;
    for (int below; (below = 2 * at + 1) < one->count; at = below) {
        if (below + 1 < one->count && is_before(one->heap[below + 1], one->heap[below])) below++;
        if (!is_before(one->heap[below], moved)) break;
        one->heap[at] = one->heap[below];
    }
    one->heap[at] = moved;
    return found;
}

static void add(path_amount *amount, int32_t bytes) {
    amount->bytes += (uint64_t)bytes;
    amount->packets++;
}

/// All numbers are drawn for each packet, whatever is done with them.
static bool is_lost(path *one) {
    const path_settings *s = &one->settings;
    double turn = draw(&one->burst_seed);
    if (one->is_bad ? turn < s->to_good : turn < s->to_bad) one->is_bad = !one->is_bad;
    bool by_burst = draw(&one->burst_seed) < (one->is_bad ? s->loss_bad : s->loss_good);
    bool by_chance = draw(&one->loss_seed) < s->loss;
    return by_burst || by_chance;
}

static void leave(path *one, path_packet *packet, int64_t at) {
    int64_t wait = at - packet->entered;
    one->waited += wait;
    one->left_queue++;
    if (wait > one->longest) one->longest = wait;
    bool lost = is_lost(one);
    double jitter = draw(&one->jitter_seed) * (double)one->settings.jitter;
    if (lost || one->count == PATH_PACKETS) {
        add(&one->counts[packet->flow][packet->kind].lost, packet->size);
        free(packet);
        return;
    }
    packet->arrives = at + one->settings.delay + (int64_t)jitter;
    if (!one->settings.reorder && packet->arrives < one->latest) packet->arrives = one->latest;
    if (packet->arrives > one->latest) one->latest = packet->arrives;
    packet->order = one->order++;
    push(one, packet);
}

// ---- the queue

static int64_t sent_at(const path *one) {
    if (!one->first) return PATH_NEVER;
    if (one->settings.rate == 0) return one->served;
    return one->served + (int64_t)(one->left * 1e9 / (double)one->settings.rate + 0.5);
}

static void begin(path *one) {
    if (one->first) one->left = 8.0 * one->first->size;
}

/// Sends until `now`.
static void serve(path *one, int64_t now) {
    for (int64_t at; (at = sent_at(one)) <= now;) {
        path_packet *packet = one->first;
        one->first = packet->next;
        if (!one->first) one->last = NULL;
        one->waiting -= packet->size;
        one->served = at;
        begin(one);
        leave(one, packet, at);
    }
    if (one->first && now > one->served) one->left -= (double)(now - one->served) * (double)one->settings.rate / 1e9;
    if (now > one->served) one->served = now;
}

static int64_t room(const path_settings *settings) {
    if (settings->queue_bytes) return settings->queue_bytes;
    return (int64_t)((double)settings->rate * settings->queue_ms / 8000);
}

bool path_put(path *one, path_packet *packet, int64_t now) {
    serve(one, now);
    path_count *count = &one->counts[packet->flow][packet->kind];
    add(&count->offered, packet->size);
    // An empty queue has room for any packet, and so has one that nothing holds up.
    if (one->first && one->settings.rate && one->waiting + packet->size > room(&one->settings)) {
        add(&count->dropped, packet->size);
        free(packet);
        return false;
    }
    packet->entered = now;
    packet->next = NULL;
    one->waiting += packet->size;
    if (one->last) {
        one->last->next = packet;
        one->last = packet;
    } else {
        one->first = one->last = packet;
        begin(one);
    }
    serve(one, now);
    return true;
}

path_packet *path_take(path *one, int64_t now) {
    serve(one, now);
    if (one->count == 0 || one->heap[0]->arrives > now) return NULL;
    path_packet *packet = pop(one);
    add(&one->counts[packet->flow][packet->kind].delivered, packet->size);
    return packet;
}

int64_t path_next(const path *one) {
    int64_t sent = sent_at(one), arrival = one->count ? one->heap[0]->arrives : PATH_NEVER;
    return sent < arrival ? sent : arrival;
}

void path_set(path *one, const path_settings *settings, int64_t now) {
    serve(one, now);
    one->settings = *settings;
}

const path_settings *path_get(const path *one) { return &one->settings; }

// ---- counts

const path_count *path_counted(const path *one, int flow, int kind) { return &one->counts[flow][kind]; }

int64_t path_mean_wait(const path *one) { return one->left_queue ? one->waited / one->left_queue : 0; }

int64_t path_longest_wait(const path *one) { return one->longest; }

void path_forget(path *one) {
    memset(one->counts, 0, sizeof one->counts);
    one->waited = one->longest = one->left_queue = 0;
}
