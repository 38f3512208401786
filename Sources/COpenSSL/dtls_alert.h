// A fatal alert of our choice on a finished DTLS 1.2 connection. OpenSSL sends `bad_certificate` only from within the
// handshake; we learn of a wrong fingerprint after it, so the record is made here from the connection's own keys.
#ifndef SFU_COPENSSL_DTLS_ALERT_H
#define SFU_COPENSSL_DTLS_ALERT_H

#include "dtls.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

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

/// Appends a fatal alert record in epoch 1 to the flight. Returns 1 on success. Nothing may be written through
/// OpenSSL afterwards, since its record counter does not know of this one.
static inline int sfu_dtls_write_fatal_alert(SSL *ssl, sfu_dtls_pipe *pipe, uint8_t description) {
    const SSL_CIPHER *suite = SSL_get_current_cipher(ssl);
    if (!suite || !pipe->has_encrypted) return 0;
    const EVP_CIPHER *cipher = EVP_get_cipherbynid(SSL_CIPHER_get_cipher_nid(suite));
    if (!cipher) return 0;
    int is_chacha = SSL_CIPHER_get_cipher_nid(suite) == NID_chacha20_poly1305;
    size_t key = (size_t)EVP_CIPHER_get_key_length(cipher);
    size_t iv = is_chacha ? 12 : 4;
    uint8_t block[2 * (32 + 12)];
    if (key > 32 || !sfu_dtls_key_block(ssl, suite, block, 2 * (key + iv))) return 0;
    size_t side = SSL_is_server(ssl) ? 1 : 0;

    uint8_t record[13 + 8 + 2 + 16] = {SSL3_RT_ALERT, 0xfe, 0xfd, 0, 1};
    uint64_t sequence = pipe->last_sequence + 1;
    for (int i = 0; i < 6; i++) record[5 + i] = (uint8_t)(sequence >> (40 - 8 * i));
    uint8_t nonce[12] = {0};
    memcpy(nonce, block + 2 * key + side * iv, iv);
    uint8_t *body = record + 13;
    if (is_chacha) {  // RFC 7905 §2
        for (int i = 0; i < 8; i++) nonce[4 + i] ^= record[3 + i];
    } else {  // RFC 5288 §3: far from the counter of OpenSSL
        memcpy(nonce + 4, pipe->last_nonce, 8);
        nonce[4] ^= 0x80;
        memcpy(body, nonce + 4, 8);
        body += 8;
    }
    uint8_t associated[13] = {0};
    memcpy(associated, record + 3, 8);
    memcpy(associated + 8, record, 3);
    associated[12] = 2;
    body[0] = SSL3_AL_FATAL;
    body[1] = description;
    size_t length = (size_t)(body - record) + 2 + 16;
    record[12] = (uint8_t)(length - 13);

    int n = 0;
    EVP_CIPHER_CTX *sealing = EVP_CIPHER_CTX_new();
    int done = sealing && EVP_EncryptInit_ex2(sealing, cipher, block + side * key, nonce, NULL) == 1
        && EVP_EncryptUpdate(sealing, NULL, &n, associated, sizeof associated) == 1
        && EVP_EncryptUpdate(sealing, body, &n, body, 2) == 1 && EVP_EncryptFinal_ex(sealing, body + 2, &n) == 1
        && EVP_CIPHER_CTX_ctrl(sealing, EVP_CTRL_AEAD_GET_TAG, 16, body + 2) == 1
        && sfu_dtls_append(pipe, record, length);
    EVP_CIPHER_CTX_free(sealing);
    OPENSSL_cleanse(block, sizeof block);
    return done;
}

#endif
