// SRTP and SRTCP of one peer: `SRTPSender` protects what goes out; what comes in is looked up, held against replays, checked and
// decrypted. State of a stream changes only by packets that were authentic.
// Knows no sockets and no streams beyond the SSRCs that it keeps state for. Belongs to one thread.
import COpenSSL
import RTP

public final class SRTPContext {
    public let profile: SRTPProfile
    public let sender: SRTPSender

    private let reportSender: SRTPSender
    /// Counts all our RTCP: an index may be skipped by an SSRC, never repeated (RFC 3711 §3.4).
    private var reportIndex: UInt32 = 0
    /// Waits for the first packet, since a peer that only watches never sends RTP.
    private var receiver: SRTPReceiver?
    private let reportReceiver: SRTPReceiver
    private var streams: SRTPRemoteStreams
    private var rolloverGuesses = Limits.SRTP.rolloverGuesses
    /// Remote master key and salt, for what is keyed later.
    private let remoteMaster: UnsafeMutableBufferPointer<UInt8>
    private let gcm: SRTPSender.Cipher

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

    /// - Parameter gcm: As of `SRTPSender`, for both directions.
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
        func make<Made>(
            _ key: [UInt8],
            _ salt: [UInt8],
            _ kind: SRTPSessionKeys.Kind,
            _ body: (SRTPSessionKeys) -> Made?
        ) -> Made? {
            SRTPSessionKeys.with(masterKey: key, masterSalt: salt, profile: profile, kind: kind, body)
        }
        let sender = make(localKey, localSalt, .rtp) { SRTPSender(profile: profile, keys: $0, gcm: gcm) }
        let reportSender = make(localKey, localSalt, .rtcp) {
            SRTPSender(profile: profile, keys: $0, gcm: gcm)
        }
        let reportReceiver = make(remoteKey, remoteSalt, .rtcp) {
            SRTPReceiver(profile: profile, keys: $0, gcm: gcm)
        }
        guard let sender, let reportSender, let reportReceiver else {
            sender?.free()
            reportSender?.free()
            reportReceiver?.free()
            throw SRTPError.setup
        }
        self.profile = profile
        self.sender = sender
        self.reportSender = reportSender
        self.reportReceiver = reportReceiver
        self.gcm = gcm
        remoteMaster = .allocate(capacity: profile.keyLength + profile.saltLength)
        _ = remoteMaster.initialize(from: remoteKey + remoteSalt)
        streams = SRTPRemoteStreams()
    }

    deinit {
        sender.free()
        reportSender.free()
        receiver?.free()
        reportReceiver.free()
        streams.free()
        OPENSSL_cleanse(remoteMaster.baseAddress, remoteMaster.count)
        remoteMaster.deallocate()
    }

    // MARK: - What comes in

    /// Checks and decrypts in place; what is not authentic stays as it came.
    public func unprotectRTP(_ packet: UnsafeMutablePointer<UInt8>, length: Int) -> SRTPResult {
        guard length >= 12 + profile.tagLength, length <= Limits.SRTP.packetBytes, packet[0] >> 6 == 2
        else { return .malformed }
        let headerLength = Self.headerLength(packet, length: length)
        guard headerLength + profile.tagLength <= length else { return .malformed }
        let ssrc = readWord(packet + 8)
        let sequence = UInt16(packet[2]) << 8 | UInt16(packet[3])
        guard let receiver, let window = streams.find(ssrc)?.pointee.packets else {
            return unprotectFirst(packet, headerLength, length, ssrc, sequence)
        }
        let index = window.index(of: sequence)
        guard window.accepts(index) else { return .replay }
        let clear = receiver.open(
            packet,
            headerLength: headerLength,
            length: length,
            ssrc: ssrc,
            index: index
        )
        guard clear > 0 else { return .authentication }
        window.add(index)
        return .ok(clear)
    }

    /// Checks and decrypts a compound packet in place; what is not authentic stays as it came.
    public func unprotectRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int) -> SRTPResult {
        guard length >= 8 + 4 + profile.tagLength, length <= Limits.SRTP.packetBytes, packet[0] >> 6 == 2
        else { return .malformed }
        let ssrc = readWord(packet + 4)
        let stream = streams.find(ssrc)
        guard stream != nil || !streams.isFull else { return .streamLimit }
        guard let index = reportReceiver.reportIndex(packet, length: length) else { return .authentication }
        if let stream, !stream.pointee.reports.accepts(index) { return .replay }
        let clear = reportReceiver.openRTCP(packet, length: length, index: index)
        guard clear > 0 else { return .authentication }
        (stream ?? streams.add(ssrc)).pointee.reports.add(index)
        return .ok(clear)
    }

    /// A sender that began shortly before a wrap and whose first packets were lost counts ROC 1 where we would guess
    /// 0, for ever. So a new SSRC with a low sequence number gets a second try with ROC 1.
    @inline(never)
    private func unprotectFirst(
        _ packet: UnsafeMutablePointer<UInt8>,
        _ headerLength: Int,
        _ length: Int,
        _ ssrc: UInt32,
        _ sequence: UInt16
    ) -> SRTPResult {
        let stream = streams.find(ssrc)
        guard stream != nil || !streams.isFull else { return .streamLimit }
        guard let receiver = keyedReceiver() else { return .authentication }
        var index = UInt64(sequence)
        func open() -> Int {
            receiver.open(packet, headerLength: headerLength, length: length, ssrc: ssrc, index: index)
        }
        var clear = open()
        if clear == 0, sequence < 0x8000, rolloverGuesses > 0 {
            rolloverGuesses -= 1
            index += 1 << 16
            clear = open()
        }
        guard clear > 0 else { return .authentication }
        (stream ?? streams.add(ssrc)).pointee.packets = SRTPReplayWindow(first: index)
        return .ok(clear)
    }

    private func keyedReceiver() -> SRTPReceiver? {
        if receiver == nil {
            receiver = makeRemote(.rtp) { SRTPReceiver(profile: profile, keys: $0, gcm: gcm) }
        }
        return receiver
    }

    /// What `body` makes of the peer's session keys.
    func makeRemote<Made>(_ kind: SRTPSessionKeys.Kind, _ body: (SRTPSessionKeys) -> Made?) -> Made? {
        SRTPSessionKeys.with(
            masterKey: Array(remoteMaster.prefix(profile.keyLength)),
            masterSalt: Array(remoteMaster.dropFirst(profile.keyLength)),
            profile: profile,
            kind: kind,
            body
        )
    }

    /// Frees what is kept for an SSRC of the peer. Call it when the stream has closed: a later packet of the same SSRC
    /// starts with a rollover counter of 0 and an empty replay window.
    public func forgetRemoteStream(ssrc: UInt32) { streams.remove(ssrc) }

    // MARK: - What goes out

    /// Encrypts a compound packet in place; the buffer has `Limits.SRTP.trailerBytes` of room after `length`.
    /// - Returns: The new length, 0 on failure.
    public func protectRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int) -> Int {
        guard reportIndex < 0x7fff_ffff else { return 0 }
        reportIndex += 1
        return reportSender.protectRTCP(packet, length: length, index: reportIndex)
    }

    // MARK: - Bytes

    /// The fixed header, CSRCs and the header extension (RFC 3550 §5.1 and §5.3.1), bytes; more than `length` where they claim more
    /// than there is.
    /// - Parameter length: At least 12.
    @inline(__always)
    private static func headerLength(_ packet: UnsafeMutablePointer<UInt8>, length: Int) -> Int {
        let sources = 12 + 4 * Int(packet[0] & 0x0f)
        guard packet[0] & 0x10 != 0 else { return sources }
        guard sources + 4 <= length else { return .max / 2 }
        return sources + 4 + 4 * (Int(packet[sources + 2]) << 8 | Int(packet[sources + 3]))
    }

    private func readWord(_ bytes: UnsafeMutablePointer<UInt8>) -> UInt32 {
        UInt32(bigEndian: UnsafeRawPointer(bytes).loadUnaligned(as: UInt32.self))
    }
}
