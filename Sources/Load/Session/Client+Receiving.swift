// What a client does with media that comes: continuity from cleartext headers, a sample of it decrypted, retransmissions,
// requests for key frames.
import PeerTransport
import RTP

extension Client {
    func receiveRTP(_ packet: UnsafeMutablePointer<UInt8>, length: Int, arrival: Int64) -> ReceivedSample? {
        guard let srtp, let header = RTPHeader(parsing: packet, length: length) else {
            foreignPackets += 1
            return nil
        }
        receivedBytes += Int64(length)
        if firstPacketAt == nil { firstPacketAt = arrival }
        if let feedback, let number = transportSequence(packet, header) {
            feedback.generator.record(number, at: Instant(microseconds: arrival / 1000))
        }
        if remote?.repairs[header.payloadType] != nil {
            return receiveRepair(packet, length: length, header: header, arrival: arrival)
        }
        guard let place = place(of: header.ssrc, payloadType: header.payloadType) else {
            foreignPackets += 1
            return nil
        }
        let isFirst = !streams[place].isStarted
        streams[place].receive(
            sequence: header.sequenceNumber,
            timestamp: header.timestamp,
            arrival: arrival
        )
        if !streams[place].losses.isEmpty { hasLosses = true }
        guard isFirst || isSampled(header.sequenceNumber) else { return nil }
        guard let stamp = decrypt(srtp, packet, length: length, header: header) else { return nil }
        streams[place].note(stamp, sequence: header.sequenceNumber)
        return ReceivedSample(latency: arrival - stamp.sentAt, arrival: arrival, stamp: stamp)
    }

    /// RFC 4588: the number of the packet that it repeats is encrypted, so that every one is decrypted.
    private func receiveRepair(
        _ packet: UnsafeMutablePointer<UInt8>,
        length: Int,
        header: RTPHeader,
        arrival: Int64
    ) -> ReceivedSample? {
        guard let srtp, case .ok(let plain) = srtp.unprotectRTP(packet, length: length) else {
            undecryptable += 1
            return nil
        }
        authenticated += 1
        let padding = header.paddingLength(in: packet, length: plain) ?? 0
        let original = RTXPayload.originalSequence(
            packet + header.headerLength,
            length: plain - header.headerLength - padding
        )
        guard let original, let repaired = remote?.repairedStreams[header.ssrc],
            let place = streams.firstIndex(where: { $0.ssrc == repaired })
        else { return nil }
        streams[place].recover(sequence: original)
        return nil
    }

    private func decrypt(
        _ srtp: SRTPContext,
        _ packet: UnsafeMutablePointer<UInt8>,
        length: Int,
        header: RTPHeader
    ) -> Stamp? {
        guard case .ok(let plain) = srtp.unprotectRTP(packet, length: length) else {
            undecryptable += 1
            return nil
        }
        authenticated += 1
        let padding = header.paddingLength(in: packet, length: plain) ?? 0
        return Stamp.read(
            packet + header.headerLength,
            length: plain - header.headerLength - padding
        )
    }

    private func isSampled(_ sequence: UInt16) -> Bool {
        switch sampling {
        case .oneIn(let count): sequence % count == UInt16(truncatingIfNeeded: index) % count
        case .all: true
        case .none: false
        }
    }

    private func place(of ssrc: UInt32, payloadType: UInt8) -> Int? {
        if lastStream < streams.count, streams[lastStream].ssrc == ssrc { return lastStream }
        for i in streams.indices where streams[i].ssrc == ssrc {
            lastStream = i
            return i
        }
        guard streams.count < Limits.Load.streamsPerSession else { return nil }
        let isVideo = remote?.videoTypes.contains(payloadType) ?? (payloadType != LocalDescription.audioType)
        let asksAgain = remote?.repairs.values.contains(payloadType) ?? false
        streams.append(ReceivedStream(ssrc: ssrc, isVideo: isVideo, asksAgain: asksAgain))
        return streams.count - 1
    }

    /// Its one-byte element (RFC 8285 §4.2) stands in cleartext.
    private func transportSequence(_ packet: UnsafeMutablePointer<UInt8>, _ header: RTPHeader) -> UInt16? {
        guard header.hasOneByteExtensions, let id = remote?.transportSequenceID else { return nil }
        let end = header.extensionOffset + header.extensionLength
        var offset = header.extensionOffset
        while offset < end {
            let first = packet[offset]
            if first == 0 {
                offset += 1
                continue
            }
            let length = Int(first & 0x0f) + 1
            guard first >> 4 != 15, offset + 1 + length <= end else { return nil }
            if first >> 4 == id { return length == 2 ? ByteOrder.load16(packet, offset + 1) : nil }
            offset += 1 + length
        }
        return nil
    }

    func receiveRTCP(_ packet: UnsafeMutablePointer<UInt8>, length: Int, at now: Instant) {
        guard let srtp, case .ok(let plain) = srtp.unprotectRTCP(packet, length: length) else {
            undecryptable += 1
            return
        }
        var walker = RTCPWalker(packet, length: plain)
        while let block = walker.next() {
            if let report = SenderReport(block),
                let place = streams.firstIndex(where: { $0.ssrc == report.ssrc })
            {
                streams[place].receive(report, at: now)
            }
            if let request = PictureLossIndication(block) { requestKeyFrame(request.mediaSSRC) }
            if var requests = FullIntraRequest(block) {
                while let request = requests.next() { requestKeyFrame(request.ssrc) }
            }
        }
    }

    private func requestKeyFrame(_ ssrc: UInt32) {
        guard let source = sources.first(where: { $0.stream.ssrc == ssrc }) else { return }
        keyFrameRequests += 1
        source.requestKeyFrame()
    }
}
