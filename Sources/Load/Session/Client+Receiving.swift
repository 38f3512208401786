// What a client does with media that comes: continuity from cleartext headers, a sample of it decrypted, retransmissions,
// requests for key frames.
import PeerTransport
import RTP

extension Client {
    func receiveRTP(_ packet: UnsafeMutablePointer<UInt8>, length: Int, arrival: Int64) -> ReceivedSample? {
        guard state == .connected, let header = RTPHeader(parsing: packet, length: length) else {
            foreignPackets += 1
            return nil
        }
        receivedBytes += Int64(length)
        if firstPacketAt == nil { firstPacketAt = arrival }
        if let feedback, let number = transportSequence(packet, header) {
            feedback.generator.record(number, at: Instant(microseconds: arrival / 1000))
            feedback.media = header.ssrc
        }
        let format = formats[Int(header.payloadType & 0x7f)]
        if format == .repair {
            receiveRepair(packet, length: length, header: header)
            return nil
        }
        guard let place = place(of: header.ssrc, format: format) else {
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
        guard let stamp = open(packet, length: length, header: header, place: place) else { return nil }
        streams[place].note(stamp, sequence: header.sequenceNumber)
        return ReceivedSample(latency: arrival - stamp.sentAt, arrival: arrival, stamp: stamp)
    }

    /// RFC 4588: the number of the packet that it repeats is encrypted, so that every one is decrypted.
    private func receiveRepair(
        _ packet: UnsafeMutablePointer<UInt8>,
        length: Int,
        header: RTPHeader
    ) {
        guard let sampler, let place = repairedStream(of: header.ssrc),
            repairNumbers[header.ssrc] != nil || repairNumbers.count < Limits.Load.streamsPerSession
        else { return }
        // Its own numbers, far from those of what it repairs; unwrapped like them.
        let index = repairNumbers[header.ssrc, default: SequenceUnwrapper()].unwrap(header.sequenceNumber)
        let plain = sampler.open(
            packet,
            headerLength: header.headerLength,
            length: length,
            ssrc: header.ssrc,
            index: UInt64(max(0, index))
        )
        guard let plain, let base = plain.baseAddress else {
            undecryptable += 1
            return
        }
        authenticated += 1
        let padding = header.paddingLength(in: base, length: plain.count) ?? 0
        let original = RTXPayload.originalSequence(
            base + header.headerLength,
            length: plain.count - header.headerLength - padding
        )
        guard let original else { return }
        streams[place].recover(sequence: original)
    }

    /// As the server's description says; without a word of it, the only video there is.
    private func repairedStream(of ssrc: UInt32) -> Int? {
        if let repaired = remote?.repairedStreams[ssrc] { return streams.firstIndex { $0.ssrc == repaired } }
        let video = streams.indices.filter { streams[$0].isVideo }
        return video.count == 1 ? video[0] : nil
    }

    /// Checks and decrypts a packet of the sample; the stamp in it.
    private func open(
        _ packet: UnsafeMutablePointer<UInt8>,
        length: Int,
        header: RTPHeader,
        place: Int
    ) -> Stamp? {
        guard let sampler else { return nil }
        func opened(_ index: UInt64) -> UnsafeBufferPointer<UInt8>? {
            sampler.open(
                packet,
                headerLength: header.headerLength,
                length: length,
                ssrc: header.ssrc,
                index: index
            )
        }
        let index = streams[place].index(of: header.sequenceNumber)
        var plain = opened(index)
        if plain == nil, !streams[place].isVerified {
            // A sender may have wrapped before its first packet came.
            plain = opened(index + 0x1_0000)
            if plain != nil { streams[place].rollover = 0x1_0000 }
        }
        guard let plain, let base = plain.baseAddress else {
            undecryptable += 1
            return nil
        }
        streams[place].isVerified = true
        authenticated += 1
        let padding = header.paddingLength(in: base, length: plain.count) ?? 0
        return Stamp.read(
            base + header.headerLength,
            length: plain.count - header.headerLength - padding
        )
    }

    private func isSampled(_ sequence: UInt16) -> Bool {
        switch sampling {
        case .oneIn(let count): sequence % count == UInt16(truncatingIfNeeded: index) % count
        case .all: true
        case .none: false
        }
    }

    private func place(of ssrc: UInt32, format: Format) -> Int? {
        if lastStream < streams.count, streams[lastStream].ssrc == ssrc { return lastStream }
        for i in streams.indices where streams[i].ssrc == ssrc {
            lastStream = i
            return i
        }
        guard streams.count < Limits.Load.streamsPerSession else { return nil }
        streams.append(
            ReceivedStream(ssrc: ssrc, isVideo: format != .audio, asksAgain: format == .repairedVideo)
        )
        return streams.count - 1
    }

    /// Its one-byte element (RFC 8285 §4.2) stands in cleartext.
    private func transportSequence(_ packet: UnsafeMutablePointer<UInt8>, _ header: RTPHeader) -> UInt16? {
        let id = transportSequenceID
        guard header.hasOneByteExtensions else { return nil }
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

    func receiveRTCP(_ packet: UnsafePointer<UInt8>, length: Int, at now: Instant) {
        guard let plain = sampler?.openRTCP(packet, length: length), let base = plain.baseAddress else {
            undecryptable += 1
            return
        }
        var walker = RTCPWalker(base, length: plain.count)
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
