// A bulk transfer by TCP that shares a path: CUBIC (RFC 9438) with slow start, whole segments, an acknowledgement for each
// one, and a retransmission timeout. No bytes, no handshake. Knows no sockets and no clock: time is in nanoseconds.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { TRANSFER_SEGMENT = 1500 };

typedef struct transfer transfer;

// `back`: nanoseconds that an acknowledgement takes.
transfer *transfer_new(int64_t back);
void transfer_free(transfer *one);

// True: a segment may be sent now, and counts as sent; its number.
bool transfer_send(transfer *one, int64_t now, uint32_t *number);
// The segment has come to the other end.
void transfer_arrived(transfer *one, uint32_t number, int64_t now);
// Reads acknowledgements, notices silence.
void transfer_advance(transfer *one, int64_t now);
int64_t transfer_next(const transfer *one);
