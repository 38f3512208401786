// One inbound encoding (one SSRC and its RTX companion): numbers, losses, statistics, history, and the packets that
// arrived since the last forwarding. Knows nothing of subscribers.
import PeerTransport
import RTP
import Seam

/// Lives in raw memory, made and freed by its `Publication`.
struct ReceiveStream: ~Copyable {
    /// Place among the publication's encodings, 0 the lowest layer.
    let layer: Int
    let rid: String?
    let kind: MediaKind
    let isScreen: Bool
    unowned(unsafe) let publication: Publication
    /// It is fed by another shard, which asks the sender for what is missing.
    let isMirror: Bool

    /// 0: not yet known.
    var ssrc: UInt32 = 0
    var rtxSSRC: UInt32 = 0
    private(set) var codec: CodecName?
    private(set) var clockRate: UInt32 = 90_000
    var history: PacketHistory
    var nack = NackGenerator()
    var statistics: ReceiveStatistics
    var keyFrames = KeyFrameLimiter()
    /// The newest sender report, its NTP time on the sender's clock: all encodings of a peer share that one.
    private(set) var reportNTP: UInt64 = 0
    private(set) var reportTimestamp: UInt32 = 0
    private(set) var hasReport = false
    private(set) var lastPacketAt: Instant?
    /// Packets that were missing and that a resend or another packet brought.
    private(set) var repairedCount: UInt32 = 0
    private(set) var highest: Int64 = .min
    /// The first packet of the newest key frame, `Int64.min`: none yet.
    var keyFrameStart: Int64 = .min
    var unwrapper = SequenceUnwrapper()
    /// Moves the numbers of a restarted sender behind those of its former life.
    var origin: Int64 = 0
    var layers = LayerActivity()
    /// Payload that came since the last look at the publication's maximum bitrate, let in or not.
    var arrivedBytes = 0
    /// It sends too much: not all of its packets are let in.
    var isShed = false
    /// A layer came alive, or the sender said something new of its layers.
    var hasNews = false
    var structures = StructureTable()
    /// Of the newest key picture, with all its layers.
    var keyPictureTimestamp: UInt32 = 0
    var keyPictureBytes = 0
    /// H.264: the layer that the packets of one picture share.
    var pictureTimestamp: UInt32 = 0
    var pictureTemporalLayer: UInt8 = 0

    /// Packets in order of arrival: those that are being forwarded, then those that arrived since.
    let batch: UnsafeMutablePointer<UnsafeMutablePointer<PacketRecord>>
    /// Packets that are being forwarded.
    private(set) var batchCount = 0
    /// In the room's list of encodings with packets that wait.
    var isQueued = false
    /// Those and the ones that arrived since; and the bytes of the latter.
    private var waitingCount = 0
    private var waitingBytes = 0
    /// Where the history ended when the batch was closed: what lies behind is for the next one.
    private(set) var batchEnd = 0
    /// When the SSRC was bound that counts now, and which one counted before.
    private var boundAt: Instant?
    private var formerSSRC: UInt32 = 0
    private var formerRTXSSRC: UInt32 = 0

    init(layer: Int, encoding: EncodingParameters, kind: MediaKind, source: Source?, publication: Publication)
    {
        self.layer = layer
        rid = encoding.rid
        self.kind = kind
        isScreen = source == .screen
        self.publication = publication
        isMirror = publication.uplink.home != publication.room.relay.worker
        ssrc = encoding.ssrc ?? 0
        rtxSSRC = encoding.rtxSSRC ?? 0
        history = PacketHistory(for: kind)
        statistics = ReceiveStatistics(clockRate: kind == .audio ? 48_000 : 90_000)
        batch = .allocate(capacity: 2 * Limits.Media.pendingPackets)
    }

    deinit {
        batch.deallocate()
        structures.free()
    }

    var isStarted: Bool { highest != .min }

    /// Takes a decrypted packet in. `payload` is without padding.
    /// - Returns: nil when the packet waits to be forwarded, else why it goes no further.
    mutating func receive(
        _ payload: UnsafePointer<UInt8>,
        length: Int,
        sequenceNumber: UInt16,
        timestamp: UInt32,
        marker: Bool,
        values: ExtensionValues,
        descriptor: UnsafePointer<UInt8>?,
        colorSpace: UnsafePointer<UInt8>? = nil,
        codec parameters: StreamCodec,
        by way: Arrival,
        at now: Instant
    ) -> DropReason? {
        let recovered = way != .itself
        if codec != parameters.name { begin(parameters) }
        // A recovered packet never moves the head of the stream.
        let place =
            unwrapper.isStarted && recovered
            ? unwrapper.peek(sequenceNumber) : unwrapper.unwrap(sequenceNumber)
        let sequence = place + origin
        if recovered {
            if way == .retransmission && !isMirror {
                nack.recovered(sequence, at: now)
            } else {
                nack.forget(sequence)
            }
        } else {
            statistics.receive(sequence: sequenceNumber, timestamp: timestamp, at: now)
            if !isMirror { nack.received(sequence, repairsApart: rtxSSRC != 0, at: now) }
            lastPacketAt = now
        }
        guard !history.contains(sequence) else { return .rtpDuplicate }
        // Repairs are of the past: one from far ahead is not of this stream.
        guard !recovered || highest == .min || sequence <= highest + ReceiveStream.repairLead else {
            return .rtpTooLate
        }
        guard highest == .min || sequence > highest - Int64(PacketHistory.records(for: kind) / 2) else {
            return .rtpTooLate
        }
        var record = PacketRecord()
        record.sequence = sequence
        record.arrival = now
        record.timestamp = timestamp
        record.length = UInt16(truncatingIfNeeded: length)
        record.payloadType = parameters.payloadType
        if marker { record.flags.insert(.marker) }
        if recovered { record.flags.insert(.recovered) }
        if length == 0 {
            record.flags.insert(.padding)
        } else if let frame = FrameInfo.parse(codec: parameters.name, payload, length: length) {
            record.frame = frame
            record.take(values)
            if kind == .video {
                look(at: &record, payload, descriptor, Int(values.dependencyDescriptor.length), now)
            }
            if !recovered && layers.note(record, isScreen: isScreen, at: now) { hasNews = true }
        } else {
            return .rtpMalformed
        }
        if sequence > highest { highest = sequence }
        if recovered { repairedCount &+= 1 }
        let hasBytes = record.descriptor.length > 0
        let stored = history.store(
            record,
            payload: payload,
            descriptor: hasBytes ? descriptor : nil,
            colorSpace: record.flags.contains(.colorSpace) ? colorSpace : nil
        )
        // Its structure may come yet; one that is too old for any structure only gives its number up.
        guard !record.flags.contains(.unread) || sequence < structures.start else { return .awaitingKeyFrame }
        queue(stored)
        if structures.hasMore && !isBatchFull { readAgain() }
        return nil
    }

    /// Puts the number of a relayed packet where the shard of its session has it.
    mutating func follow(_ number: UInt16, _ relayed: RelayedPacket, isRepair: Bool) {
        origin = relayed.origin
        guard !unwrapper.isStarted || unwrapper.peek(number) != relayed.place else { return }
        if !isRepair { unwrapper.move(to: relayed.place) }
    }

    @inline(__always)
    mutating func queue(_ record: UnsafeMutablePointer<PacketRecord>) {
        batch[waitingCount] = record
        waitingCount += 1
        waitingBytes += Int(record.pointee.length)
    }

    mutating func takeNews() -> Bool {
        defer { hasNews = false }
        return hasNews
    }

    /// A packet that nobody gets and that is not kept: it came, and is not asked for.
    mutating func leaveOut(_ header: RTPHeader, length: Int, codec parameters: StreamCodec, at now: Instant) {
        if codec != parameters.name { begin(parameters) }
        let sequence = unwrapper.unwrap(header.sequenceNumber) + origin
        statistics.receive(sequence: header.sequenceNumber, timestamp: header.timestamp, at: now)
        nack.pass(sequence)
        lastPacketAt = now
        if sequence > highest { highest = sequence }
    }

    private mutating func begin(_ parameters: StreamCodec) {
        codec = parameters.name
        clockRate = parameters.clockRate
        statistics = ReceiveStatistics(clockRate: parameters.clockRate)
        structures.clear()
    }

    /// Packets by which a repair may be ahead of the newest original.
    private static let repairLead: Int64 = 256

    /// The sender started over: its numbers begin anew, far behind those that are remembered.
    mutating func restart() {
        batchCount = 0
        waitingCount = 0
        waitingBytes = 0
        guard isStarted else { return }
        origin = highest + 0x2_0000
        unwrapper = SequenceUnwrapper()
        highest = .min
        keyFrameStart = .min
        structures.clear()
        layers.restart()
        nack = NackGenerator()
        statistics = ReceiveStatistics(clockRate: clockRate)
        hasReport = false
    }

    /// Whether the batch must be closed before another packet is taken.
    @inline(__always)
    var isBatchFull: Bool {
        waitingCount - batchCount >= Limits.Media.pendingPackets
            || waitingBytes >= (kind == .audio ? ReceiveStream.audioBytes : ReceiveStream.videoBytes)
    }

    /// Far less than the history holds: nothing of two batches, the one that goes out and the next, is overwritten.
    private static let audioBytes = PacketHistory.audioBytes / 4
    private static let videoBytes = PacketHistory.videoBytes / 8

    /// What waits is forwarded now; what arrives from now on waits for the next time.
    @inline(__always)
    mutating func closeBatch() {
        batchCount = waitingCount
        waitingBytes = 0
        batchEnd = history.end
        isQueued = false
    }

    /// Everybody has the batch.
    @inline(__always)
    mutating func clearBatch() {
        let arrived = waitingCount - batchCount
        if arrived > 0 { batch.update(from: batch + batchCount, count: arrived) }
        waitingCount = arrived
        batchCount = 0
    }

    /// Whether a packet was here when the batch was closed.
    @inline(__always)
    func isOfBatch(_ record: UnsafeMutablePointer<PacketRecord>) -> Bool {
        record.pointee.position < batchEnd
    }

    /// Whether another SSRC may take this encoding over: not the one before it, whose last packets are late, and
    /// not at any pace.
    func mayRebind(to new: UInt32, at now: Instant) -> Bool {
        guard ssrc != 0, let boundAt else { return true }
        let age = now - boundAt
        return age >= Limits.Media.streamRestartInterval
            && (new != formerSSRC || age >= Limits.Media.formerStreamMemory)
    }

    /// The same for its retransmissions: those of the stream before have numbers of the stream before.
    func mayRebindRTX(to new: UInt32, at now: Instant) -> Bool {
        guard new == formerRTXSSRC, let boundAt else { return true }
        return now - boundAt >= Limits.Media.formerStreamMemory
    }

    /// The offer says which SSRC it is. Returns the one that is replaced, nil where nothing changes.
    mutating func announce(_ new: UInt32) -> UInt32? {
        guard ssrc != new else { return nil }
        defer { ssrc = new }
        guard ssrc != 0 else { return nil }
        formerSSRC = ssrc
        restart()
        return ssrc
    }

    /// The primary SSRC is this from now on. Returns the one it replaces, 0: none.
    mutating func rebind(to new: UInt32, at now: Instant) -> UInt32 {
        let old = ssrc
        ssrc = new
        boundAt = now
        formerSSRC = old
        if old != 0 {
            formerRTXSSRC = rtxSSRC
            restart()
        }
        return old
    }

    /// Maps this encoding's timestamps to the sender's clock (RFC 3550 §6.4.1).
    mutating func received(senderReport ntp: UInt64, timestamp: UInt32) {
        reportNTP = ntp
        reportTimestamp = timestamp
        hasReport = true
    }

    /// Whether packets still come, in any layer.
    func isLive(at now: Instant) -> Bool {
        guard let lastPacketAt else { return false }
        return now - lastPacketAt < layers.patience(isScreen: isScreen)
    }

    /// Spatial layers that are alive, one bit each.
    /// - Parameter reference: when the publication's newest packet came, in whatever encoding.
    func aliveLayers(reference: Instant) -> UInt8 {
        if kind == .video { return layers.alive(isScreen: isScreen, reference: reference) }
        return reference - (lastPacketAt ?? .distantPast) < Limits.Media.layerTimeoutLongest ? 1 : 0
    }
}

/// How a packet came.
enum Arrival: UInt8 {
    case itself
    /// After a NACK, by RTX (RFC 4588).
    case retransmission
    /// Inside a later packet (RFC 2198).
    case redundancy
}

/// A codec as one session numbers it, small enough for the road.
struct StreamCodec {
    var name: CodecName
    var payloadType: UInt8
    var clockRate: UInt32
}

extension PacketRecord {
    /// Keeps what subscribers are told about this packet.
    @inline(__always)
    mutating func take(_ values: ExtensionValues) {
        if values.has(.audioLevel) {
            flags.insert(.audioLevel)
            audioLevel = values.audioLevelByte
        }
        if values.has(.absoluteCaptureTime) {
            flags.insert(.captureTime)
            captureTime = values.absoluteCaptureTime
            if values.hasCaptureClockOffset {
                flags.insert(.captureOffset)
                captureOffset = values.captureClockOffset
            }
        }
        if values.has(.videoOrientation) {
            flags.insert(.orientation)
            orientation = values.videoOrientation
        }
        if values.has(.playoutDelay) {
            flags.insert(.playoutDelay)
            playoutDelay = values.playoutDelay
        }
        if values.has(.videoContentType) {
            flags.insert(.contentType)
            contentType = values.videoContentType
        }
        // Any other length is not one of the format's.
        if values.has(.colorSpace) {
            if values.colorSpace.length == 4 { flags.insert(.colorSpace) }
            if values.colorSpace.length == 28 { flags.formUnion([.colorSpace, .highDynamicRange]) }
        }
    }
}
