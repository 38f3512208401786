// The table-of-contents byte of Opus (RFC 6716 §3.1). Must not know RTP timestamps.

/// What the first bytes of an Opus packet say.
public struct OpusPayload: Equatable, Sendable {
    /// Samples at 48 kHz, all frames together; at most 5760 (120 ms).
    public var duration: UInt16
    public var frameCount: UInt8
    public var isStereo: Bool
    /// Discontinuous transmission or comfort noise: at most one byte behind the TOC byte.
    public var isDTX: Bool

    /// nil: empty, a code 3 packet without frame count, with 0 frames, or longer than 120 ms (RFC 6716
    /// §3.2.5).
    public static func parse(_ payload: UnsafePointer<UInt8>, length: Int) -> OpusPayload? {
        guard length >= 1 else { return nil }
        let toc = payload[0]
        let frames: Int
        switch toc & 3 {
        case 0: frames = 1
        case 1, 2: frames = 2
        default:
            guard length >= 2 else { return nil }
            frames = Int(payload[1] & 0x3F)
        }
        let duration = frames * frameDuration(configuration: toc >> 3)
        guard frames > 0, duration <= 5760 else { return nil }
        return OpusPayload(
            duration: UInt16(truncatingIfNeeded: duration),
            frameCount: UInt8(truncatingIfNeeded: frames),
            isStereo: toc & 4 != 0,
            isDTX: length <= 2
        )
    }

    /// RFC 6716 table 2, in samples at 48 kHz.
    private static func frameDuration(configuration: UInt8) -> Int {
        switch configuration {
        case 0..<12:
            switch configuration & 3 {
            case 0: 480
            case 1: 960
            case 2: 1920
            default: 2880
            }
        case 12..<16: configuration & 1 == 0 ? 480 : 960
        default: 120 << Int(configuration & 3)
        }
    }
}
