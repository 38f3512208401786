// The server's DTLS identity as bytes, so that every shard can make its own context of it. Knows no connection.
import COpenSSL
import RTP

public enum DTLSError: Error, Equatable, Sendable {
    /// OpenSSL refused; the text is its reason.
    case certificate(String)
    case context(String)
    case endpoint(String)
    /// Asked for keys before the handshake was complete, or after the end.
    case notConnected
}

/// A certificate and its private key, DER. The key never leaves the process unless `privateKeyPEM()` is called.
public struct DTLSCertificate: Sendable {
    let certificateDER: [UInt8]
    let privateKeyDER: [UInt8]
    /// sha-256 of the certificate, for `a=fingerprint` (RFC 8122 §5).
    public let fingerprint: Fingerprint

    /// A self-signed ECDSA P-256 certificate, signed with SHA-256, for 30 days, with a random serial number.
    /// - Throws: `DTLSError.certificate`.
    public static func generate() throws -> DTLSCertificate {
        ERR_clear_error()
        guard let key = sfu_generate_p256() else { throw lastError() }
        defer { EVP_PKEY_free(key) }
        return try selfSigned(key)
    }

    /// A certificate that was kept; RSA works too.
    /// - Throws: `DTLSError.certificate` where a text is not PEM or the key belongs to another certificate.
    public init(certificatePEM: String, privateKeyPEM: String) throws {
        ERR_clear_error()
        let x509 = Self.withReader(certificatePEM) { PEM_read_bio_X509($0, nil, nil, nil) }
        guard let x509 else { throw Self.lastError() }
        defer { X509_free(x509) }
        let key = Self.withReader(privateKeyPEM) { PEM_read_bio_PrivateKey($0, nil, nil, nil) }
        guard let key else { throw Self.lastError() }
        defer { EVP_PKEY_free(key) }
        guard X509_check_private_key(x509, key) == 1 else { throw Self.lastError() }
        try self.init(x509: x509, key: key)
    }

    private init(x509: OpaquePointer, key: OpaquePointer) throws {
        certificateDER = Self.encoded { i2d_X509(x509, $0) }
        privateKeyDER = Self.encoded { i2d_PrivateKey(key, $0) }
        guard !certificateDER.isEmpty, !privateKeyDER.isEmpty else { throw Self.lastError() }
        guard let fingerprint = Fingerprint(of: x509, algorithm: "sha-256") else { throw Self.lastError() }
        self.fingerprint = fingerprint
    }

    /// The certificate as PEM, to keep the fingerprint over restarts.
    public func certificatePEM() throws -> String {
        try Self.written { bio in
            Self.withDER(certificateDER) { d2i_X509(nil, $0, $1) }.map { x509 in
                defer { X509_free(x509) }
                return PEM_write_bio_X509(bio, x509)
            }
        }
    }

    /// The private key as PKCS#8 PEM, not encrypted: store it with mode 0600.
    public func privateKeyPEM() throws -> String {
        try Self.written { bio in
            Self.withDER(privateKeyDER) { d2i_AutoPrivateKey(nil, $0, $1) }.map { key in
                defer { EVP_PKEY_free(key) }
                return PEM_write_bio_PKCS8PrivateKey(bio, key, nil, nil, 0, nil, nil)
            }
        }
    }

    static func selfSigned(_ key: OpaquePointer) throws -> DTLSCertificate {
        guard let x509 = X509_new() else { throw lastError() }
        defer { X509_free(x509) }
        var serial = [UInt8](repeating: 0, count: 16)
        let day = 86_400
        let lifetime = Int(Limits.DTLS.certificateLifetime.microseconds / 1_000_000)
        guard RAND_bytes(&serial, 16) == 1 else { throw lastError() }
        serial[0] = serial[0] & 0x7f | 0x40  // RFC 5280 §4.1.2.2: positive and at most 20 bytes
        guard X509_set_version(x509, 2) == 1,
            let number = BN_bin2bn(serial, 16, nil)
        else { throw lastError() }
        defer { BN_free(number) }
        // Valid since yesterday, as clocks of peers differ.
        guard BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != nil,
            X509_gmtime_adj(X509_getm_notBefore(x509), -day) != nil,
            X509_gmtime_adj(X509_getm_notAfter(x509), lifetime - day) != nil,
            let name = X509_get_subject_name(x509),
            X509_NAME_add_entry_by_txt(name, "CN", 0x1000 | 1, "sfu", -1, -1, 0) == 1,
            X509_set_issuer_name(x509, name) == 1,
            X509_set_pubkey(x509, key) == 1,
            X509_sign(x509, key, EVP_sha256()) > 0
        else { throw lastError() }
        return try DTLSCertificate(x509: x509, key: key)
    }

    /// OpenSSL's oldest queued reason; empties the queue.
    static func lastReason() -> String {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0, let text = ERR_reason_error_string(code) else { return "unknown" }
        return String(cString: text)
    }

    private static func lastError() -> DTLSError { .certificate(lastReason()) }

    /// Runs an `i2d_` function twice, as they want it.
    private static func encoded(
        _ encode: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32
    ) -> [UInt8] {
        let length = Int(encode(nil))
        guard length > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            var at = buffer.baseAddress
            count = Int(encode(&at)) == length ? length : 0
        }
    }

    static func withDER(
        _ bytes: [UInt8],
        _ decode: (UnsafeMutablePointer<UnsafePointer<UInt8>?>, Int) -> OpaquePointer?
    ) -> OpaquePointer? {
        bytes.withUnsafeBufferPointer { buffer in
            var at = buffer.baseAddress
            return decode(&at, buffer.count)
        }
    }

    private static func withReader(_ text: String, _ read: (OpaquePointer) -> OpaquePointer?)
        -> OpaquePointer?
    {
        // OpenSSL reads from these bytes as long as there is the reader.
        Array(text.utf8).withUnsafeBytes { bytes in
            guard bytes.count <= 1 << 20, let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count))
            else { return nil }
            defer { BIO_free(bio) }
            return read(bio)
        }
    }

    private static func written(_ write: (OpaquePointer) -> Int32?) throws -> String {
        ERR_clear_error()
        guard let bio = BIO_new(BIO_s_mem()) else { throw lastError() }
        defer { BIO_free(bio) }
        var bytes: UnsafeMutablePointer<CChar>?
        guard write(bio) == 1 else { throw lastError() }
        let length = sfu_bio_memory(bio, &bytes)
        guard let bytes, length > 0 else { throw lastError() }
        let buffer = UnsafeRawBufferPointer(start: bytes, count: length)
        return String(decoding: buffer, as: UTF8.self)
    }
}

extension Fingerprint {
    /// Hashes that may prove an identity, the strongest first (RFC 8122 §5). sha-1 and older are refused.
    static let acceptedAlgorithms = ["sha-512", "sha-384", "sha-256"]

    /// `nil` where the hash is not accepted.
    init?(of x509: OpaquePointer, algorithm: String) {
        let hash: OpaquePointer?
        switch algorithm {
        case "sha-256": hash = EVP_sha256()
        case "sha-384": hash = EVP_sha384()
        case "sha-512": hash = EVP_sha512()
        default: return nil
        }
        var length: UInt32 = 0
        let digest = [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
            count = X509_digest(x509, hash, buffer.baseAddress, &length) == 1 ? Int(length) : 0
        }
        guard !digest.isEmpty else { return nil }
        self.init(algorithm: algorithm, digest: digest)
    }
}
