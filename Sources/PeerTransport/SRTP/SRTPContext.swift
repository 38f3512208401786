// SRTP and SRTCP of one peer: libsrtp2 guards what comes in and all RTCP; outbound RTP leaves by `SRTPSender`.
// Knows no sockets and no streams beyond the SSRCs that it keeps state for. Belongs to one thread.
import COpenSSL
import CSRTP
import RTP

/// libsrtp2 wants one call per process before anything else; a global `let` is initialised once and thread-safe.
private let initialisation: srtp_err_status_t = srtp_init()

public final class SRTPContext {
    public let profile: SRTPProfile
    public let sender: SRTPSender
    private let inbound: OpaquePointer
    private let outbound: OpaquePointer
    /// Remote master key and salt, for streams that must be added by hand.
    private let remoteMaster: UnsafeMutableBufferPointer<UInt8>
    /// SSRCs that libsrtp2 has inbound state for, the first `remoteCount` of them.
    private let remoteStreams: UnsafeMutablePointer<UInt32>
    private var remoteCount = 0
    private var lastStream = 0
    private var rolloverGuesses = Limits.SRTP.rolloverGuesses

    /// - Parameters:
    ///   - localKey: Master key of what we send; `localSalt`, `remoteKey` and `remoteSalt` likewise.
    /// - Throws: `SRTPError`.
    public init(
        profile: SRTPProfile, localKey: [UInt8], localSalt: [UInt8], remoteKey: [UInt8], remoteSalt: [UInt8]
    ) throws {
        guard localKey.count == profile.keyLength, remoteKey.count == profile.keyLength,
            localSalt.count == profile.saltLength, remoteSalt.count == profile.saltLength
        else { throw SRTPError.keyLength }
        guard initialisation == srtp_err_status_ok else {
            throw SRTPError.setup(Int(initialisation.rawValue))
        }
        guard var keys = SRTPSessionKeys(masterKey: localKey, masterSalt: localSalt, profile: profile),
            let sender = SRTPSender(profile: profile, keys: keys)
        else { throw SRTPError.setup(0) }
        keys.erase()
        let inbound: OpaquePointer
        let outbound: OpaquePointer
        do {
            outbound = try Self.makeSession(profile, localKey + localSalt, ssrc_any_outbound)
        } catch {
            sender.free()
            throw error
        }
        do {
            inbound = try Self.makeSession(profile, remoteKey + remoteSalt, ssrc_any_inbound)
        } catch {
            sender.free()
            srtp_dealloc(outbound)
            throw error
        }
        self.profile = profile
        self.sender = sender
        self.inbound = inbound
        self.outbound = outbound
        remoteMaster = .allocate(capacity: remoteKey.count + remoteSalt.count)
        _ = remoteMaster.initialize(fromContentsOf: remoteKey + remoteSalt)
        remoteStreams = .allocate(capacity: Limits.SRTP.remoteStreams)
        remoteStreams.initialize(repeating: 0, count: Limits.SRTP.remoteStreams)
    }

    deinit {
        sender.free()
        srtp_dealloc(inbound)
        srtp_dealloc(outbound)
        OPENSSL_cleanse(remoteMaster.baseAddress, remoteMaster.count)
        remoteMaster.deallocate()
        remoteStreams.deallocate()
    }

    /// Checks and decrypts in place.
    public func unprotectRTP(_ packet: UnsafeMutablePointer<UInt8>, length: Int) -> SRTPResult {
        guard length >= 12 + profile.tagLength, length <= Limits.SRTP.packetBytes, packet[0] >> 6 == 2
        else { return .malformed }
        let ssrc = readWord(packet + 8)
        guard isKnown(ssrc) else { return unprotectFirst(packet, length, ssrc) }
        var count = Int32(length)
        return result(srtp_unprotect(inbound, packet, &count), count)
    }

    /// Checks and decrypts a compound packet in place.
    public func unprotectRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int) -> SRTPResult {
        guard length >= 8 + 4 + profile.tagLength, length <= Limits.SRTP.packetBytes, packet[0] >> 6 == 2
        else { return .malformed }
        let ssrc = readWord(packet + 4)
        let isNew = !isKnown(ssrc)
        guard !isNew || remoteCount < Limits.SRTP.remoteStreams else { return .streamLimit }
        var count = Int32(length)
        let result = result(srtp_unprotect_rtcp(inbound, packet, &count), count)
        if isNew, case .ok = result { remember(ssrc) }
        return result
    }

    /// Encrypts a compound packet in place; the buffer has `Limits.SRTP.trailerBytes` of room after `length`.
    /// - Returns: The new length, 0 on failure.
    public func protectRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int) -> Int {
        guard length >= 8, length <= 0xffff else { return 0 }
        var count = Int32(length)
        return srtp_protect_rtcp(outbound, packet, &count) == srtp_err_status_ok ? Int(count) : 0
    }

    /// Frees what is kept for an SSRC of the peer. Call it when the stream has closed: a later packet of the same SSRC
    /// starts with a rollover counter of 0 and an empty replay window.
    public func forgetRemoteStream(ssrc: UInt32) {
        for i in 0..<remoteCount where remoteStreams[i] == ssrc {
            srtp_remove_stream(inbound, ssrc.bigEndian)
            remoteCount -= 1
            remoteStreams[i] = remoteStreams[remoteCount]
            lastStream = 0
            return
        }
    }

    // MARK: - Remote streams

    private func isKnown(_ ssrc: UInt32) -> Bool {
        if lastStream < remoteCount, remoteStreams[lastStream] == ssrc { return true }
        for i in 0..<remoteCount where remoteStreams[i] == ssrc {
            lastStream = i
            return true
        }
        return false
    }

    private func remember(_ ssrc: UInt32) {
        remoteStreams[remoteCount] = ssrc
        lastStream = remoteCount
        remoteCount += 1
    }

    /// A sender that began shortly before a wrap and whose first packets were lost counts ROC 1 where we would guess
    /// 0, for ever. So a new SSRC with a low sequence number gets a second try with ROC 1.
    private func unprotectFirst(
        _ packet: UnsafeMutablePointer<UInt8>, _ length: Int, _ ssrc: UInt32
    ) -> SRTPResult {
        guard remoteCount < Limits.SRTP.remoteStreams else { return .streamLimit }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: length) { copy in
            let mayHaveWrapped = packet[2] < 0x80 && rolloverGuesses > 0
            if mayHaveWrapped { _ = copy.update(fromContentsOf: UnsafeBufferPointer(start: packet, count: length)) }
            var count = Int32(length)
            var outcome = result(srtp_unprotect(inbound, packet, &count), count)
            if mayHaveWrapped, outcome == .authentication {
                rolloverGuesses -= 1
                _ = UnsafeMutableBufferPointer(start: packet, count: length).update(fromContentsOf: copy)
                outcome = unprotectWithRollover(packet, length, ssrc)
            }
            if case .ok = outcome { remember(ssrc) }
            return outcome
        }
    }

    private func unprotectWithRollover(
        _ packet: UnsafeMutablePointer<UInt8>, _ length: Int, _ ssrc: UInt32
    ) -> SRTPResult {
        var policy = Self.policy(for: profile)
        policy.ssrc.type = ssrc_specific
        policy.ssrc.value = ssrc
        policy.key = remoteMaster.baseAddress
        guard srtp_add_stream(inbound, &policy) == srtp_err_status_ok else { return .authentication }
        var outcome = SRTPResult.authentication
        if srtp_set_stream_roc(inbound, ssrc, 1) == srtp_err_status_ok {
            var count = Int32(length)
            outcome = result(srtp_unprotect(inbound, packet, &count), count)
        }
        if case .ok = outcome { return outcome }
        srtp_remove_stream(inbound, ssrc.bigEndian)
        return outcome
    }

    // MARK: - libsrtp2

    private func result(_ status: srtp_err_status_t, _ count: Int32) -> SRTPResult {
        switch status {
        case srtp_err_status_ok: .ok(Int(count))
        case srtp_err_status_replay_fail, srtp_err_status_replay_old, srtp_err_status_pkt_idx_old: .replay
        case srtp_err_status_bad_param, srtp_err_status_parse_err: .malformed
        default: .authentication
        }
    }

    private func readWord(_ bytes: UnsafeMutablePointer<UInt8>) -> UInt32 {
        UInt32(bigEndian: UnsafeRawPointer(bytes).loadUnaligned(as: UInt32.self))
    }

    private static func policy(for profile: SRTPProfile) -> srtp_policy_t {
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
        policy.window_size = UInt(Limits.SRTP.replayWindow)
        return policy
    }

    private static func makeSession(
        _ profile: SRTPProfile, _ master: [UInt8], _ kind: srtp_ssrc_type_t
    ) throws -> OpaquePointer {
        var policy = policy(for: profile)
        policy.ssrc.type = kind
        var master = master
        var session: OpaquePointer?
        let status = master.withUnsafeMutableBufferPointer { key in
            policy.key = key.baseAddress
            return srtp_create(&session, &policy)
        }
        OPENSSL_cleanse(&master, master.count)
        guard status == srtp_err_status_ok, let session else { throw SRTPError.setup(Int(status.rawValue)) }
        return session
    }
}
