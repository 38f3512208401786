// What a client sends: frames that are due, reports, requests for what is missing, transport-wide feedback.
import CLinux
import PeerTransport
import RTP

extension Client {
    private static let reportBytes = 1200

    /// Sends the next frame of a source. How many packets that were.
    func publish(_ source: any MediaSource) -> Int {
        guard let srtp, state == .connected else { return 0 }
        var count = 0
        let packet = resources.scratch
        let ssrc = source.stream.ssrc
        source.produce(sentAt: clinux_monotonic_ns(), into: packet) { written in
            let protected = srtp.sender.protect(
                packet,
                headerLength: written.header,
                length: written.length,
                ssrc: ssrc,
                index: written.index
            )
            send(UnsafeBufferPointer(start: packet, count: protected))
            count += 1
        }
        return count
    }

    /// Sends the microphone's packet of this frame. False: not connected, or no microphone.
    func speak(_ content: VoiceSource.Content, frame: Int64) -> Bool {
        guard let srtp, state == .connected, voice != nil else { return false }
        let packet = resources.scratch
        guard let written = voice?.write(content, frame: frame, into: packet), let voice else { return false }
        let protected = srtp.sender.protect(
            packet,
            headerLength: written.header,
            length: written.length,
            ssrc: voice.stream.ssrc,
            index: written.index
        )
        send(UnsafeBufferPointer(start: packet, count: protected))
        spoken = (frame, clinux_realtime_ns())
        return true
    }

    /// An SR for each source, and an RR with a block for each stream (RFC 3550 §6.4).
    func sendReport(at now: Instant) {
        nextReport = now + (sources.isEmpty ? .seconds(5) : .seconds(1))
        guard srtp != nil else { return }
        var writer = RTCPWriter(resources.scratch, capacity: Self.reportBytes)
        for source in sources {
            guard let start = sourceStartedAt, source.stream.packets > 0 else { continue }
            let elapsed = now.microseconds * 1000 - start
            append(
                source.stream,
                rtpTime: source.stream.timestamp(at: elapsed),
                at: clinux_realtime_ns(),
                to: &writer
            )
        }
        if let voice, let spoken {
            append(voice.stream, rtpTime: voice.timestamp(of: spoken.frame), at: spoken.at, to: &writer)
        }
        if !streams.isEmpty || (sources.isEmpty && voice == nil) {
            writer.appendReceiverReport(ssrc: reportSSRC)
            for place in streams.indices {
                if let block = streams[place].makeReportBlock(at: now) { writer.append(block) }
            }
        }
        flush(writer)
    }

    /// - Parameter clock: nanoseconds of the wall clock.
    private func append(
        _ stream: OutgoingStream,
        rtpTime: UInt32,
        at clock: Int64,
        to writer: inout RTCPWriter
    ) {
        writer.append(
            SenderReport(
                ssrc: stream.ssrc,
                ntpTime: NTPTime(
                    Instant(microseconds: clock / 1000),
                    epochOffset: .seconds(NTPTime.unixEpochSeconds)
                ),
                rtpTimestamp: rtpTime,
                packetCount: stream.packets,
                octetCount: stream.octets
            )
        )
    }

    private var hasVideo: Bool { streams.contains { $0.isVideo } }

    /// NACK, and PLI where asking again is of no use.
    func askAgain(at now: Instant) {
        hasLosses = false
        var writer = RTCPWriter(resources.scratch, capacity: Self.reportBytes)
        for place in streams.indices where !streams[place].losses.isEmpty {
            let asking = streams[place].askAgain(at: now)
            if !streams[place].losses.isEmpty { hasLosses = true }
            let media = streams[place].ssrc
            if asking.isHopeless { writer.appendPLI(sender: reportSSRC, media: media) }
            guard !asking.numbers.isEmpty else { continue }
            nacks += asking.numbers.count
            asking.numbers.withUnsafeBufferPointer { numbers in
                guard let base = numbers.baseAddress else { return }
                _ = writer.appendNACK(sender: reportSSRC, media: media, base, count: numbers.count)
            }
        }
        flush(writer)
    }

    func sendFeedback(at now: Instant) {
        nextFeedback = now + (hasVideo ? Limits.Load.feedbackEvery : Limits.Load.feedbackEveryOfAudio)
        guard let feedback else { return }
        while feedback.generator.hasPending {
            var writer = RTCPWriter(resources.scratch, capacity: Self.reportBytes)
            guard feedback.generator.write(to: &writer, senderSSRC: reportSSRC, mediaSSRC: feedback.media)
            else {
                return
            }
            flush(writer)
        }
    }

    private func flush(_ writer: RTCPWriter) {
        guard let srtp, !writer.isEmpty else { return }
        let length = srtp.protectRTCP(writer.buffer, length: writer.length)
        send(UnsafeBufferPointer(start: writer.buffer, count: length))
    }
}
