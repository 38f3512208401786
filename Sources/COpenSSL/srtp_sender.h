// The SRTP and SRTCP transforms of what we send: AES-CM with HMAC-SHA1-80 (RFC 3711) and AES-GCM (RFC 7714) on session
// keys. One keyed context per transport; per packet only the IV changes and nothing is allocated. AES-128-GCM is CGCM's where
// the CPU has it, all else OpenSSL's. Knows no streams: the caller counts the packets and must never use an index twice
// with different bytes.
#ifndef SFU_COPENSSL_SRTP_SENDER_H
#define SFU_COPENSSL_SRTP_SENDER_H

#include <CGCM.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct sfu_srtp_sender {
    /// All that protecting reads, salt included, where `own.variant` says that it is in use; else OpenSSL's are the rest.
    cgcm_key own;
    EVP_CIPHER_CTX *cipher;
    /// HMAC after its inner and outer pad: copied per packet, where an EVP_MD_CTX copy would allocate.
    SHA_CTX inner;
    SHA_CTX outer;
    OSSL_PARAM tag[2];
    uint8_t salt[14];
    int is_aead;
} sfu_srtp_sender;

enum { sfu_srtp_cm_tag = 10, sfu_srtp_gcm_tag = 16, sfu_srtp_auth_key = 20 };

/// Says that this line of memory will be read soon. Any address will do.
static inline void sfu_prefetch(const void *address) { __builtin_prefetch(address); }

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"

static inline void sfu_srtp_sender_free(sfu_srtp_sender *sender) {
    if (!sender) return;
    EVP_CIPHER_CTX_free(sender->cipher);
    cgcm_erase(&sender->own);
    OPENSSL_cleanse(sender, sizeof *sender);
    free(sender);
}

/// Session keys of 16 or 32 bytes, salt of 14 (CM) or 12 (GCM) bytes; `auth_key` 20 bytes, NULL for GCM. `gcm` says how
/// AES-128-GCM is done; `cgcm_unavailable`, and a variant that this CPU has not: by OpenSSL. NULL: a length is wrong, or no memory.
static inline sfu_srtp_sender *sfu_srtp_sender_new(
    int is_aead, const uint8_t *key, size_t key_length, const uint8_t *salt, const uint8_t *auth_key, cgcm_variant gcm
) {
    const EVP_CIPHER *kind = NULL;
    if (is_aead) {
        kind = key_length == 16 ? EVP_aes_128_gcm() : key_length == 32 ? EVP_aes_256_gcm() : NULL;
    } else if (auth_key && key_length == 16) {
        kind = EVP_aes_128_ctr();
    }
    size_t room = (sizeof(sfu_srtp_sender) + cgcm_alignment - 1) / cgcm_alignment * cgcm_alignment;
    sfu_srtp_sender *sender = kind ? (sfu_srtp_sender *)aligned_alloc(cgcm_alignment, room) : NULL;
    if (!sender) return NULL;
    memset(sender, 0, sizeof *sender);
    sender->is_aead = is_aead;
    if (is_aead && key_length == cgcm_key_bytes && cgcm_expand(&sender->own, key, gcm)) {
        memcpy(sender->own.salt, salt, sizeof sender->own.salt);
        return sender;
    }
    memcpy(sender->salt, salt, is_aead ? 12 : 14);
    sender->tag[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, sfu_srtp_gcm_tag);
    sender->tag[1] = OSSL_PARAM_construct_end();
    uint8_t iv[16] = {0};
    sender->cipher = EVP_CIPHER_CTX_new();
    if (!sender->cipher || EVP_EncryptInit_ex2(sender->cipher, kind, key, iv, NULL) != 1) {
        sfu_srtp_sender_free(sender);
        return NULL;
    }
    if (!is_aead) {
        uint8_t pad[64];
        memset(pad, 0x36, sizeof pad);
        for (int i = 0; i < sfu_srtp_auth_key; i++) pad[i] ^= auth_key[i];
        SHA1_Init(&sender->inner);
        SHA1_Update(&sender->inner, pad, sizeof pad);
        for (int i = 0; i < 64; i++) pad[i] ^= 0x36 ^ 0x5c;
        SHA1_Init(&sender->outer);
        SHA1_Update(&sender->outer, pad, sizeof pad);
        OPENSSL_cleanse(pad, sizeof pad);
    }
    return sender;
}

/// The place of SSRC and index is the same for RTP (index = ROC ‖ SEQ, 48 bits) and RTCP (31 bits), with AES-CM
/// (RFC 3711 §4.1.1: 14 bytes of salt, then a block counter) and with GCM (RFC 7714 §8.1, §9.1: 12 bytes).
static inline int sfu_srtp_begin(sfu_srtp_sender *sender, uint32_t ssrc, uint64_t index) {
    uint8_t iv[16] = {0};
    int at = sender->is_aead ? 2 : 4;
    memcpy(iv, sender->salt, 14);
    for (int i = 0; i < 4; i++) iv[at + i] ^= (uint8_t)(ssrc >> (24 - 8 * i));
    for (int i = 0; i < 6; i++) iv[at + 4 + i] ^= (uint8_t)(index >> (40 - 8 * i));
    return EVP_EncryptInit_ex2(sender->cipher, NULL, NULL, iv, NULL) == 1;
}

/// AES-128-GCM without OpenSSL: `length` bytes in place, the tag behind them. The IV is that of `sfu_srtp_begin`, in two words.
static inline int sfu_srtp_seal(
    const sfu_srtp_sender *sender, uint32_t ssrc, uint64_t index, const uint8_t *aad, int aad_length, uint8_t *bytes,
    int length
) {
    uint64_t first;
    uint32_t last;
    uint8_t iv[cgcm_iv_bytes];
    memcpy(&first, sender->own.salt, sizeof first);
    memcpy(&last, sender->own.salt + sizeof first, sizeof last);
    first ^= __builtin_bswap64((uint64_t)ssrc << 16 | (index >> 32 & 0xffff));
    last ^= __builtin_bswap32((uint32_t)index);
    memcpy(iv, &first, sizeof first);
    memcpy(iv + sizeof first, &last, sizeof last);
    return cgcm_seal(&sender->own, iv, aad, (size_t)aad_length, bytes, (size_t)length, bytes + length);
}

/// Encrypts `length` bytes in place and writes the tag to `tag`. Associated data have been fed before.
static inline int sfu_srtp_finish_gcm(sfu_srtp_sender *sender, uint8_t *bytes, int length, uint8_t *tag) {
    int n = 0;
    if (length > 0 && EVP_EncryptUpdate(sender->cipher, bytes, &n, bytes, length) != 1) return 0;
    if (EVP_EncryptFinal_ex(sender->cipher, bytes + length, &n) != 1) return 0;
    sender->tag[0].data = tag;
    return EVP_CIPHER_CTX_get_params(sender->cipher, sender->tag) == 1;
}

/// HMAC-SHA1-80 over the bytes and the four behind them in `suffix`.
static inline void sfu_srtp_authenticate(
    sfu_srtp_sender *sender, const uint8_t *bytes, int length, const uint8_t *suffix, uint8_t *tag
) {
    uint8_t digest[SHA_DIGEST_LENGTH];
    SHA_CTX hash = sender->inner;
    SHA1_Update(&hash, bytes, (size_t)length);
    SHA1_Update(&hash, suffix, 4);
    SHA1_Final(digest, &hash);
    hash = sender->outer;
    SHA1_Update(&hash, digest, sizeof digest);
    SHA1_Final(digest, &hash);
    memcpy(tag, digest, sfu_srtp_cm_tag);
}

/// In place; room for the tag after `length`. `header` counts CSRCs and extensions, 12 or more. Returns the new
/// length, 0 on failure.
static inline int sfu_srtp_protect(
    sfu_srtp_sender *sender, uint8_t *packet, int header, int length, uint32_t ssrc, uint64_t index
) {
    if (header < 12 || length < header) return 0;
    if (sender->own.variant != cgcm_unavailable) {
        int sealed = sfu_srtp_seal(sender, ssrc, index, packet, header, packet + header, length - header);
        return sealed ? length + sfu_srtp_gcm_tag : 0;
    }
    if (!sfu_srtp_begin(sender, ssrc, index)) return 0;
    int n = 0;
    uint8_t *payload = packet + header;
    if (sender->is_aead) {
        if (EVP_EncryptUpdate(sender->cipher, NULL, &n, packet, header) != 1) return 0;
        if (!sfu_srtp_finish_gcm(sender, payload, length - header, packet + length)) return 0;
        return length + sfu_srtp_gcm_tag;
    }
    if (length > header && EVP_EncryptUpdate(sender->cipher, payload, &n, payload, length - header) != 1) return 0;
    uint8_t rollover[4];
    for (int i = 0; i < 4; i++) rollover[i] = (uint8_t)(index >> (40 - 8 * i));
    sfu_srtp_authenticate(sender, packet, length, rollover, packet + length);
    return length + sfu_srtp_cm_tag;
}

/// A compound RTCP packet, in place; room for 20 bytes after `length`. The first 8 bytes stay clear; the word of the
/// E bit and the index ends the packet under GCM (RFC 7714 §9) and precedes the tag under AES-CM (RFC 3711 §3.4).
/// Returns the new length, 0 on failure.
static inline int sfu_srtcp_protect(sfu_srtp_sender *sender, uint8_t *packet, int length, uint32_t index) {
    if (length < 8 || index >> 31) return 0;
    uint32_t ssrc = (uint32_t)packet[4] << 24 | (uint32_t)packet[5] << 16 | (uint32_t)packet[6] << 8 | packet[7];
    uint8_t word[4];
    for (int i = 0; i < 4; i++) word[i] = (uint8_t)((index | 0x80000000u) >> (24 - 8 * i));
    if (sender->own.variant != cgcm_unavailable) {
        uint8_t aad[12];
        memcpy(aad, packet, 8);
        memcpy(aad + 8, word, sizeof word);
        if (!sfu_srtp_seal(sender, ssrc, index, aad, sizeof aad, packet + 8, length - 8)) return 0;
        memcpy(packet + length + sfu_srtp_gcm_tag, word, sizeof word);
        return length + sfu_srtp_gcm_tag + 4;
    }
    if (!sfu_srtp_begin(sender, ssrc, index)) return 0;
    int n = 0;
    if (sender->is_aead) {
        if (EVP_EncryptUpdate(sender->cipher, NULL, &n, packet, 8) != 1) return 0;
        if (EVP_EncryptUpdate(sender->cipher, NULL, &n, word, 4) != 1) return 0;
        if (!sfu_srtp_finish_gcm(sender, packet + 8, length - 8, packet + length)) return 0;
        memcpy(packet + length + sfu_srtp_gcm_tag, word, 4);
        return length + sfu_srtp_gcm_tag + 4;
    }
    if (length > 8 && EVP_EncryptUpdate(sender->cipher, packet + 8, &n, packet + 8, length - 8) != 1) return 0;
    memcpy(packet + length, word, 4);
    sfu_srtp_authenticate(sender, packet, length, word, packet + length + 4);
    return length + 4 + sfu_srtp_cm_tag;
}

#pragma clang diagnostic pop

#endif
