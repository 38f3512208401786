// Synthetic media of a simulated publisher: packets whose payload says which packet it is, so that the other side
// can tell what it got. Video carries real payload descriptors, parameter sets and dependency descriptors.
import RTP

/// A packet before its header is written.
public struct SourcePacket: Sendable {
    /// Its encoding.
    public var layer: Int
    public var marker: Bool
    /// Since the source started.
    public var mediaTime: Interval
    public var payload: [UInt8]
    public var audioLevel: UInt8?
    /// What goes out in its place: RED, with earlier packets in front of it.
    var redundant: [UInt8]?
    /// nil: padding alone.
    public var stamp: Stamp?
    public var padding: UInt8 = 0
    public var descriptor: [UInt8]?
    public var dependencies: FrameDependencies?
    /// video-layers-allocation00
    public var allocation: [UInt8]?
    public var orientation: UInt8?

    public init(
        layer: Int,
        marker: Bool,
        mediaTime: Interval,
        payload: [UInt8],
        audioLevel: UInt8? = nil,
        stamp: Stamp? = nil
    ) {
        self.layer = layer
        self.marker = marker
        self.mediaTime = mediaTime
        self.payload = payload
        self.audioLevel = audioLevel
        self.stamp = stamp
    }
}

public struct MediaSource: Sendable {
    public enum Format: Sendable, Equatable {
        /// 20 ms packets of this many bytes.
        case opus(bytes: Int)
        case video(VideoFormat)

        /// One layer per entry, lowest first: size and bits per second.
        public static func vp8(_ layers: [VP8Layer], framesPerSecond: Int) -> Format {
            var format = VideoFormat(.vp8, layers)
            format.framesPerSecond = framesPerSecond
            return .video(format)
        }
    }

    public typealias VP8Layer = VideoFormat.Layer

    public static let threeLayers: Format = .vp8(
        [
            VP8Layer(width: 320, height: 180, bitsPerSecond: 150_000),
            VP8Layer(width: 640, height: 360, bitsPerSecond: 500_000),
            VP8Layer(width: 1280, height: 720, bitsPerSecond: 1_700_000),
        ],
        framesPerSecond: 30
    )

    public let id: UInt32
    public let format: Format
    /// −dBov with the V bit, for audio.
    public var audioLevel: UInt8 = 0x80 | 30
    /// Encodings that are produced at the moment. One that comes back begins with a key frame.
    public var activeLayers: Set<Int> {
        didSet {
            for layer in activeLayers.subtracting(oldValue) { requestKeyFrame(layer: layer) }
            if activeLayers != oldValue { unannounced = Set(0..<layerCount) }
        }
    }
    /// SVC: spatial layers that are produced, from the lowest. They go at once and come back with a key picture.
    public var activeSpatialLayers: Int {
        get { encoders.first?.activeSpatialLayers ?? 1 }
        set {
            guard newValue != activeSpatialLayers, !encoders.isEmpty else { return }
            encoders[0].setActiveSpatialLayers(newValue)
            unannounced = [0]
        }
    }
    /// Pictures per second from the next one on.
    public var framesPerSecond: Int {
        didSet {
            timeBase = nextTime
            frameBase = frame
        }
    }
    public private(set) var nextTime: Interval = .zero
    /// Frames between key frames that nobody asked for; 0: none.
    public var keyFrameEvery: UInt32 = 0
    /// How often an encoder leaves a picture out, 0–1.
    public var skips = 0.0
    /// How often padding follows a frame in its own stream, 0–1.
    public var pads = 0.0
    /// Tells which layers are sent, as video-layers-allocation00 does.
    public var announcesLayers = false
    /// Coordination of video orientation, sent with key frames.
    public var orientation: UInt8?
    private var frame: UInt32 = 0
    private var timeBase: Interval = .zero
    private var frameBase: UInt32 = 0
    private var encoders: [VideoEncoder] = []
    private var generator: SimulatedICEClient.Generator
    /// Encodings whose next frame carries the allocation.
    private var unannounced: Set<Int> = []

    public init(id: UInt32, format: Format) {
        self.id = id
        self.format = format
        generator = SimulatedICEClient.Generator(seed: UInt64(id))
        switch format {
        case .opus:
            activeLayers = [0]
            framesPerSecond = 50
        case .video(let video):
            activeLayers = Set(0..<video.encodingCount)
            framesPerSecond = video.framesPerSecond
            encoders = (0..<video.encodingCount).map { VideoEncoder(format: video, index: $0, source: id) }
        }
        unannounced = activeLayers
    }

    /// Encodings.
    public var layerCount: Int { max(encoders.count, 1) }

    public var codec: CodecName {
        switch format {
        case .opus: .opus
        case .video(let video): video.codec
        }
    }

    public mutating func requestKeyFrame(layer: Int) {
        if encoders.indices.contains(layer) { encoders[layer].wantsKey = true }
    }

    /// The packets of the next frame time, all encodings.
    public mutating func produce() -> [SourcePacket] {
        defer { frame += 1 }
        let time = nextTime
        nextTime = timeBase + .microseconds(Int64(frame - frameBase + 1) * 1_000_000 / Int64(framesPerSecond))
        switch format {
        case .opus(let bytes): return [opus(bytes, time)]
        case .video(let video):
            var packets: [SourcePacket] = []
            for encoding in encoders.indices where activeLayers.contains(encoding) {
                let isDue = keyFrameEvery > 0 && frame % keyFrameEvery == 0
                if isDue { encoders[encoding].wantsKey = true }
                let isSkipped = !encoders[encoding].wantsKey && chance(skips)
                if !isSkipped { produce(encoding, video, time, into: &packets) }
            }
            return packets
        }
    }

    private func opus(_ bytes: Int, _ time: Interval) -> SourcePacket {
        var stamp = Stamp(source: id, layer: 0, frame: frame, part: 0, isKey: false)
        stamp.time = time
        var payload = [UInt8](repeating: 0x78, count: max(1, bytes - stamp.byteCount))
        stamp.append(to: &payload)
        return SourcePacket(
            layer: 0,
            marker: frame == 0,
            mediaTime: time,
            payload: payload,
            audioLevel: audioLevel,
            stamp: stamp
        )
    }

    private mutating func produce(
        _ encoding: Int,
        _ video: VideoFormat,
        _ time: Interval,
        into packets: inout [SourcePacket]
    ) {
        let frames = encoders[encoding].encode(picture: frame, at: time, framesPerSecond: framesPerSecond)
        for encoded in frames {
            let payloads = Packetizer(format: video, frame: encoded).payloads()
            for (part, payload) in payloads.enumerated() {
                let isLast = part == payloads.count - 1
                var packet = SourcePacket(
                    layer: encoding,
                    marker: encoded.isTop && isLast,
                    mediaTime: time,
                    payload: payload,
                    stamp: Stamp.read(payload[...])
                )
                packet.descriptor = encoders[encoding].descriptor(
                    of: encoded,
                    startsFrame: part == 0,
                    endsFrame: isLast
                )
                packet.dependencies = encoded.dependencies
                if part == 0 && encoded.stamp.spatial == 0 {
                    packet.allocation = allocation(encoding, isKey: encoded.stamp.isKey)
                }
                if packet.marker && encoded.stamp.isKey { packet.orientation = orientation }
                packets.append(packet)
            }
        }
        guard chance(pads) else { return }
        var padding = SourcePacket(layer: encoding, marker: false, mediaTime: time, payload: [])
        padding.padding = UInt8.random(in: 1...200, using: &generator)
        packets.append(padding)
    }

    private mutating func allocation(_ encoding: Int, isKey: Bool) -> [UInt8]? {
        guard announcesLayers, case .video(let video) = format else { return nil }
        guard isKey || unannounced.contains(encoding) else { return nil }
        unannounced.remove(encoding)
        let shares = [[100], [60, 100], [40, 60, 100]][video.temporalLayers - 1]
        func layer(_ size: VideoFormat.Layer) -> LayerAllocation.Layer {
            LayerAllocation.Layer(
                width: size.width,
                height: size.height,
                framesPerSecond: UInt8(framesPerSecond),
                bitrates: shares.map { size.bitsPerSecond * $0 / 100_000 }
            )
        }
        let streams: [[LayerAllocation.Layer?]] =
            video.isSVC
            ? [video.layers.indices.map { $0 < activeSpatialLayers ? layer(video.layers[$0]) : nil }]
            : video.layers.indices.map { [activeLayers.contains($0) ? layer(video.layers[$0]) : nil] }
        return LayerAllocation(streams: streams).bytes(stream: encoding)
    }

    private mutating func chance(_ probability: Double) -> Bool {
        probability > 0 && Double.random(in: 0..<1, using: &generator) < probability
    }

    /// Reads the stamp out of a forwarded payload.
    public static func stamp(of payload: ArraySlice<UInt8>, kind: MediaKind) -> Stamp? { Stamp.read(payload) }
}
