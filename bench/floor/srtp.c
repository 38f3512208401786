// See srtp.h.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "srtp.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <string.h>

enum { AUTH_KEY_BYTES = 20, SHA1_BLOCK_BYTES = 64, WINDOW = 64 };

size_t floor_salt_bytes(floor_profile profile) {
    return profile == FLOOR_GCM ? FLOOR_GCM_SALT_BYTES : FLOOR_CM_SALT_BYTES;
}

// ---- session keys

/// AES-CM keystream at (salt ^ label * 2^48) * 2^16; a salt of 12 bytes is padded with zeros (RFC 7714 §11).
static bool derive(
    const uint8_t *key, const uint8_t *salt, size_t salt_bytes, uint8_t label, uint8_t *out, int length) {
    uint8_t iv[16] = {0};
    const uint8_t zeros[32] = {0};
    memcpy(iv, salt, salt_bytes);
    iv[7] ^= label;
    int written = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool done = context && length <= (int)sizeof zeros &&
                EVP_EncryptInit_ex2(context, EVP_aes_128_ctr(), key, iv, NULL) == 1 &&
                EVP_EncryptUpdate(context, out, &written, zeros, length) == 1 && written == length;
    EVP_CIPHER_CTX_free(context);
    return done;
}

static void begin_hash(floor_srtp *srtp, const uint8_t *key) {
    uint8_t pad[SHA1_BLOCK_BYTES];
    for (int i = 0; i < SHA1_BLOCK_BYTES; i++) pad[i] = 0x36 ^ (i < AUTH_KEY_BYTES ? key[i] : 0);
    SHA1_Init(&srtp->inner);
    SHA1_Update(&srtp->inner, pad, sizeof pad);
    for (int i = 0; i < SHA1_BLOCK_BYTES; i++) pad[i] ^= 0x36 ^ 0x5c;
    SHA1_Init(&srtp->outer);
    SHA1_Update(&srtp->outer, pad, sizeof pad);
    OPENSSL_cleanse(pad, sizeof pad);
}

bool floor_srtp_open(
    floor_srtp *srtp, floor_profile profile, const uint8_t *key, const uint8_t *salt, bool encrypts, floor_gcm gcm) {
    memset(srtp, 0, sizeof *srtp);
    srtp->profile = profile;
    srtp->overhead = profile == FLOOR_GCM ? FLOOR_GCM_TAG_BYTES : FLOOR_CM_TAG_BYTES;
    srtp->tag[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, FLOOR_GCM_TAG_BYTES);
    srtp->tag[1] = OSSL_PARAM_construct_end();
    size_t salt_bytes = floor_salt_bytes(profile);
    uint8_t cipher_key[FLOOR_KEY_BYTES], auth_key[AUTH_KEY_BYTES];
    bool done = derive(key, salt, salt_bytes, 0, cipher_key, sizeof cipher_key) &&
                derive(key, salt, salt_bytes, 1, auth_key, sizeof auth_key) &&
                derive(key, salt, salt_bytes, 2, srtp->salt, (int)salt_bytes);
    const uint8_t iv[16] = {0};
    const EVP_CIPHER *kind = profile == FLOOR_GCM ? EVP_aes_128_gcm() : EVP_aes_128_ctr();
    srtp->cipher = EVP_CIPHER_CTX_new();
    // Counter mode encrypts both ways.
    done = done && srtp->cipher &&
           (encrypts || profile == FLOOR_CM ? EVP_EncryptInit_ex2(srtp->cipher, kind, cipher_key, iv, NULL)
                                            : EVP_DecryptInit_ex2(srtp->cipher, kind, cipher_key, iv, NULL)) == 1;
    if (profile == FLOOR_CM) begin_hash(srtp, auth_key);
    if (done && profile == FLOOR_GCM && gcm == FLOOR_OWN) {
        done = cgcm_expand(&srtp->own, cipher_key, cgcm_best()) == 1;
        memcpy(srtp->own.salt, srtp->salt, sizeof srtp->own.salt);
    }
    OPENSSL_cleanse(cipher_key, sizeof cipher_key);
    OPENSSL_cleanse(auth_key, sizeof auth_key);
    if (!done) floor_srtp_close(srtp);
    return done;
}

void floor_srtp_close(floor_srtp *srtp) {
    EVP_CIPHER_CTX_free(srtp->cipher);
    cgcm_erase(&srtp->own);
    OPENSSL_cleanse(srtp, sizeof *srtp);
}

// ---- packets

/// RFC 3711 §4.1.1: SSRC and index behind four bytes of salt; RFC 7714 §8.1: behind two.
static void make_iv(const uint8_t *salt, floor_profile profile, uint8_t iv[16], uint32_t ssrc, uint64_t index) {
    memcpy(iv, salt, floor_salt_bytes(profile));
    uint8_t *at = iv + (profile == FLOOR_GCM ? 2 : 4);
    for (int i = 0; i < 4; i++) at[i] ^= (uint8_t)(ssrc >> (24 - 8 * i));
    for (int i = 0; i < 6; i++) at[4 + i] ^= (uint8_t)(index >> (40 - 8 * i));
}

/// HMAC-SHA1-80 of packet || ROC.
static void authenticate(const floor_srtp *srtp, const uint8_t *packet, int length, uint64_t index, uint8_t *tag) {
    uint8_t digest[SHA_DIGEST_LENGTH], rollover[4];
    for (int i = 0; i < 4; i++) rollover[i] = (uint8_t)(index >> (40 - 8 * i));
    SHA_CTX hash = srtp->inner;
    SHA1_Update(&hash, packet, (size_t)length);
    SHA1_Update(&hash, rollover, sizeof rollover);
    SHA1_Final(digest, &hash);
    hash = srtp->outer;
    SHA1_Update(&hash, digest, sizeof digest);
    SHA1_Final(digest, &hash);
    memcpy(tag, digest, FLOOR_CM_TAG_BYTES);
}

int floor_protect(floor_srtp *srtp, uint8_t *packet, int header, int length, uint32_t ssrc, uint64_t index) {
    if (header < 12 || length < header) return 0;
    uint8_t iv[16] = {0};
    int n = 0;
    if (srtp->own.variant != cgcm_unavailable) {
        make_iv(srtp->own.salt, FLOOR_GCM, iv, ssrc, index);
        uint8_t *text = packet + header;
        int sealed = cgcm_seal(
            &srtp->own, iv, packet, (size_t)header, text, (size_t)(length - header), packet + length);
        return sealed ? length + FLOOR_GCM_TAG_BYTES : 0;
    }
    make_iv(srtp->salt, srtp->profile, iv, ssrc, index);
    if (EVP_EncryptInit_ex2(srtp->cipher, NULL, NULL, iv, NULL) != 1) return 0;
    if (srtp->profile == FLOOR_CM) {
        if (length > header &&
            EVP_EncryptUpdate(srtp->cipher, packet + header, &n, packet + header, length - header) != 1)
            return 0;
        authenticate(srtp, packet, length, index, packet + length);
        return length + FLOOR_CM_TAG_BYTES;
    }
    if (EVP_EncryptUpdate(srtp->cipher, NULL, &n, packet, header) != 1) return 0;
    if (length > header &&
        EVP_EncryptUpdate(srtp->cipher, packet + header, &n, packet + header, length - header) != 1)
        return 0;
    if (EVP_EncryptFinal_ex(srtp->cipher, packet + length, &n) != 1) return 0;
    srtp->tag[0].data = packet + length;
    if (EVP_CIPHER_CTX_get_params(srtp->cipher, srtp->tag) != 1) return 0;
    return length + FLOOR_GCM_TAG_BYTES;
}

int floor_unprotect(floor_srtp *srtp, uint8_t *packet, int header, int length, uint32_t ssrc, uint64_t index) {
    int plain = length - srtp->overhead;
    if (header < 12 || plain < header) return 0;
    uint8_t iv[16] = {0};
    int n = 0;
    make_iv(srtp->salt, srtp->profile, iv, ssrc, index);
    if (srtp->own.variant != cgcm_unavailable) {
        uint8_t *text = packet + header;
        int opened = cgcm_open(
            &srtp->own, iv, packet, (size_t)header, text, (size_t)(plain - header), packet + plain);
        return opened ? plain : 0;
    }
    if (srtp->profile == FLOOR_CM) {
        uint8_t tag[FLOOR_CM_TAG_BYTES];
        authenticate(srtp, packet, plain, index, tag);
        if (CRYPTO_memcmp(tag, packet + plain, sizeof tag) != 0) return 0;
        if (EVP_EncryptInit_ex2(srtp->cipher, NULL, NULL, iv, NULL) != 1) return 0;
        if (plain > header &&
            EVP_EncryptUpdate(srtp->cipher, packet + header, &n, packet + header, plain - header) != 1)
            return 0;
        return plain;
    }
    srtp->tag[0].data = packet + plain;
    if (EVP_DecryptInit_ex2(srtp->cipher, NULL, NULL, iv, srtp->tag) != 1) return 0;
    if (EVP_DecryptUpdate(srtp->cipher, NULL, &n, packet, header) != 1) return 0;
    if (plain > header &&
        EVP_DecryptUpdate(srtp->cipher, packet + header, &n, packet + header, plain - header) != 1)
        return 0;
    return EVP_DecryptFinal_ex(srtp->cipher, packet + plain, &n) == 1 ? plain : 0;
}

// ---- what came

uint64_t floor_replay_guess(const floor_replay *replay, uint16_t sequence) {
    if (!replay->started) return sequence;
    int64_t guess = (int64_t)replay->highest + (int16_t)(sequence - (uint16_t)replay->highest);
    return guess < 0 ? sequence : (uint64_t)guess;
}

bool floor_replay_admits(const floor_replay *replay, uint64_t index) {
    if (!replay->started || index > replay->highest) return true;
    uint64_t behind = replay->highest - index;
    return behind < WINDOW && !(replay->window >> behind & 1);
}

void floor_replay_note(floor_replay *replay, uint64_t index) {
    if (!replay->started || index > replay->highest) {
        uint64_t ahead = replay->started ? index - replay->highest : WINDOW;
        replay->window = (ahead < WINDOW ? replay->window << ahead : 0) | 1;
        replay->highest = index;
        replay->started = true;
    } else {
        replay->window |= 1ULL << (replay->highest - index);
    }
}
