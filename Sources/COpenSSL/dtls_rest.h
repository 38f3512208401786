// What is left of a DTLS 1.2 association when its handshake is over: the keys and numbers of epoch 1, and our last flight.
// Enough to read alerts and repeated Finished messages, to repeat that flight, and to send alerts of our own, in 300 bytes
// instead of OpenSSL's 40 KB. OpenSSL writes no alert of our choice after the handshake either: a wrong fingerprint is told
// by a record from here.
#ifndef SFU_COPENSSL_DTLS_REST_H
#define SFU_COPENSSL_DTLS_REST_H

#include "dtls.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

enum { sfu_dtls_key_limit = 32, sfu_dtls_iv_limit = 12, sfu_dtls_rest_record = 13 + 8 + 2 + 16 };

typedef struct sfu_dtls_rest {
    /// RFC 5246 §6.3: client's and server's key, then their implicit nonces.
    uint8_t keys[2 * (sfu_dtls_key_limit + sfu_dtls_iv_limit)];
    const EVP_CIPHER *cipher;
    uint8_t key_length;
    uint8_t iv_length;
    /// RFC 7905: the nonce is made of the record's number; with GCM it stands in the record.
    uint8_t is_chacha;
    uint8_t is_server;
    /// Of our newest record in epoch 1.
    uint64_t sequence;
    uint8_t nonce[8];
    /// Our last flight as it went out: datagrams, each after its length (2 bytes, native order).
    size_t flight_length;
    uint8_t flight[];
} sfu_dtls_rest;

/// RFC 5246 §6.3: key_block = PRF(master_secret, "key expansion", server_random + client_random).
static inline int sfu_dtls_key_block(SSL *ssl, const SSL_CIPHER *cipher, uint8_t *block, size_t length) {
    uint8_t master[SSL_MAX_MASTER_KEY_LENGTH];
    uint8_t seed[13 + 2 * SSL3_RANDOM_SIZE];
    const EVP_MD *digest = SSL_CIPHER_get_handshake_digest(cipher);
    SSL_SESSION *session = SSL_get_session(ssl);
    if (!digest || !session) return 0;
    size_t master_length = SSL_SESSION_get_master_key(session, master, sizeof master);
    memcpy(seed, "key expansion", 13);
    SSL_get_server_random(ssl, seed + 13, SSL3_RANDOM_SIZE);
    SSL_get_client_random(ssl, seed + 13 + SSL3_RANDOM_SIZE, SSL3_RANDOM_SIZE);

    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_PRF, NULL);
    EVP_KDF_CTX *prf = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM parameters[4] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)EVP_MD_get0_name(digest), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, master_length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
        OSSL_PARAM_construct_end(),
    };
    int done = prf && EVP_KDF_derive(prf, block, length, parameters) == 1;
    EVP_KDF_CTX_free(prf);
    EVP_KDF_free(kdf);
    OPENSSL_cleanse(master, sizeof master);
    return done;
}

static inline void sfu_dtls_rest_free(sfu_dtls_rest *rest) {
    if (!rest) return;
    OPENSSL_cleanse(rest, sizeof *rest);
    free(rest);
}

/// Of a finished association; `ssl` may be freed then, and must not write any more. NULL where nothing was agreed.
static inline sfu_dtls_rest *sfu_dtls_rest_new(SSL *ssl, const sfu_dtls_pipe *pipe) {
    const SSL_CIPHER *suite = SSL_get_current_cipher(ssl);
    if (!suite || !pipe->has_encrypted) return NULL;
    const EVP_CIPHER *cipher = EVP_get_cipherbynid(SSL_CIPHER_get_cipher_nid(suite));
    if (!cipher || EVP_CIPHER_get_key_length(cipher) > sfu_dtls_key_limit) return NULL;
    // A client whose server has finished never repeats a flight.
    size_t flight = SSL_is_server(ssl) && pipe->flight ? pipe->flight_length : 0;
    sfu_dtls_rest *rest = (sfu_dtls_rest *)calloc(1, sizeof *rest + flight);
    if (!rest) return NULL;
    rest->cipher = cipher;
    rest->is_chacha = SSL_CIPHER_get_cipher_nid(suite) == NID_chacha20_poly1305;
    rest->key_length = (uint8_t)EVP_CIPHER_get_key_length(cipher);
    rest->iv_length = rest->is_chacha ? 12 : 4;
    rest->is_server = SSL_is_server(ssl) ? 1 : 0;
    rest->sequence = pipe->last_sequence;
    memcpy(rest->nonce, pipe->last_nonce, 8);
    // Far from the counter of OpenSSL (RFC 5288 §3).
    rest->nonce[0] ^= 0x80;
    rest->flight_length = flight;
    if (flight) memcpy(rest->flight, pipe->flight, flight);
    if (!sfu_dtls_key_block(ssl, suite, rest->keys, 2u * (rest->key_length + rest->iv_length))) {
        sfu_dtls_rest_free(rest);
        return NULL;
    }
    return rest;
}

static inline const uint8_t *sfu_dtls_rest_flight(const sfu_dtls_rest *rest) { return rest->flight; }

/// The nonce of the record with this header; with GCM eight bytes of it stand in the record.
static inline void sfu_dtls_nonce(const sfu_dtls_rest *rest, size_t side, const uint8_t *header,
                                  const uint8_t *explicit_nonce, uint8_t nonce[12]) {
    memset(nonce, 0, 12);
    memcpy(nonce, rest->keys + 2 * rest->key_length + side * rest->iv_length, rest->iv_length);
    if (rest->is_chacha) {  // RFC 7905 §2
        for (int i = 0; i < 8; i++) nonce[4 + i] ^= header[3 + i];
    } else {  // RFC 5288 §3
        memcpy(nonce + 4, explicit_nonce, 8);
    }
}

/// RFC 5246 §6.2.3.3, RFC 6347 §4.1.2.1: epoch and number, type, version, length of the text.
static inline void sfu_dtls_associated(const uint8_t *header, size_t text, uint8_t associated[13]) {
    memcpy(associated, header + 3, 8);
    memcpy(associated + 8, header, 3);
    associated[11] = (uint8_t)(text >> 8);
    associated[12] = (uint8_t)text;
}

/// Writes the next alert of ours, a record in epoch 1. Returns its length, 0 on failure.
static inline size_t sfu_dtls_rest_alert(sfu_dtls_rest *rest, uint8_t level, uint8_t description,
                                         uint8_t record[sfu_dtls_rest_record]) {
    static const uint8_t start[5] = {SSL3_RT_ALERT, 0xfe, 0xfd, 0, 1};
    memcpy(record, start, sizeof start);
    rest->sequence++;
    for (int i = 0; i < 6; i++) record[5 + i] = (uint8_t)(rest->sequence >> (40 - 8 * i));
    for (int i = 7; i >= 0 && ++rest->nonce[i] == 0; i--) {}
    uint8_t nonce[12], associated[13];
    size_t side = rest->is_server;
    sfu_dtls_nonce(rest, side, record, rest->nonce, nonce);
    sfu_dtls_associated(record, 2, associated);
    uint8_t *body = record + 13;
    if (!rest->is_chacha) {
        memcpy(body, rest->nonce, 8);
        body += 8;
    }
    body[0] = level;
    body[1] = description;
    size_t length = (size_t)(body - record) + 2 + 16;
    record[11] = 0;
    record[12] = (uint8_t)(length - 13);
    int n = 0;
    EVP_CIPHER_CTX *sealing = EVP_CIPHER_CTX_new();
    int done = sealing
        && EVP_EncryptInit_ex2(sealing, rest->cipher, rest->keys + side * rest->key_length, nonce, NULL) == 1
        && EVP_EncryptUpdate(sealing, NULL, &n, associated, sizeof associated) == 1
        && EVP_EncryptUpdate(sealing, body, &n, body, 2) == 1
        && EVP_EncryptFinal_ex(sealing, body + 2, &n) == 1
        && EVP_CIPHER_CTX_ctrl(sealing, EVP_CTRL_AEAD_GET_TAG, 16, body + 2) == 1;
    EVP_CIPHER_CTX_free(sealing);
    return done ? length : 0;
}

/// Decrypts a whole record of the peer in epoch 1. Returns the length of its text, −1 where it is not authentic or longer
/// than `capacity`.
static inline int sfu_dtls_rest_open(const sfu_dtls_rest *rest, const uint8_t *record, size_t length, uint8_t *text,
                                     size_t capacity) {
    size_t explicit_length = rest->is_chacha ? 0 : 8;
    if (length < 13 + explicit_length + 16) return -1;
    const uint8_t *body = record + 13 + explicit_length;
    size_t count = length - 13 - explicit_length - 16;
    if (count > capacity) return -1;
    uint8_t nonce[12], associated[13], tag[16];
    size_t side = rest->is_server ? 0 : 1;
    sfu_dtls_nonce(rest, side, record, record + 13, nonce);
    sfu_dtls_associated(record, count, associated);
    memcpy(tag, body + count, 16);
    int n = 0, last = 0;
    EVP_CIPHER_CTX *opening = EVP_CIPHER_CTX_new();
    int done = opening
        && EVP_DecryptInit_ex2(opening, rest->cipher, rest->keys + side * rest->key_length, nonce, NULL) == 1
        && EVP_CIPHER_CTX_ctrl(opening, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1
        && EVP_DecryptUpdate(opening, NULL, &n, associated, sizeof associated) == 1
        && EVP_DecryptUpdate(opening, text, &n, body, (int)count) == 1
        && EVP_DecryptFinal_ex(opening, text + n, &last) == 1;
    EVP_CIPHER_CTX_free(opening);
    return done ? (int)count : -1;
}

#endif
