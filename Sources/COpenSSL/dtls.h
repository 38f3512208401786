// DTLS 1.2 plumbing: context settings, the datagram BIO, retransmission by the caller's clock.
#ifndef SFU_COPENSSL_DTLS_H
#define SFU_COPENSSL_DTLS_H

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/// What one connection reads and writes. The BIO owns it.
typedef struct sfu_dtls_pipe {
    /// The datagram that is being received; NULL once read. OpenSSL drains it before it asks for the next, so a
    /// queue of one keeps the borders.
    const uint8_t *inbound;
    size_t inbound_length;
    /// The last flight: datagrams, each after its length (2 bytes, native order).
    uint8_t *flight;
    size_t flight_length;
    size_t flight_capacity;
    /// The flight has been handed out; the next write starts a new one.
    int flight_sent;
    /// Sequence number and explicit nonce of our last record in epoch 1.
    uint64_t last_sequence;
    uint8_t last_nonce[8];
    int has_encrypted;
    /// OpenSSL's own deadline, where it lets us reach it (before 3.2), else NULL.
    struct timeval *deadline;
    int openssl_keeps_time;
    unsigned int first_timeout;
    unsigned int longest_timeout;
    /// How many pipes of a context live; for leak tests.
    long *live;
} sfu_dtls_pipe;

enum { sfu_dtls_flight_limit = 1 << 16, sfu_dtls_ip_udp_overhead = 48 };

static inline void sfu_dtls_note_records(sfu_dtls_pipe *pipe, const uint8_t *bytes, size_t length) {
    size_t at = 0;
    while (length - at >= 13) {
        size_t body = (size_t)bytes[at + 11] << 8 | bytes[at + 12];
        if (body > length - at - 13) return;
        if (bytes[at + 3] != 0 || bytes[at + 4] != 0) {
            uint64_t sequence = 0;
            for (int i = 5; i < 11; i++) sequence = sequence << 8 | bytes[at + i];
            pipe->last_sequence = sequence;
            pipe->has_encrypted = 1;
            if (body >= 8) memcpy(pipe->last_nonce, bytes + at + 13, 8);
        }
        at += 13 + body;
    }
}

/// Appends a datagram to the flight. Returns 0 where it does not fit.
static inline int sfu_dtls_append(sfu_dtls_pipe *pipe, const uint8_t *bytes, size_t length) {
    if (pipe->flight_sent) {
        pipe->flight_length = 0;
        pipe->flight_sent = 0;
    }
    size_t needed = pipe->flight_length + 2 + length;
    if (length > 0xffff || needed > sfu_dtls_flight_limit) return 0;
    if (needed > pipe->flight_capacity) {
        size_t capacity = pipe->flight_capacity ? pipe->flight_capacity * 2 : 2048;
        while (capacity < needed) capacity *= 2;
        uint8_t *grown = (uint8_t *)realloc(pipe->flight, capacity);
        if (!grown) return 0;
        pipe->flight = grown;
        pipe->flight_capacity = capacity;
    }
    uint16_t prefix = (uint16_t)length;
    memcpy(pipe->flight + pipe->flight_length, &prefix, 2);
    memcpy(pipe->flight + pipe->flight_length + 2, bytes, length);
    pipe->flight_length = needed;
    return 1;
}

static inline int sfu_bio_write(BIO *bio, const char *bytes, int length) {
    sfu_dtls_pipe *pipe = (sfu_dtls_pipe *)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!pipe || length <= 0) return -1;
    if (!sfu_dtls_append(pipe, (const uint8_t *)bytes, (size_t)length)) return -1;
    sfu_dtls_note_records(pipe, (const uint8_t *)bytes, (size_t)length);
    return length;
}

static inline int sfu_bio_read(BIO *bio, char *bytes, int capacity) {
    sfu_dtls_pipe *pipe = (sfu_dtls_pipe *)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!pipe || !pipe->inbound || capacity < 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t length = pipe->inbound_length;
    if (length > (size_t)capacity) length = (size_t)capacity;
    memcpy(bytes, pipe->inbound, length);
    pipe->inbound = NULL;
    return (int)length;
}

static inline long sfu_bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    sfu_dtls_pipe *pipe = (sfu_dtls_pipe *)BIO_get_data(bio);
    (void)number;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_PENDING:
        return pipe && pipe->inbound ? (long)pipe->inbound_length : 0;
    case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
        return sfu_dtls_ip_udp_overhead;
    case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
        // Before 3.2 this is the connection's own field, later a copy on the stack.
        if (pipe) pipe->deadline = pipe->openssl_keeps_time ? NULL : (struct timeval *)pointer;
        return 1;
    default:
        return 0;
    }
}

static inline int sfu_bio_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

static inline int sfu_bio_destroy(BIO *bio) {
    sfu_dtls_pipe *pipe = (sfu_dtls_pipe *)BIO_get_data(bio);
    if (pipe) {
        if (pipe->live) *pipe->live -= 1;
        free(pipe->flight);
        free(pipe);
        BIO_set_data(bio, NULL);
    }
    return 1;
}

static inline BIO_METHOD *sfu_bio_method_new(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams");
    if (!method) return NULL;
    if (BIO_meth_set_write(method, sfu_bio_write) && BIO_meth_set_read(method, sfu_bio_read)
        && BIO_meth_set_ctrl(method, sfu_bio_ctrl) && BIO_meth_set_create(method, sfu_bio_create)
        && BIO_meth_set_destroy(method, sfu_bio_destroy)) {
        return method;
    }
    BIO_meth_free(method);
    return NULL;
}

/// OpenSSL asks how long to wait, in microseconds; `previous` is 0 for a new flight. Where we keep the time its
/// own timer must never run out by itself, so it gets more than an hour.
static inline unsigned int sfu_dtls_timeout(SSL *ssl, unsigned int previous) {
    sfu_dtls_pipe *pipe = (sfu_dtls_pipe *)BIO_get_data(SSL_get_rbio(ssl));
    if (!pipe || !pipe->openssl_keeps_time) return 4000u * 1000000u;
    if (previous == 0) return pipe->first_timeout;
    return previous > pipe->longest_timeout / 2 ? pipe->longest_timeout : previous * 2;
}

/// A connection with its pipe, or NULL. `link_mtu` counts IP and UDP headers. `live` may be NULL.
static inline SSL *sfu_dtls_new(
    SSL_CTX *context, BIO_METHOD *method, int is_client, long link_mtu, unsigned int first_timeout,
    unsigned int longest_timeout, int openssl_keeps_time, long *live, sfu_dtls_pipe **pipe_out
) {
    SSL *ssl = SSL_new(context);
    BIO *bio = BIO_new(method);
    sfu_dtls_pipe *pipe = (sfu_dtls_pipe *)calloc(1, sizeof(sfu_dtls_pipe));
    if (!ssl || !bio || !pipe) {
        SSL_free(ssl);
        BIO_free(bio);
        free(pipe);
        return NULL;
    }
    pipe->openssl_keeps_time = openssl_keeps_time || OpenSSL_version_num() >= 0x30200000UL;
    pipe->first_timeout = first_timeout;
    pipe->longest_timeout = longest_timeout;
    pipe->live = live;
    if (live) *live += 1;
    BIO_set_data(bio, pipe);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
    if (DTLS_set_link_mtu(ssl, link_mtu) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    DTLS_set_timer_cb(ssl, sfu_dtls_timeout);
    if (is_client) {
        SSL_set_connect_state(ssl);
    } else {
        SSL_set_accept_state(ssl);
    }
    *pipe_out = pipe;
    return ssl;
}

/// Whether a flight waits for an answer.
static inline int sfu_dtls_awaits_answer(SSL *ssl) {
    struct timeval left;
    return DTLSv1_get_timeout(ssl, &left) == 1;
}

/// Writes the last flight again under new record numbers: 1 done, 0 too early by OpenSSL's own clock, −1 error.
static inline int sfu_dtls_retransmit(SSL *ssl, sfu_dtls_pipe *pipe) {
    if (pipe->deadline && (pipe->deadline->tv_sec || pipe->deadline->tv_usec)) {
        pipe->deadline->tv_sec = 1;
        pipe->deadline->tv_usec = 0;
    }
    return (int)DTLSv1_handle_timeout(ssl);
}

/// The certificate is judged by its fingerprint, once the signaling is known (RFC 8827 §5.3).
static inline int sfu_dtls_accept_any(X509_STORE_CTX *store, void *argument) {
    (void)argument;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

/// DTLS 1.2, ECDHE and AEAD only, client certificate required, no resumption. Returns 1 on success.
static inline int sfu_dtls_configure(SSL_CTX *context, const char *ciphers, const char *groups,
                                     const char *profiles) {
    if (!SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION)) return 0;
    if (!SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION)) return 0;
    if (!SSL_CTX_set_cipher_list(context, ciphers)) return 0;
    if (!SSL_CTX_set1_groups_list(context, groups)) return 0;
    if (SSL_CTX_set_tlsext_use_srtp(context, profiles) != 0) return 0;
    SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION
                                     | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context, sfu_dtls_accept_any, NULL);
    return 1;
}

#endif
