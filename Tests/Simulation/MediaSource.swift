// Synthetic media of a simulated publisher: packets whose payload says which packet it is, so that the other side
// can tell what it got. VP8 frames carry real payload descriptors and key-frame headers.
import RTP

/// What a packet's payload says about itself.
public struct Stamp: Hashable, Sendable {
    /// Which source made it.
    public var source: UInt32
    /// Simulcast layer, 0 the lowest.
    public var layer: UInt8
    /// Counts frames of the layer (audio: packets).
    public var frame: UInt32
    /// Place in the frame.
    public var part: UInt8
    public var isKey: Bool

    static let bytes = 12

    func write(to payload: inout [UInt8], at offset: Int) {
        for i in 0..<4 { payload[offset + i] = UInt8(truncatingIfNeeded: source >> (24 - 8 * UInt32(i))) }
        payload[offset + 4] = layer
        for i in 0..<4 { payload[offset + 5 + i] = UInt8(truncatingIfNeeded: frame >> (24 - 8 * UInt32(i))) }
        payload[offset + 9] = part
        payload[offset + 10] = isKey ? 1 : 0
        payload[offset + 11] = 0x5a
    }

    static func read(_ payload: ArraySlice<UInt8>) -> Stamp? {
        let p = Array(payload.prefix(bytes))
        guard p.count == bytes, p[11] == 0x5a else { return nil }
        func word(_ at: Int) -> UInt32 { p[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) } }
        return Stamp(source: word(0), layer: p[4], frame: word(5), part: p[9], isKey: p[10] == 1)
    }
}

/// A packet before its header is written.
public struct SourcePacket: Sendable {
    public var layer: Int
    public var marker: Bool
    /// Since the source started.
    public var mediaTime: Interval
    public var payload: [UInt8]
    public var audioLevel: UInt8?
}

public struct MediaSource: Sendable {
    public enum Format: Sendable, Equatable {
        /// 20 ms packets of this many bytes.
        case opus(bytes: Int)
        /// One layer per entry, lowest first: size and bits per second.
        case vp8([VP8Layer], framesPerSecond: Int)
    }

    public struct VP8Layer: Sendable, Equatable {
        public var width: UInt16
        public var height: UInt16
        public var bitsPerSecond: Int

        public init(width: UInt16, height: UInt16, bitsPerSecond: Int) {
            self.width = width
            self.height = height
            self.bitsPerSecond = bitsPerSecond
        }
    }

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
    /// Layers that are produced at the moment.
    public var activeLayers: Set<Int>
    public private(set) var nextTime: Interval = .zero
    private var frame: UInt32 = 0
    private var wantsKey: Set<Int>
    private var pictureIDs: [UInt16]
    private var keyIndices: [UInt8]
    /// Frames between key frames that nobody asked for; 0: none.
    public var keyFrameEvery: UInt32 = 0

    public init(id: UInt32, format: Format) {
        self.id = id
        self.format = format
        switch format {
        case .opus:
            activeLayers = [0]
            wantsKey = []
            pictureIDs = [0]
            keyIndices = [0]
        case .vp8(let layers, _):
            activeLayers = Set(layers.indices)
            wantsKey = Set(layers.indices)
            // Each encoder counts on its own, near its wrap so that short tests see it.
            pictureIDs = layers.indices.map { UInt16(0x7ff0 - 700 * $0) }
            keyIndices = layers.indices.map { UInt8(29 - 7 * $0) }
        }
    }

    public var layerCount: Int {
        switch format {
        case .opus: 1
        case .vp8(let layers, _): layers.count
        }
    }

    public mutating func requestKeyFrame(layer: Int) { wantsKey.insert(layer) }

    /// The packets of the next frame time, all layers.
    public mutating func produce() -> [SourcePacket] {
        defer { frame += 1 }
        let time = nextTime
        switch format {
        case .opus(let bytes):
            nextTime = nextTime + .milliseconds(20)
            var payload = [UInt8](repeating: 0x78, count: max(bytes, Stamp.bytes + 1))
            Stamp(source: id, layer: 0, frame: frame, part: 0, isKey: false).write(to: &payload, at: 1)
            return [
                SourcePacket(
                    layer: 0,
                    marker: frame == 0,
                    mediaTime: time,
                    payload: payload,
                    audioLevel: audioLevel
                )
            ]
        case .vp8(let layers, let framesPerSecond):
            nextTime = .microseconds(Int64(frame + 1) * 1_000_000 / Int64(framesPerSecond))
            return layers.indices.filter { activeLayers.contains($0) }.flatMap { layer in
                vp8(layers[layer], layer, framesPerSecond, time)
            }
        }
    }

    private mutating func vp8(
        _ format: VP8Layer,
        _ layer: Int,
        _ framesPerSecond: Int,
        _ time: Interval
    ) -> [SourcePacket] {
        let isDue = keyFrameEvery > 0 && frame % keyFrameEvery == 0
        let isKey = wantsKey.remove(layer) != nil || isDue
        pictureIDs[layer] = (pictureIDs[layer] + 1) & 0x7fff
        if isKey { keyIndices[layer] = (keyIndices[layer] + 1) & 0x1f }
        let tl0 = UInt8(truncatingIfNeeded: frame &+ UInt32(250 - 90 * layer))
        let total = format.bitsPerSecond / 8 / framesPerSecond * (isKey ? 4 : 1)
        let count = max(1, (total + 1099) / 1100)
        return (0..<count).map { part in
            // X, S on the first part; I with 15 bits, L, K (RFC 7741 §4.2).
            var payload: [UInt8] = [
                part == 0 ? 0x90 : 0x80, 0xf0, 0x80 | UInt8(pictureIDs[layer] >> 8),
                UInt8(pictureIDs[layer] & 0xff),
                tl0, keyIndices[layer],
            ]
            if part == 0 {
                payload += isKey ? keyHeader(format) : [0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
            let offset = payload.count
            payload += [UInt8](
                repeating: UInt8(truncatingIfNeeded: part),
                count: max(Stamp.bytes, total / count)
            )
            Stamp(
                source: id,
                layer: UInt8(layer),
                frame: frame,
                part: UInt8(truncatingIfNeeded: part),
                isKey: isKey
            )
            .write(to: &payload, at: offset)
            return SourcePacket(layer: layer, marker: part == count - 1, mediaTime: time, payload: payload)
        }
    }

    private func keyHeader(_ format: VP8Layer) -> [UInt8] {
        [
            0x10, 0, 0, 0x9d, 0x01, 0x2a, UInt8(format.width & 0xff), UInt8(format.width >> 8),
            UInt8(format.height & 0xff), UInt8(format.height >> 8),
        ]
    }

    /// Reads the stamp out of a forwarded payload.
    public static func stamp(of payload: ArraySlice<UInt8>, kind: MediaKind) -> Stamp? {
        switch kind {
        case .audio: return Stamp.read(payload.dropFirst(1))
        case .video:
            guard let first = payload.first else { return nil }
            let descriptor = 6
            return Stamp.read(payload.dropFirst(descriptor + (first & 0x10 != 0 ? 10 : 0)))
        }
    }
}
