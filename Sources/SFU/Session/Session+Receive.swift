// The packet's road into a session: header, stream, repair, history; the room forwards it from there.
import PeerTransport
import RTP

extension Session {
    /// Takes one decrypted RTP packet in. Returns why it goes no further, nil when it waits to be forwarded.
    func receiveRTP(
        _ packet: UnsafeMutablePointer<UInt8>,
        length: Int,
        windows: borrowing ForwardingWindows,
        at now: Instant
    ) -> DropReason? {
        guard let header = RTPHeader(parsing: packet, length: length) else { return .rtpMalformed }
        let values = ExtensionValues.parse(packet, header: header, map: extensions)
        if sendsTransportFeedback && values.has(.transportSequence) {
            _ = feedback?.record(values.transportSequence, at: now)
            if nextFeedback == .distantFuture { nextFeedback = now + Limits.Media.transportFeedbackInterval }
        }
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
        if values.has(.audioLevel) && !type.isRTX {
            stream.pointee.publication.heard(values.audioLevelByte, at: now)
        }
        let codec = payloadTypes.codec(type)
        if stream.pointee.publication.payloadType != codec.payloadType {
            stream.pointee.publication.sends(payloadTypes.codecs[Int(type.codec)], at: now)
        }
        let wasLive = stream.pointee.isLive(at: now)
        let drop = stream.pointee.receive(
            payload,
            length: size,
            header: header,
            sequenceNumber: number,
            values: values,
            codec: codec,
            recovered: type.isRTX,
            at: now
        )
        if !stream.pointee.nack.isEmpty && nextRepair > now + Limits.Media.nackReorderGuard {
            nextRepair = now + Limits.Media.nackReorderGuard
        }
        if !wasLive { cameAlive(stream) }
        if let drop { return drop }
        room.arrived(in: stream, endsFrame: header.marker, at: now, configuration: windows)
        return nil
    }

    @inline(never)
    private func cameAlive(_ stream: UnsafeMutablePointer<ReceiveStream>) {
        let isNews = stream.pointee.publication.cameAlive(stream.pointee.layer)
        if isNews && stream.pointee.kind == .video { room.needsDealing = true }
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
