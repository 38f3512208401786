// What a simulated peer publishes: the streams of one m-section, with a history for NACKs.
import RTP
import Seam

public final class SimulatedPublisher {
    public var source: MediaSource
    public let mid: String
    public let id: PublicationID
    public var isRunning = true
    /// What the server lets it send, bits per second; nil: no maximum. To be set before its peer joins.
    public var maxBitsPerSecond: UInt32?
    /// A shared screen instead of a camera.
    public var isScreen = false
    /// Whether packets carry MID and RID; browsers stop once a report acknowledged the SSRC.
    public var namesLayers = true
    /// Everything that was sent, in order, and its place by what it says about itself.
    public private(set) var originals: [OriginalPacket] = []
    public private(set) var sent: [Stamp: Int] = [:]
    private var places: [UInt32: [Int64: Int]] = [:]
    private var parts: [Stamp.FrameID: [Int]] = [:]
    public var keepsSent = true
    /// abs-capture-time in the first packet of key frames and of every 30th picture.
    public var sendsCaptureTime = false
    /// The estimated offset of the capturer's clock that goes with it, signed 32.32 seconds; nil: left out.
    public var captureClockOffset: Int64?
    /// This peer's NTP clock against the server's.
    public var clockOffset = Interval.zero
    /// video-content-type in the last packet of key frames.
    public var contentType: UInt8?
    /// Said with the last packet of each key frame, as Chromium does.
    public var colorSpace: [UInt8]?
    /// playout-delay in the first packet of key frames: minimum and maximum, 12 bits each, of 10 ms.
    public var playoutDelay: UInt32?
    /// Audio goes out as RED, with this many earlier packets in each. To be set before its peer joins; may be taken
    /// back and set again in the call.
    public var sendsRED = false
    public var redundancy = 1
    /// Numbers and timestamps begin just before they wrap.
    public let startsNearWraps: Bool
    private var streams: [Stream] = []
    private var generator: SimulatedICEClient.Generator

    private struct Stream {
        var ssrc: UInt32
        var rtxSSRC: UInt32
        var rid: String?
        var sequence: Int64
        var rtxSequence: Int64
        var timestampBase: UInt32
        var history: [UInt16: (packet: SourcePacket, index: Int64, original: Int, captureTime: UInt64?)] = [:]
        var packets: UInt32 = 0
        var octets: UInt32 = 0
    }

    public init(
        source: MediaSource,
        mid: String,
        id: PublicationID,
        seed: UInt64,
        startsNearWraps: Bool = false
    ) {
        self.source = source
        self.startsNearWraps = startsNearWraps
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
            if startsNearWraps { nearWraps(layer) }
        }
    }

    private func nearWraps(_ layer: Int) {
        streams[layer].sequence = 65_536 - Int64(UInt16.random(in: 60...400, using: &generator))
        streams[layer].timestampBase = 0 &- UInt32.random(in: 0...300_000, using: &generator)
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

    /// What its section offers, the wanted one first.
    var codecs: [CodecParameters] {
        (sendsRED && kind == .audio ? [SimulatedPeer.red] : []) + [SimulatedPeer.parameters(of: source.codec)]
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
            if startsNearWraps { nearWraps(i) }
            source.requestKeyFrame(layer: i)
        }
    }

    /// The SSRC of a layer.
    public func ssrc(_ layer: Int = 0) -> UInt32 { streams[layer].ssrc }

    func owns(_ ssrc: UInt32) -> Bool { streams.contains { $0.ssrc == ssrc } }

    public func requestKeyFrame(ssrc: UInt32) {
        if let layer = streams.firstIndex(where: { $0.ssrc == ssrc }) {
            keyFrameRequests += 1
            requestedLayers.append(layer)
            source.requestKeyFrame(layer: layer)
        }
    }

    public private(set) var keyFrameRequests = 0
    /// The encodings that were asked for, in order.
    public private(set) var requestedLayers: [Int] = []

    /// When the source started, on the call's clock.
    var startedAt = Instant.zero

    /// The next packet of its stream, as it goes out.
    public func compose(
        _ packet: SourcePacket,
        transportSequence: UInt16,
        at now: Instant
    ) -> ComposedPacket {
        let layer = packet.layer
        let index = streams[layer].sequence
        streams[layer].sequence += 1
        streams[layer].packets += 1
        streams[layer].octets += UInt32(packet.payload.count)
        let captureTime = sendsCaptureTime ? captureTime(of: packet) : nil
        var packet = packet
        if sendsRED && kind == .audio { packet.redundant = redundant(packet, index) }
        var original = -1
        if keepsSent {
            original = originals.count
            places[streams[layer].ssrc, default: [:]][index] = original
            let stamp =
                packet.stamp
                ?? Stamp(source: source.id, layer: UInt8(layer), frame: .max, part: 0, isKey: false)
            if packet.stamp != nil {
                sent[stamp] = original
                parts[stamp.frameID, default: []].append(original)
            }
            var it = OriginalPacket(
                stamp: stamp,
                codec: source.codec,
                payload: packet.payload,
                ssrc: streams[layer].ssrc,
                sequence: index,
                timestamp: timestamp(of: packet),
                marker: packet.marker,
                sentAt: now
            )
            it.dependencies = packet.dependencies
            it.orientation = packet.orientation
            it.captureTime = captureTime
            it.playoutDelay = stamp.startsKeyFrame ? playoutDelay : nil
            originals.append(it)
        }
        if packet.stamp != nil {
            streams[layer].history[UInt16(truncatingIfNeeded: index)] = (packet, index, original, captureTime)
        }
        streams[layer].history[UInt16(truncatingIfNeeded: index - 2000)] = nil
        let payload = packet.redundant ?? packet.payload
        var composed = build(packet, payload, index, captureTime, isRTX: false, transportSequence)
        composed.original = original
        return composed
    }

    private func redundant(_ packet: SourcePacket, _ index: Int64) -> [UInt8] {
        let earlier = (0..<redundancy).reversed().compactMap { back in
            streams[packet.layer].history[UInt16(truncatingIfNeeded: index - 1 - Int64(back))]?.packet
        }
        return RedundantAudio.compose(
            packet.payload,
            timestamp: timestamp(of: packet),
            earlier: earlier.map { (payload: $0.payload, timestamp: timestamp(of: $0)) },
            payloadType: SimulatedPeer.opus.payloadType
        )
    }

    private func captureTime(of packet: SourcePacket) -> UInt64? {
        guard let stamp = packet.stamp, stamp.part == 0, stamp.spatial == 0,
            stamp.isKey || stamp.frame % 30 == 0
        else { return nil }
        return ntp(startedAt + packet.mediaTime)
    }

    private func ntp(_ time: Instant) -> UInt64 {
        NTPTime(time + clockOffset, epochOffset: .seconds(3_900_000_000)).rawValue
    }

    /// Goes on with other numbers under the same SSRC.
    public func skipNumbers(_ count: Int64) {
        for i in streams.indices { streams[i].sequence += count }
    }

    private func timestamp(of packet: SourcePacket) -> UInt32 {
        streams[packet.layer].timestampBase
            &+ UInt32(truncatingIfNeeded: packet.mediaTime.microseconds * clockRate / 1_000_000)
    }

    /// What went out under this number.
    func original(ssrc: UInt32, sequence: Int64) -> OriginalPacket? {
        places[ssrc]?[sequence].map { originals[$0] }
    }

    /// One packet of a frame, whatever else its stamp says.
    func original(_ frame: Stamp.FrameID, part: UInt8) -> OriginalPacket? {
        parts[frame].flatMap { $0.count > Int(part) ? originals[$0[Int(part)]] : nil }
    }

    /// A copy of this packet came to the server.
    func delivered(_ original: Int, at now: Instant) {
        guard originals.indices.contains(original), originals[original].arrivedAt == nil else { return }
        originals[original].arrivedAt = now
    }

    /// For packets that go no way over a network.
    public func markDelivered(_ packet: ComposedPacket) { delivered(packet.original, at: .zero) }
    public func markLost(_ stamp: Stamp) {
        if let place = sent[stamp] { originals[place].arrivedAt = nil }
    }

    public func hasFrame(_ frame: Stamp.FrameID) -> Bool { parts[frame] != nil }

    func recompose(
        _ number: UInt16,
        ssrc: UInt32,
        asRTX: Bool,
        transportSequence: UInt16
    ) -> ComposedPacket? {
        guard let layer = streams.firstIndex(where: { $0.ssrc == ssrc }),
            let (packet, index, original, captureTime) = streams[layer].history[number]
        else { return nil }
        var composed: ComposedPacket
        if asRTX && kind == .video {
            let own = streams[layer].rtxSequence
            streams[layer].rtxSequence += 1
            let payload = [UInt8(number >> 8), UInt8(number & 0xff)] + packet.payload
            composed = build(packet, payload, own, captureTime, isRTX: true, transportSequence)
        } else {
            // The same packet once more, with the number it had.
            let former = UInt16(truncatingIfNeeded: index)
            let payload = packet.redundant ?? packet.payload
            composed = build(packet, payload, index, captureTime, isRTX: false, former)
        }
        composed.original = original
        return composed
    }

    private func build(
        _ packet: SourcePacket,
        _ payload: [UInt8],
        _ index: Int64,
        _ captureTime: UInt64?,
        isRTX: Bool,
        _ transportSequence: UInt16
    ) -> ComposedPacket {
        let stream = streams[packet.layer]
        let ssrc = isRTX ? stream.rtxSSRC : stream.ssrc
        let codec = SimulatedPeer.parameters(of: packet.redundant == nil ? source.codec : .red)
        let payloadType = isRTX ? codec.rtxPayloadType ?? 0 : codec.payloadType
        let timestamp = timestamp(of: packet)
        let space = packet.marker && packet.stamp?.isKey == true ? colorSpace : nil
        let longest = max(packet.descriptor?.count ?? 0, packet.allocation?.count ?? 0, space?.count ?? 0)
        // Chromium writes the whole block in two-byte form where one element needs it (RFC 8285 §4.1.2).
        let form: ExtensionForm = longest > 16 ? .twoByte : .oneByte
        let capacity = 96 + (packet.descriptor?.count ?? 0) + (packet.allocation?.count ?? 0)
        var bytes = [UInt8](repeating: 0, count: capacity + 12)
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
            var writer = ExtensionWriter(at: base + 12, capacity: capacity, form: form)
            _ = writer.append16(id: 3, transportSequence)
            if namesLayers { append(mid, id: 4, to: &writer) }
            if namesLayers, let rid = stream.rid { append(rid, id: isRTX ? 11 : 10, to: &writer) }
            if let level = packet.audioLevel { _ = writer.append8(id: 1, level) }
            if let value = packet.orientation { _ = writer.append8(id: 13, value) }
            if let playoutDelay, packet.stamp?.startsKeyFrame == true {
                _ = writer.append24(id: 5, playoutDelay)
            }
            if let contentType, packet.marker, packet.stamp?.isKey == true {
                _ = writer.append8(id: 6, contentType)
            }
            if let space { append(space, id: 9, to: &writer) }
            if let captureTime, let place = writer.reserve(id: 14, count: captureClockOffset == nil ? 8 : 16)
            {
                ByteOrder.store64(captureTime, place, 0)
                if let captureClockOffset {
                    ByteOrder.store64(UInt64(bitPattern: captureClockOffset), place, 8)
                }
            }
            if let bytes = packet.descriptor { append(bytes, id: 8, to: &writer) }
            if let bytes = packet.allocation { append(bytes, id: 12, to: &writer) }
            return 12 + writer.finish()
        }
        bytes = Array(bytes.prefix(header)) + payload
        if packet.padding > 0 {
            bytes[0] |= 0x20
            bytes += [UInt8](repeating: 0, count: Int(packet.padding) - 1) + [packet.padding]
        }
        return ComposedPacket(bytes: bytes, headerLength: header, index: UInt64(index), ssrc: ssrc)
    }

    private func append(_ text: String, id: UInt8, to writer: inout ExtensionWriter) {
        append(Array(text.utf8), id: id, to: &writer)
    }

    private func append(_ bytes: [UInt8], id: UInt8, to writer: inout ExtensionWriter) {
        bytes.withUnsafeBufferPointer { bytes in
            if let base = bytes.baseAddress { _ = writer.append(id: id, base, count: bytes.count) }
        }
    }

    func senderReports(startedAt: Instant, at now: Instant) -> [SenderReport] {
        streams.filter { $0.packets > 0 }.map { stream in
            let ticks = (now - startedAt).microseconds * clockRate / 1_000_000
            return SenderReport(
                ssrc: stream.ssrc,
                ntpTime: NTPTime(rawValue: ntp(now)),
                rtpTimestamp: stream.timestampBase &+ UInt32(truncatingIfNeeded: ticks),
                packetCount: stream.packets,
                octetCount: stream.octets
            )
        }
    }
}
