// How a slot writes a packet, remembers it, and makes it again when the subscriber asks.
import PeerTransport
import RTP
import Seam

extension SendStream {
    /// Writes one packet, not yet protected, and remembers it. Returns its length.
    @inline(__always)
    mutating func write(
        _ departure: UnsafeMutablePointer<Departure>,
        to packet: UnsafeMutablePointer<UInt8>,
        padding: Int,
        transportSequence: UInt16,
        absoluteSendTime: UInt32,
        at now: Instant
    ) -> Int {
        let record = departure.pointee.record
        let sent = SentPacket(
            sequence: departure.pointee.rewritten.sequence,
            incoming: record.pointee.sequence,
            position: record.pointee.position,
            timestamp: departure.pointee.rewritten.timestamp,
            pictureID: departure.pointee.rewritten.pictureID,
            resentAt: now,
            absoluteSendTime: absoluteSendTime,
            transportSequence: transportSequence,
            tl0PictureIndex: departure.pointee.rewritten.tl0PictureIndex,
            source: departure.pointee.sourceNumber,
            keyIndex: departure.pointee.rewritten.keyIndex,
            padding: UInt8(truncatingIfNeeded: padding),
            payloadType: departure.pointee.redundancy == 0 ? payloadType : redPayloadType,
            flags: SentPacket.Flags(rawValue: departure.pointee.rewritten.marker ? 1 : 0),
            redundancy: departure.pointee.redundancy,
            mask: departure.pointee.rewritten.mask
        )
        let length = compose(sent, record, departure.pointee.source, to: packet, at: 0)
        ring?.note(sent)
        if departure.pointee.rewritten.sequence > highestSent {
            highestSent = departure.pointee.rewritten.sequence
        }
        packetCount &+= 1
        octetCount &+= UInt32(truncatingIfNeeded: departure.pointee.size - departure.pointee.headerLength)
        lastSentAt = now
        return length
    }

    /// The packet as it was or will be sent, `payloadShift` bytes left free before the payload.
    @inline(__always)
    private mutating func compose(
        _ sent: SentPacket,
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>,
        to packet: UnsafeMutablePointer<UInt8>,
        at payloadShift: Int
    ) -> Int {
        let header = template.write(
            to: packet,
            payloadType: sent.payloadType,
            marker: sent.flags.contains(.marker),
            sequence: UInt16(truncatingIfNeeded: sent.sequence),
            timestamp: sent.timestamp,
            transportSequence: sent.transportSequence,
            absoluteSendTime: sent.absoluteSendTime,
            record: record,
            descriptor: descriptor(sent, record, source),
            colorSpace: record.pointee.flags.contains(.colorSpace)
                ? source.pointee.history.colorSpace(record) : nil
        )
        let payload = packet + header + payloadShift
        let count: Int
        if sent.redundancy == 0 {
            count = Int(record.pointee.length)
            payload.update(from: source.pointee.history.payload(record), count: count)
            if sent.pictureID >= 0 { patch(payload, count, sent) }
        } else {
            count = writeRedundant(sent, record, source, to: payload)
        }
        let length = header + payloadShift + count
        return RTPWriter.appendPadding(packet, length: length, count: sent.padding)
    }

    @inline(never)
    private mutating func writeRedundant(
        _ sent: SentPacket,
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>,
        to payload: UnsafeMutablePointer<UInt8>
    ) -> Int {
        RedundancyWriter.write(
            record,
            used: sent.redundancy,
            in: source.pointee.history,
            opus: payloadType,
            to: payload
        ) ?? 0
    }

    @inline(__always)
    private mutating func patch(_ payload: UnsafeMutablePointer<UInt8>, _ count: Int, _ sent: SentPacket) {
        switch numbering {
        case .vp8:
            _ = VP8Descriptor.patch(
                payload,
                length: count,
                pictureID: UInt16(truncatingIfNeeded: sent.pictureID),
                tl0PicIndex: UInt8(truncatingIfNeeded: max(sent.tl0PictureIndex, 0)),
                keyIndex: UInt8(bitPattern: max(sent.keyIndex, 0))
            )
        case .vp9:
            _ = VP9Descriptor.patch(
                payload,
                length: count,
                pictureID: UInt16(truncatingIfNeeded: sent.pictureID),
                tl0PicIndex: UInt8(truncatingIfNeeded: max(sent.tl0PictureIndex, 0))
            )
        case .none, .descriptor: break
        }
    }

    @inline(__always)
    private mutating func descriptor(
        _ sent: SentPacket,
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>
    ) -> OutgoingDescriptor {
        let layout = record.pointee.descriptor
        guard layout.length > 0, template.hasDescriptor else { return OutgoingDescriptor() }
        return OutgoingDescriptor(
            length: sent.mask == 0 ? Int(layout.length) : layout.lengthWithMask,
            bytes: source.pointee.history.descriptor(record),
            frameNumber: UInt16(truncatingIfNeeded: sent.pictureID),
            mask: sent.mask
        )
    }

    // MARK: Repair

    enum Resend {
        /// Under its own number, the same to the bit.
        case same(length: Int, headerLength: Int, index: Int64)
        /// As a new packet of the retransmission stream (RFC 4588).
        case rtx(length: Int, headerLength: Int, index: Int64)
    }

    /// Makes the packet with this number again. nil: unknown, overwritten, resent too often or just now.
    ///
    /// - Parameter isTight: bits are short, so that nothing is repaired of a layer that is being left.
    mutating func resend(
        _ number: UInt16,
        to packet: UnsafeMutablePointer<UInt8>,
        transportSequence: UInt16,
        absoluteSendTime: UInt32,
        isTight: Bool = false,
        at now: Instant
    ) -> Resend? {
        guard let entry = ring?.find(number, highest: rewriter.highestSequence) else { return nil }
        let wait = max(roundTrip ?? .milliseconds(20), .milliseconds(10))
        guard entry.pointee.resends < Limits.Media.resendsPerPacket,
            entry.pointee.resends == 0 || now - entry.pointee.resentAt >= wait
        else { return nil }
        if isTight && isBeingLeft(entry) { return nil }
        if entry.pointee.flags.contains(.void) {
            return resendVoid(entry, to: packet, transportSequence, absoluteSendTime, now)
        }
        guard let source = sources.source(entry.pointee.source),
            let record = source.pointee.history.record(entry.pointee.incoming),
            record.pointee.position == entry.pointee.position
        else { return nil }
        if entry.pointee.redundancy != 0 {
            // The same to the bit, or not at all.
            guard entry.pointee.payloadType == redPayloadType,
                RedundancyWriter.length(
                    of: record,
                    used: entry.pointee.redundancy,
                    in: source.pointee.history
                ) != nil
            else { return nil }
        }
        guard rtxSSRC != 0, rtxPayloadType != 0 else {
            entry.pointee.resends += 1
            entry.pointee.resentAt = now
            let length = compose(entry.pointee, record, source, to: packet, at: 0)
            return .same(
                length: length,
                headerLength: headerLength(record, entry.pointee.mask),
                index: entry.pointee.sequence
            )
        }
        // The retransmission format belongs to one payload type (RFC 4588 §8.6).
        guard entry.pointee.payloadType == payloadType else { return nil }
        entry.pointee.resends += 1
        entry.pointee.resentAt = now
        return retransmit(entry, record, source, to: packet, transportSequence, absoluteSendTime)
    }

    /// Of a higher layer than the one that is wanted by now.
    private mutating func isBeingLeft(_ entry: UnsafeMutablePointer<SentPacket>) -> Bool {
        guard !entry.pointee.flags.contains(.void), let layers, target.encoding >= 0,
            let source = sources.source(entry.pointee.source)
        else { return false }
        return source > layers + Int(target.encoding)
    }

    private mutating func retransmit(
        _ entry: UnsafeMutablePointer<SentPacket>,
        _ record: UnsafeMutablePointer<PacketRecord>,
        _ source: UnsafeMutablePointer<ReceiveStream>,
        to packet: UnsafeMutablePointer<UInt8>,
        _ transportSequence: UInt16,
        _ absoluteSendTime: UInt32
    ) -> Resend {
        var again = entry.pointee
        again.padding = 0
        again.transportSequence = transportSequence
        again.absoluteSendTime = absoluteSendTime
        let length = compose(again, record, source, to: packet, at: 2)
        return asRetransmission(packet, of: entry, header: headerLength(record, again.mask), length: length)
    }

    // MARK: Probes

    /// Packets of a probe may be sent here.
    var takesProbes: Bool {
        kind == .video && rtxSSRC != 0 && rtxPayloadType != 0 && isBound
            && (pause == .none || pause == .bandwidth)
    }

    /// Makes one of the last packets again, for a probe: nobody asked for it, but it may be missing.
    /// - Parameter back: how many numbers before the newest.
    /// nil: that was no packet, it is too old or gone.
    mutating func repeated(
        _ back: Int,
        to packet: UnsafeMutablePointer<UInt8>,
        transportSequence: UInt16,
        absoluteSendTime: UInt32,
        at now: Instant
    ) -> Resend? {
        let number = UInt16(truncatingIfNeeded: rewriter.highestSequence - Int64(back))
        guard let entry = ring?.find(number, highest: rewriter.highestSequence),
            !entry.pointee.flags.contains(.void), entry.pointee.redundancy == 0,
            entry.pointee.payloadType == payloadType, now - entry.pointee.resentAt < SendStream.probeAge,
            let source = sources.source(entry.pointee.source),
            let record = source.pointee.history.record(entry.pointee.incoming),
            record.pointee.position == entry.pointee.position
        else { return nil }
        return retransmit(entry, record, source, to: packet, transportSequence, absoluteSendTime)
    }

    private static let probeAge = Interval.seconds(1)

    /// A packet of the retransmission stream with nothing in it: receivers report on it and throw it away.
    mutating func padding(
        to packet: UnsafeMutablePointer<UInt8>,
        transportSequence: UInt16,
        absoluteSendTime: UInt32
    ) -> Resend {
        var record = PacketRecord()
        let header = template.write(
            to: packet,
            payloadType: rtxPayloadType,
            marker: false,
            sequence: UInt16(truncatingIfNeeded: rtxSequence),
            timestamp: rewriter.lastTimestamp,
            transportSequence: transportSequence,
            absoluteSendTime: absoluteSendTime,
            record: &record
        )
        ByteOrder.store32(rtxSSRC, packet, 8)
        rtxSequence += 1
        // The count is one byte (RFC 3550 §5.1).
        let length = RTPWriter.appendPadding(packet, length: header, count: 0xff)
        return .rtx(length: length, headerLength: header, index: rtxSequence - 1)
    }

    /// RFC 4588 §4: a number of the retransmission stream, then the original number and payload.
    private mutating func asRetransmission(
        _ packet: UnsafeMutablePointer<UInt8>,
        of entry: UnsafeMutablePointer<SentPacket>,
        header: Int,
        length: Int
    ) -> Resend {
        ByteOrder.store16(UInt16(truncatingIfNeeded: entry.pointee.sequence), packet, header)
        packet[1] = packet[1] & 0x80 | rtxPayloadType
        ByteOrder.store16(UInt16(truncatingIfNeeded: rtxSequence), packet, 2)
        ByteOrder.store32(rtxSSRC, packet, 8)
        rtxSequence += 1
        return .rtx(length: length, headerLength: header, index: rtxSequence - 1)
    }

    /// Says that this number stands for nothing, so that the subscriber stops asking: a retransmission without
    /// payload, or padding under the number itself, which was never used.
    private mutating func resendVoid(
        _ entry: UnsafeMutablePointer<SentPacket>,
        to packet: UnsafeMutablePointer<UInt8>,
        _ transportSequence: UInt16,
        _ absoluteSendTime: UInt32,
        _ now: Instant
    ) -> Resend? {
        let hasRTX = rtxSSRC != 0 && rtxPayloadType != 0
        // Under its own number it may go out only as it went out first.
        if !hasRTX && entry.pointee.resends == 0 {
            entry.pointee.transportSequence = transportSequence
            entry.pointee.absoluteSendTime = absoluteSendTime
        }
        entry.pointee.resends += 1
        entry.pointee.resentAt = now
        highestSent = max(highestSent, entry.pointee.sequence)
        var record = PacketRecord()
        let header = template.write(
            to: packet,
            payloadType: entry.pointee.payloadType,
            marker: false,
            sequence: UInt16(truncatingIfNeeded: entry.pointee.sequence),
            timestamp: entry.pointee.timestamp,
            transportSequence: hasRTX ? transportSequence : entry.pointee.transportSequence,
            absoluteSendTime: hasRTX ? absoluteSendTime : entry.pointee.absoluteSendTime,
            record: &record
        )
        if hasRTX { return asRetransmission(packet, of: entry, header: header, length: header + 2) }
        let length = RTPWriter.appendPadding(packet, length: header, count: 1)
        return .same(length: length, headerLength: header, index: entry.pointee.sequence)
    }

    /// RTP time for a sender report: the publisher's capture clock, carried on to `ntp`. nil: unknown yet.
    func reportTimestamp(at ntp: UInt64) -> UInt32? {
        guard currentLayer >= 0, let layers, let clock = publication?.uplink.clock.offset else { return nil }
        let source = layers + currentLayer
        guard source.pointee.hasReport else { return nil }
        let elapsed = Int64(bitPattern: ntp &- source.pointee.reportNTP) &- clock
        guard elapsed.magnitude < 600 << 32 else { return nil }
        let ticks = ((elapsed >> 16) * Int64(clockRate)) >> 16
        return source.pointee.reportTimestamp &+ UInt32(truncatingIfNeeded: ticks) &+ rewriter.timestampOffset
    }
}
