// What all DTLS endpoints of one shard share: OpenSSL's context with the server's identity, and the datagram BIO.
// Belongs to one thread.
import COpenSSL
import RTP

public final class DTLSContext {
    /// AEAD suites with forward secrecy, for peers with ECDSA and with RSA certificates.
    static let cipherSuites = """
        ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
        ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
        ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
        """
    /// P-256 must be listed for the sake of our certificate, whatever the key exchange uses.
    static let groups = "X25519:P-256:P-384"
    /// Our order decides where we are the server (RFC 5764 §4.1.1). GCM-128 costs the least per packet.
    static let srtpProfiles = "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80"

    let handle: OpaquePointer
    let datagramMethod: OpaquePointer
    let linkMTU: Int
    /// Connections that OpenSSL has not freed yet.
    let liveConnections: UnsafeMutablePointer<Int>

    /// - Throws: `DTLSError.context`.
    public convenience init(certificate: DTLSCertificate) throws {
        try self.init(certificate: certificate, srtpProfiles: Self.srtpProfiles)
    }

    /// With other choices, to play other peers in tests.
    init(
        certificate: DTLSCertificate,
        srtpProfiles: String,
        cipherSuites: String = DTLSContext.cipherSuites,
        linkMTU: Int = Limits.DTLS.linkMTU
    ) throws {
        ERR_clear_error()
        guard let handle = SSL_CTX_new(DTLS_method()) else { throw Self.lastError() }
        guard let method = sfu_bio_method_new() else {
            SSL_CTX_free(handle)
            throw Self.lastError()
        }
        self.handle = handle
        self.linkMTU = linkMTU
        datagramMethod = method
        liveConnections = .allocate(capacity: 1)
        liveConnections.initialize(to: 0)
        guard sfu_dtls_configure(handle, cipherSuites, Self.groups, srtpProfiles) == 1 else {
            throw Self.lastError()
        }
        let der = certificate.certificateDER
        guard SSL_CTX_use_certificate_ASN1(handle, Int32(der.count), der) == 1 else { throw Self.lastError() }
        let key = DTLSCertificate.withDER(certificate.privateKeyDER) { d2i_AutoPrivateKey(nil, $0, $1) }
        guard let key else { throw Self.lastError() }
        defer { EVP_PKEY_free(key) }
        guard SSL_CTX_use_PrivateKey(handle, key) == 1, SSL_CTX_check_private_key(handle) == 1 else {
            throw Self.lastError()
        }
    }

    deinit {
        SSL_CTX_free(handle)
        BIO_meth_free(datagramMethod)
        liveConnections.deallocate()
    }

    private static func lastError() -> DTLSError { .context(DTLSCertificate.lastReason()) }
}
