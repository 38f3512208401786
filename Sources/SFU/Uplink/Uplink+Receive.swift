// The packet's road into an uplink: header, stream, repair, history; the room forwards it from there.
import PeerTransport
import RTP

extension Uplink {
    /// Takes one decrypted RTP packet in. Returns why it goes no further, nil when it waits to be forwarded.
    func receiveRTP(
        _ packet: UnsafeMutablePointer<UInt8>,
        length: Int,
        windows: borrowing ForwardingWindows,
        relayed: RelayedPacket? = nil,
        at now: Instant
    ) -> DropReason? {
        guard let header = RTPHeader(parsing: packet, length: length) else { return .rtpMalformed }
        var values = ExtensionValues.parse(packet, header: header, map: extensions)
        session?.noteArrival(values, length: length, at: now)
        let type = payloadTypes[header.payloadType]
        guard type.codec >= 0 else { return .rtpUnknownPayloadType }
        let isKnown = demultiplexer.find(header.ssrc)
        guard let binding = isKnown ?? bind(header, values, isRTX: type.isRTX, packet, at: now) else {
            return .rtpUnknownStream
        }
        guard let padding = header.paddingLength(in: packet, length: length) else { return .rtpMalformed }
        var payload = UnsafePointer(packet + header.headerLength)
        var size = length - header.headerLength - padding
        var number = header.sequenceNumber
        if type.isRTX {
            // RFC 4588 §4; without payload it is a probe.
            guard size > 2 else { return .rtpPaddingOnly }
            number = ByteOrder.load16(payload, 0)
            payload += 2
            size -= 2
        }
        let stream = binding.pointee.stream
        let codec = payloadTypes.codec(type)
        if let relayed { stream.pointee.follow(number, relayed, isRepair: type.isRTX) }
        if stream.pointee.publication.payloadType != codec.payloadType {
            stream.pointee.publication.sends(payloadTypes.codecs[Int(type.codec)], at: now)
        }
        stream.pointee.arrivedBytes &+= size
        if stream.pointee.isShed && !admits(stream, header, size, isRepair: type.isRTX, at: now) {
            if !type.isRTX { stream.pointee.leaveOut(header, length: length, codec: codec, at: now) }
            return .aboveMaximumBitrate
        }
        if stream.pointee.kind == .audio && !type.isRTX {
            let isHeard = hear(
                stream.pointee.publication,
                &values,
                number: number,
                codec: type.isRED ? .red : codec.name,
                payload,
                length: size,
                at: now
            )
            guard isHeard else {
                // The few of these that are read keep mirrors up to date, however long the silence.
                if room.isShared && relayed == nil { pass(packet, length, number, stream, at: now) }
                stream.pointee.leaveOut(header, length: length, codec: codec, at: now)
                return .notLoudest
            }
        }
        if values.has(.absoluteCaptureTime) { moveCaptureClock(&values) }
        if values.has(.videoLayersAllocation) { noteAllocation(values, in: packet, of: stream, at: now) }
        let drop: DropReason?
        if type.isRED && size > 0 {
            drop = stream.pointee.receiveRedundant(
                payload,
                length: size,
                header: header,
                values: values,
                codec: codec,
                at: now
            )
        } else {
            drop = stream.pointee.receive(
                payload,
                length: size,
                sequenceNumber: number,
                timestamp: header.timestamp,
                marker: header.marker,
                values: values,
                descriptor: values.has(.dependencyDescriptor)
                    ? UnsafePointer(values.dependencyDescriptor.start(in: packet)) : nil,
                colorSpace: values.has(.colorSpace)
                    ? UnsafePointer(values.colorSpace.start(in: packet)) : nil,
                codec: codec,
                by: type.isRTX ? .retransmission : .itself,
                at: now
            )
        }
        if !stream.pointee.nack.isEmpty { session?.repair(after: stream.pointee.nack.reorderGuard, at: now) }
        if stream.pointee.takeNews() { lookAgain(at: stream.pointee.publication, at: now) }
        if room.isShared && relayed == nil && (drop == nil || drop == .awaitingKeyFrame) {
            pass(packet, length, number, stream, at: now)
        }
        if let drop { return drop }
        room.arrived(in: stream, endsFrame: header.marker, at: now, configuration: windows)
        return nil
    }

    @inline(never)
    private func admits(
        _ stream: UnsafeMutablePointer<ReceiveStream>,
        _ header: RTPHeader,
        _ bytes: Int,
        isRepair: Bool,
        at now: Instant
    ) -> Bool {
        let publication = stream.pointee.publication
        let layer = stream.pointee.layer
        return publication.limit.admits(
            encoding: layer,
            bytes: bytes,
            timestamp: header.timestamp,
            isRepair: isRepair,
            at: now
        )
    }

    /// What is forwarded here, or will be once it can be read, is forwarded on the other shards of the room, too.
    @inline(never)
    private func pass(
        _ packet: UnsafePointer<UInt8>,
        _ length: Int,
        _ number: UInt16,
        _ stream: UnsafeMutablePointer<ReceiveStream>,
        at now: Instant
    ) {
        let relayed = RelayedPacket(
            number: self.number,
            isReport: false,
            place: stream.pointee.unwrapper.peek(number),
            origin: stream.pointee.origin,
            arrival: now
        )
        room.pass(packet, length: length, relayed)
    }

    /// Sender reports of this peer: they map its streams' timestamps to its clock, and that to ours.
    func receive(_ report: SenderReport, ntp: UInt64, at now: Instant) {
        guard let binding = demultiplexer.find(report.ssrc), !binding.pointee.isRTX else { return }
        let stream = binding.pointee.stream
        stream.pointee.statistics.receive(report, at: now)
        clock.note(report.ntpTime.rawValue, arrivedAt: ntp)
        stream.pointee.received(senderReport: report.ntpTime.rawValue, timestamp: report.rtpTimestamp)
    }

    /// The same out of a compound packet that another shard decrypted.
    func receiveReports(_ packet: UnsafeMutablePointer<UInt8>, length: Int, ntp: UInt64, at now: Instant) {
        var walker = RTCPWalker(packet, length: length)
        while let block = walker.next() {
            guard block.type == RTCPType.senderReport, let report = SenderReport(block) else { continue }
            receive(report, ntp: ntp, at: now)
        }
    }

    /// A layer of it came or went.
    @inline(never)
    private func lookAgain(at publication: Publication, at now: Instant) {
        if publication.look(at: now) && publication.kind == .video { room.layersChanged(of: publication) }
    }

    /// What the sender says of all its layers comes long before their silence could be noticed.
    @inline(never)
    private func noteAllocation(
        _ values: ExtensionValues,
        in packet: UnsafeMutablePointer<UInt8>,
        of stream: UnsafeMutablePointer<ReceiveStream>,
        at now: Instant
    ) {
        let range = values.videoLayersAllocation
        guard stream.pointee.kind == .video,
            let allocation = VideoLayersAllocation.parse(range.start(in: packet), length: Int(range.length)),
            stream.pointee.publication.announce(allocation, at: now)
        else { return }
        lookAgain(at: stream.pointee.publication, at: now)
    }

    /// The capture clock is told against the clock of who sends: that is us.
    private func moveCaptureClock(_ values: inout ExtensionValues) {
        // Before its first report nothing is known of the sender's clock: nothing is said of it.
        guard let offset = clock.offset else { return values.hasCaptureClockOffset = false }
        values.captureClockOffset &-= offset
        values.hasCaptureClockOffset = true
    }

    /// The first packet of an SSRC: finds out what it is.
    @inline(never)
    private func bind(
        _ header: RTPHeader,
        _ values: ExtensionValues,
        isRTX: Bool,
        _ packet: UnsafeMutablePointer<UInt8>,
        at now: Instant
    ) -> UnsafeMutablePointer<StreamBinding>? {
        let rid = isRTX ? values.repairedRid : values.rid
        let name = rid.isEmpty ? nil : text(rid, in: packet)
        let candidates: [Publication]
        if !values.mid.isEmpty {
            let mid = text(values.mid, in: packet)
            candidates = publications.filter { $0.mid == mid }
        } else {
            // No MID: the payload type must belong to one m-section alone.
            let kind = payloadTypes.codecs[Int(payloadTypes[header.payloadType].codec)].name.kind
            candidates = publications.filter { $0.kind == kind }
        }
        guard candidates.count == 1, let publication = candidates.first,
            let stream = layer(of: publication, rid: name)
        else { return nil }
        let isAllowed =
            isRTX
            ? stream.pointee.mayRebindRTX(to: header.ssrc, at: now)
            : stream.pointee.mayRebind(to: header.ssrc, at: now)
        guard isAllowed,
            demultiplexer.bind(header.ssrc, to: stream, isRTX: isRTX)
        else { return nil }
        if isRTX {
            retire(stream.pointee.rtxSSRC)
            stream.pointee.rtxSSRC = header.ssrc
        } else {
            let old = stream.pointee.rebind(to: header.ssrc, at: now)
            if old != 0 {
                // The sender started over under a new SSRC: its numbers and timestamps mean something else now.
                room.restarted(publication, layer: stream.pointee.layer)
                retire(old)
                retire(stream.pointee.rtxSSRC)
                stream.pointee.rtxSSRC = 0
            }
        }
        return demultiplexer.find(header.ssrc)
    }

    private func layer(of publication: Publication, rid: String?) -> UnsafeMutablePointer<ReceiveStream>? {
        guard let rid else { return publication.layerCount == 1 ? publication.layers : nil }
        for layer in 0..<publication.layerCount where publication.layers[layer].rid == rid {
            return publication.layers + layer
        }
        return publication.layerCount == 1 && publication.layers.pointee.rid == nil ? publication.layers : nil
    }

    private func text(_ range: ByteRange, in packet: UnsafeMutablePointer<UInt8>) -> String {
        String(
            decoding: UnsafeBufferPointer(start: range.start(in: packet), count: Int(range.length)),
            as: UTF8.self
        )
    }
}
