// Checks and decrypts what the peer protected: `SRTPSender` the other way. AES-128-GCM is CGCM's where the CPU has it, all else
// is OpenSSL's. Knows neither streams nor replay.
import COpenSSL

/// A handle that is cheap to copy; whoever makes it frees it.
struct SRTPReceiver {
    /// Bytes that `open` takes away.
    let overhead: Int
    private let isAEAD: Bool
    private let transform: UnsafeMutablePointer<sfu_srtp_transform>

    /// - Parameter gcm: As of `SRTPSender`.
    init?(profile: SRTPProfile, keys: SRTPSessionKeys, gcm: SRTPSender.Cipher = .best) {
        guard let transform = SRTPSender.makeTransform(sfu_srtp_opens, profile, keys, gcm) else { return nil }
        self.transform = transform
        overhead = profile.tagLength
        isAEAD = profile.isAEAD
    }

    /// In place. Allocates nothing.
    /// - Parameters:
    ///   - headerLength: The fixed header, CSRCs and the header extension, bytes.
    ///   - index: ROC << 16 | sequence number (RFC 3711 §3.3.1).
    /// - Returns: The new length; 0, and the bytes are as they came, where the packet is not authentic.
    @inline(__always)
    func open(
        _ packet: UnsafeMutablePointer<UInt8>,
        headerLength: Int,
        length: Int,
        ssrc: UInt32,
        index: UInt64
    ) -> Int {
        guard headerLength >= 12, length >= 0, length <= 0xffff, length - overhead >= headerLength
        else { return 0 }
        return Int(sfu_srtp_unprotect(transform, packet, Int32(headerLength), Int32(length), ssrc, index))
    }

    /// What a compound RTCP packet says its index is, not authenticated yet; nil: it is too short, or not encrypted, which ours
    /// must be (the E bit, RFC 3711 §3.4).
    func reportIndex(_ packet: UnsafePointer<UInt8>, length: Int) -> UInt32? {
        guard length >= 8 + 4 + overhead else { return nil }
        // Behind the tag under GCM (RFC 7714 §9), before it under AES-CM (RFC 3711 §3.4).
        let bytes = UnsafeRawPointer(packet) + (isAEAD ? length - 4 : length - 4 - overhead)
        let word = UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))
        return word & 0x8000_0000 == 0 ? nil : word & 0x7fff_ffff
    }

    /// A compound RTCP packet in place.
    /// - Parameter index: Of `reportIndex`.
    /// - Returns: As of `open`.
    func openRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int, index: UInt32) -> Int {
        guard length >= 8 + 4 + overhead, length <= 0xffff else { return 0 }
        return Int(sfu_srtcp_unprotect(transform, packet, Int32(length), index))
    }

    func free() { sfu_srtp_transform_free(transform) }
}
