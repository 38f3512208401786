// Redundant audio data (RFC 2198): a primary block and older ones in front of it. Must not know what a block
// contains.

/// One block of a RED payload; offsets are from the payload's first byte.
public struct REDBlock: Equatable, Sendable {
    /// As the publisher numbers it.
    public var payloadType: UInt8
    /// How much earlier than the packet's timestamp, in ticks of the RTP clock; 0 for the primary.
    public var timestampOffset: UInt16
    public var offset: Int
    public var length: Int
    public var isPrimary: Bool

    public init(payloadType: UInt8, timestampOffset: UInt16, offset: Int, length: Int, isPrimary: Bool) {
        self.payloadType = payloadType
        self.timestampOffset = timestampOffset
        self.offset = offset
        self.length = length
        self.isPrimary = isPrimary
    }
}

/// Walks the blocks of one payload, oldest redundancy first, the primary last. Validated up front.
public struct REDPayload {
    private let payload: UnsafePointer<UInt8>
    private let length: Int
    private var headerOffset = 0
    private var dataOffset: Int
    private var isDone = false
    /// Redundant blocks and the primary.
    public let blockCount: Int
    /// The newest data, what the packet's timestamp belongs to.
    public let primary: REDBlock

    /// nil: headers or blocks are cut off, or the primary block is empty.
    public init?(_ payload: UnsafePointer<UInt8>, length: Int) {
        var offset = 0
        var data = 0
        var count = 1
        while true {
            guard offset < length else { return nil }
            if payload[offset] & 0x80 == 0 { break }
            guard offset + 4 <= length else { return nil }
            data += Int(ByteOrder.load16(payload, offset + 2) & 0x3FF)
            offset += 4
            count += 1
        }
        let start = offset + 1 + data
        guard start < length else { return nil }
        self.payload = payload
        self.length = length
        dataOffset = offset + 1
        blockCount = count
        primary = REDBlock(
            payloadType: payload[offset] & 0x7F,
            timestampOffset: 0,
            offset: start,
            length: length - start,
            isPrimary: true
        )
    }

    public mutating func next() -> REDBlock? {
        guard !isDone else { return nil }
        guard payload[headerOffset] & 0x80 != 0 else {
            isDone = true
            return primary
        }
        let word = ByteOrder.load32(payload, headerOffset)
        let size = Int(word & 0x3FF)
        defer {
            headerOffset += 4
            dataOffset += size
        }
        return REDBlock(
            payloadType: UInt8(truncatingIfNeeded: word >> 24) & 0x7F,
            timestampOffset: UInt16(truncatingIfNeeded: word >> 10 & 0x3FFF),
            offset: dataOffset,
            length: size,
            isPrimary: false
        )
    }

    /// Gives every block another payload type: blocks bear the publisher's numbers, a subscriber has its own.
    /// false: cut off; nothing changes.
    @discardableResult
    public static func rewritePayloadTypes(
        _ payload: UnsafeMutablePointer<UInt8>,
        length: Int,
        to payloadType: UInt8
    ) -> Bool {
        guard REDPayload(payload, length: length) != nil else { return false }
        var offset = 0
        while payload[offset] & 0x80 != 0 {
            payload[offset] = 0x80 | payloadType & 0x7F
            offset += 4
        }
        payload[offset] = payloadType & 0x7F
        return true
    }

    /// Writes the header of a redundant block, 4 bytes. false: an offset above 16383 or a length above 1023
    /// cannot be written, leave the block out.
    public static func writeHeader(
        _ out: UnsafeMutablePointer<UInt8>,
        payloadType: UInt8,
        timestampOffset: UInt32,
        length: Int
    ) -> Bool {
        guard timestampOffset <= 0x3FFF, length >= 0, length <= 0x3FF else { return false }
        ByteOrder.store32(
            0x8000_0000 | UInt32(payloadType & 0x7F) << 24 | timestampOffset << 10
                | UInt32(truncatingIfNeeded: length),
            out,
            0
        )
        return true
    }
}
