// Appends RTCP packets to a buffer of the caller (RFC 3550 §6.4). The packet types extend it in their own
// files.

/// Writes a compound packet piece by piece. A refused append leaves what was written before intact.
public struct RTCPWriter {
    public let buffer: UnsafeMutablePointer<UInt8>
    public let capacity: Int
    /// Bytes written.
    public private(set) var length = 0
    private var lastOffset = -1

    public init(_ buffer: UnsafeMutablePointer<UInt8>, capacity: Int) {
        self.buffer = buffer
        self.capacity = capacity
    }

    public var isEmpty: Bool { length == 0 }
    public var room: Int { capacity - length }

    /// Starts a packet with a body of `bodyLength` bytes, a multiple of 4. nil: no room.
    mutating func open(_ type: UInt8, count: UInt8, bodyLength: Int) -> UnsafeMutablePointer<UInt8>? {
        guard length + 4 + bodyLength <= capacity, bodyLength & 3 == 0 else { return nil }
        lastOffset = length
        buffer[length] = 0x80 | count & 0x1F
        buffer[length + 1] = type
        ByteOrder.store16(UInt16(truncatingIfNeeded: bodyLength >> 2), buffer, length + 2)
        length += 4 + bodyLength
        return buffer + lastOffset + 4
    }

    /// Adds `count` bytes, a multiple of 4, to the packet just opened. nil: no room, or none is open.
    mutating func extend(by count: Int) -> UnsafeMutablePointer<UInt8>? {
        guard lastOffset >= 0, length + count <= capacity, count & 3 == 0 else { return nil }
        let place = buffer + length
        length += count
        ByteOrder.store16(UInt16(truncatingIfNeeded: (length - lastOffset) / 4 - 1), buffer, lastOffset + 2)
        return place
    }

    /// Cuts the packet just opened down to `bodyLength` bytes.
    mutating func shrinkLast(toBodyLength bodyLength: Int, hasPadding: Bool) {
        guard lastOffset >= 0, lastOffset + 4 + bodyLength <= length else { return }
        length = lastOffset + 4 + bodyLength
        ByteOrder.store16(UInt16(truncatingIfNeeded: bodyLength >> 2), buffer, lastOffset + 2)
        if hasPadding { buffer[lastOffset] |= 0x20 }
    }

    /// Takes the packet just opened back.
    mutating func discardLast() {
        guard lastOffset >= 0 else { return }
        length = lastOffset
        lastOffset = -1
    }

    /// Type of the packet just opened; 0: none.
    var lastType: UInt8 { lastOffset >= 0 ? buffer[lastOffset + 1] : 0 }
    var lastCount: UInt8 { lastOffset >= 0 ? buffer[lastOffset] & 0x1F : 0 }

    mutating func setLastCount(_ count: UInt8) {
        guard lastOffset >= 0 else { return }
        buffer[lastOffset] = buffer[lastOffset] & 0xE0 | count & 0x1F
    }

    /// Opens a feedback message (RFC 4585 §6.1) with `fciLength` bytes behind both SSRCs. Returns where they
    /// go.
    mutating func openFeedback(
        _ type: UInt8,
        _ format: UInt8,
        sender: UInt32,
        media: UInt32,
        fciLength: Int
    ) -> UnsafeMutablePointer<UInt8>? {
        guard let body = open(type, count: format, bodyLength: 8 + fciLength) else { return nil }
        ByteOrder.store32(sender, body, 0)
        ByteOrder.store32(media, body, 4)
        return body + 8
    }
}
