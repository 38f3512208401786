// The SRTP and SRTCP transforms, for what we send and for what comes: AES-CM with HMAC-SHA1-80 (RFC 3711) and AES-GCM
// (RFC 7714) on session keys. One keyed transform for each direction and kind of a transport; per packet only the IV changes and
// nothing is allocated. AES-128-GCM is CGCM's where the CPU has it, all else OpenSSL's. Knows no streams: the caller counts
// the packets, must never protect different bytes under one index, and looks for replays.
#ifndef SFU_COPENSSL_SRTP_TRANSFORM_H
#define SFU_COPENSSL_SRTP_TRANSFORM_H

#include <CGCM.h>
#include <CSlab.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/// What OpenSSL needs.
typedef struct sfu_srtp_openssl {
    EVP_CIPHER_CTX *cipher;
    /// HMAC after its inner and outer pad: copied per packet, where an EVP_MD_CTX copy would allocate.
    SHA_CTX inner;
    SHA_CTX outer;
    OSSL_PARAM tag[2];
    uint8_t salt[14];
    int is_aead;
} sfu_srtp_openssl;

typedef struct sfu_srtp_transform {
    /// All that a packet reads, salt included, where `own.variant` says that it is in use.
    cgcm_key own;
    /// One, and only memory for it, where it does not.
    sfu_srtp_openssl rest[];
} sfu_srtp_transform;

typedef enum sfu_srtp_direction { sfu_srtp_opens = 0, sfu_srtp_seals = 1 } sfu_srtp_direction;

enum { sfu_srtp_cm_tag = 10, sfu_srtp_gcm_tag = 16, sfu_srtp_auth_key = 20 };

/// Says that this line of memory will be read soon. Any address will do.
static inline void sfu_prefetch(const void *address) { __builtin_prefetch(address); }

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"

static inline int sfu_srtp_is_own(const sfu_srtp_transform *transform) {
    return transform->own.variant != cgcm_unavailable;
}

static inline const void *sfu_srtp_cipher(const sfu_srtp_transform *transform) {
    return sfu_srtp_is_own(transform) ? NULL : transform->rest->cipher;
}

static inline size_t sfu_srtp_size(int is_own) {
    return sizeof(sfu_srtp_transform) + (is_own ? 0 : sizeof(sfu_srtp_openssl));
}

static inline sfu_srtp_transform *sfu_srtp_room(int is_own) {
    _Static_assert(cslab_line % cgcm_alignment == 0, "a key stands at a line of the cache");
    sfu_srtp_transform *transform = (sfu_srtp_transform *)cslab_take(sfu_srtp_size(is_own));
    memset(transform, 0, sfu_srtp_size(is_own));
    return transform;
}

static inline void sfu_srtp_transform_free(sfu_srtp_transform *transform) {
    if (!transform) return;
    int is_own = sfu_srtp_is_own(transform);
    if (!is_own) {
        EVP_CIPHER_CTX_free(transform->rest->cipher);
        OPENSSL_cleanse(transform->rest, sizeof *transform->rest);
    }
    cgcm_erase(&transform->own);
    cslab_give(transform, sfu_srtp_size(is_own));
}

static inline void sfu_srtp_begin_hmac(sfu_srtp_openssl *rest, const uint8_t *auth_key) {
    uint8_t pad[64];
    memset(pad, 0x36, sizeof pad);
    for (int i = 0; i < sfu_srtp_auth_key; i++) pad[i] ^= auth_key[i];
    SHA1_Init(&rest->inner);
    SHA1_Update(&rest->inner, pad, sizeof pad);
    for (int i = 0; i < 64; i++) pad[i] ^= 0x36 ^ 0x5c;
    SHA1_Init(&rest->outer);
    SHA1_Update(&rest->outer, pad, sizeof pad);
    OPENSSL_cleanse(pad, sizeof pad);
}

/// Session keys of 16 or 32 bytes, salt of 14 (CM) or 12 (GCM) bytes; `auth_key` 20 bytes, NULL for GCM. `gcm` says how
/// AES-128-GCM is done; `cgcm_unavailable`, and a variant that this CPU has not: by OpenSSL. NULL: a length is wrong, or no memory.
static inline sfu_srtp_transform *sfu_srtp_transform_new(
    sfu_srtp_direction direction, int is_aead, const uint8_t *key, size_t key_length, const uint8_t *salt,
    const uint8_t *auth_key, cgcm_variant gcm
) {
    const EVP_CIPHER *kind = NULL;
    if (is_aead) {
        kind = key_length == 16 ? EVP_aes_128_gcm() : key_length == 32 ? EVP_aes_256_gcm() : NULL;
    } else if (auth_key && key_length == 16) {
        kind = EVP_aes_128_ctr();
    }
    if (!kind) return NULL;
    sfu_srtp_transform *transform = NULL;
    if (is_aead && key_length == cgcm_key_bytes && gcm > cgcm_unavailable && gcm <= cgcm_best()) {
        transform = sfu_srtp_room(1);
        cgcm_expand(&transform->own, key, gcm);
        memcpy(transform->own.salt, salt, sizeof transform->own.salt);
        return transform;
    }
    transform = sfu_srtp_room(0);
    sfu_srtp_openssl *rest = transform->rest;
    rest->is_aead = is_aead;
    memcpy(rest->salt, salt, is_aead ? 12 : 14);
    rest->tag[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, sfu_srtp_gcm_tag);
    rest->tag[1] = OSSL_PARAM_construct_end();
    uint8_t iv[16] = {0};
    rest->cipher = EVP_CIPHER_CTX_new();
    if (!rest->cipher || EVP_CipherInit_ex2(rest->cipher, kind, key, iv, direction == sfu_srtp_seals, NULL) != 1) {
        sfu_srtp_transform_free(transform);
        return NULL;
    }
    if (!is_aead) sfu_srtp_begin_hmac(rest, auth_key);
    return transform;
}

// ---- the parts

/// Of a transform by CGCM: the salt of `sfu_srtp_begin` with SSRC and index, in two words.
static inline void sfu_srtp_iv(
    const sfu_srtp_transform *transform, uint32_t ssrc, uint64_t index, uint8_t iv[cgcm_iv_bytes]
) {
    uint64_t first;
    uint32_t last;
    memcpy(&first, transform->own.salt, sizeof first);
    memcpy(&last, transform->own.salt + sizeof first, sizeof last);
    first ^= __builtin_bswap64((uint64_t)ssrc << 16 | (index >> 32 & 0xffff));
    last ^= __builtin_bswap32((uint32_t)index);
    memcpy(iv, &first, sizeof first);
    memcpy(iv + sizeof first, &last, sizeof last);
}

/// AES-128-GCM without OpenSSL: `length` bytes in place, the tag behind them.
static inline int sfu_srtp_seal(
    const sfu_srtp_transform *transform, uint32_t ssrc, uint64_t index, const uint8_t *aad, int aad_length,
    uint8_t *bytes, int length
) {
    uint8_t iv[cgcm_iv_bytes];
    sfu_srtp_iv(transform, ssrc, index, iv);
    return cgcm_seal(&transform->own, iv, aad, (size_t)aad_length, bytes, (size_t)length, bytes + length);
}

static inline int sfu_srtp_open(
    const sfu_srtp_transform *transform, uint32_t ssrc, uint64_t index, const uint8_t *aad, int aad_length,
    uint8_t *bytes, int length
) {
    uint8_t iv[cgcm_iv_bytes];
    sfu_srtp_iv(transform, ssrc, index, iv);
    return cgcm_open(&transform->own, iv, aad, (size_t)aad_length, bytes, (size_t)length, bytes + length);
}

/// The place of SSRC and index is the same for RTP (index = ROC ‖ SEQ, 48 bits) and RTCP (31 bits), with AES-CM
/// (RFC 3711 §4.1.1: 14 bytes of salt, then a block counter) and with GCM (RFC 7714 §8.1, §9.1: 12 bytes).
static inline int sfu_srtp_begin(sfu_srtp_openssl *rest, uint32_t ssrc, uint64_t index) {
    uint8_t iv[16] = {0};
    int at = rest->is_aead ? 2 : 4;
    memcpy(iv, rest->salt, 14);
    for (int i = 0; i < 4; i++) iv[at + i] ^= (uint8_t)(ssrc >> (24 - 8 * i));
    for (int i = 0; i < 6; i++) iv[at + 4 + i] ^= (uint8_t)(index >> (40 - 8 * i));
    // The direction stays.
    return EVP_CipherInit_ex2(rest->cipher, NULL, NULL, iv, -1, NULL) == 1;
}

/// Encrypts or decrypts `length` bytes in place.
static inline int sfu_srtp_update(sfu_srtp_openssl *rest, uint8_t *bytes, int length) {
    int n = 0;
    return length == 0 || EVP_CipherUpdate(rest->cipher, bytes, &n, bytes, length) == 1;
}

/// Associated data; the second piece may be empty.
static inline int sfu_srtp_associate(
    sfu_srtp_openssl *rest, const uint8_t *first, int first_length, const uint8_t *second, int second_length
) {
    int n = 0;
    if (EVP_CipherUpdate(rest->cipher, NULL, &n, first, first_length) != 1) return 0;
    return second_length == 0 || EVP_CipherUpdate(rest->cipher, NULL, &n, second, second_length) == 1;
}

/// Encrypts `length` bytes in place and writes the tag behind them. Associated data have been fed before.
static inline int sfu_srtp_finish_gcm(sfu_srtp_openssl *rest, uint8_t *bytes, int length) {
    int n = 0;
    if (!sfu_srtp_update(rest, bytes, length)) return 0;
    if (EVP_CipherFinal_ex(rest->cipher, bytes + length, &n) != 1) return 0;
    rest->tag[0].data = bytes + length;
    return EVP_CIPHER_CTX_get_params(rest->cipher, rest->tag) == 1;
}

/// Decrypts `length` bytes in place where the tag behind them is right. Associated data have been fed before.
static inline int sfu_srtp_check_gcm(sfu_srtp_openssl *rest, uint32_t ssrc, uint64_t index, uint8_t *bytes, int length) {
    int n = 0;
    rest->tag[0].data = bytes + length;
    if (EVP_CIPHER_CTX_set_params(rest->cipher, rest->tag) != 1) return 0;
    if (!sfu_srtp_update(rest, bytes, length)) return 0;
    if (EVP_CipherFinal_ex(rest->cipher, bytes + length, &n) == 1) return 1;
    // OpenSSL decrypts before it knows. The same keystream once more, and the bytes are as they came.
    if (sfu_srtp_begin(rest, ssrc, index)) sfu_srtp_update(rest, bytes, length);
    return 0;
}

/// HMAC-SHA1-80 over the bytes and the four behind them in `suffix`.
static inline void sfu_srtp_authenticate(
    const sfu_srtp_openssl *rest, const uint8_t *bytes, int length, const uint8_t *suffix, uint8_t *tag
) {
    uint8_t digest[SHA_DIGEST_LENGTH];
    SHA_CTX hash = rest->inner;
    SHA1_Update(&hash, bytes, (size_t)length);
    SHA1_Update(&hash, suffix, 4);
    SHA1_Final(digest, &hash);
    hash = rest->outer;
    SHA1_Update(&hash, digest, sizeof digest);
    SHA1_Final(digest, &hash);
    memcpy(tag, digest, sfu_srtp_cm_tag);
}

static inline int sfu_srtp_is_authentic(
    const sfu_srtp_openssl *rest, const uint8_t *bytes, int length, const uint8_t *suffix, const uint8_t *tag
) {
    uint8_t expected[sfu_srtp_cm_tag];
    sfu_srtp_authenticate(rest, bytes, length, suffix, expected);
    return CRYPTO_memcmp(expected, tag, sizeof expected) == 0;
}

static inline void sfu_srtp_put_word(uint8_t *bytes, uint32_t word) {
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(word >> (24 - 8 * i));
}

/// The SSRC of a report's sender.
static inline uint32_t sfu_srtcp_ssrc(const uint8_t *packet) {
    return (uint32_t)packet[4] << 24 | (uint32_t)packet[5] << 16 | (uint32_t)packet[6] << 8 | packet[7];
}

// ---- RTP

/// In place; room for the tag after `length`. `header` counts CSRCs and extensions, 12 or more. Returns the new
/// length, 0 on failure.
static inline int sfu_srtp_protect(
    sfu_srtp_transform *transform, uint8_t *packet, int header, int length, uint32_t ssrc, uint64_t index
) {
    if (header < 12 || length < header) return 0;
    uint8_t *payload = packet + header;
    if (sfu_srtp_is_own(transform)) {
        int sealed = sfu_srtp_seal(transform, ssrc, index, packet, header, payload, length - header);
        return sealed ? length + sfu_srtp_gcm_tag : 0;
    }
    sfu_srtp_openssl *rest = transform->rest;
    if (!sfu_srtp_begin(rest, ssrc, index)) return 0;
    if (rest->is_aead) {
        if (!sfu_srtp_associate(rest, packet, header, NULL, 0)) return 0;
        return sfu_srtp_finish_gcm(rest, payload, length - header) ? length + sfu_srtp_gcm_tag : 0;
    }
    if (!sfu_srtp_update(rest, payload, length - header)) return 0;
    uint8_t rollover[4];
    sfu_srtp_put_word(rollover, (uint32_t)(index >> 16));
    sfu_srtp_authenticate(rest, packet, length, rollover, packet + length);
    return length + sfu_srtp_cm_tag;
}

/// In place; `length` counts the tag. Returns the new length; 0, and the bytes are as they came, if it is not authentic.
static inline int sfu_srtp_unprotect(
    sfu_srtp_transform *transform, uint8_t *packet, int header, int length, uint32_t ssrc, uint64_t index
) {
    int is_own = sfu_srtp_is_own(transform), is_aead = is_own || transform->rest->is_aead;
    int end = length - (is_aead ? sfu_srtp_gcm_tag : sfu_srtp_cm_tag);
    if (header < 12 || end < header) return 0;
    uint8_t *payload = packet + header;
    if (is_own) return sfu_srtp_open(transform, ssrc, index, packet, header, payload, end - header) ? end : 0;
    sfu_srtp_openssl *rest = transform->rest;
    if (is_aead) {
        if (!sfu_srtp_begin(rest, ssrc, index)) return 0;
        if (!sfu_srtp_associate(rest, packet, header, NULL, 0)) return 0;
        return sfu_srtp_check_gcm(rest, ssrc, index, payload, end - header) ? end : 0;
    }
    uint8_t rollover[4];
    sfu_srtp_put_word(rollover, (uint32_t)(index >> 16));
    if (!sfu_srtp_is_authentic(rest, packet, end, rollover, packet + end)) return 0;
    if (!sfu_srtp_begin(rest, ssrc, index)) return 0;
    return sfu_srtp_update(rest, payload, end - header) ? end : 0;
}

// ---- RTCP: the first 8 bytes stay clear; the word of the E bit and the index ends the packet under GCM (RFC 7714 §9) and
// precedes the tag under AES-CM (RFC 3711 §3.4).

/// A compound packet, in place; room for 20 bytes after `length`. Returns the new length, 0 on failure.
static inline int sfu_srtcp_protect(sfu_srtp_transform *transform, uint8_t *packet, int length, uint32_t index) {
    if (length < 8 || index >> 31) return 0;
    uint32_t ssrc = sfu_srtcp_ssrc(packet);
    uint8_t word[4];
    sfu_srtp_put_word(word, index | 0x80000000u);
    if (sfu_srtp_is_own(transform)) {
        uint8_t aad[12];
        memcpy(aad, packet, 8);
        memcpy(aad + 8, word, sizeof word);
        if (!sfu_srtp_seal(transform, ssrc, index, aad, sizeof aad, packet + 8, length - 8)) return 0;
        memcpy(packet + length + sfu_srtp_gcm_tag, word, sizeof word);
        return length + sfu_srtp_gcm_tag + 4;
    }
    sfu_srtp_openssl *rest = transform->rest;
    if (!sfu_srtp_begin(rest, ssrc, index)) return 0;
    if (rest->is_aead) {
        if (!sfu_srtp_associate(rest, packet, 8, word, 4)) return 0;
        if (!sfu_srtp_finish_gcm(rest, packet + 8, length - 8)) return 0;
        memcpy(packet + length + sfu_srtp_gcm_tag, word, 4);
        return length + sfu_srtp_gcm_tag + 4;
    }
    if (!sfu_srtp_update(rest, packet + 8, length - 8)) return 0;
    memcpy(packet + length, word, 4);
    sfu_srtp_authenticate(rest, packet, length, word, packet + length + 4);
    return length + 4 + sfu_srtp_cm_tag;
}

/// A compound packet, in place; `length` counts word and tag, and `index` is what the word says without its E bit, which must
/// have been set. Returns the new length; 0, and the bytes are as they came, if it is not authentic.
static inline int sfu_srtcp_unprotect(sfu_srtp_transform *transform, uint8_t *packet, int length, uint32_t index) {
    int is_own = sfu_srtp_is_own(transform), is_aead = is_own || transform->rest->is_aead;
    int end = length - 4 - (is_aead ? sfu_srtp_gcm_tag : sfu_srtp_cm_tag);
    if (end < 8 || index >> 31) return 0;
    uint32_t ssrc = sfu_srtcp_ssrc(packet);
    uint8_t word[4];
    sfu_srtp_put_word(word, index | 0x80000000u);
    if (is_own) {
        uint8_t aad[12];
        memcpy(aad, packet, 8);
        memcpy(aad + 8, word, sizeof word);
        return sfu_srtp_open(transform, ssrc, index, aad, sizeof aad, packet + 8, end - 8) ? end : 0;
    }
    sfu_srtp_openssl *rest = transform->rest;
    if (is_aead) {
        if (!sfu_srtp_begin(rest, ssrc, index)) return 0;
        if (!sfu_srtp_associate(rest, packet, 8, word, 4)) return 0;
        return sfu_srtp_check_gcm(rest, ssrc, index, packet + 8, end - 8) ? end : 0;
    }
    if (!sfu_srtp_is_authentic(rest, packet, end, word, packet + end + 4)) return 0;
    if (!sfu_srtp_begin(rest, ssrc, index)) return 0;
    return sfu_srtp_update(rest, packet + 8, end - 8) ? end : 0;
}

#pragma clang diagnostic pop

#endif
