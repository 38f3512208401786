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

    /// 0: not yet known.
    var ssrc: UInt32 = 0
    var rtxSSRC: UInt32 = 0
    private(set) var codec: CodecName?
    private(set) var clockRate: UInt32 = 90_000
    private(set) var history: PacketHistory
    var nack = NackGenerator()
    var statistics: ReceiveStatistics
    var keyFrames = KeyFrameLimiter()
    /// The newest sender report, its NTP time on the sender's clock: all encodings of a peer share that one.
    private(set) var reportNTP: UInt64 = 0
    private(set) var reportTimestamp: UInt32 = 0
    private(set) var hasReport = false
    private(set) var lastPacketAt: Instant?
    private(set) var highest: Int64 = .min
    /// The first packet of the newest key frame, `Int64.min`: none yet.
    private(set) var keyFrameStart: Int64 = .min
    private var unwrapper = SequenceUnwrapper()
    /// Moves the numbers of a restarted sender behind those of its former life.
    private var origin: Int64 = 0
    var layers = LayerActivity()
    /// A layer came alive, or the sender said something new of its layers.
    private(set) var hasNews = false
    var structures = StructureTable()
    /// H.264: the layer that the packets of one picture share.
    private var pictureTimestamp: UInt32 = 0
    private var pictureTemporalLayer: UInt8 = 0

    /// What arrived since the last forwarding, in order of arrival.
    let batch: UnsafeMutablePointer<UnsafeMutablePointer<PacketRecord>>
    private(set) var batchCount = 0
    /// In the room's list of encodings with packets that wait.
    var isQueued = false
    private var batchBytes = 0
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
        ssrc = encoding.ssrc ?? 0
        rtxSSRC = encoding.rtxSSRC ?? 0
        history = PacketHistory(for: kind)
        statistics = ReceiveStatistics(clockRate: kind == .audio ? 48_000 : 90_000)
        batch = .allocate(capacity: Limits.Media.pendingPackets)
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
        header: RTPHeader,
        sequenceNumber: UInt16,
        values: ExtensionValues,
        descriptor: UnsafePointer<UInt8>?,
        codec parameters: StreamCodec,
        recovered: Bool,
        at now: Instant
    ) -> DropReason? {
        if codec != parameters.name { begin(parameters) }
        // A recovered packet never moves the head of the stream.
        let place =
            unwrapper.isStarted && recovered
            ? unwrapper.peek(sequenceNumber) : unwrapper.unwrap(sequenceNumber)
        let sequence = place + origin
        if recovered {
            nack.recovered(sequence, at: now)
        } else {
            statistics.receive(sequence: sequenceNumber, timestamp: header.timestamp, at: now)
            nack.received(sequence, repairsApart: rtxSSRC != 0, at: now)
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
        record.timestamp = header.timestamp
        record.length = UInt16(truncatingIfNeeded: length)
        record.payloadType = parameters.payloadType
        if header.marker { record.flags.insert(.marker) }
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
        let hasBytes = record.descriptor.length > 0
        let stored = history.store(record, payload: payload, descriptor: hasBytes ? descriptor : nil)
        // Its structure may come yet; one that is too old for any structure only gives its number up.
        guard !record.flags.contains(.unread) || sequence < structures.start else { return .awaitingKeyFrame }
        queue(stored)
        if structures.hasMore && !isBatchFull { readAgain() }
        return nil
    }

    /// Reads what a video packet says of its frame beside the payload.
    private mutating func look(
        at record: inout PacketRecord,
        _ payload: UnsafePointer<UInt8>,
        _ descriptor: UnsafePointer<UInt8>?,
        _ descriptorLength: Int,
        _ now: Instant
    ) {
        if let descriptor, codec != .vp8 { describe(&record, descriptor, descriptorLength, now) }
        if codec == .h264 {
            // Parameter sets and SEI have no layer of their own: the first packet of a picture speaks for all.
            if record.timestamp == pictureTimestamp && !record.frame.isKeyFrameStart {
                record.frame.temporalLayer = pictureTemporalLayer
                record.frame.isLayerSync = record.frame.isLayerSync && pictureTemporalLayer > 0
            } else {
                pictureTimestamp = record.timestamp
                pictureTemporalLayer = record.frame.temporalLayer
            }
        }
        if record.frame.isKeyFrameStart { sawKeyFrame(record, payload) }
    }

    @inline(__always)
    private mutating func queue(_ record: UnsafeMutablePointer<PacketRecord>) {
        batch[batchCount] = record
        batchCount += 1
        batchBytes += Int(record.pointee.length)
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

    @inline(never)
    private mutating func sawKeyFrame(_ record: PacketRecord, _ payload: UnsafePointer<UInt8>) {
        keyFrames.received()
        keyFrameStart = max(keyFrameStart, record.sequence)
        if codec == .vp9, let descriptor = VP9Descriptor.parse(payload, length: Int(record.length)),
            descriptor.hasScalabilityStructure
        {
            let count = min(Int(descriptor.spatialLayerCount), LayerActivity.spatialLayers)
            layers.restructure(top: UInt8(truncatingIfNeeded: max(count - 1, 0)))
            guard descriptor.hasResolutions else { return }
            for layer in 0..<count {
                layers.resize(layer, width: descriptor.widths[layer], height: descriptor.heights[layer])
            }
        } else {
            layers.resize(0, width: record.frame.width, height: record.frame.height)
        }
    }

    // MARK: Dependency descriptors

    /// Takes over what the descriptor says. AV1 keeps it, since it goes out again; for the other codecs it only
    /// helps to choose.
    private mutating func describe(
        _ record: inout PacketRecord,
        _ bytes: UnsafePointer<UInt8>,
        _ length: Int,
        _ now: Instant
    ) {
        let isNewest = record.sequence > highest
        guard
            let read = structures.read(bytes, length, sequence: record.sequence, isNewest: isNewest)
        else {
            if codec == .av1 {
                record.flags.insert(.unread)
                record.descriptor = DescriptorLayout(unread: length)
                structures.unread += 1
            }
            return
        }
        take(read, length, into: &record)
        if read.hasStructure && structures.start == record.sequence {
            learn(at: now)
            structures.hasMore = structures.unread > 0
        } else if read.hasActiveDecodeTargets && isNewest {
            learn(at: now)
        }
    }

    private mutating func take(_ read: DependencyDescriptor, _ length: Int, into record: inout PacketRecord) {
        switch codec {
        case .av1:
            record.frame.apply(read)
            record.frame.pictureID = Int32(read.frameNumber)
            record.frame.pictureIDBits = 16
            record.descriptor = DescriptorLayout(read, length: length)
        case .h264:
            record.frame.temporalLayer = read.temporalLayer
            record.frame.isLayerSync = read.indication(forTarget: read.target) == .switch
            return
        default: break
        }
        record.structureNumber = structures.number(of: read, sequence: record.sequence)
        record.activeTargets = activeTargets(read, record.sequence)
        record.indications = read.indications
        record.frameNumber = read.frameNumber
        for i in 0..<read.differenceCount {
            let difference = read.differences[i]
            record.references |= difference <= 64 ? 1 << UInt64(difference - 1) : .max
        }
        for chain in 0..<min(read.chainCount, 4) {
            record.chainDifferences |= UInt32(read.chainDifferences[chain]) << UInt32(8 * chain)
        }
        record.flags.insert(.indications)
    }

    /// The mask of a packet without one is that of the packets before it.
    private func activeTargets(_ read: DependencyDescriptor, _ sequence: Int64) -> UInt32 {
        if read.hasStructure || read.hasActiveDecodeTargets { return read.activeDecodeTargets }
        if sequence <= highest, let before = history.record(sequence - 1), before.pointee.activeTargets != 0 {
            return before.pointee.activeTargets
        }
        return structures.newest?.pointee.activeDecodeTargets ?? 0
    }

    /// Layers and their sizes from the newest structure.
    @inline(never)
    private mutating func learn(at now: Instant) {
        guard codec != .h264, let structure = structures.newest else { return }
        let top = structure.pointee.maxSpatialLayer
        if top != layers.top { layers.restructure(top: top) }
        for layer in 0...min(top, 3) {
            layers.resize(
                Int(layer),
                width: structure.pointee.width(ofSpatialLayer: layer),
                height: structure.pointee.height(ofSpatialLayer: layer)
            )
        }
        if layers.announce(structure.pointee.activeSpatialLayers, at: now) { hasNews = true }
    }

    /// The first packet of a key frame came behind others: now these can be read, and go out as if they had come now.
    /// What is older than any structure that is known only gives its number up.
    @inline(never)
    private mutating func readAgain() {
        structures.unread = 0
        structures.hasMore = false
        var next = highest - Int64(history.capacity / 2)
        while next <= highest {
            defer { next += 1 }
            guard let record = history.record(next), record.pointee.flags.contains(.unread) else { continue }
            structures.unread += 1
            guard !isBatchFull else {
                structures.hasMore = true
                return
            }
            let bytes = history.descriptor(record)
            let length = Int(record.pointee.descriptor.length)
            if let read = structures.read(bytes, length, sequence: next, isNewest: next >= structures.start) {
                take(read, length, into: &record.pointee)
            } else if next < structures.start {
                record.pointee.flags.insert(.padding)
            } else {
                continue
            }
            structures.unread -= 1
            record.pointee.flags.remove(.unread)
            queue(record)
        }
    }

    /// The structure that the descriptor of this packet was read with; nil: none, or too long ago.
    @inline(__always)
    func structure(
        of record: UnsafeMutablePointer<PacketRecord>
    ) -> UnsafeMutablePointer<DependencyStructure>? {
        guard record.pointee.flags.contains(.indications) else { return nil }
        return structures[record.pointee.structureNumber]
    }

    /// Packets by which a repair may be ahead of the newest original.
    private static let repairLead: Int64 = 256

    /// The sender started over: its numbers begin anew, far behind those that are remembered.
    mutating func restart() {
        clearBatch()
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

    /// The newest key frame, where it is young, and all that followed is here and little enough to be sent at once.
    func storedKeyFrame(payloadType: UInt8, at now: Instant) -> UnsafeMutablePointer<PacketRecord>? {
        guard keyFrameStart != .min, highest - keyFrameStart < Int64(Limits.Media.storedKeyFramePackets),
            let first = history.record(keyFrameStart), first.pointee.payloadType == payloadType,
            now - first.pointee.arrival <= Limits.Media.storedKeyFrameAge
        else { return nil }
        var bytes = 0
        for sequence in keyFrameStart...highest {
            guard let record = history.record(sequence), !record.pointee.flags.contains(.unread) else { return nil }
            bytes += Int(record.pointee.length)
        }
        return bytes <= Limits.Media.storedKeyFrameBytes ? first : nil
    }

    /// Whether the batch must go out before another packet is taken.
    @inline(__always)
    var isBatchFull: Bool {
        batchCount >= Limits.Media.pendingPackets || batchBytes >= ReceiveStream.batchByteLimit
    }

    /// Far less than the smallest history holds: nothing that waits is overwritten.
    private static let batchByteLimit = PacketHistory.audioBytes / 4

    @inline(__always)
    mutating func clearBatch() {
        batchCount = 0
        batchBytes = 0
        isQueued = false
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
        kind == .audio
            ? (reference - (lastPacketAt ?? .distantPast) < Limits.Media.layerTimeoutLongest ? 1 : 0)
            : layers.alive(isScreen: isScreen, reference: reference)
    }
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
    }
}
