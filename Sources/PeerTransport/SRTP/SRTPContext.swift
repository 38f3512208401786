// SRTP and SRTCP of one peer: libsrtp2 guards what comes in, `SRTPSender` protects what goes out.
// Knows no sockets and no streams beyond the SSRCs that it keeps state for. Belongs to one thread.
import COpenSSL
import CSRTP
import RTP

public final class SRTPContext {
    public let profile: SRTPProfile
    public let sender: SRTPSender

    /// A remote SSRC that libsrtp2 has state for.
    private struct RemoteStream {
        var ssrc: UInt32
        /// An RTP packet of it was authentic; else it is known from RTCP alone.
        var hasRTP: Bool
    }

    private let reportSender: SRTPSender
    /// Counts all our RTCP: an index may be skipped by an SSRC, never repeated (RFC 3711 §3.4).
    private var reportIndex: UInt32 = 0
    private let inboundRTCP: OpaquePointer
    /// Waits for the first packet, since a peer that only watches never sends RTP. Under GCM it is `inboundRTCP`:
    /// libsrtp2 looks at the RTP cipher to see whether RTCP is under GCM.
    private var inboundRTP: OpaquePointer?
    /// Remote master key and salt, for what is keyed later.
    let remoteMaster: UnsafeMutableBufferPointer<UInt8>
    /// The first `remoteCount` are in use.
    private var remoteStreams: UnsafeMutablePointer<RemoteStream>
    private var remoteCapacity = 4
    private var remoteCount = 0
    private var lastStream = 0
    private var rolloverGuesses = Limits.SRTP.rolloverGuesses

    /// - Parameters:
    ///   - localKey: Master key of what we send; `localSalt`, `remoteKey` and `remoteSalt` likewise.
    /// - Throws: `SRTPError`.
    public convenience init(
        profile: SRTPProfile,
        localKey: [UInt8],
        localSalt: [UInt8],
        remoteKey: [UInt8],
        remoteSalt: [UInt8]
    ) throws {
        try self.init(
            profile: profile,
            localKey: localKey,
            localSalt: localSalt,
            remoteKey: remoteKey,
            remoteSalt: remoteSalt,
            gcm: .best
        )
    }

    /// - Parameter gcm: As of `SRTPSender`.
    init(
        profile: SRTPProfile,
        localKey: [UInt8],
        localSalt: [UInt8],
        remoteKey: [UInt8],
        remoteSalt: [UInt8],
        gcm: SRTPSender.Cipher
    ) throws {
        guard localKey.count == profile.keyLength, remoteKey.count == profile.keyLength,
            localSalt.count == profile.saltLength, remoteSalt.count == profile.saltLength
        else { throw SRTPError.keyLength }
        let sender = try Self.makeSender(profile, localKey, localSalt, .rtp, gcm)
        let remoteMaster = Self.makeMaster(remoteKey, remoteSalt, profile)
        var reportSender: SRTPSender?
        do {
            let made = try Self.makeSender(profile, localKey, localSalt, .rtcp, gcm)
            reportSender = made
            inboundRTCP = try LibSRTP.makeSession(profile.isAEAD ? .both : .rtcp, profile, remoteMaster)
            self.reportSender = made
        } catch {
            sender.free()
            reportSender?.free()
            Self.erase(remoteMaster)
            throw error
        }
        inboundRTP = profile.isAEAD ? inboundRTCP : nil
        self.profile = profile
        self.sender = sender
        self.remoteMaster = remoteMaster
        remoteStreams = .allocate(capacity: remoteCapacity)
    }

    deinit {
        sender.free()
        reportSender.free()
        srtp_dealloc(inboundRTCP)
        if let inboundRTP, inboundRTP != inboundRTCP { srtp_dealloc(inboundRTP) }
        Self.erase(remoteMaster)
        remoteStreams.deallocate()
    }

    /// Checks and decrypts in place.
    public func unprotectRTP(_ packet: UnsafeMutablePointer<UInt8>, length: Int) -> SRTPResult {
        guard length >= 12 + profile.tagLength, length <= Limits.SRTP.packetBytes, packet[0] >> 6 == 2
        else { return .malformed }
        let ssrc = readWord(packet + 8)
        let stream = find(ssrc)
        guard let inboundRTP, stream >= 0, remoteStreams[stream].hasRTP else {
            return unprotectFirst(packet, length, ssrc, stream)
        }
        var count = Int32(length)
        return LibSRTP.result(srtp_unprotect(inboundRTP, packet, &count), count)
    }

    /// Checks and decrypts a compound packet in place.
    public func unprotectRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int) -> SRTPResult {
        guard length >= 8 + 4 + profile.tagLength, length <= Limits.SRTP.packetBytes, packet[0] >> 6 == 2
        else { return .malformed }
        let ssrc = readWord(packet + 4)
        let stream = find(ssrc)
        guard stream >= 0 || remoteCount < Limits.SRTP.remoteStreams else { return .streamLimit }
        var count = Int32(length)
        let result = LibSRTP.result(srtp_unprotect_rtcp(inboundRTCP, packet, &count), count)
        if stream < 0, case .ok = result { remember(ssrc, hasRTP: false) }
        return result
    }

    /// Encrypts a compound packet in place; the buffer has `Limits.SRTP.trailerBytes` of room after `length`.
    /// - Returns: The new length, 0 on failure.
    public func protectRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int) -> Int {
        guard reportIndex < 0x7fff_ffff else { return 0 }
        reportIndex += 1
        return reportSender.protectRTCP(packet, length: length, index: reportIndex)
    }

    /// Frees what is kept for an SSRC of the peer. Call it when the stream has closed: a later packet of the same SSRC
    /// starts with a rollover counter of 0 and an empty replay window.
    public func forgetRemoteStream(ssrc: UInt32) {
        let stream = find(ssrc)
        guard stream >= 0 else { return }
        srtp_remove_stream(inboundRTCP, ssrc.bigEndian)
        if let inboundRTP, inboundRTP != inboundRTCP { srtp_remove_stream(inboundRTP, ssrc.bigEndian) }
        remoteCount -= 1
        remoteStreams[stream] = remoteStreams[remoteCount]
        lastStream = 0
    }

    // MARK: - Remote streams

    /// The place of an SSRC, or −1. Peers send few SSRCs, and in runs.
    private func find(_ ssrc: UInt32) -> Int {
        if lastStream < remoteCount, remoteStreams[lastStream].ssrc == ssrc { return lastStream }
        for i in 0..<remoteCount where remoteStreams[i].ssrc == ssrc {
            lastStream = i
            return i
        }
        return -1
    }

    private func remember(_ ssrc: UInt32, hasRTP: Bool) {
        if remoteCount == remoteCapacity { growRemoteStreams() }
        (remoteStreams + remoteCount).initialize(to: RemoteStream(ssrc: ssrc, hasRTP: hasRTP))
        lastStream = remoteCount
        remoteCount += 1
    }

    private func growRemoteStreams() {
        remoteCapacity *= 2
        let larger = UnsafeMutablePointer<RemoteStream>.allocate(capacity: remoteCapacity)
        larger.moveInitialize(from: remoteStreams, count: remoteCount)
        remoteStreams.deallocate()
        remoteStreams = larger
    }

    private func openInboundRTP() -> OpaquePointer? {
        if inboundRTP == nil {
            inboundRTP = try? LibSRTP.makeSession(.rtp, profile, remoteMaster)
        }
        return inboundRTP
    }

    /// A sender that began shortly before a wrap and whose first packets were lost counts ROC 1 where we would guess
    /// 0, for ever. So a new SSRC with a low sequence number gets a second try with ROC 1.
    private func unprotectFirst(
        _ packet: UnsafeMutablePointer<UInt8>,
        _ length: Int,
        _ ssrc: UInt32,
        _ stream: Int
    ) -> SRTPResult {
        guard stream >= 0 || remoteCount < Limits.SRTP.remoteStreams else { return .streamLimit }
        guard let session = openInboundRTP() else { return .authentication }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: length) { copy in
            let mayHaveWrapped = packet[2] < 0x80 && rolloverGuesses > 0
            let original = UnsafeMutableBufferPointer(start: packet, count: length)
            if mayHaveWrapped { _ = copy.update(fromContentsOf: original) }
            var count = Int32(length)
            var outcome = LibSRTP.result(srtp_unprotect(session, packet, &count), count)
            if mayHaveWrapped, outcome == .authentication {
                rolloverGuesses -= 1
                _ = original.update(fromContentsOf: copy)
                outcome = unprotectWithRollover(
                    session,
                    packet,
                    length,
                    ssrc,
                    isShared: stream >= 0 && session == inboundRTCP
                )
            }
            if case .ok = outcome {
                if stream < 0 { remember(ssrc, hasRTP: true) } else { remoteStreams[stream].hasRTP = true }
            }
            return outcome
        }
    }

    /// - Parameter isShared: RTCP has made the SSRC known to this session.
    private func unprotectWithRollover(
        _ session: OpaquePointer,
        _ packet: UnsafeMutablePointer<UInt8>,
        _ length: Int,
        _ ssrc: UInt32,
        isShared: Bool
    ) -> SRTPResult {
        if !isShared {
            var policy = LibSRTP.policy(profile.isAEAD ? .both : .rtp, profile)
            policy.ssrc.type = ssrc_specific
            policy.ssrc.value = ssrc
            policy.key = remoteMaster.baseAddress
            guard srtp_add_stream(session, &policy) == srtp_err_status_ok else { return .authentication }
        }
        var outcome = SRTPResult.authentication
        if srtp_set_stream_roc(session, ssrc, 1) == srtp_err_status_ok {
            var count = Int32(length)
            outcome = LibSRTP.result(srtp_unprotect(session, packet, &count), count)
        }
        if case .ok = outcome { return outcome }
        if isShared {
            srtp_set_stream_roc(session, ssrc, 0)
        } else {
            srtp_remove_stream(session, ssrc.bigEndian)
        }
        return outcome
    }

    // MARK: - Bytes

    private func readWord(_ bytes: UnsafeMutablePointer<UInt8>) -> UInt32 {
        UInt32(bigEndian: UnsafeRawPointer(bytes).loadUnaligned(as: UInt32.self))
    }

    private static func makeSender(
        _ profile: SRTPProfile,
        _ key: [UInt8],
        _ salt: [UInt8],
        _ kind: SRTPSessionKeys.Kind,
        _ gcm: SRTPSender.Cipher
    ) throws -> SRTPSender {
        guard var keys = SRTPSessionKeys(masterKey: key, masterSalt: salt, profile: profile, kind: kind)
        else { throw SRTPError.keyLength }
        defer { keys.erase() }
        guard let sender = SRTPSender(profile: profile, keys: keys, gcm: gcm) else {
            throw SRTPError.setup(0)
        }
        return sender
    }

    private static func makeMaster(
        _ key: [UInt8],
        _ salt: [UInt8],
        _ profile: SRTPProfile
    ) -> UnsafeMutableBufferPointer<UInt8> {
        let master = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: LibSRTP.masterLength(profile))
        master.initialize(repeating: 0)
        _ = master.update(fromContentsOf: key + salt)
        return master
    }

    private static func erase(_ master: UnsafeMutableBufferPointer<UInt8>) {
        OPENSSL_cleanse(master.baseAddress, master.count)
        master.deallocate()
    }
}
