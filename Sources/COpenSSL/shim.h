// OpenSSL as PeerTransport needs it: functions for its macros, a BIO that keeps datagrams apart, and the per-packet
// SRTP transform. Holds no global state and knows nothing of sockets, ICE or RTP streams.
#ifndef SFU_COPENSSL_SHIM_H
#define SFU_COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "dtls.h"
#include "dtls_rest.h"
#include "srtp_transform.h"

static inline EVP_PKEY *sfu_generate_p256(void) { return EVP_EC_gen("P-256"); }

static inline EVP_PKEY *sfu_generate_rsa(int bits) { return EVP_RSA_gen((unsigned int)bits); }

/// The bytes that a memory BIO holds.
static inline long sfu_bio_memory(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }

/// In C because the parameters point to their names, and a Swift literal's bytes do not outlive the call.
static inline int sfu_hmac_use_sha1(EVP_MAC_CTX *context) {
    char digest[] = "SHA1";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(context, parameters);
}

static inline int sfu_err_reason(unsigned long code) { return ERR_GET_REASON(code); }

#endif
