// What 0026 measures: checking and decrypting one packet that came in, RTP and RTCP, and what a session's keys take to make and to
// keep, by the distribution's libsrtp2 and by the transform that the server uses (Sources/COpenSSL/srtp_transform.h). CPU time,
// the least of many rounds.
//
//   cc -O2 -Wno-deprecated-declarations -I Sources/COpenSSL -I Sources/CGCM/include -I Sources/CSlab/include docs/decisions/0026-srtp-in-cost.c \
//      Sources/CGCM/*.c Sources/CSlab/*.c $(pkg-config --cflags --libs libsrtp2 openssl) -o .build/srtp-in-cost && .build/srtp-in-cost
#include <malloc.h>
#include <srtp2/srtp.h>
#include <stdio.h>
#include <time.h>

#include "srtp_transform.h"

enum { rounds = 40, packets = 1000, sessions = 200, most = 1600 };

static unsigned char stored[packets][most];
static int lengths[packets];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static srtp_t make(int gcm, unsigned char *key, srtp_ssrc_type_t type) {
    srtp_policy_t policy = {0};
    if (gcm) {
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    } else {
        srtp_crypto_policy_set_rtp_default(&policy.rtp);
        srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
    }
    policy.ssrc.type = type;
    policy.key = key;
    policy.window_size = 1024;
    srtp_t session = NULL;
    return srtp_create(&session, &policy) == srtp_err_status_ok ? session : NULL;
}

/// Session keys by RFC 3711 §4.3.
static void derive(const unsigned char *master, int gcm, int label, unsigned char *out, int length) {
    unsigned char iv[16] = {0}, zeros[32] = {0};
    int n = 0;
    memcpy(iv, master + 16, gcm ? 12 : 14);
    iv[7] ^= (unsigned char)label;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex2(context, EVP_aes_128_ctr(), master, iv, NULL);
    EVP_EncryptUpdate(context, out, &n, zeros, length);
    EVP_CIPHER_CTX_free(context);
}

static sfu_srtp_transform *keyed(const unsigned char *master, int gcm, int label, cgcm_variant variant) {
    unsigned char key[16], hmac[20], salt[14];
    derive(master, gcm, label, key, 16);
    derive(master, gcm, label + 1, hmac, 20);
    derive(master, gcm, label + 2, salt, gcm ? 12 : 14);
    return sfu_srtp_transform_new(sfu_srtp_opens, gcm, key, 16, salt, gcm ? NULL : hmac, variant);
}

/// Packets that libsrtp2 has protected, from number `first` on.
static void protect(srtp_t from, int rtcp, int size, unsigned first) {
    for (unsigned i = 0; i < packets; i++) {
        unsigned char *packet = stored[i];
        memset(packet, 0, (size_t)size);
        packet[0] = 0x80;
        packet[1] = rtcp ? 201 : 96;
        packet[2] = (unsigned char)((first + i) >> 8);
        packet[3] = (unsigned char)(first + i);
        packet[rtcp ? 7 : 11] = 7;
        lengths[i] = size;
        if ((rtcp ? srtp_protect_rtcp : srtp_protect)(from, packet, &lengths[i]) != srtp_err_status_ok) lengths[i] = 0;
    }
}

/// Nanoseconds for each packet.
static double open_all(int gcm, int rtcp, int size, int by_library, cgcm_variant variant) {
    unsigned char key[30] = {1, 2, 3};
    double best = 1e18;
    srtp_t from = make(gcm, key, ssrc_any_outbound), to = make(gcm, key, ssrc_any_inbound);
    sfu_srtp_transform *transform = keyed(key, gcm, rtcp ? 3 : 0, variant);
    for (int round = 0; round < rounds; round++) {
        unsigned first = 1 + (unsigned)(round * packets);
        protect(from, rtcp, size, first);
        double start = now();
        for (unsigned i = 0; i < packets; i++) {
            int length = lengths[i];
            if (by_library) {
                if ((rtcp ? srtp_unprotect_rtcp : srtp_unprotect)(to, stored[i], &length) != srtp_err_status_ok) return -1;
            } else if (rtcp) {
                length = sfu_srtcp_unprotect(transform, stored[i], length, first + i);
            } else {
                length = sfu_srtp_unprotect(transform, stored[i], 12, length, 7, first + i);
            }
            if (length != size) return -1;
        }
        double each = (now() - start) / packets;
        if (each < best) best = each;
    }
    srtp_dealloc(from);
    srtp_dealloc(to);
    sfu_srtp_transform_free(transform);
    return best;
}

/// What inbound keys for RTP and RTCP of one session cost: microseconds to make, bytes of the heap to keep.
static void keep(int gcm, int by_library, cgcm_variant variant, double *microseconds, double *bytes) {
    unsigned char key[30] = {1};
    static void *kept[sessions][2];
    *microseconds = 1e18;
    for (int round = 0; round < 5; round++) {
        size_t before = mallinfo2().uordblks;
        double start = now();
        for (int i = 0; i < sessions; i++) {
            kept[i][0] = by_library ? (void *)make(gcm, key, ssrc_any_inbound) : (void *)keyed(key, gcm, 0, variant);
            kept[i][1] = by_library ? NULL : (void *)keyed(key, gcm, 3, variant);
        }
        double each = (now() - start) / sessions / 1e3;
        if (each < *microseconds) *microseconds = each;
        *bytes = (double)(mallinfo2().uordblks - before) / sessions;
        for (int i = 0; i < sessions; i++) {
            if (by_library) {
                srtp_dealloc(kept[i][0]);
            } else {
                sfu_srtp_transform_free(kept[i][0]);
                sfu_srtp_transform_free(kept[i][1]);
            }
        }
    }
}

int main(void) {
    unsigned char key[30] = {9};
    if (srtp_init() != srtp_err_status_ok) return 1;
    srtp_t keeper = make(1, key, ssrc_any_inbound);
    const struct {
        const char *name;
        int gcm, by_library;
        cgcm_variant variant;
    } ways[] = {
        {"libsrtp2 AES_CM_SHA1_80", 0, 1, cgcm_unavailable}, {"libsrtp2 GCM_128", 1, 1, cgcm_unavailable},
        {"EVP AES_CM_SHA1_80", 0, 0, cgcm_unavailable},      {"EVP GCM_128", 1, 0, cgcm_unavailable},
        {"CGCM AES-NI", 1, 0, cgcm_aesni},                   {"CGCM VAES", 1, 0, cgcm_vaes512},
    };
    printf("%-24s %10s %10s %10s %10s %10s\n", "", "RTP 100 B", "RTP 1100 B", "RTCP 100 B", "keys, us", "bytes");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (ways[i].variant > cgcm_best()) continue;
        double made, kept;
        keep(ways[i].gcm, ways[i].by_library, ways[i].variant, &made, &kept);
        int gcm = ways[i].gcm, library = ways[i].by_library;
        printf(
            "%-24s %10.0f %10.0f %10.0f %10.1f %10.0f\n", ways[i].name, open_all(gcm, 0, 100, library, ways[i].variant),
            open_all(gcm, 0, 1100, library, ways[i].variant), open_all(gcm, 1, 100, library, ways[i].variant), made, kept);
    }
    srtp_dealloc(keeper);
    return 0;
}
