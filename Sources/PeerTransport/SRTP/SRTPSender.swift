// Protects what we send: the fan-out's price per packet is paid here. AES-128-GCM is CGCM's where the CPU has it, all else is
// OpenSSL's. Knows neither streams nor replay.
import CGCM
import COpenSSL

/// A handle that is cheap to copy; valid while its `SRTPContext` lives, on the thread of that context.
public struct SRTPSender {
    /// How AES-128-GCM is done. All ways give the same bytes.
    enum Cipher: CaseIterable {
        case openSSL
        /// AES-NI and PCLMULQDQ.
        case instructions
        /// VAES, VPCLMULQDQ and AVX-512.
        case wideInstructions

        /// The fastest that this CPU has.
        static var best: Cipher { allCases.last(where: \.isAvailable) ?? .openSSL }

        var isAvailable: Bool { variant.rawValue <= cgcm_best().rawValue }

        fileprivate var variant: cgcm_variant {
            switch self {
            case .openSSL: cgcm_unavailable
            case .instructions: cgcm_aesni
            case .wideInstructions: cgcm_vaes512
            }
        }
    }

    /// Bytes that `protect` adds.
    public let overhead: Int
    @usableFromInline let transform: UnsafeMutablePointer<sfu_srtp_transform>
    /// Everything is in `transform`, nothing behind a pointer.
    @usableFromInline let isContiguous: Bool

    /// - Parameter gcm: Counts under AEAD_AES_128_GCM alone; what this CPU does not have becomes `openSSL`.
    init?(profile: SRTPProfile, keys: SRTPSessionKeys, gcm: Cipher = .best) {
        guard let transform = Self.makeTransform(sfu_srtp_seals, profile, keys, gcm) else { return nil }
        self.transform = transform
        overhead = profile.tagLength
        isContiguous = sfu_srtp_is_own(transform) != 0
    }

    /// Whoever makes it frees it. nil: a length is wrong, or no memory.
    static func makeTransform(
        _ direction: sfu_srtp_direction,
        _ profile: SRTPProfile,
        _ keys: SRTPSessionKeys,
        _ gcm: Cipher
    ) -> UnsafeMutablePointer<sfu_srtp_transform>? {
        sfu_srtp_transform_new(
            direction,
            profile.isAEAD ? 1 : 0,
            keys.encryption,
            keys.encryption.count,
            keys.salt,
            profile.isAEAD ? nil : keys.authentication,
            gcm.variant
        )
    }

    /// What `protect` reads first, to be fetched before its turn comes.
    @inlinable @inline(__always)
    public func prefetch() {
        if isContiguous {
            let near = UnsafeRawPointer(transform) + cgcm_near
            Prefetch.memory(near, bytes: MemoryLayout<cgcm_key>.size - cgcm_near)
        } else {
            // The end of the key that is not there says so.
            let rest = UnsafeRawPointer(transform) + MemoryLayout<cgcm_key>.size
            Prefetch.memory(rest - Prefetch.line, bytes: 2 * Prefetch.line)
        }
    }

    /// What it reads then; `prefetch` came before.
    @inlinable @inline(__always)
    public func prefetchCipher() {
        if !isContiguous, let cipher = sfu_srtp_cipher(transform) { Prefetch.memory(cipher, bytes: 192) }
    }

    /// Encrypts and authenticates in place; the buffer has `overhead` bytes of room after `length`. Allocates nothing.
    ///
    /// The same index must never protect different bytes of one SSRC: under GCM that gives the key away (RFC 7714 §8.1).
    /// - Parameters:
    ///   - headerLength: The fixed header, CSRCs and the header extension, bytes.
    ///   - index: ROC << 16 | sequence number (RFC 3711 §3.3.1).
    /// - Returns: The new length, 0 on failure.
    @inlinable @inline(__always)
    public func protect(
        _ packet: UnsafeMutablePointer<UInt8>,
        headerLength: Int,
        length: Int,
        ssrc: UInt32,
        index: UInt64
    ) -> Int {
        guard headerLength >= 12, length >= headerLength, length <= 0xffff else { return 0 }
        return Int(sfu_srtp_protect(transform, packet, Int32(headerLength), Int32(length), ssrc, index))
    }

    /// Encrypts and authenticates a compound RTCP packet in place; the buffer has `Limits.SRTP.trailerBytes` of room.
    /// - Parameter index: 31 bits, never used twice with one SSRC (RFC 3711 §3.4).
    /// - Returns: The new length, 0 on failure.
    func protectRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int, index: UInt32) -> Int {
        guard length >= 8, length <= 0xffff else { return 0 }
        return Int(sfu_srtcp_protect(transform, packet, Int32(length), index))
    }

    func free() { sfu_srtp_transform_free(transform) }
}
