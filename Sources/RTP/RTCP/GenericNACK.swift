// Generic NACK (RFC 4585 §6.2.1): PID and BLP pairs to sequence numbers and back.

/// The sequence numbers that a NACK asks for, in the order of its items.
public struct GenericNACK {
    public let senderSSRC: UInt32
    public let mediaSSRC: UInt32
    private let items: UnsafePointer<UInt8>
    private let itemCount: Int
    private var index = 0
    private var packetID: UInt16 = 0
    private var mask: UInt32 = 0

    /// nil: other feedback, or without a whole item.
    public init?(_ block: RTCPBlock) {
        guard block.isFeedback(RTCPType.transportFeedback, RTCPFeedbackFormat.nack), block.length >= 12 else {
            return nil
        }
        senderSSRC = ByteOrder.load32(block.body, 0)
        mediaSSRC = ByteOrder.load32(block.body, 4)
        items = block.body + 8
        itemCount = (block.length - 8) / 4
    }

    public mutating func next() -> UInt16? {
        if mask == 0 {
            guard index < itemCount else { return nil }
            packetID = ByteOrder.load16(items, index * 4)
            // Bit 0 stands for the PID itself, bit i + 1 for bit i of the BLP.
            mask = UInt32(ByteOrder.load16(items, index * 4 + 2)) << 1 | 1
            index += 1
        }
        let bit = mask.trailingZeroBitCount
        mask &= mask - 1
        return packetID &+ UInt16(truncatingIfNeeded: bit)
    }
}

extension RTCPWriter {
    /// Packs ascending `sequences` (serial order, wraps allowed). Returns how many found room; 0: nothing was
    /// written.
    public mutating func appendNACK(
        sender: UInt32,
        media: UInt32,
        _ sequences: UnsafePointer<UInt16>,
        count: Int
    ) -> Int {
        guard count > 0,
            openFeedback(
                RTCPType.transportFeedback,
                RTCPFeedbackFormat.nack,
                sender: sender,
                media: media,
                fciLength: 0
            ) != nil
        else { return 0 }
        var taken = 0
        while taken < count, let item = extend(by: 4) {
            let first = sequences[taken]
            var mask: UInt16 = 0
            taken += 1
            while taken < count {
                let distance = sequences[taken] &- first
                guard distance <= 16 else { break }
                if distance > 0 { mask |= 1 << (distance - 1) }
                taken += 1
            }
            ByteOrder.store16(first, item, 0)
            ByteOrder.store16(mask, item, 2)
        }
        if taken == 0 { discardLast() }
        return taken
    }
}
