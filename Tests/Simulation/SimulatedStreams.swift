// The streams of a simulated peer: what it publishes, with a history for NACKs, and what it receives, with the gaps.
import RTP
import Seam

public final class SimulatedPublisher {
    public var source: MediaSource
    public let mid: String
    public let id: PublicationID
    public var isRunning = true
    /// Whether packets carry MID and RID; browsers stop once a report acknowledged the SSRC.
    public var namesLayers = true
    /// The payload of everything that was sent, by what it says about itself.
    public private(set) var sent: [Stamp: [UInt8]] = [:]
    public var keepsSent = true
    private var streams: [Stream] = []
    private var generator: SimulatedICEClient.Generator

    private struct Stream {
        var ssrc: UInt32
        var rtxSSRC: UInt32
        var rid: String?
        var sequence: Int64
        var rtxSequence: Int64
        var timestampBase: UInt32
        var history: [UInt16: (packet: SourcePacket, index: Int64)] = [:]
        var packets: UInt32 = 0
        var octets: UInt32 = 0
    }

    init(source: MediaSource, mid: String, id: PublicationID, seed: UInt64) {
        self.source = source
        self.mid = mid
        self.id = id
        generator = SimulatedICEClient.Generator(seed: seed)
        let rids = source.layerCount > 1 ? ["q", "h", "f"] : []
        for layer in 0..<source.layerCount {
            streams.append(
                Stream(
                    ssrc: UInt32(truncatingIfNeeded: generator.next()) | 1,
                    rtxSSRC: UInt32(truncatingIfNeeded: generator.next()) & ~1,
                    rid: layer < rids.count ? rids[layer] : nil,
                    sequence: Int64(UInt16(truncatingIfNeeded: generator.next())),
                    rtxSequence: Int64(UInt16(truncatingIfNeeded: generator.next()) & 0x7fff),
                    timestampBase: UInt32(truncatingIfNeeded: generator.next())
                )
            )
        }
    }

    public var kind: MediaKind {
        if case .opus = source.format { return .audio }
        return .video
    }

    /// Announced by rid where there are several, by SSRC where there is one, as browsers do.
    public var encodings: [EncodingParameters] {
        streams.map { stream in
            stream.rid.map { EncodingParameters(rid: $0) }
                ?? EncodingParameters(ssrc: stream.ssrc, rtxSSRC: kind == .video ? stream.rtxSSRC : nil)
        }
    }

    private var clockRate: Int64 { kind == .audio ? 48_000 : 90_000 }

    /// Starts over under other SSRCs, as a browser does whose sender was made anew.
    public func changeStreams() {
        for i in streams.indices {
            streams[i].ssrc = UInt32(truncatingIfNeeded: generator.next()) | 1
            streams[i].rtxSSRC = UInt32(truncatingIfNeeded: generator.next()) & ~1
            streams[i].sequence = Int64(UInt16(truncatingIfNeeded: generator.next()) & 0x7fff)
            streams[i].timestampBase = UInt32(truncatingIfNeeded: generator.next())
            streams[i].history = [:]
            source.requestKeyFrame(layer: i)
        }
    }

    /// The SSRC of a layer.
    public func ssrc(_ layer: Int = 0) -> UInt32 { streams[layer].ssrc }

    func owns(_ ssrc: UInt32) -> Bool { streams.contains { $0.ssrc == ssrc } }

    public func requestKeyFrame(ssrc: UInt32) {
        if let layer = streams.firstIndex(where: { $0.ssrc == ssrc }) {
            keyFrameRequests += 1
            source.requestKeyFrame(layer: layer)
        }
    }

    public private(set) var keyFrameRequests = 0

    func compose(
        _ packet: SourcePacket,
        transportSequence: UInt16
    ) -> (bytes: [UInt8], headerLength: Int, index: UInt64, ssrc: UInt32) {
        let index = streams[packet.layer].sequence
        streams[packet.layer].sequence += 1
        streams[packet.layer].packets += 1
        streams[packet.layer].octets += UInt32(packet.payload.count)
        if keepsSent, let stamp = MediaSource.stamp(of: packet.payload[...], kind: kind) {
            sent[stamp] = packet.payload
        }
        streams[packet.layer].history[UInt16(truncatingIfNeeded: index)] = (packet, index)
        streams[packet.layer].history[UInt16(truncatingIfNeeded: index - 2000)] = nil
        return build(packet, packet.payload, index: index, isRTX: false, transportSequence)
    }

    func recompose(
        _ number: UInt16,
        ssrc: UInt32,
        asRTX: Bool,
        transportSequence: UInt16
    ) -> (bytes: [UInt8], headerLength: Int, index: UInt64, ssrc: UInt32)? {
        guard let layer = streams.firstIndex(where: { $0.ssrc == ssrc }),
            let (packet, index) = streams[layer].history[number]
        else { return nil }
        guard asRTX && kind == .video else {
            // The same packet once more, with the number it had.
            return build(
                packet,
                packet.payload,
                index: index,
                isRTX: false,
                UInt16(truncatingIfNeeded: index)
            )
        }
        let own = streams[layer].rtxSequence
        streams[layer].rtxSequence += 1
        let payload = [UInt8(number >> 8), UInt8(number & 0xff)] + packet.payload
        return build(packet, payload, index: own, isRTX: true, transportSequence)
    }

    private func build(
        _ packet: SourcePacket,
        _ payload: [UInt8],
        index: Int64,
        isRTX: Bool,
        _ transportSequence: UInt16
    ) -> (bytes: [UInt8], headerLength: Int, index: UInt64, ssrc: UInt32) {
        let stream = streams[packet.layer]
        let ssrc = isRTX ? stream.rtxSSRC : stream.ssrc
        let payloadType: UInt8 = kind == .audio ? 111 : isRTX ? 97 : 96
        let timestamp =
            stream.timestampBase
            &+ UInt32(truncatingIfNeeded: packet.mediaTime.microseconds * clockRate / 1_000_000)
        var bytes = [UInt8](repeating: 0, count: 96)
        let header = bytes.withUnsafeMutableBufferPointer { buffer -> Int in
            guard let base = buffer.baseAddress else { return 0 }
            RTPWriter.writeFixedHeader(
                to: base,
                marker: packet.marker,
                payloadType: payloadType,
                sequenceNumber: UInt16(truncatingIfNeeded: index),
                timestamp: timestamp,
                ssrc: ssrc
            )
            RTPWriter.setExtensionBit(base)
            var writer = ExtensionWriter(at: base + 12, capacity: 80, form: .oneByte)
            _ = writer.append16(id: 3, transportSequence)
            if namesLayers { append(mid, id: 4, to: &writer) }
            if namesLayers, let rid = stream.rid { append(rid, id: isRTX ? 11 : 10, to: &writer) }
            if let level = packet.audioLevel { _ = writer.append8(id: 1, level) }
            return 12 + writer.finish()
        }
        return (Array(bytes.prefix(header)) + payload, header, UInt64(index), ssrc)
    }

    private func append(_ text: String, id: UInt8, to writer: inout ExtensionWriter) {
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            if let base = bytes.baseAddress { _ = writer.append(id: id, base, count: bytes.count) }
        }
    }

    func senderReports(startedAt: Instant, at now: Instant) -> [SenderReport] {
        streams.filter { $0.packets > 0 }.map { stream in
            let ticks = (now - startedAt).microseconds * clockRate / 1_000_000
            return SenderReport(
                ssrc: stream.ssrc,
                ntpTime: NTPTime(now, epochOffset: .seconds(3_900_000_000)),
                rtpTimestamp: stream.timestampBase &+ UInt32(truncatingIfNeeded: ticks),
                packetCount: stream.packets,
                octetCount: stream.octets
            )
        }
    }
}

/// Tells which packets of a stream are missing.
public final class SimulatedReceiver {
    private var unwrapper = SequenceUnwrapper()
    private var seen: Set<Int64> = []
    private var missing: [Int64: (since: Instant, askedAt: Instant?, tries: Int)] = [:]
    public private(set) var duplicates = 0
    private var lowest: Int64?

    /// nil: had it already.
    func receive(_ number: UInt16, isRecovered: Bool, at now: Instant) -> Int64? {
        let before = unwrapper.isStarted ? unwrapper.highest : nil
        let sequence = isRecovered ? unwrapper.peek(number) : unwrapper.unwrap(number)
        guard seen.insert(sequence).inserted else {
            duplicates += 1
            return nil
        }
        missing[sequence] = nil
        // The first packet to come need not have been the first to be sent.
        if let lowest, sequence < lowest, lowest - sequence < 1000 {
            for gap in (sequence + 1)..<lowest { missing[gap] = (now, nil, 0) }
        }
        lowest = min(lowest ?? sequence, sequence)
        if let before, sequence > before + 1, sequence - before < 1000 {
            for gap in (before + 1)..<sequence where !seen.contains(gap) { missing[gap] = (now, nil, 0) }
        }
        return sequence
    }

    func due(at now: Instant, reorderGuard: Interval, again: Bool) -> [UInt16] {
        var numbers: [UInt16] = []
        if again && unwrapper.isStarted && unwrapper.highest % 9 == 0 {
            numbers.append(UInt16(truncatingIfNeeded: unwrapper.highest - 3))
        }
        for sequence in missing.keys.sorted() {
            guard let item = missing[sequence], item.tries < 20 else { continue }
            let deadline = item.askedAt.map { $0 + .milliseconds(60) } ?? item.since + reorderGuard
            guard deadline <= now else { continue }
            missing[sequence] = (item.since, now, item.tries + 1)
            numbers.append(UInt16(truncatingIfNeeded: sequence))
        }
        return numbers
    }

    public var missingCount: Int { missing.count }
    public var highest: Int64 { unwrapper.highest }
}
