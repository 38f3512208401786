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
    /// Number of the source in the stream's `SourceTable`.
    var sourceNumber: UInt16
    /// Bytes before SRTP, without padding.
    var size: Int
    var headerLength: Int
}

struct SendStream: ~Copyable {
    let mid: String
    let kind: MediaKind
    let ssrc: UInt32
    /// 0: no retransmission format here.
    private(set) var rtxSSRC: UInt32
    private(set) var section: MediaSection

    // What it shows.
    private(set) var publication: Publication?
    /// The publication's encodings, for the road.
    private var layers: UnsafeMutablePointer<ReceiveStream>?
    /// −1: none yet.
    private(set) var currentLayer = -1
    private(set) var targetLayer = -1
    /// What was shown before the last switch: packets of it that were missing then still find their place.
    private var formerLayer = -1
    /// Muted, hidden or undecodable: nothing is forwarded, and this says why.
    var pause: SlotState.Reason = .none
    var tile: Wishes.Tile?
    private var payloadType: UInt8 = 0
    private var rtxPayloadType: UInt8 = 0
    /// The publisher's payload type that is forwarded under ours.
    private var sourcePayloadType = SendStream.noPayloadType
    /// What `payloadType` was found for.
    private var usedCodec: CodecParameters?
    private var clockRate: UInt32 = 90_000
    private var patchesVP8 = false
    /// How often a switch was put off because its key frame came late.
    private var postponements = 0

    // What goes out.
    private(set) var rewriter: Rewriter
    private var template: HeaderTemplate
    private var ring: ResendRing?
    private var sources = SourceTable()
    private(set) var rtxSequence: Int64
    private(set) var packetCount: UInt32 = 0
    private(set) var octetCount: UInt32 = 0
    private(set) var lastSentAt: Instant?
    private(set) var keyFrameSentAt: Instant?
    /// The timestamps have a new base since the last sender report.
    var wantsReport = false
    var roundTrip: Interval?
    /// The last fraction lost that the subscriber reported, in 1/256.
    var fractionLost: UInt8 = 0
    /// What was last told to the gateway.
    var reported = SlotDigest()

    private static let noPayloadType: UInt8 = 0xff
    /// A key frame this far behind what was sent is too late to switch at.
    private static let lateKeyFrame = Interval.milliseconds(75)

    /// - Parameter past: where a former slot with these SSRCs stopped.
    init(section: MediaSection, slot: SlotParameters, past: SentNumbers, random: inout RandomSource) {
        mid = section.mid
        kind = section.kind
        ssrc = slot.ssrc
        rtxSSRC = slot.rtxSSRC ?? 0
        self.section = section
        template = HeaderTemplate(section: section, ssrc: slot.ssrc)
        let number = UInt16.random(in: 0..<0x8000, using: &random)
        let timestamp = UInt32.random(in: 0..<0x7fff_ffff, using: &random)
        let rtxNumber = Int64(UInt16.random(in: 0..<0x8000, using: &random))
        let hasFrames = section.kind == .video
        rewriter = Rewriter(firstSequence: number, firstTimestamp: timestamp, hasFrames: hasFrames)
        if let old = past[slot.ssrc] {
            rewriter = Rewriter(after: old.highest, timestamp: old.timestamp, hasFrames: hasFrames)
        }
        rtxSequence = past[rtxSSRC].map { $0.highest + 1 } ?? rtxNumber
    }

    var isBound: Bool { publication != nil }
    var awaitsKeyFrame: Bool { isBound && pause == .none && targetLayer != currentLayer }
    var isPaused: Bool { pause != .none }

    // MARK: Binding (control path)

    /// Takes over what was negotiated anew for the same SSRC: the numbers go on.
    mutating func reconfigure(_ new: MediaSection, slot: SlotParameters, past: SentNumbers) {
        if let rtx = slot.rtxSSRC, rtx != rtxSSRC, let old = past[rtx] { rtxSequence = old.highest + 1 }
        rtxSSRC = slot.rtxSSRC ?? 0
        guard new.codecs != section.codecs || new.extensions != section.extensions else {
            return section = new
        }
        section = new
        template = HeaderTemplate(section: new, ssrc: ssrc)
        // What went out with other ids cannot be made the same again.
        sources = SourceTable()
        usedCodec = nil
        sourcePayloadType = SendStream.noPayloadType
        stop()
    }

    /// Shows this publication from its next switch point on.
    mutating func bind(to publication: Publication) {
        unbind()
        self.publication = publication
        publication.viewers += 1
        layers = publication.layers
        if ring == nil { ring = ResendRing(capacity: kind == .audio ? 128 : 512) }
    }

    mutating func unbind() {
        publication?.viewers -= 1
        publication = nil
        layers = nil
        targetLayer = -1
        pause = .none
        usedCodec = nil
        sourcePayloadType = SendStream.noPayloadType
        stop()
    }

    /// The encodings of a publication are about to be freed.
    mutating func forget(_ gone: Publication) {
        sources.forget(gone.layers, count: gone.layerCount)
        if publication === gone { unbind() }
    }

    /// Takes the payload types for the codec that the publication sends. False: this peer cannot decode it.
    mutating func use(_ codec: CodecParameters) -> Bool {
        if usedCodec == codec { return sourcePayloadType != SendStream.noPayloadType }
        if usedCodec != nil { stop() }
        usedCodec = codec
        sourcePayloadType = SendStream.noPayloadType
        guard let match = section.codecs.first(where: { isDecodable(codec, by: $0) }) else { return false }
        sourcePayloadType = codec.payloadType
        payloadType = match.payloadType
        rtxPayloadType = rtxSSRC == 0 ? 0 : match.rtxPayloadType ?? 0
        clockRate = match.clockRate
        patchesVP8 = codec.name == .vp8
        return true
    }

    mutating func aim(at layer: Int) {
        if layer != targetLayer { postponements = 0 }
        targetLayer = layer
    }

    /// Stops what is shown; the next packet that goes out is a switch point.
    mutating func stop() {
        currentLayer = -1
        formerLayer = -1
        postponements = 0
        rewriter.end()
    }

    // MARK: The road

    /// Appends what of the new packets goes to this subscriber. Returns the new count.
    @inline(__always)
    mutating func collect(
        into departures: UnsafeMutablePointer<Departure>,
        from start: Int,
        of stream: UnsafeMutablePointer<SendStream>,
        counters: UnsafeMutablePointer<Counters>,
        at now: Instant
    ) -> Int {
        guard let layers else { return start }
        var count = start
        if currentLayer >= 0 {
            let source = layers + currentLayer
            if source.pointee.batchCount > 0 {
                count = take(source, departures, count, stream, counters, now)
            }
        }
        if formerLayer >= 0 && formerLayer != currentLayer {
            let source = layers + formerLayer
            if source.pointee.batchCount > 0 {
                count = takeLate(source, departures, count, stream, now)
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
        _ source: UnsafeMutablePointer<ReceiveStream>,
        _ departures: UnsafeMutablePointer<Departure>,
        _ start: Int,
        _ stream: UnsafeMutablePointer<SendStream>,
        _ counters: UnsafeMutablePointer<Counters>,
        _ now: Instant
    ) -> Int {
        guard pause == .none else {
            counters.pointee.withhold(pauseReason, source.pointee.batchCount)
            return start
        }
        var count = start
        for i in 0..<source.pointee.batchCount {
            count = depart(source.pointee.batch[i], source, departures, count, stream, counters, now)
        }
        return count
    }

    /// Fills the holes that the layer before has left.
    private mutating func takeLate(
        _ source: UnsafeMutablePointer<ReceiveStream>,
        _ departures: UnsafeMutablePointer<Departure>,
        _ start: Int,
        _ stream: UnsafeMutablePointer<SendStream>,
        _ now: Instant
    ) -> Int {
        var count = start
        for i in 0..<source.pointee.batchCount {
            let record = source.pointee.batch[i]
            guard record.pointee.payloadType == sourcePayloadType, !record.pointee.flags.contains(.padding),
                var rewritten = rewriter.rewriteFormer(record, unless: ring)
            else { continue }
            let header = template.length(with: record.pointee.flags)
            let size = header + Int(record.pointee.length)
            guard size <= SendStream.longestPacket else { continue }
            if !patchesVP8 { rewritten.pictureID = -1 }
            departures[count] = Departure(
                stream: stream,
                source: source,
                record: record,
                rewritten: rewritten,
                sourceNumber: sources.current &- 1,
                size: size,
                headerLength: header
            )
            count += 1
        }
        return count
    }

    private var pauseReason: DropReason {
        switch pause {
        case .muted: .muted
        case .codec: .codecMismatch
        default: .layerNotSelected
        }
    }

    @inline(__always)
    private mutating func depart(
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>,
        _ departures: UnsafeMutablePointer<Departure>,
        _ count: Int,
        _ stream: UnsafeMutablePointer<SendStream>,
        _ counters: UnsafeMutablePointer<Counters>,
        _ now: Instant
    ) -> Int {
        let header = template.length(with: record.pointee.flags)
        let size = header + Int(record.pointee.length)
        guard record.pointee.payloadType == sourcePayloadType, !record.pointee.flags.contains(.padding),
            size <= SendStream.longestPacket
        else {
            leaveOut(record, counters)
            return count
        }
        guard var rewritten = rewriter.rewrite(record, unless: ring, at: now) else {
            counters.pointee.withhold(.tooLateForMapping)
            return count
        }
        if !patchesVP8 { rewritten.pictureID = -1 }
        if record.pointee.frame.isKeyFrameStart { keyFrameSentAt = now }
        departures[count] = Departure(
            stream: stream,
            source: source,
            record: record,
            rewritten: rewritten,
            sourceNumber: sources.current,
            size: size,
            headerLength: header
        )
        return count + 1
    }

    /// Before SRTP adds its tag.
    private static let longestPacket = Limits.Media.sentDatagramBytes - 16

    /// Nobody gets this packet, and its number is closed over.
    private mutating func leaveOut(
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ counters: UnsafeMutablePointer<Counters>
    ) {
        rewriter.skip(record.pointee.sequence)
        if record.pointee.flags.contains(.padding) {
            counters.pointee.withhold(.rtpPaddingOnly)
        } else {
            counters.pointee.withhold(
                record.pointee.payloadType == sourcePayloadType ? .packetTooLarge : .codecMismatch
            )
        }
    }

    /// Looks for a switch point in the target's new packets and goes over to it there.
    private mutating func trySwitch(
        to source: UnsafeMutablePointer<ReceiveStream>,
        _ departures: UnsafeMutablePointer<Departure>,
        _ start: Int,
        _ stream: UnsafeMutablePointer<SendStream>,
        _ counters: UnsafeMutablePointer<Counters>,
        _ now: Instant
    ) -> Int {
        guard pause == .none else {
            counters.pointee.withhold(pauseReason, source.pointee.batchCount)
            return start
        }
        guard let first = switchPoint(of: source) else {
            counters.pointee.withhold(.awaitingKeyFrame, source.pointee.batchCount)
            return start
        }
        let aligned = alignedTimestamp(of: first.pointee, in: source)
        if let aligned, isTooLate(aligned) {
            postponements += 1
            publication?.requestKeyFrame(layer: targetLayer)
            counters.pointee.withhold(.awaitingKeyFrame, source.pointee.batchCount)
            return start
        }
        let newest = source.pointee.history.record(source.pointee.highest)
        rewriter.begin(
            with: first.pointee,
            alignedTimestamp: aligned,
            backlog: newest.map { $0.pointee.timestamp &- first.pointee.timestamp } ?? 0,
            clockRate: clockRate,
            at: now
        )
        formerLayer = currentLayer
        currentLayer = targetLayer
        sources.begin(source)
        postponements = 0
        wantsReport = true
        // Packets behind the switch point may have come before it (reordering, RTX): they belong to the frame.
        var count = start
        var sequence = first.pointee.sequence
        let room = Downlink.departureCapacity - start - Limits.Media.pendingPackets
        let last = min(source.pointee.highest, sequence + Int64(source.pointee.history.capacity))
        while sequence <= last && count - start < room {
            if let record = source.pointee.history.record(sequence) {
                count = depart(record, source, departures, count, stream, counters, now)
            }
            sequence += 1
        }
        return count
    }

    private func switchPoint(
        of source: UnsafeMutablePointer<ReceiveStream>
    ) -> UnsafeMutablePointer<PacketRecord>? {
        for i in 0..<source.pointee.batchCount {
            let record = source.pointee.batch[i]
            if record.pointee.frame.isKeyFrameStart && record.pointee.payloadType == sourcePayloadType {
                return record
            }
        }
        return nil
    }

    /// The frame is older than what was sent, by more than a few frames: its key frame came late, by RTX. Another
    /// one is better than a jump in the timestamps, but not for ever.
    private func isTooLate(_ aligned: UInt32) -> Bool {
        let behind =
            Int64(Int32(bitPattern: rewriter.lastTimestamp &- aligned)) * 1_000_000 / Int64(clockRate)
        return behind > SendStream.lateKeyFrame.microseconds && postponements < 2
    }

    /// Where the sender reports of both layers put the first frame of the new one, on the outgoing clock.
    private func alignedTimestamp(
        of record: PacketRecord,
        in source: UnsafeMutablePointer<ReceiveStream>
    ) -> UInt32? {
        guard currentLayer >= 0, currentLayer != targetLayer, let layers else { return nil }
        let old = layers + currentLayer
        guard old.pointee.hasReport, source.pointee.hasReport else { return nil }
        let seconds = Int64(bitPattern: source.pointee.reportNTP &- old.pointee.reportNTP)
        // 32.32 fixed point × Hz: split so that nothing overflows within ±60 s.
        guard seconds.magnitude < 60 << 32 else { return nil }
        let ticks = ((seconds >> 16) * Int64(clockRate)) >> 16
        let sourceOnOldClock =
            old.pointee.reportTimestamp &+ UInt32(truncatingIfNeeded: ticks) &- source.pointee.reportTimestamp
        return record.timestamp &+ sourceOnOldClock &+ rewriter.timestampOffset
    }

    // MARK: Writing

    /// Writes one packet, not yet protected, and remembers it. Returns its length.
    @inline(__always)
    mutating func write(
        _ departure: Departure,
        to packet: UnsafeMutablePointer<UInt8>,
        padding: Int,
        transportSequence: UInt16,
        absoluteSendTime: UInt32,
        at now: Instant
    ) -> Int {
        let record = departure.record
        let sent = SentPacket(
            sequence: departure.rewritten.sequence,
            incoming: record.pointee.sequence,
            position: record.pointee.position,
            timestamp: departure.rewritten.timestamp,
            pictureID: departure.rewritten.pictureID,
            resentAt: now,
            absoluteSendTime: absoluteSendTime,
            transportSequence: transportSequence,
            tl0PictureIndex: departure.rewritten.tl0PictureIndex,
            source: departure.sourceNumber,
            keyIndex: departure.rewritten.keyIndex,
            padding: UInt8(truncatingIfNeeded: padding),
            payloadType: payloadType
        )
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
        _ sent: SentPacket,
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>,
        to packet: UnsafeMutablePointer<UInt8>,
        at payloadShift: Int
    ) -> Int {
        let header = template.write(
            to: packet,
            payloadType: sent.payloadType,
            sequence: UInt16(truncatingIfNeeded: sent.sequence),
            timestamp: sent.timestamp,
            transportSequence: sent.transportSequence,
            absoluteSendTime: sent.absoluteSendTime,
            record: record
        )
        let payload = packet + header + payloadShift
        let count = Int(record.pointee.length)
        payload.update(from: source.pointee.history.payload(record), count: count)
        if sent.pictureID >= 0 {
            _ = VP8Descriptor.patch(
                payload,
                length: count,
                pictureID: UInt16(truncatingIfNeeded: sent.pictureID),
                tl0PicIndex: UInt8(truncatingIfNeeded: max(sent.tl0PictureIndex, 0)),
                keyIndex: UInt8(bitPattern: max(sent.keyIndex, 0))
            )
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
        _ number: UInt16,
        to packet: UnsafeMutablePointer<UInt8>,
        transportSequence: UInt16,
        absoluteSendTime: UInt32,
        at now: Instant
    ) -> Resend? {
        guard let entry = ring?.find(number, highest: rewriter.highestSequence),
            let source = sources.source(entry.pointee.source),
            let record = source.pointee.history.record(entry.pointee.incoming),
            record.pointee.position == entry.pointee.position
        else { return nil }
        let wait = max(roundTrip ?? .milliseconds(20), .milliseconds(10))
        guard entry.pointee.resends < Limits.Media.resendsPerPacket,
            entry.pointee.resends == 0 || now - entry.pointee.resentAt >= wait
        else { return nil }
        guard rtxSSRC != 0, rtxPayloadType != 0 else {
            entry.pointee.resends += 1
            entry.pointee.resentAt = now
            let length = compose(entry.pointee, record, source, to: packet, at: 0)
            return .same(
                length: length,
                headerLength: template.length(with: record.pointee.flags),
                index: entry.pointee.sequence
            )
        }
        // The retransmission format belongs to one payload type (RFC 4588 §8.6).
        guard entry.pointee.payloadType == payloadType else { return nil }
        entry.pointee.resends += 1
        entry.pointee.resentAt = now
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

    /// RTP time for a sender report: the publisher's capture clock, carried on to `ntp`. nil: unknown yet.
    func reportTimestamp(at ntp: UInt64) -> UInt32? {
        guard currentLayer >= 0, let layers, let clock = publication?.session.clock.offset else { return nil }
        let source = layers + currentLayer
        guard source.pointee.hasReport else { return nil }
        let elapsed = Int64(bitPattern: ntp &- source.pointee.reportNTP) &- clock
        guard elapsed.magnitude < 600 << 32 else { return nil }
        let ticks = ((elapsed >> 16) * Int64(clockRate)) >> 16
        return source.pointee.reportTimestamp &+ UInt32(truncatingIfNeeded: ticks) &+ rewriter.timestampOffset
    }
}
