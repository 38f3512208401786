// FIR (RFC 5104 §4.3.1): like PLI, with a number that is repeated while the request is the same.

public struct FullIntraRequest {
    public struct Item: Equatable, Sendable {
        public var ssrc: UInt32
        /// Changes for each new request only.
        public var sequence: UInt8

        public init(ssrc: UInt32, sequence: UInt8) {
            self.ssrc = ssrc
            self.sequence = sequence
        }
    }

    public let senderSSRC: UInt32
    private let items: UnsafePointer<UInt8>
    private let itemCount: Int
    private var index = 0

    /// nil: other feedback, or without a whole item.
    public init?(_ block: RTCPBlock) {
        guard block.isFeedback(RTCPType.payloadFeedback, RTCPFeedbackFormat.fir), block.length >= 16 else {
            return nil
        }
        senderSSRC = ByteOrder.load32(block.body, 0)
        items = block.body + 8
        itemCount = (block.length - 8) / 8
    }

    public mutating func next() -> Item? {
        guard index < itemCount else { return nil }
        defer { index += 1 }
        return Item(ssrc: ByteOrder.load32(items, index * 8), sequence: items[index * 8 + 4])
    }
}

extension RTCPWriter {
    /// One FIR with one item; the media SSRC field is 0 (RFC 5104 §4.3.1.2).
    @discardableResult
    public mutating func appendFIR(sender: UInt32, media: UInt32, sequence: UInt8) -> Bool {
        guard
            let item = openFeedback(
                RTCPType.payloadFeedback,
                RTCPFeedbackFormat.fir,
                sender: sender,
                media: 0,
                fciLength: 8
            )
        else { return false }
        ByteOrder.store32(media, item, 0)
        ByteOrder.store32(UInt32(sequence) << 24, item, 4)
        return true
    }
}
