// DTLS-SRTP handshakes and nothing else: client and server in one process, flights handed over in memory, and the CPU of the
// server's side alone. What a media server could at best spend on them, by the same library and the same choices as ours:
// DTLS 1.2, ECDSA with P-256 on both sides, X25519, certificates of the peers demanded and taken as they are.
#define _GNU_SOURCE
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DATAGRAM = 1200, EXPORTED = 60, MOST_TURNS = 16 };

static void fail(const char *what) {
    fprintf(stderr, "handshakes: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int take_any(X509_STORE_CTX *store, void *unused) {
    (void)unused;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static SSL_CTX *context(void) {
    SSL_CTX *context = SSL_CTX_new(DTLS_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    if (!context || !key || !certificate) fail("no context");
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -86400);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"WebRTC", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    if (!X509_sign(certificate, key, EVP_sha256())) fail("no certificate");
    if (SSL_CTX_use_certificate(context, certificate) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1
        || SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) != 1
        || SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION) != 1
        || SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256") != 1
        || SSL_CTX_set1_groups_list(context, "X25519:P-256") != 1
        || SSL_CTX_set_tlsext_use_srtp(context, "SRTP_AEAD_AES_128_GCM") != 0)
        fail("the library has not what is wanted");
    SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context, take_any, NULL);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static SSL *endpoint(SSL_CTX *context) {
    SSL *ssl = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!ssl || !in || !out) fail("no connection");
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    DTLS_set_link_mtu(ssl, DATAGRAM);
    return ssl;
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/// What one side has written, to the other. A memory BIO has no datagrams, and DTLS needs none: records say their length.
static void hand_over(SSL *from, SSL *to) {
    char bytes[16 * DATAGRAM];
    int length = BIO_read(SSL_get_wbio(from), bytes, sizeof bytes);
    if (length > 0 && BIO_write(SSL_get_rbio(to), bytes, length) != length) fail("no memory");
}

static int step(SSL *ssl) {
    int result = SSL_do_handshake(ssl);
    if (result != 1 && SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ) fail("a handshake failed");
    return result == 1;
}

/// One handshake; nanoseconds of the server's side, from its connection to its keys and the connection's end.
static int64_t handshake(SSL_CTX *served, SSL_CTX *asking) {
    SSL *client = endpoint(asking);
    SSL_set_connect_state(client);
    int64_t started = now();
    SSL *server = endpoint(served);
    SSL_set_accept_state(server);
    int64_t spent = now() - started;
    int is_done = 0;
    for (int turn = 0; turn < MOST_TURNS && !is_done; turn++) {
        int is_client_done = step(client);
        hand_over(client, server);
        started = now();
        int is_server_done = step(server);
        spent += now() - started;
        hand_over(server, client);
        is_done = is_client_done && is_server_done;
    }
    if (!is_done) fail("no end of a handshake");
    unsigned char keys[EXPORTED];
    started = now();
    if (SSL_export_keying_material(server, keys, sizeof keys, "EXTRACTOR-dtls_srtp", 19, NULL, 0, 0) != 1) fail("no keys");
    SSL_free(server);
    spent += now() - started;
    SSL_free(client);
    return spent;
}

int main(int count, char **arguments) {
    char *rest = NULL;
    long handshakes = count == 2 ? strtol(arguments[1], &rest, 10) : 0;
    if (count != 2 || *rest || handshakes < 1 || handshakes > 1000000) {
        fprintf(stderr, "usage: handshakes COUNT\nPrints the microseconds of CPU that the server's side of one takes.\n");
        return 2;
    }
    SSL_CTX *served = context(), *asking = context();
    for (int i = 0; i < 50; i++) handshake(served, asking);
    int64_t spent = 0;
    for (long i = 0; i < handshakes; i++) spent += handshake(served, asking);
    printf("%.1f\n", (double)spent / 1000 / (double)handshakes);
    SSL_CTX_free(served);
    SSL_CTX_free(asking);
    return 0;
}
