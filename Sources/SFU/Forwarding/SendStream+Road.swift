// The packet's road through a slot: which packets go out, where a layer begins, what number each gets. No reference
// count, lock or allocation.
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
    /// Which earlier packets are repeated in it, by `RedundancyWriter.Choice.used`; 0: it is no RED packet.
    var redundancy: UInt8 = 0
}

/// Where departures are gathered, and what is counted on the way.
struct Departures {
    let list: UnsafeMutablePointer<Departure>
    let counters: UnsafeMutablePointer<Counters>
    let now: Instant
    var count = 0
    /// Of video, before SRTP.
    var videoBytes = 0

    @inline(__always)
    mutating func append(_ departure: Departure, isVideo: Bool) {
        list[count] = departure
        count += 1
        if isVideo { videoBytes &+= departure.size }
    }

    mutating func clear() {
        count = 0
        videoBytes = 0
    }

    func withhold(_ reason: DropReason, _ count: Int = 1) { counters.pointee.withhold(reason, count) }
}

extension SendStream {
    /// A key frame this far behind what was sent is too late to switch at.
    private static let lateKeyFrame = Interval.milliseconds(75)
    /// A switch waits this long for the end of the frame that is being shown.
    private static let longestHold = Interval.milliseconds(15)
    /// Before SRTP adds its tag.
    private static let longestPacket = Limits.Media.sentDatagramBytes - 16

    /// Appends what of the new packets goes to this subscriber.
    @inline(__always)
    mutating func collect(into departures: inout Departures, of stream: UnsafeMutablePointer<SendStream>) {
        guard let layers else { return }
        if currentLayer >= 0 {
            let source = layers + currentLayer
            if source.pointee.batchCount > 0 { take(source, &departures, stream) }
        }
        if formerLayer >= 0 && formerLayer != currentLayer {
            let source = layers + formerLayer
            if source.pointee.batchCount > 0 { takeLate(source, &departures, stream) }
        }
        let wanted = Int(target.encoding)
        if wanted != currentLayer && wanted >= 0 {
            let source = layers + wanted
            if source.pointee.batchCount > 0 || heldSwitch != .min {
                trySwitch(to: source, &departures, stream)
            }
        }
    }

    @inline(__always)
    mutating func prefetchRing() { ring?.prefetch(rewriter.highestSequence + 1) }

    @inline(__always)
    private mutating func take(
        _ source: UnsafeMutablePointer<ReceiveStream>,
        _ departures: inout Departures,
        _ stream: UnsafeMutablePointer<SendStream>
    ) {
        guard pause == .none else {
            return departures.withhold(pauseReason, source.pointee.batchCount)
        }
        for i in 0..<source.pointee.batchCount {
            depart(source.pointee.batch[i], source, &departures, stream)
        }
    }

    @inline(__always)
    private mutating func depart(
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>,
        _ departures: inout Departures,
        _ stream: UnsafeMutablePointer<SendStream>
    ) {
        guard record.pointee.payloadType == sourcePayloadType,
            record.pointee.flags.isDisjoint(with: .unsendable)
        else { return leaveOut(record, emptyReason(record), departures) }
        var endsPicture = record.pointee.flags.contains(.marker)
        var mask: UInt32 = 0
        if kind == .video {
            guard filter.admits(record, of: source) else {
                return leaveOut(record, .layerNotSelected, departures)
            }
            endsPicture = filter.endsPicture(record)
            if numbering == .descriptor { mask = filter.mask(for: record) }
        }
        let header = headerLength(record, mask)
        var size = header + Int(record.pointee.length)
        guard size <= SendStream.longestPacket else { return leaveOut(record, .packetTooLarge, departures) }
        var repeated: UInt8 = 0
        if redPayloadType != 0 && redundancy.distance > 0, let choice = chooseRedundancy(record, source) {
            repeated = choice.used
            size = header + choice.length
        }
        let rewritten = rewriter.rewrite(record, endsPicture: endsPicture, unless: ring, at: departures.now)
        guard var rewritten else { return departures.withhold(.tooLateForMapping) }
        rewritten.mask = mask
        if kind == .video && record.pointee.frame.isKeyFrameStart { keyFrameSentAt = departures.now }
        departures.append(
            Departure(
                stream: stream,
                source: source,
                record: record,
                rewritten: rewritten,
                sourceNumber: sources.current,
                size: size,
                headerLength: header,
                redundancy: repeated
            ),
            isVideo: kind == .video
        )
    }

    @inline(never)
    private func chooseRedundancy(
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>
    ) -> RedundancyWriter.Choice? {
        let choice = RedundancyWriter.choose(
            for: record,
            in: source.pointee.history,
            distance: redundancy.distance,
            notBefore: rewriter.firstIncoming
        )
        return choice.used == 0 ? nil : choice
    }

    private mutating func emptyReason(_ record: UnsafeMutablePointer<PacketRecord>) -> DropReason {
        if record.pointee.flags.contains(.padding) { return .rtpPaddingOnly }
        return record.pointee.flags.contains(.unread) ? .tooLateForMapping : .codecMismatch
    }

    @inline(__always)
    mutating func headerLength(_ record: UnsafeMutablePointer<PacketRecord>, _ mask: UInt32) -> Int {
        let layout = record.pointee.descriptor
        guard layout.length > 0 else { return template.length(with: record.pointee.flags) }
        return template.length(
            with: record.pointee.flags,
            descriptor: mask == 0 ? Int(layout.length) : layout.lengthWithMask
        )
    }

    /// Nobody gets this packet, and its number is closed over.
    private mutating func leaveOut(
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ reason: DropReason,
        _ departures: Departures
    ) {
        // Of a picture whose layer is not wanted nothing goes out; of SVC pictures the lower layers do.
        let isPicture = reason == .layerNotSelected && numbering == .vp8
        if let number = rewriter.skip(record, isPicture: isPicture) { void(number, of: record) }
        departures.withhold(reason)
    }

    /// Fills the holes that the layer before has left.
    private mutating func takeLate(
        _ source: UnsafeMutablePointer<ReceiveStream>,
        _ departures: inout Departures,
        _ stream: UnsafeMutablePointer<SendStream>
    ) {
        for i in 0..<source.pointee.batchCount {
            let record = source.pointee.batch[i]
            guard record.pointee.payloadType == sourcePayloadType else { continue }
            let isWanted =
                record.pointee.flags.isDisjoint(with: .unsendable)
                && formerFilter.admitted(record)
            guard isWanted else {
                if let number = rewriter.formerVoid(record) { void(number, of: record) }
                continue
            }
            let mask = numbering == .descriptor ? formerFilter.mask(for: record) : 0
            let header = headerLength(record, mask)
            let size = header + Int(record.pointee.length)
            let endsPicture = formerFilter.endsPicture(record)
            guard size <= SendStream.longestPacket,
                var rewritten = rewriter.rewriteFormer(record, endsPicture: endsPicture, unless: ring)
            else { continue }
            rewritten.mask = mask
            departures.append(
                Departure(
                    stream: stream,
                    source: source,
                    record: record,
                    rewritten: rewritten,
                    sourceNumber: sources.current &- 1,
                    size: size,
                    headerLength: header
                ),
                isVideo: kind == .video
            )
        }
    }

    private var pauseReason: DropReason {
        mutating get {
            switch pause {
            case .muted: .muted
            case .codec: .codecMismatch
            case .bandwidth: .overBandwidth
            default: .layerNotSelected
            }
        }
    }

    // MARK: Switching encodings

    /// Looks for a switch point in the target's new packets and goes over to it there.
    private mutating func trySwitch(
        to source: UnsafeMutablePointer<ReceiveStream>,
        _ departures: inout Departures,
        _ stream: UnsafeMutablePointer<SendStream>
    ) {
        guard pause == .none else {
            return departures.withhold(pauseReason, source.pointee.batchCount)
        }
        let found =
            heldSwitchPoint(of: source) ?? switchPoint(of: source)
            ?? storedSwitchPoint(of: source, at: departures.now)
        guard let first = found, source.pointee.isOfBatch(first) else {
            return departures.withhold(.awaitingKeyFrame, source.pointee.batchCount)
        }
        let aligned = alignedTimestamp(of: first.pointee, in: source)
        if let aligned, isTooLate(aligned) {
            postponements += 1
            publication?.requestKeyFrame(layer: Int(target.encoding))
            return departures.withhold(.awaitingKeyFrame, source.pointee.batchCount)
        }
        // A frame that is broken off is lost, and its number never comes: the end of it is on the way.
        if currentLayer >= 0 && rewriter.isInFrame && mayHold(first, at: departures.now) { return }
        heldSwitch = .min
        // What waits of a higher layer would only delay the key frame of this one.
        if currentLayer > Int(target.encoding) { abandon() }
        let newest = source.pointee.history.record(source.pointee.highest)
        rewriter.begin(
            with: first.pointee,
            alignedTimestamp: aligned,
            backlog: newest.map { $0.pointee.timestamp &- first.pointee.timestamp } ?? 0,
            clockRate: clockRate,
            closesPictures: numbering == .vp8,
            at: departures.now
        )
        formerLayer = currentLayer
        currentLayer = Int(target.encoding)
        sources.begin(source)
        postponements = 0
        wantsReport = true
        source.pointee.publication.room.hasNews = true
        if kind == .video {
            formerFilter = filter
            filter.want(spatial: target.spatial, temporal: target.temporal)
            filter.begin(with: first, of: source)
        }
        // Packets behind the switch point may have come before it (reordering, RTX): they belong to the frame.
        var sequence = first.pointee.sequence
        let room = Downlink.departureCapacity - Limits.Media.pendingPackets
        let last = min(source.pointee.highest, sequence + Int64(source.pointee.history.capacity))
        while sequence <= last && departures.count < room {
            if let record = source.pointee.history.record(sequence), source.pointee.isOfBatch(record),
                !record.pointee.flags.contains(.unread)
            {
                depart(record, source, &departures, stream)
            }
            sequence += 1
        }
    }

    /// Lets the layer that is shown end its frame; not for long.
    private mutating func mayHold(_ first: UnsafeMutablePointer<PacketRecord>, at now: Instant) -> Bool {
        if heldSwitch != first.pointee.sequence {
            heldSwitch = first.pointee.sequence
            heldSince = now
        }
        return now - heldSince < SendStream.longestHold
    }

    private mutating func heldSwitchPoint(
        of source: UnsafeMutablePointer<ReceiveStream>
    ) -> UnsafeMutablePointer<PacketRecord>? {
        guard heldSwitch != .min, let record = source.pointee.history.record(heldSwitch),
            record.pointee.payloadType == sourcePayloadType
        else { return nil }
        return record
    }

    private mutating func switchPoint(
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

    /// A subscriber who sees nothing yet starts with the newest key frame of the history and all that follows, where
    /// that is young, small and whole: the others need no new one then.
    private mutating func storedSwitchPoint(
        of source: UnsafeMutablePointer<ReceiveStream>,
        at now: Instant
    ) -> UnsafeMutablePointer<PacketRecord>? {
        guard currentLayer < 0, kind == .video,
            let first = source.pointee.storedKeyFrame(payloadType: sourcePayloadType, at: now)
        else { return nil }
        // What was seen of it already is not shown again.
        if let lastSentAt, let shown = sources.source(sources.current), let layers, let publication,
            shown >= layers, shown < layers + publication.layerCount, first.pointee.arrival <= lastSentAt
        {
            return nil
        }
        return first
    }

    /// Whether the wanted layer can begin without asking its publisher.
    mutating func canStartFromHistory(at now: Instant) -> Bool {
        guard let layers, target.encoding >= 0 else { return false }
        return storedSwitchPoint(of: layers + Int(target.encoding), at: now) != nil
    }

    /// The frame is older than what was sent, by more than a few frames: its key frame came late, by RTX. Another
    /// one is better than a jump in the timestamps, but not for ever.
    private mutating func isTooLate(_ aligned: UInt32) -> Bool {
        let behind =
            Int64(Int32(bitPattern: rewriter.lastTimestamp &- aligned)) * 1_000_000 / Int64(clockRate)
        return behind > SendStream.lateKeyFrame.microseconds && postponements < 2
    }

    /// Where the sender reports of both layers put the first frame of the new one, on the outgoing clock.
    private mutating func alignedTimestamp(
        of record: PacketRecord,
        in source: UnsafeMutablePointer<ReceiveStream>
    ) -> UInt32? {
        guard currentLayer >= 0, currentLayer != Int(target.encoding), let layers else { return nil }
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
}
