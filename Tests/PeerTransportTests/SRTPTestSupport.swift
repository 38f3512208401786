// What the SRTP tests share: hexadecimal, a seeded generator, random RTP packets, libsrtp2 as oracle.
import CSRTP
import RTP

@testable import PeerTransport

/// SplitMix64.
struct SRTPTestRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}

func srtpBytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8).filter { $0 != 0x20 && $0 != 0x0a }
    return stride(from: 0, to: digits.count - 1, by: 2).map { i in
        UInt8(String(decoding: digits[i...i + 1], as: UTF8.self), radix: 16) ?? 0
    }
}

func srtpHex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// A profile, and how the sender does it: each way that this CPU has.
struct SRTPTestTransform: Sendable, CustomStringConvertible {
    let profile: SRTPProfile
    let gcm: SRTPSender.Cipher

    static let all = SRTPProfile.allCases.flatMap { profile in
        SRTPSender.Cipher.allCases
            .filter { $0 == .openSSL || (profile == .aeadAES128GCM && $0.isAvailable) }
            .map { SRTPTestTransform(profile: profile, gcm: $0) }
    }

    var description: String { "\(profile), \(gcm)" }
}

/// Two contexts that speak with each other, and the keys that they share.
struct SRTPPair {
    let near: SRTPContext
    let far: SRTPContext
    let nearKey: [UInt8]
    let nearSalt: [UInt8]

    /// `near` does it by the transform, `far` by OpenSSL.
    init(_ transform: SRTPTestTransform, random: inout SRTPTestRandom) throws {
        try self.init(transform.profile, random: &random, gcm: transform.gcm, far: .openSSL)
    }

    /// `far` does it by the transform, `near` by OpenSSL.
    init(to transform: SRTPTestTransform, random: inout SRTPTestRandom) throws {
        try self.init(transform.profile, random: &random, gcm: .openSSL, far: transform.gcm)
    }

    /// - Parameters:
    ///   - gcm: How `near` does AES-128-GCM.
    ///   - farGCM: How `far` does.
    init(
        _ profile: SRTPProfile,
        random: inout SRTPTestRandom,
        gcm: SRTPSender.Cipher = .best,
        far farGCM: SRTPSender.Cipher = .best
    ) throws {
        nearKey = random.bytes(profile.keyLength)
        nearSalt = random.bytes(profile.saltLength)
        let farKey = random.bytes(profile.keyLength)
        let farSalt = random.bytes(profile.saltLength)
        near = try SRTPContext(
            profile: profile,
            localKey: nearKey,
            localSalt: nearSalt,
            remoteKey: farKey,
            remoteSalt: farSalt,
            gcm: gcm
        )
        far = try SRTPContext(
            profile: profile,
            localKey: farKey,
            localSalt: farSalt,
            remoteKey: nearKey,
            remoteSalt: nearSalt,
            gcm: farGCM
        )
    }
}

struct SRTPTestPacket {
    var bytes: [UInt8]
    var headerLength: Int

    /// A minimal packet: version 2, no CSRC, no extension.
    init(sequence: UInt16, ssrc: UInt32, payload: [UInt8]) {
        bytes = [0x80, 96, UInt8(sequence >> 8), UInt8(sequence & 0xff), 0, 0, 0, 0]
        bytes += (0..<4).map { UInt8(truncatingIfNeeded: ssrc >> (24 - 8 * $0)) }
        headerLength = bytes.count
        bytes += payload
    }

    /// Any shape: CSRCs, extension, padding, every payload size up to 1200, empty ones too.
    init(sequence: UInt16, ssrc: UInt32, random: inout SRTPTestRandom) {
        let sources = Int.random(in: 0...15, using: &random) * Int.random(in: 0...1, using: &random)
        let extensionWords = Bool.random(using: &random) ? Int.random(in: 0...12, using: &random) : nil
        let payload = random.bytes(Int.random(in: 0...1200, using: &random))
        self.init(sequence: sequence, ssrc: ssrc, payload: [])
        bytes[0] |= UInt8(sources)
        bytes[1] = UInt8(truncatingIfNeeded: random.next() & 0x80) | 96
        bytes.replaceSubrange(4..<8, with: random.bytes(4))
        bytes += random.bytes(4 * sources)
        if let extensionWords {
            bytes[0] |= 0x10
            bytes += [0xbe, 0xde, 0, UInt8(extensionWords)] + random.bytes(4 * extensionWords)
        }
        headerLength = bytes.count
        bytes += payload
        if payload.count > 0, Bool.random(using: &random) {
            bytes[0] |= 0x20
            bytes[bytes.count - 1] = UInt8(Int.random(in: 1...min(255, payload.count), using: &random))
        }
    }

    func protected(by sender: SRTPSender, ssrc: UInt32, index: UInt64) -> [UInt8] {
        var buffer = bytes + [UInt8](repeating: 0xee, count: sender.overhead + 8)
        let length = buffer.withUnsafeMutableBufferPointer { p -> Int in
            guard let base = p.baseAddress else { return 0 }
            return sender.protect(
                base,
                headerLength: headerLength,
                length: bytes.count,
                ssrc: ssrc,
                index: index
            )
        }
        // Nothing may be written behind the tag.
        guard buffer[length...].prefix(8).allSatisfy({ $0 == 0xee }) else { return [] }
        return Array(buffer[..<length])
    }
}

extension SRTPContext {
    /// Bytes of what is refused: none, unless it was changed.
    func unprotected(rtp bytes: [UInt8]) -> (result: SRTPResult, bytes: [UInt8]) {
        unprotected(bytes) { unprotectRTP($0, length: bytes.count) }
    }

    func unprotected(rtcp bytes: [UInt8]) -> (result: SRTPResult, bytes: [UInt8]) {
        unprotected(bytes) { unprotectRTCP($0, length: bytes.count) }
    }

    private func unprotected(
        _ bytes: [UInt8],
        _ body: (UnsafeMutablePointer<UInt8>) -> SRTPResult
    ) -> (result: SRTPResult, bytes: [UInt8]) {
        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count + 64)
        defer { buffer.deallocate() }
        buffer.initialize(repeating: 0, count: bytes.count + 64)
        buffer.update(from: bytes, count: bytes.count)
        let result = body(buffer)
        guard case .ok(let length) = result else {
            let isUntouched = bytes.elementsEqual(UnsafeBufferPointer(start: buffer, count: bytes.count))
            return (result, isUntouched ? [] : Array(UnsafeBufferPointer(start: buffer, count: bytes.count)))
        }
        return (result, Array(UnsafeBufferPointer(start: buffer, count: length)))
    }

    func protected(rtcp bytes: [UInt8]) -> [UInt8] {
        var buffer = bytes + [UInt8](repeating: 0, count: Limits.SRTP.trailerBytes)
        let length = buffer.withUnsafeMutableBufferPointer { p -> Int in
            p.baseAddress.map { protectRTCP($0, length: bytes.count) } ?? 0
        }
        return Array(buffer[..<length])
    }
}

/// libsrtp2 wants one call per process before anything else. Where it is built on NSS, the last session shuts NSS down, 700 µs
/// each time: so the one with this address lives as long as the tests.
private let keeper: UInt = {
    guard srtp_init() == srtp_err_status_ok else { return 0 }
    let zeros = [UInt8](repeating: 0, count: 28)
    return UInt(bitPattern: makeSession(.aeadAES128GCM, zeros, isInbound: true, encryptsReports: true))
}()

private func makeSession(
    _ profile: SRTPProfile,
    _ keyAndSalt: [UInt8],
    isInbound: Bool,
    encryptsReports: Bool
) -> OpaquePointer? {
    var policy = srtp_policy_t()
    switch profile {
    case .aes128CMSHA1_80:
        srtp_crypto_policy_set_rtp_default(&policy.rtp)
        srtp_crypto_policy_set_rtcp_default(&policy.rtcp)
    case .aeadAES128GCM:
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp)
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp)
    case .aeadAES256GCM:
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp)
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp)
    }
    if !encryptsReports { policy.rtcp.sec_serv = sec_serv_auth }
    policy.ssrc.type = isInbound ? ssrc_any_inbound : ssrc_any_outbound
    policy.window_size = UInt(Limits.SRTP.replayWindow)
    // It reads a master key by the length of AES-CM, also where that of GCM is shorter.
    var master = keyAndSalt + [0, 0]
    return master.withUnsafeMutableBufferPointer {
        policy.key = $0.baseAddress
        var session: OpaquePointer?
        _ = srtp_create(&session, &policy)
        return session
    }
}

/// One direction of libsrtp2, keyed like ours.
final class SRTPOracle {
    private let session: OpaquePointer?

    /// - Parameters:
    ///   - isInbound: It opens; else it protects.
    ///   - encryptsReports: Else they are authenticated only, without the E bit.
    init(
        _ profile: SRTPProfile,
        key: [UInt8],
        salt: [UInt8],
        isInbound: Bool = false,
        encryptsReports: Bool = true
    ) {
        _ = keeper
        session = makeSession(profile, key + salt, isInbound: isInbound, encryptsReports: encryptsReports)
    }

    deinit { if let session { srtp_dealloc(session) } }

    func protected(rtcp bytes: [UInt8]) -> [UInt8] {
        processed(bytes) { srtp_protect_rtcp($0, $1, $2) }.bytes
    }

    func protected(_ bytes: [UInt8]) -> [UInt8] { processed(bytes) { srtp_protect($0, $1, $2) }.bytes }

    func unprotected(rtp bytes: [UInt8]) -> (result: SRTPResult, bytes: [UInt8]) {
        processed(bytes) { srtp_unprotect($0, $1, $2) }
    }

    func unprotected(rtcp bytes: [UInt8]) -> (result: SRTPResult, bytes: [UInt8]) {
        processed(bytes) { srtp_unprotect_rtcp($0, $1, $2) }
    }

    private func processed(
        _ bytes: [UInt8],
        _ body: (OpaquePointer, UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<Int32>) -> srtp_err_status_t
    ) -> (result: SRTPResult, bytes: [UInt8]) {
        guard let session else { return (.malformed, []) }
        var buffer = bytes + [UInt8](repeating: 0, count: 64)
        var length = Int32(bytes.count)
        switch body(session, &buffer, &length) {
        case srtp_err_status_ok: return (.ok(Int(length)), Array(buffer[..<Int(length)]))
        case srtp_err_status_replay_fail, srtp_err_status_replay_old, srtp_err_status_pkt_idx_old:
            return (.replay, [])
        case srtp_err_status_bad_param, srtp_err_status_parse_err: return (.malformed, [])
        default: return (.authentication, [])
        }
    }
}
