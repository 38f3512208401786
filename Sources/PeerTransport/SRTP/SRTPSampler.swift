// Checks and decrypts single packets of the peer's with the transform that protects ours: for clients that look at a sample
// of what they are sent. No stream state and no replay window; whoever guards a server takes `SRTPContext`.
import COpenSSL
import RTP

public final class SRTPSampler {
    private let transform: SRTPSender
    private let reportTransform: SRTPSender
    private let isAEAD: Bool
    /// The decrypted packet, and the same protected again.
    private let plain: UnsafeMutablePointer<UInt8>
    private let again: UnsafeMutablePointer<UInt8>

    /// Takes the keys of the peer from a context. nil: OpenSSL has no memory.
    public init?(of context: SRTPContext) {
        let profile = context.profile
        let key = Array(context.remoteMaster.prefix(profile.keyLength))
        let salt = Array(context.remoteMaster.dropFirst(profile.keyLength).prefix(profile.saltLength))
        guard let transform = Self.transform(profile, key, salt, .rtp) else { return nil }
        guard let reportTransform = Self.transform(profile, key, salt, .rtcp) else {
            transform.free()
            return nil
        }
        self.transform = transform
        self.reportTransform = reportTransform
        isAEAD = profile.isAEAD
        let room = Limits.SRTP.packetBytes + Limits.SRTP.trailerBytes
        plain = .allocate(capacity: room)
        again = .allocate(capacity: room)
    }

    private static func transform(
        _ profile: SRTPProfile,
        _ key: [UInt8],
        _ salt: [UInt8],
        _ kind: SRTPSessionKeys.Kind
    ) -> SRTPSender? {
        guard var keys = SRTPSessionKeys(masterKey: key, masterSalt: salt, profile: profile, kind: kind)
        else { return nil }
        defer { keys.erase() }
        return SRTPSender(profile: profile, keys: keys)
    }

    deinit {
        transform.free()
        reportTransform.free()
        plain.deallocate()
        again.deallocate()
    }

    /// Protecting is its own inverse but for the tag, and protecting what came of it again gives the tag that the packet must
    /// have had. Nothing of it is ever sent.
    /// - Parameter index: ROC << 16 | sequence number (RFC 3711 §3.3.1).
    /// - Returns: The decrypted packet, valid until the next call; nil: not authentic.
    public func open(
        _ packet: UnsafePointer<UInt8>,
        headerLength: Int,
        length: Int,
        ssrc: UInt32,
        index: UInt64
    ) -> UnsafeBufferPointer<UInt8>? {
        let count = length - transform.overhead
        guard headerLength >= RTPHeader.fixedLength, count >= headerLength, length <= Limits.SRTP.packetBytes
        else { return nil }
        plain.update(from: packet, count: count)
        guard protect(plain, headerLength, count, ssrc, index) else { return nil }
        again.update(from: plain, count: count)
        guard protect(again, headerLength, count, ssrc, index),
            CRYPTO_memcmp(again + count, packet + count, transform.overhead) == 0
        else { return nil }
        return UnsafeBufferPointer(start: plain, count: count)
    }

    /// The same for a compound RTCP packet, which bears its index.
    public func openRTCP(_ packet: UnsafePointer<UInt8>, length: Int) -> UnsafeBufferPointer<UInt8>? {
        let trailer = transform.overhead + 4
        let count = length - trailer
        guard count >= 8, length <= Limits.SRTP.packetBytes else { return nil }
        // Behind the tag under GCM (RFC 7714 §9), before it under AES-CM (RFC 3711 §3.4).
        let word = ByteOrder.load32(packet, isAEAD ? length - 4 : count)
        guard word & 0x8000_0000 != 0 else { return nil }
        let index = word & 0x7fff_ffff
        plain.update(from: packet, count: count)
        guard reportTransform.protectRTCP(plain, length: count, index: index) == length else { return nil }
        again.update(from: plain, count: count)
        guard reportTransform.protectRTCP(again, length: count, index: index) == length,
            CRYPTO_memcmp(again + count, packet + count, trailer) == 0
        else { return nil }
        return UnsafeBufferPointer(start: plain, count: count)
    }

    private func protect(
        _ packet: UnsafeMutablePointer<UInt8>,
        _ headerLength: Int,
        _ length: Int,
        _ ssrc: UInt32,
        _ index: UInt64
    ) -> Bool {
        transform.protect(packet, headerLength: headerLength, length: length, ssrc: ssrc, index: index) > 0
    }
}
