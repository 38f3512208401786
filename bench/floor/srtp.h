// SRTP of the floor: AEAD_AES_128_GCM (RFC 7714) and AES128_CM_SHA1_80 (RFC 3711) on OpenSSL EVP, in both directions, one
// keyed context per direction; GCM by CGCM where that is wanted. Written apart from the server's own,
// so that one checks the other. Must not know sockets.
#ifndef FLOOR_SRTP_H
#define FLOOR_SRTP_H

#include <CGCM.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { FLOOR_GCM, FLOOR_CM } floor_profile;

enum {
    FLOOR_KEY_BYTES = 16,
    FLOOR_GCM_SALT_BYTES = 12,
    FLOOR_CM_SALT_BYTES = 14,
    FLOOR_GCM_TAG_BYTES = 16,
    FLOOR_CM_TAG_BYTES = 10,
};

/// How GCM is done.
typedef enum { FLOOR_EVP, FLOOR_OWN } floor_gcm;

/// Stands at a multiple of `cgcm_alignment`.
typedef struct {
    /// In use, salt included, where its variant says so.
    cgcm_key own;
    floor_profile profile;
    /// Bytes that protection adds.
    int overhead;
    EVP_CIPHER_CTX *cipher;
    // HMAC-SHA1 behind its pads (CM): copied for each packet.
    SHA_CTX inner, outer;
    OSSL_PARAM tag[2];
    uint8_t salt[16];
} floor_srtp;

/// The packets of one SSRC that came, by index (ROC || SEQ).
typedef struct {
    uint64_t highest;
    /// Bit n: the packet `highest - n` came.
    uint64_t window;
    bool started;
} floor_replay;

/// Bytes of salt that belong to a master key.
size_t floor_salt_bytes(floor_profile profile);

/// Derives session keys from a master key (RFC 3711 §4.3) for one direction. False: OpenSSL refused, or this CPU has no
/// `FLOOR_OWN`; AES-CM is always EVP's.
bool floor_srtp_open(
    floor_srtp *srtp, floor_profile profile, const uint8_t *key, const uint8_t *salt, bool encrypts, floor_gcm gcm);
void floor_srtp_close(floor_srtp *srtp);

/// In place, room for `overhead` bytes behind `length`; `header` counts CSRCs and extensions. The new length, 0 on failure.
int floor_protect(floor_srtp *srtp, uint8_t *packet, int header, int length, uint32_t ssrc, uint64_t index);

/// In place. The new length, 0: not authentic.
int floor_unprotect(floor_srtp *srtp, uint8_t *packet, int header, int length, uint32_t ssrc, uint64_t index);

/// The index that a sequence number most likely stands for (RFC 3711 §3.3.1).
uint64_t floor_replay_guess(const floor_replay *replay, uint16_t sequence);
/// Whether a packet with this index may be looked at.
bool floor_replay_admits(const floor_replay *replay, uint64_t index);
/// To be called once it was authentic.
void floor_replay_note(floor_replay *replay, uint64_t index);

#endif
