// What 0002 measures: protecting one RTP packet and making one session, by the distribution's libsrtp2 and by the
// transform that the server uses (Sources/COpenSSL/srtp_transform.h), on OpenSSL for both profiles (0022). CPU time, the least of many rounds.
//
//   cc -O2 -Wno-deprecated-declarations -I Sources/COpenSSL -I Sources/CGCM/include -I Sources/CSlab/include docs/decisions/0002-srtp-cost.c \
//      Sources/CGCM/*.c Sources/CSlab/*.c $(pkg-config --cflags --libs libsrtp2 openssl) -o .build/srtp-cost && .build/srtp-cost
#include <srtp2/srtp.h>
#include <stdio.h>
#include <time.h>

#include "srtp_transform.h"

enum { rounds = 40, packets = 2000, sessions = 50 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static srtp_t make(int gcm, unsigned char *key) {
    srtp_policy_t policy = {0};
    if (gcm) {
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    } else {
        srtp_crypto_policy_set_rtp_default(&policy.rtp);
        srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
    }
    policy.ssrc.type = ssrc_any_outbound;
    policy.key = key;
    policy.window_size = 1024;
    srtp_t session = NULL;
    if (srtp_create(&session, &policy) != srtp_err_status_ok) return NULL;
    return session;
}

static int fill(unsigned char *packet, int length, unsigned sequence) {
    memset(packet, 0, (size_t)length);
    packet[0] = 0x80;
    packet[1] = 96;
    packet[2] = (unsigned char)(sequence >> 8);
    packet[3] = (unsigned char)sequence;
    packet[11] = 7;
    return length;
}

static double protect(int direct, int gcm, int size) {
    unsigned char key[30] = {1, 2, 3}, packet[1600];
    double best = 1e18;
    srtp_t session = make(gcm, key);
    sfu_srtp_transform *sender = sfu_srtp_transform_new(sfu_srtp_seals, gcm, key, 16, key + 16, gcm ? NULL : key, cgcm_unavailable);
    unsigned sequence = 0;
    for (int round = 0; round < rounds; round++) {
        double start = now();
        for (int i = 0; i < packets; i++) {
            int length = fill(packet, size, ++sequence & 0xffff);
            if (direct) {
                length = sfu_srtp_protect(sender, packet, 12, length, 7, sequence);
            } else if (srtp_protect(session, packet, &length) != srtp_err_status_ok) {
                length = 0;
            }
            if (length <= size) return -1;
        }
        double each = (now() - start) / packets;
        if (each < best) best = each;
    }
    srtp_dealloc(session);
    sfu_srtp_transform_free(sender);
    return best;
}

static double create(int gcm) {
    unsigned char key[30] = {1};
    double best = 1e18;
    for (int round = 0; round < 5; round++) {
        double start = now();
        for (int i = 0; i < sessions; i++) {
            srtp_t session = make(gcm, key);
            if (!session) return -1;
            srtp_dealloc(session);
        }
        double each = (now() - start) / sessions;
        if (each < best) best = each;
    }
    return best;
}

int main(void) {
    unsigned char key[30] = {9};
    if (srtp_init() != srtp_err_status_ok) return 1;
    double alone = create(1);
    srtp_t keeper = make(1, key);
    double kept = create(1);
    printf("libsrtp2 session, made and freed: %.0f us alone, %.0f us while another one lives\n", alone / 1e3, kept / 1e3);
    printf("%-24s %8s %8s\n", "protect, ns per packet", "100 B", "1100 B");
    const char *names[] = {"libsrtp2 AES_CM_SHA1_80", "libsrtp2 GCM_128", "EVP AES_CM_SHA1_80", "EVP GCM_128"};
    for (int i = 0; i < 4; i++) {
        printf("%-24s %8.0f %8.0f\n", names[i], protect(i / 2, i % 2, 100), protect(i / 2, i % 2, 1100));
    }
    srtp_dealloc(keeper);
    return 0;
}
