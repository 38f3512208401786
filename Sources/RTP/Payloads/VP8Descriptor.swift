// The VP8 payload descriptor (RFC 7741 §4.2) and the first bytes of a frame (§4.3, RFC 6386 §9.1).
// Must not know layers' policies.

/// A parsed VP8 payload descriptor.
public struct VP8Descriptor: Equatable, Sendable {
    /// Bytes of the descriptor; the VP8 payload follows.
    public var length = 0
    /// N: no other frame refers to this one.
    public var isNonReference = false
    /// S: first packet of a partition.
    public var startsPartition = false
    /// PID, 0–7.
    public var partition: UInt8 = 0
    /// -1: absent.
    public var pictureID: Int32 = -1
    /// 0, 7 or 15.
    public var pictureIDBits: UInt8 = 0
    /// -1: absent.
    public var tl0PicIndex: Int16 = -1
    /// T: TID and Y are there.
    public var hasTemporalLayer = false
    /// TID, 0–3; 0 where absent.
    public var temporalLayer: UInt8 = 0
    /// Y: this frame refers to the base layer only, a safe point to step up to its layer.
    public var isLayerSync = false
    /// KEYIDX, 0–31; -1: absent.
    public var keyIndex: Int8 = -1
    /// First packet of a key frame.
    public var isKeyFrameStart = false
    /// Pixels, from the key frame's header; 0 unknown.
    public var width: UInt16 = 0
    public var height: UInt16 = 0

    public init() {}

    /// First packet of a frame.
    public var startsFrame: Bool { startsPartition && partition == 0 }

    /// nil: the payload ends inside or right behind the descriptor.
    public static func parse(_ payload: UnsafePointer<UInt8>, length: Int) -> VP8Descriptor? {
        guard length >= 1 else { return nil }
        var it = VP8Descriptor()
        let first = payload[0]
        it.isNonReference = first & 0x20 != 0
        it.startsPartition = first & 0x10 != 0
        it.partition = first & 0x07
        var offset = 1
        if first & 0x80 != 0 {
            guard length > offset else { return nil }
            let flags = payload[offset]
            offset += 1
            if flags & 0x80 != 0 {
                guard length > offset else { return nil }
                if payload[offset] & 0x80 != 0 {
                    guard length > offset + 1 else { return nil }
                    it.pictureID = Int32(ByteOrder.load16(payload, offset) & 0x7FFF)
                    it.pictureIDBits = 15
                    offset += 2
                } else {
                    it.pictureID = Int32(payload[offset])
                    it.pictureIDBits = 7
                    offset += 1
                }
            }
            if flags & 0x40 != 0 {
                guard length > offset else { return nil }
                it.tl0PicIndex = Int16(payload[offset])
                offset += 1
            }
            if flags & 0x30 != 0 {
                guard length > offset else { return nil }
                let byte = payload[offset]
                if flags & 0x20 != 0 {
                    it.hasTemporalLayer = true
                    it.temporalLayer = byte >> 6
                    it.isLayerSync = byte & 0x20 != 0
                }
                if flags & 0x10 != 0 { it.keyIndex = Int8(byte & 0x1F) }
                offset += 1
            }
        }
        guard length > offset else { return nil }
        it.length = offset
        it.readFrameHeader(payload + offset, length - offset)
        return it
    }

    private mutating func readFrameHeader(_ frame: UnsafePointer<UInt8>, _ length: Int) {
        // RFC 6386 §9.1: bit 0 of the frame tag is 0 for key frames; start code and size follow.
        guard startsFrame, frame[0] & 1 == 0 else { return }
        isKeyFrameStart = true
        guard length >= 10, frame[3] == 0x9D, frame[4] == 0x01, frame[5] == 0x2A else { return }
        width = (UInt16(frame[6]) | UInt16(frame[7]) << 8) & 0x3FFF
        height = (UInt16(frame[8]) | UInt16(frame[9]) << 8) & 0x3FFF
    }

    /// Puts new numbers into the descriptor at the start of `payload`, each only where the descriptor has
    /// that field, in the field's own width. `length` counts payload bytes. false: not a descriptor; nothing
    /// changes.
    @discardableResult
    public static func patch(
        _ payload: UnsafeMutablePointer<UInt8>,
        length: Int,
        pictureID: UInt16,
        tl0PicIndex: UInt8,
        keyIndex: UInt8
    ) -> Bool {
        guard length >= 1 else { return false }
        guard payload[0] & 0x80 != 0 else { return true }
        guard length >= 2 else { return false }
        let flags = payload[1]
        var offset = 2
        let isWide = flags & 0x80 != 0 && length > 2 && payload[2] & 0x80 != 0
        let needed =
            2 + (flags & 0x80 != 0 ? (isWide ? 2 : 1) : 0) + (flags & 0x40 != 0 ? 1 : 0)
            + (flags & 0x30 != 0 ? 1 : 0)
        guard length >= needed else { return false }
        if flags & 0x80 != 0 {
            if isWide {
                ByteOrder.store16(pictureID | 0x8000, payload, offset)
                offset += 2
            } else {
                payload[offset] = UInt8(truncatingIfNeeded: pictureID & 0x7F)
                offset += 1
            }
        }
        if flags & 0x40 != 0 {
            payload[offset] = tl0PicIndex
            offset += 1
        }
        if flags & 0x10 != 0 {
            payload[offset] = payload[offset] & 0xE0 | keyIndex & 0x1F
        }
        return true
    }

    /// Writes this descriptor afresh, e.g. with `pictureIDBits` widened from 7 to 15. Needs 6 bytes of room.
    /// Returns the bytes written.
    public func write(to out: UnsafeMutablePointer<UInt8>) -> Int {
        var flags: UInt8 = 0
        if pictureID >= 0 { flags |= 0x80 }
        if tl0PicIndex >= 0 { flags |= 0x40 }
        if hasTemporalLayer { flags |= 0x20 }
        if keyIndex >= 0 { flags |= 0x10 }
        out[0] =
            (flags != 0 ? 0x80 : 0) | (isNonReference ? 0x20 : 0) | (startsPartition ? 0x10 : 0)
            | partition & 0x07
        guard flags != 0 else { return 1 }
        out[1] = flags
        var offset = 2
        if pictureID >= 0 {
            if pictureIDBits == 15 {
                ByteOrder.store16(UInt16(truncatingIfNeeded: pictureID) | 0x8000, out, offset)
                offset += 2
            } else {
                out[offset] = UInt8(truncatingIfNeeded: pictureID & 0x7F)
                offset += 1
            }
        }
        if tl0PicIndex >= 0 {
            out[offset] = UInt8(truncatingIfNeeded: tl0PicIndex)
            offset += 1
        }
        if flags & 0x30 != 0 {
            out[offset] =
                (hasTemporalLayer ? temporalLayer << 6 | (isLayerSync ? 0x20 : 0) : 0)
                | (keyIndex >= 0 ? UInt8(truncatingIfNeeded: keyIndex) & 0x1F : 0)
            offset += 1
        }
        return offset
    }
}
