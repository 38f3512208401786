// See transfer.h.
#include "transfer.h"

#include <math.h>
#include <stdlib.h>

enum {
    // Segments on their way, and acknowledgements: more than any window here grows to.
    RING = 1 << 14,
    // Segments that may overtake another one before it counts as lost (RFC 5681 §3.2).
    OVERTAKING = 3,
};
static const double BETA = 0.7, C = 0.4;
static const int64_t LEAST_TIMEOUT = 1000000000;

typedef struct {
    int64_t at, sent;
    uint32_t number;
} acknowledgement;

struct transfer {
    int64_t back;
    // Segments from `oldest` to before `next` are on their way unless `is_gone` says otherwise.
    uint32_t oldest, next, recovery;
    int64_t sent[RING];
    bool is_gone[RING];
    int in_flight;
    acknowledgement ring[RING];
    uint32_t first, last;
    // In segments (RFC 9438 §4.1.2).
    double window, threshold, peak, begun, origin, friendly;
    int64_t epoch, heard, round_trip;
};

transfer *transfer_new(int64_t back) {
    transfer *one = calloc(1, sizeof *one);
    if (!one) return NULL;
    one->back = back;
    one->window = 10;
    one->threshold = INFINITY;
    one->epoch = -1;
    one->round_trip = 2 * back;
    return one;
}

void transfer_free(transfer *one) { free(one); }

bool transfer_send(transfer *one, int64_t now, uint32_t *number) {
    if (one->in_flight + 1 > one->window || one->next - one->oldest == RING) return false;
    if (one->in_flight == 0) one->heard = now;
    *number = one->next;
    one->sent[one->next % RING] = now;
    one->is_gone[one->next % RING] = false;
    one->next++;
    one->in_flight++;
    return true;
}

void transfer_arrived(transfer *one, uint32_t number, int64_t now) {
    // Newer than what is on its way, or older: it was given up before.
    if (number - one->oldest >= one->next - one->oldest || one->last - one->first == RING) return;
    one->ring[one->last++ % RING] = (acknowledgement){now + one->back, one->sent[number % RING], number};
}

/// What a loss does, once for each window (RFC 9438 §4.6, §4.7).
static void shrink(transfer *one) {
    one->peak = one->window < one->peak ? one->window * (1 + BETA) / 2 : one->window;
    one->window = fmax(2, one->window * BETA);
    one->threshold = one->window;
    one->epoch = -1;
    one->recovery = one->next;
}

static void grow(transfer *one, int64_t now) {
    if (one->window < one->threshold) {
        one->window += 1;
        return;
    }
    if (one->epoch < 0) {
        one->epoch = now;
        one->begun = one->window;
        one->origin = fmax(one->peak, one->window);
        one->friendly = one->window;
    }
    double t = (double)(now - one->epoch + one->round_trip) / 1e9;
    double k = cbrt((one->origin - one->begun) / C);
    double cubic = C * (t - k) * (t - k) * (t - k) + one->origin;
    one->friendly += 3 * (1 - BETA) / (1 + BETA) / one->window;
    double target = fmin(fmax(cubic, one->friendly), 1.5 * one->window);
    if (target > one->window) one->window += (target - one->window) / one->window;
}

static void remove_gone(transfer *one) {
    while (one->oldest != one->next && one->is_gone[one->oldest % RING]) one->oldest++;
}

static void acknowledge(transfer *one, const acknowledgement *news, int64_t now) {
    if (news->number - one->oldest >= one->next - one->oldest || one->is_gone[news->number % RING]) return;
    one->heard = now;
    one->round_trip = now - news->sent;
    one->is_gone[news->number % RING] = true;
    one->in_flight--;
    bool lost = false;
    for (uint32_t older = one->oldest; older + OVERTAKING <= news->number; older++) {
        if (one->is_gone[older % RING]) continue;
        one->is_gone[older % RING] = true;
        one->in_flight--;
        if ((int32_t)(older - one->recovery) >= 0) lost = true;
    }
    if (lost) {
        shrink(one);
    } else {
        grow(one, now);
    }
    remove_gone(one);
}

static int64_t timeout(const transfer *one) {
    int64_t wanted = 3 * one->round_trip;
    return one->heard + (wanted > LEAST_TIMEOUT ? wanted : LEAST_TIMEOUT);
}

void transfer_advance(transfer *one, int64_t now) {
    while (one->first != one->last && one->ring[one->first % RING].at <= now) {
        acknowledge(one, &one->ring[one->first % RING], one->ring[one->first % RING].at);
        one->first++;
    }
    if (one->in_flight && timeout(one) <= now) {
        shrink(one);
        one->window = 2;
        one->oldest = one->next;
        one->in_flight = 0;
    }
}

int64_t transfer_next(const transfer *one) {
    int64_t next = one->in_flight ? timeout(one) : INT64_MAX;
    if (one->first != one->last && one->ring[one->first % RING].at < next) next = one->ring[one->first % RING].at;
    return next;
}
