// REMB (draft-alvestrand-rmcat-remb): a receiver's estimate, used for peers without transport-wide feedback.

public struct ReceiverEstimatedBitrate {
    public let senderSSRC: UInt32
    /// Bits per second; saturates.
    public let bitrate: UInt64
    private let sources: UnsafePointer<UInt8>
    public let sourceCount: Int
    private var index = 0

    static let identifier: UInt32 = 0x5245_4D42

    /// nil: other feedback, or too short for the sources that it counts.
    public init?(_ block: RTCPBlock) {
        guard block.isFeedback(RTCPType.payloadFeedback, RTCPFeedbackFormat.applicationLayer),
            block.length >= 16, ByteOrder.load32(block.body, 8) == ReceiverEstimatedBitrate.identifier
        else { return nil }
        sourceCount = Int(block.body[12])
        guard block.length >= 16 + sourceCount * 4 else { return nil }
        senderSSRC = ByteOrder.load32(block.body, 0)
        let word = ByteOrder.load24(block.body, 13)
        let exponent = UInt64(word >> 18)
        let mantissa = UInt64(word & 0x3_FFFF)
        bitrate = mantissa == 0 ? 0 : (exponent > 46 ? .max : mantissa << exponent)
        sources = block.body + 16
    }

    /// The SSRCs that the estimate is about.
    public mutating func next() -> UInt32? {
        guard index < sourceCount else { return nil }
        defer { index += 1 }
        return ByteOrder.load32(sources, index * 4)
    }
}

extension RTCPWriter {
    /// `bitrate` in bits per second is rounded down to 18 significant bits. At most 255 sources.
    @discardableResult
    public mutating func appendREMB(
        sender: UInt32,
        bitrate: UInt64,
        _ sources: UnsafePointer<UInt32>,
        count: Int
    ) -> Bool {
        guard count >= 0, count <= 255,
            let fci = openFeedback(
                RTCPType.payloadFeedback,
                RTCPFeedbackFormat.applicationLayer,
                sender: sender,
                media: 0,
                fciLength: 8 + 4 * count
            )
        else { return false }
        let exponent = max(0, 64 - bitrate.leadingZeroBitCount - 18)
        ByteOrder.store32(ReceiverEstimatedBitrate.identifier, fci, 0)
        fci[4] = UInt8(truncatingIfNeeded: count)
        ByteOrder.store24(UInt32(exponent) << 18 | UInt32(truncatingIfNeeded: bitrate >> exponent), fci, 5)
        for index in 0..<count { ByteOrder.store32(sources[index], fci, 8 + index * 4) }
        return true
    }
}
