// What 0022 measures: protecting one RTP packet under AEAD_AES_128_GCM by OpenSSL's EVP and by CGCM, with one key, and with
// many in turn, between which other memory is read, so that a key has left the nearer caches when its turn comes. CPU
// time per packet, the least of many rounds, less that of the same loop without protecting.
//
//   cc -O2 -Wno-deprecated-declarations -I Sources/COpenSSL -I Sources/CGCM/include -I Sources/CSlab/include docs/decisions/0022-gcm-cost.c \
//      Sources/CGCM/*.c Sources/CSlab/*.c $(pkg-config --cflags --libs openssl) -o .build/gcm-cost && .build/gcm-cost
#include <stdio.h>
#include <time.h>

#include "srtp_transform.h"

enum { rounds = 60, packets = 4000, most = 4000, header = 24, others = 4 << 20, per_packet = 1024 };

static uint8_t other[others], original[1500], packet[1600];
static sfu_srtp_transform *senders[most];
static volatile unsigned sink;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/// What comes between two packets.
static void read_others(int i) {
    unsigned sum = 0;
    const uint8_t *at = other + (size_t)i * per_packet % others;
    for (int line = 0; line < per_packet; line += 64) sum += at[line];
    sink = sum;
}

/// Ahead of time, as the server does: what OpenSSL's context points to comes a step after the context.
static void fetch(int i, int count) {
    const sfu_srtp_transform *second = senders[(i + 2) % count], *fourth = senders[(i + 4) % count];
    if (senders[0]->own.variant) {
        for (size_t line = cgcm_near; line < sizeof second->own; line += 64) sfu_prefetch((const uint8_t *)second + line);
    } else {
        sfu_prefetch(fourth->rest);
        for (int line = 0; line < 192; line += 64) sfu_prefetch((const uint8_t *)sfu_srtp_cipher(second) + line);
    }
}

static double measure(int count, int size, int protects) {
    static uint64_t index;
    double best = 1e18;
    for (int round = 0; round < rounds; round++) {
        double start = now();
        for (int i = 0; i < packets; i++) {
            if (count > 1) {
                if (protects) fetch(i, count);
                read_others(i);
            }
            memcpy(packet, original, (size_t)size);
            if (!protects) {
                sink = packet[i % size];
            } else if (sfu_srtp_protect(senders[i % count], packet, header, size, 7, ++index) <= size) {
                return -1;
            }
        }
        double each = (now() - start) / packets;
        if (each < best) best = each;
    }
    return best;
}

int main(void) {
    const char *names[] = {"EVP", "CGCM, AES-NI", "CGCM, VAES"};
    const int counts[] = {1, 400, 4000}, sizes[] = {100, 1100};
    uint8_t key[28] = {1, 2, 3};
    printf("ns per packet     keys:");
    for (int c = 0; c < 3; c++) printf("      %6d      ", counts[c]);
    printf("\n%-22s", "                 bytes:");
    for (int c = 0; c < 3; c++) printf("%9d%9d", sizes[0], sizes[1]);
    printf("\n");
    for (int variant = 0; variant <= (int)cgcm_best(); variant++) {
        for (int i = 0; i < most; i++) {
            key[0] = (uint8_t)i;
            senders[i] = sfu_srtp_transform_new(sfu_srtp_seals, 1, key, 16, key + 16, NULL, (cgcm_variant)variant);
            if (!senders[i]) return 1;
        }
        printf("%-23s", names[variant]);
        for (int c = 0; c < 3; c++)
            for (int s = 0; s < 2; s++)
                printf("%9.0f", measure(counts[c], sizes[s], 1) - measure(counts[c], sizes[s], 0));
        printf("\n");
        for (int i = 0; i < most; i++) sfu_srtp_transform_free(senders[i]);
    }
    return 0;
}
