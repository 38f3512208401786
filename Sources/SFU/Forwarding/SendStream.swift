// A slot: one outgoing stream of a subscriber, whoever it shows at the moment. Chooses the layer, rewrites, writes
// the packet. Lives in raw memory; the road through it takes no reference count, lock or allocation.
import PeerTransport
import RTP
import Seam

/// One packet on its way to one subscriber: decided, not yet written.
struct Departure {
    var stream: UnsafeMutablePointer<SendStream>
    var source: UnsafeMutablePointer<ReceiveStream>
    var record: UnsafeMutablePointer<PacketRecord>
    var rewritten: Rewritten
    /// Bytes before SRTP, without padding.
    var size: Int
    var headerLength: Int
}

struct SendStream: ~Copyable {
    let mid: String
    let kind: MediaKind
    let ssrc: UInt32
    /// 0: no retransmission format here.
    let rtxSSRC: UInt32
    let codecs: [CodecParameters]

    // What it shows.
    private(set) var publication: Publication?
    /// The publication's encodings, for the road.
    private var layers: UnsafeMutablePointer<ReceiveStream>?
    private var layerCount = 0
    /// −1: none yet.
    private(set) var currentLayer = -1
    private(set) var targetLayer = -1
    /// Muted, hidden or undecodable: nothing is forwarded, and this says why.
    var pause: SlotState.Reason = .none
    var tile: Wishes.Tile?
    private var payloadType: UInt8 = 0
    private var rtxPayloadType: UInt8 = 0
    private var clockRate: UInt32 = 90_000
    private var patchesVP8 = false

    // What goes out.
    private(set) var rewriter: Rewriter
    private var template: HeaderTemplate
    private var ring: ResendRing?
    private var rtxSequence: Int64
    private(set) var packetCount: UInt32 = 0
    private(set) var octetCount: UInt32 = 0
    private(set) var lastSentAt: Instant?
    var roundTrip: Interval?
    /// The last fraction lost that the subscriber reported, in 1/256.
    var fractionLost: UInt8 = 0
    /// What was last told to the gateway.
    var reported: SlotState?

    init(
        section: MediaSection, slot: SlotParameters, random: inout RandomSource
    ) {
        mid = section.mid
        kind = section.kind
        ssrc = slot.ssrc
        rtxSSRC = slot.rtxSSRC ?? 0
        codecs = section.codecs
        template = HeaderTemplate(section: section, ssrc: slot.ssrc)
        rewriter = Rewriter(
            firstSequence: UInt16.random(in: 0..<0x8000, using: &random),
            firstTimestamp: UInt32.random(in: 0..<0x7fff_ffff, using: &random))
        rtxSequence = Int64(UInt16.random(in: 0..<0x8000, using: &random))
    }

    var isBound: Bool { publication != nil }
    var awaitsKeyFrame: Bool { isBound && pause == .none && targetLayer != currentLayer }
    var rtxPayload: UInt8 { rtxPayloadType }

    // MARK: Binding (control path)

    /// Shows this publication from its next switch point on.
    mutating func bind(to publication: Publication) {
        self.publication = publication
        layers = publication.layers
        layerCount = publication.layerCount
        currentLayer = -1
        targetLayer = -1
        pause = .none
        rewriter.end()
        if ring == nil { ring = ResendRing(capacity: kind == .audio ? 128 : 512) }
    }

    mutating func unbind() {
        publication = nil
        layers = nil
        layerCount = 0
        currentLayer = -1
        targetLayer = -1
        pause = .none
        rewriter.end()
    }

    /// The encodings of a publication are about to be freed.
    mutating func forget(_ gone: Publication) {
        for layer in 0..<gone.layerCount { ring?.forget(gone.layers + layer) }
        if publication === gone { unbind() }
    }

    /// Takes the payload types for the codec that the publication sends. False: this peer cannot decode it.
    mutating func use(_ codec: CodecParameters) -> Bool {
        guard let match = codecs.first(where: { isCompatible($0, codec) }) else { return false }
        payloadType = match.payloadType
        rtxPayloadType = rtxSSRC == 0 ? 0 : match.rtxPayloadType ?? 0
        clockRate = match.clockRate
        patchesVP8 = codec.name == .vp8
        return true
    }

    mutating func aim(at layer: Int) { targetLayer = layer }

    /// A packet of this layer carries nothing and leaves no gap.
    mutating func skip(_ sequence: Int64, layer: Int) {
        if layer == currentLayer { rewriter.skip(sequence) }
    }

    /// Stops what is shown; the next packet that goes out is a switch point.
    mutating func stop() {
        currentLayer = -1
        rewriter.end()
    }

    // MARK: The road

    /// Appends what of the new packets goes to this subscriber. Returns the new count.
    @inline(__always)
    mutating func collect(
        into departures: UnsafeMutablePointer<Departure>, from start: Int,
        of stream: UnsafeMutablePointer<SendStream>, counters: UnsafeMutablePointer<Counters>, at now: Instant
    ) -> Int {
        guard let layers else { return start }
        var count = start
        if currentLayer >= 0 {
            let source = layers + currentLayer
            if source.pointee.batchCount > 0 {
                count = take(source, departures, count, stream, counters, now)
            }
        }
        if targetLayer != currentLayer && targetLayer >= 0 {
            let source = layers + targetLayer
            if source.pointee.batchCount > 0 {
                count = trySwitch(to: source, departures, count, stream, counters, now)
            }
        }
        return count
    }

    @inline(__always)
    private mutating func take(
        _ source: UnsafeMutablePointer<ReceiveStream>, _ departures: UnsafeMutablePointer<Departure>,
        _ start: Int, _ stream: UnsafeMutablePointer<SendStream>, _ counters: UnsafeMutablePointer<Counters>,
        _ now: Instant
    ) -> Int {
        guard pause == .none else {
            counters.pointee.drop(pause == .muted ? .muted : .layerNotSelected, source.pointee.batchCount)
            return start
        }
        var count = start
        for i in 0..<source.pointee.batchCount {
            count = depart(source.pointee.batch[i], source, departures, count, stream, counters, now)
        }
        return count
    }

    @inline(__always)
    private mutating func depart(
        _ record: UnsafeMutablePointer<PacketRecord>, _ source: UnsafeMutablePointer<ReceiveStream>,
        _ departures: UnsafeMutablePointer<Departure>, _ count: Int,
        _ stream: UnsafeMutablePointer<SendStream>, _ counters: UnsafeMutablePointer<Counters>, _ now: Instant
    ) -> Int {
        guard var rewritten = rewriter.rewrite(record, at: now) else {
            counters.pointee.drop(.tooLateForMapping, 1)
            return count
        }
        if !patchesVP8 { rewritten.pictureID = -1 }
        let header = template.length(with: record.pointee.flags)
        departures[count] = Departure(
            stream: stream, source: source, record: record, rewritten: rewritten,
            size: header + Int(record.pointee.length), headerLength: header)
        return count + 1
    }

    /// Looks for a switch point in the target's new packets and goes over to it there.
    private mutating func trySwitch(
        to source: UnsafeMutablePointer<ReceiveStream>, _ departures: UnsafeMutablePointer<Departure>,
        _ start: Int, _ stream: UnsafeMutablePointer<SendStream>, _ counters: UnsafeMutablePointer<Counters>,
        _ now: Instant
    ) -> Int {
        guard pause == .none else {
            counters.pointee.drop(pause == .muted ? .muted : .layerNotSelected, source.pointee.batchCount)
            return start
        }
        var first: UnsafeMutablePointer<PacketRecord>?
        for i in 0..<source.pointee.batchCount where source.pointee.batch[i].pointee.frame.isKeyFrameStart {
            first = source.pointee.batch[i]
            break
        }
        guard let first else {
            counters.pointee.drop(.awaitingKeyFrame, source.pointee.batchCount)
            return start
        }
        let aligned = alignedTimestamp(of: first.pointee, in: source)
        rewriter.begin(with: first.pointee, alignedTimestamp: aligned, clockRate: clockRate, at: now)
        currentLayer = targetLayer
        // Packets behind the switch point may have come before it (reordering, RTX): they belong to the frame.
        var count = start
        var sequence = first.pointee.sequence
        let room = Downlink.departureCapacity - start - Limits.Media.pendingPackets
        while sequence <= source.pointee.highest && count - start < room {
            if let record = source.pointee.history.record(sequence) {
                count = depart(record, source, departures, count, stream, counters, now)
            }
            sequence += 1
        }
        return count
    }

    /// Where the sender reports of both layers put the first frame of the new one, on the outgoing clock.
    private func alignedTimestamp(
        of record: PacketRecord, in source: UnsafeMutablePointer<ReceiveStream>
    ) -> UInt32? {
        guard currentLayer >= 0, currentLayer != targetLayer, let layers else { return nil }
        let old = layers + currentLayer
        guard old.pointee.hasReport, source.pointee.hasReport else { return nil }
        let seconds = Int64(bitPattern: source.pointee.reportNTP &- old.pointee.reportNTP)
        // 32.32 fixed point × Hz: split so that nothing overflows within ±60 s.
        guard abs(seconds) < 60 << 32 else { return nil }
        let ticks = (seconds >> 16) * Int64(clockRate) >> 16
        let sourceOnOldClock =
            old.pointee.reportTimestamp &+ UInt32(truncatingIfNeeded: ticks) &- source.pointee.reportTimestamp
        return record.timestamp &+ sourceOnOldClock &+ rewriter.timestampOffset
    }

    // MARK: Writing

    /// Writes one packet, not yet protected, and remembers it. Returns its length.
    @inline(__always)
    mutating func write(
        _ departure: Departure, to packet: UnsafeMutablePointer<UInt8>, padding: Int,
        transportSequence: UInt16, absoluteSendTime: UInt32, at now: Instant
    ) -> Int {
        let record = departure.record
        let sent = SentPacket(
            sequence: departure.rewritten.sequence, incoming: record.pointee.sequence, source: departure.source,
            timestamp: departure.rewritten.timestamp, pictureID: departure.rewritten.pictureID,
            resentAt: now, absoluteSendTime: absoluteSendTime, transportSequence: transportSequence,
            tl0PictureIndex: departure.rewritten.tl0PictureIndex, keyIndex: departure.rewritten.keyIndex,
            padding: UInt8(truncatingIfNeeded: padding))
        let length = compose(sent, record, departure.source, to: packet, at: 0)
        ring?.note(sent)
        packetCount &+= 1
        octetCount &+= UInt32(record.pointee.length)
        lastSentAt = now
        return length
    }

    /// The packet as it was or will be sent, `payloadShift` bytes left free before the payload.
    @inline(__always)
    private func compose(
        _ sent: SentPacket, _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>, to packet: UnsafeMutablePointer<UInt8>, at payloadShift: Int
    ) -> Int {
        let header = template.write(
            to: packet, payloadType: payloadType, sequence: UInt16(truncatingIfNeeded: sent.sequence),
            timestamp: sent.timestamp, transportSequence: sent.transportSequence,
            absoluteSendTime: sent.absoluteSendTime, record: record)
        let payload = packet + header + payloadShift
        let count = Int(record.pointee.length)
        payload.update(from: source.pointee.history.payload(record), count: count)
        if sent.pictureID >= 0 {
            _ = VP8Descriptor.patch(
                payload, length: count, pictureID: UInt16(truncatingIfNeeded: sent.pictureID),
                tl0PicIndex: UInt8(truncatingIfNeeded: max(sent.tl0PictureIndex, 0)),
                keyIndex: UInt8(bitPattern: max(sent.keyIndex, 0)))
        }
        let length = header + payloadShift + count
        return RTPWriter.appendPadding(packet, length: length, count: sent.padding)
    }

    // MARK: Repair

    enum Resend {
        /// Under its own number, the same to the bit.
        case same(length: Int, headerLength: Int, index: Int64)
        /// As a new packet of the retransmission stream (RFC 4588).
        case rtx(length: Int, headerLength: Int, index: Int64)
    }

    /// Makes the packet with this number again. nil: unknown, overwritten, resent too often or just now.
    mutating func resend(
        _ number: UInt16, to packet: UnsafeMutablePointer<UInt8>, transportSequence: UInt16,
        absoluteSendTime: UInt32, at now: Instant
    ) -> Resend? {
        guard let entry = ring?.find(number, highest: rewriter.highestSequence), let source = entry.pointee.source,
            let record = source.pointee.history.record(entry.pointee.incoming)
        else { return nil }
        let wait = max(roundTrip ?? .milliseconds(20), .milliseconds(10))
        guard entry.pointee.resends < Limits.Media.resendsPerPacket,
            entry.pointee.resends == 0 || now - entry.pointee.resentAt >= wait
        else { return nil }
        entry.pointee.resends += 1
        entry.pointee.resentAt = now
        guard rtxPayloadType != 0 else {
            let length = compose(entry.pointee, record, source, to: packet, at: 0)
            return .same(
                length: length, headerLength: template.length(with: record.pointee.flags),
                index: entry.pointee.sequence)
        }
        var again = entry.pointee
        again.padding = 0
        again.transportSequence = transportSequence
        again.absoluteSendTime = absoluteSendTime
        let length = compose(again, record, source, to: packet, at: 2)
        let header = template.length(with: record.pointee.flags)
        // RFC 4588 §4: the original number, then the original payload.
        ByteOrder.store16(UInt16(truncatingIfNeeded: entry.pointee.sequence), packet, header)
        packet[1] = packet[1] & 0x80 | rtxPayloadType
        ByteOrder.store16(UInt16(truncatingIfNeeded: rtxSequence), packet, 2)
        ByteOrder.store32(rtxSSRC, packet, 8)
        rtxSequence += 1
        return .rtx(length: length, headerLength: header, index: rtxSequence - 1)
    }

    /// NTP and RTP time for a sender report: the publisher's capture clock, carried on to `ntp`. nil: unknown yet.
    func reportTimestamp(at ntp: UInt64) -> UInt32? {
        guard currentLayer >= 0, let layers else { return nil }
        let source = layers + currentLayer
        guard source.pointee.hasReport else { return nil }
        let elapsed = Int64(bitPattern: ntp &- source.pointee.reportNTP)
        guard abs(elapsed) < 600 << 32 else { return nil }
        let ticks = (elapsed >> 16) * Int64(clockRate) >> 16
        return source.pointee.reportTimestamp &+ UInt32(truncatingIfNeeded: ticks) &+ rewriter.timestampOffset
    }
}
