// A camera with real encoders, published by a simulated peer: encodes picture by picture, obeys key-frame requests,
// repairs by RTX, reports. Remembers what a decoder must show of everything that it sent.
import CBitstreamCodecs
import PeerTransport
import RTP
import Seam
import Simulation
import Testing

/// A picture that a decoder may show.
struct ShownPicture: Hashable {
    var source: Int
    var frame: Int
    /// Simulcast encoding or spatial layer, 0 the lowest.
    var layer: Int
    var temporal: Int
    var width: Int
}

/// What a publisher sends.
struct ClipFormat: Sendable, CustomTestStringConvertible {
    enum Structure: Sendable {
        /// Three encodings of one spatial layer.
        case simulcast
        /// One encoding of three spatial layers.
        case svc
        /// The same, with inter-layer prediction on key pictures only.
        case keySVC
    }

    enum Dialect: Sendable {
        case usual
        /// VP8: a picture id of 7 bits. VP9: P_DIFFs. H.264: parameter sets in packets of their own.
        case other
        /// VP8: no picture id at all.
        case bare
    }

    var codec: Int32
    var structure = Structure.simulcast
    var temporalLayers = 3
    var dialect = Dialect.usual
    /// H.264
    var profile = 66

    init(
        _ codec: Int,
        _ structure: Structure = .simulcast,
        temporalLayers: Int = 3,
        dialect: Dialect = .usual
    ) {
        self.codec = Int32(codec)
        self.structure = structure
        self.temporalLayers = temporalLayers
        self.dialect = dialect
    }

    var testDescription: String {
        let encoder = ["VP8", "VP9", "AV1", "H.264 (x264)", "H.264 (OpenH264)"][Int(codec)]
        return "\(encoder) \(structure), \(temporalLayers) temporal, \(dialect)"
    }

    static let vp8 = Int(CODEC_VP8)
    static let vp9 = Int(CODEC_VP9)
    static let av1 = Int(CODEC_AV1)
    static let x264 = Int(CODEC_X264)
    static let openH264 = Int(CODEC_OPENH264)

    var name: CodecName {
        switch Int(codec) {
        case ClipFormat.vp8: .vp8
        case ClipFormat.vp9: .vp9
        case ClipFormat.av1: .av1
        default: .h264
        }
    }

    var parameters: CodecParameters {
        var parameters = SimulatedPeer.parameters(of: name)
        if profile == 77 {
            parameters.payloadType = 104
            parameters.rtxPayloadType = 105
            parameters.formatParameters =
                "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"
        }
        return parameters
    }
}

final class RealPublisher {
    /// Pixels of the highest layer.
    static let width = 256
    static let height = 144
    static let layers = 3

    let peer: SimulatedPeer
    let source: Int
    let format: ClipFormat
    let id: PublicationID
    /// What must be seen, by the decoded picture's hash.
    private(set) var shown: [UInt64: ShownPicture] = [:]
    /// Simulcast encodings or spatial layers that are sent, from the lowest.
    var activeLayers = RealPublisher.layers {
        didSet {
            // What comes back begins anew.
            if activeLayers > oldValue { for i in encodings.indices { encodings[i].wantsKey = true } }
        }
    }
    private(set) var keyFrames = 0
    private var encodings: [Encoding] = []
    private var transportSequence: UInt16 = 0
    private var startedAt: Instant?
    /// Encoded, not yet sent.
    private var pending: [(packet: PayloadPacket, encoding: Int, timestamp: UInt32)] = []
    private var nextReport = Instant.zero

    private struct Encoding {
        var rid: String?
        var ssrc: UInt32
        var rtxSSRC: UInt32
        var encoder: RealEncoder
        var packetizer: any Packetizer
        var sequence: Int
        var rtxSequence = 7
        var timestampBase: UInt32
        var history: [UInt16: (packet: PayloadPacket, timestamp: UInt32)] = [:]
        var wantsKey = true
        var packets: UInt32 = 0
        var octets: UInt32 = 0
    }

    init(_ peer: SimulatedPeer, source: Int, format: ClipFormat, seed: UInt64) throws {
        self.peer = peer
        self.source = source
        self.format = format
        id = PublicationID("tr_clip\(source)")
        var random = SimulatedICEClient.Generator(seed: seed &* 31 &+ UInt64(source))
        let count = format.structure == .simulcast ? RealPublisher.layers : 1
        for index in 0..<count {
            let shift = format.structure == .simulcast ? count - 1 - index : 0
            var settings = encoder_settings()
            settings.codec = format.codec
            settings.width = Int32(RealPublisher.width >> shift)
            settings.height = Int32(RealPublisher.height >> shift)
            settings.spatial_layers = format.structure == .simulcast ? 1 : Int32(RealPublisher.layers)
            settings.temporal_layers = Int32(format.temporalLayers)
            settings.is_key_mode = format.structure == .keySVC ? 1 : 0
            settings.kilobits = Int32(400 >> (2 * shift))
            settings.source = Int32(source)
            settings.profile = Int32(format.profile)
            encodings.append(
                Encoding(
                    rid: count > 1 ? ["q", "h", "f"][index] : nil,
                    ssrc: UInt32(truncatingIfNeeded: random.next()) | 1,
                    rtxSSRC: UInt32(truncatingIfNeeded: random.next()) & ~1,
                    encoder: try RealEncoder(settings),
                    packetizer: try RealPublisher.packetizer(format, settings, index),
                    // Some begin right before the wrap.
                    sequence: index == 1
                        ? 0xffe0 : Int(UInt16(truncatingIfNeeded: random.next()) & 0x7fff),
                    timestampBase: UInt32(truncatingIfNeeded: random.next())
                )
            )
        }
        peer.onRTCP = { [unowned self] block in hear(block) }
    }

    private static func packetizer(_ format: ClipFormat, _ settings: encoder_settings, _ index: Int) throws
        -> any Packetizer
    {
        switch format.name {
        case .vp8:
            VP8Packetizer(
                format.dialect == .usual ? .full : format.dialect == .other ? .sevenBits : .bare,
                encoding: index
            )
        case .vp9: try VP9Packetizer(settings, isFlexible: format.dialect == .other, encoding: index)
        case .av1: try AV1Packetizer(settings, encoding: index)
        case .h264, .opus, .red: H264Packetizer(aggregates: format.dialect == .usual)
        }
    }

    /// The section that the peer negotiated for this.
    var section: SectionMedia {
        SectionMedia(
            section: MediaSection(
                mid: "clip\(source)",
                kind: .video,
                codecs: [format.parameters],
                extensions: SimulatedPeer.extensions,
                receive: encodings.map { encoding in
                    encoding.rid.map { EncodingParameters(rid: $0) }
                        ?? EncodingParameters(ssrc: encoding.ssrc, rtxSSRC: encoding.rtxSSRC)
                },
                allowsMixedExtensions: true
            ),
            publication: id,
            source: .camera
        )
    }

    // MARK: Sending

    /// Encodes one picture, with the number that its bars show. `send` sends it.
    func produce(_ frame: Int, at now: Instant) throws {
        startedAt = startedAt ?? now
        var packets: [(packet: PayloadPacket, encoding: Int, order: Double)] = []
        for index in encodings.indices where format.structure != .simulcast || index < activeLayers {
            let wantsKey = encodings[index].wantsKey
            encodings[index].wantsKey = false
            var picture = try encodings[index].encoder.encode(frame, wantsKey: wantsKey)
            if picture.first?.isKey == true { keyFrames += 1 }
            if format.structure != .simulcast { picture.removeAll { $0.spatial >= activeLayers } }
            for layer in picture {
                shown[layer.hash] = ShownPicture(
                    source: source,
                    frame: frame,
                    layer: format.structure == .simulcast ? index : layer.spatial,
                    temporal: layer.temporal,
                    width: layer.width
                )
            }
            let payloads = encodings[index].packetizer.packetize(picture)
            for (place, packet) in payloads.enumerated() {
                packets.append((packet, index, Double(place) / Double(payloads.count)))
            }
        }
        // Encodings go out side by side, each in its order.
        packets.sort { ($0.order, $0.encoding) < ($1.order, $1.encoding) }
        for (packet, encoding, _) in packets {
            pending.append((packet, encoding, encodings[encoding].timestampBase &+ ticks(at: now)))
        }
        if now >= nextReport {
            nextReport = now + .milliseconds(900)
            report(at: now)
        }
    }

    /// Sends a part of what waits: one of `parts` equal ones that are left.
    func send(oneOf parts: Int, at now: Instant) {
        let count = (pending.count + parts - 1) / parts
        for (packet, encoding, timestamp) in pending.prefix(count) {
            send(packet, encoding, timestamp, at: now)
        }
        pending.removeFirst(count)
    }

    private func ticks(at now: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: (now - (startedAt ?? now)).microseconds * 9 / 100)
    }

    private func send(_ packet: PayloadPacket, _ index: Int, _ timestamp: UInt32, at now: Instant) {
        let number = encodings[index].sequence
        encodings[index].sequence += 1
        encodings[index].packets += 1
        encodings[index].octets += UInt32(packet.payload.count)
        encodings[index].history[UInt16(truncatingIfNeeded: number)] = (packet, timestamp)
        encodings[index].history[UInt16(truncatingIfNeeded: number - 3000)] = nil
        write(
            packet,
            packet.payload,
            timestamp,
            ssrc: encodings[index].ssrc,
            type: format.parameters.payloadType,
            number: number,
            rid: (10, encodings[index].rid),
            at: now
        )
    }

    private func resend(_ number: UInt16, _ index: Int, at now: Instant) {
        guard let (packet, timestamp) = encodings[index].history[number],
            let type = format.parameters.rtxPayloadType
        else { return }
        let own = encodings[index].rtxSequence
        encodings[index].rtxSequence += 1
        write(
            packet,
            [UInt8(number >> 8), UInt8(number & 0xff)] + packet.payload,
            timestamp,
            ssrc: encodings[index].rtxSSRC,
            type: type,
            number: own,
            rid: (11, encodings[index].rid),
            at: now
        )
    }

    private func write(
        _ packet: PayloadPacket,
        _ payload: [UInt8],
        _ timestamp: UInt32,
        ssrc: UInt32,
        type: UInt8,
        number: Int,
        rid: (id: UInt8, name: String?),
        at now: Instant
    ) {
        var bytes = [UInt8](repeating: 0, count: 400)
        let header = bytes.withUnsafeMutableBufferPointer { buffer -> Int in
            guard let base = buffer.baseAddress else { return 0 }
            RTPWriter.writeFixedHeader(
                to: base,
                marker: packet.marker,
                payloadType: type,
                sequenceNumber: UInt16(truncatingIfNeeded: number),
                timestamp: timestamp,
                ssrc: ssrc
            )
            RTPWriter.setExtensionBit(base)
            // Key pictures' descriptors are too long for the one-byte form.
            let form: ExtensionForm = packet.descriptor.count > 16 ? .twoByte : .oneByte
            var writer = ExtensionWriter(at: base + 12, capacity: 388, form: form)
            transportSequence &+= 1
            writer.append16(id: 3, transportSequence)
            RealPublisher.append(Array("clip\(source)".utf8), id: 4, to: &writer)
            if let name = rid.name { RealPublisher.append(Array(name.utf8), id: rid.id, to: &writer) }
            if !packet.descriptor.isEmpty { RealPublisher.append(packet.descriptor, id: 8, to: &writer) }
            return 12 + writer.finish()
        }
        peer.send(
            protected: Array(bytes.prefix(header)) + payload,
            headerLength: header,
            ssrc: ssrc,
            index: UInt64(number),
            at: now
        )
    }

    private static func append(_ value: [UInt8], id: UInt8, to writer: inout ExtensionWriter) {
        value.withUnsafeBufferPointer { bytes in
            if let base = bytes.baseAddress { writer.append(id: id, base, count: bytes.count) }
        }
    }

    private func report(at now: Instant) {
        for encoding in encodings where encoding.packets > 0 {
            var bytes = [UInt8](repeating: 0, count: 64)
            let length = bytes.withUnsafeMutableBufferPointer { buffer -> Int in
                guard let base = buffer.baseAddress else { return 0 }
                var writer = RTCPWriter(base, capacity: 64)
                writer.append(
                    SenderReport(
                        ssrc: encoding.ssrc,
                        ntpTime: NTPTime(now, epochOffset: .seconds(3_900_000_000)),
                        rtpTimestamp: encoding.timestampBase &+ ticks(at: now),
                        packetCount: encoding.packets,
                        octetCount: encoding.octets
                    )
                )
                return writer.length
            }
            peer.send(protectedRTCP: Array(bytes.prefix(length)), at: now)
        }
    }

    // MARK: Feedback

    /// The time at which feedback that is heard is answered; the scenario keeps it up to date.
    var now: () -> Instant = { .zero }

    private func hear(_ block: RTCPBlock) {
        if let request = PictureLossIndication(block) { wantKey(request.mediaSSRC) }
        if var request = FullIntraRequest(block) {
            while let item = request.next() { wantKey(item.ssrc) }
        }
        if var nack = GenericNACK(block),
            let index = encodings.firstIndex(where: { $0.ssrc == nack.mediaSSRC })
        {
            while let number = nack.next() { resend(number, index, at: now()) }
        }
    }

    private func wantKey(_ ssrc: UInt32) {
        if let index = encodings.firstIndex(where: { $0.ssrc == ssrc }) { encodings[index].wantsKey = true }
    }
}
