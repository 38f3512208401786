// What a synthetic packet says about itself, so that the other side can tell what it got and what it needs for it.
// Lies at the end of the payload, where no descriptor is. Knows no codec.
import RTP

/// What a packet's payload says about itself.
public struct Stamp: Hashable, Sendable {
    /// A frame that another one needs, of the same source and encoding.
    public struct Reference: Hashable, Sendable {
        public var frame: UInt32
        public var spatial: UInt8

        public init(frame: UInt32, spatial: UInt8) {
            self.frame = frame
            self.spatial = spatial
        }
    }

    /// A frame of one spatial layer of one encoding.
    public struct FrameID: Hashable, Sendable {
        public var source: UInt32
        public var layer: UInt8
        public var spatial: UInt8
        public var frame: UInt32
    }

    /// Which source made it.
    public var source: UInt32
    /// Encoding (simulcast layer), 0 the lowest.
    public var layer: UInt8
    /// Spatial layer within the encoding, temporal layer.
    public var spatial: UInt8 = 0
    public var temporal: UInt8 = 0
    /// Counts the pictures of the source, whether an encoding has them or not (audio: packets).
    public var frame: UInt32
    /// Place in the frame, and how many parts the frame has.
    public var part: UInt8
    public var partCount: UInt8 = 1
    /// Part of a key picture.
    public var isKey: Bool
    /// When it was captured, since the source started, to 10 µs.
    public var time: Interval = .zero
    public var references: [Reference] = []

    public var frameID: FrameID { FrameID(source: source, layer: layer, spatial: spatial, frame: frame) }

    /// A decoder that has nothing can start here.
    public var startsKeyFrame: Bool { isKey && spatial == 0 && part == 0 }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(source)
        hasher.combine(frame)
        hasher.combine(UInt32(layer) << 16 | UInt32(spatial) << 8 | UInt32(part))
    }

    private static let fixedBytes = 20
    private static let magic: UInt8 = 0x5a

    /// Bytes that a stamp takes.
    var byteCount: Int { Stamp.fixedBytes + 3 * references.count }

    static func byteCount(references: Int) -> Int { fixedBytes + 3 * references }

    func append(to payload: inout [UInt8]) {
        for reference in references {
            // 21 bits of distance, 3 of layer.
            let packed = (frame &- reference.frame) << 3 | UInt32(reference.spatial & 7)
            for shift in [16, 8, 0] as [UInt32] { payload.append(UInt8(truncatingIfNeeded: packed >> shift)) }
        }
        payload.append(UInt8(references.count))
        func word(_ value: UInt32) {
            for shift in [24, 16, 8, 0] as [UInt32] {
                payload.append(UInt8(truncatingIfNeeded: value >> shift))
            }
        }
        word(source)
        word(frame)
        word(UInt32(truncatingIfNeeded: time.microseconds / 10))
        payload += [layer, spatial << 4 | temporal, part, partCount, isKey ? 1 : 0, Stamp.magic ^ part]
        payload.append(Stamp.magic)
    }

    static func read(_ payload: ArraySlice<UInt8>) -> Stamp? {
        guard payload.count >= fixedBytes, payload.last == magic else { return nil }
        let start = payload.endIndex - fixedBytes
        func word(_ at: Int) -> UInt32 {
            payload[start + at..<start + at + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
        let part = payload[start + 15]
        guard payload[start + 18] == magic ^ part else { return nil }
        var it = Stamp(
            source: word(1),
            layer: payload[start + 13],
            spatial: payload[start + 14] >> 4,
            temporal: payload[start + 14] & 0x0f,
            frame: word(5),
            part: part,
            partCount: payload[start + 16],
            isKey: payload[start + 17] == 1,
            time: .microseconds(Int64(word(9)) * 10)
        )
        let count = Int(payload[start])
        guard payload.count >= fixedBytes + 3 * count else { return nil }
        for i in 0..<count {
            let at = start - 3 * (count - i)
            let packed = payload[at..<at + 3].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            it.references.append(Reference(frame: it.frame &- packed >> 3, spatial: UInt8(packed & 7)))
        }
        return it
    }
}
