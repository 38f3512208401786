// HMAC-SHA1 for MESSAGE-INTEGRITY (RFC 8489 §14.5) by OpenSSL. Knows offsets, not attributes.
import COpenSSL

/// One reusable HMAC context. Not thread-safe: belongs to one shard or one transport.
public final class STUNIntegrity {
    static let digestBytes = 20
    private let context: OpaquePointer

    /// nil where OpenSSL offers no HMAC-SHA1.
    public init?() {
        guard let mac = EVP_MAC_fetch(nil, "HMAC", nil) else { return nil }
        defer { EVP_MAC_free(mac) }
        guard let context = EVP_MAC_CTX_new(mac) else { return nil }
        guard sfu_hmac_use_sha1(context) == 1 else {
            EVP_MAC_CTX_free(context)
            return nil
        }
        self.context = context
    }

    deinit { EVP_MAC_CTX_free(context) }

    /// Compares in constant time the digest that stands in the attribute at `offset`.
    func verify(_ message: UnsafePointer<UInt8>, before offset: Int, key: [UInt8]) -> Bool {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.digestBytes) { digest in
            guard let place = digest.baseAddress, sign(message, before: offset, key: key, into: place)
            else { return false }
            return CRYPTO_memcmp(place, message + offset + 4, Self.digestBytes) == 0
        }
    }

    /// Writes 20 bytes for a message whose MESSAGE-INTEGRITY attribute begins at `offset`.
    func sign(
        _ message: UnsafePointer<UInt8>,
        before offset: Int,
        key: [UInt8],
        into digest: UnsafeMutablePointer<UInt8>
    ) -> Bool {
        let counted = UInt16(truncatingIfNeeded: offset - STUN.headerBytes + STUN.integrityBytes)
        guard !key.isEmpty else { return false }
        let isReady = key.withUnsafeBufferPointer { EVP_MAC_init(context, $0.baseAddress, $0.count, nil) }
        guard isReady == 1, EVP_MAC_update(context, message, 2) == 1 else { return false }
        let isHashed = withUnsafeBytes(of: counted.bigEndian) { length in
            EVP_MAC_update(context, length.baseAddress?.assumingMemoryBound(to: UInt8.self), 2)
        }
        var written = 0
        return isHashed == 1 && EVP_MAC_update(context, message + 4, offset - 4) == 1
            && EVP_MAC_final(context, digest, &written, Self.digestBytes) == 1 && written == Self.digestBytes
    }
}
