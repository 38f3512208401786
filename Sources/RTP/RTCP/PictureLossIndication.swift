// PLI (RFC 4585 §6.3.1): the decoder of `mediaSSRC` wants a key frame.

public struct PictureLossIndication: Equatable, Sendable {
    public var senderSSRC: UInt32
    public var mediaSSRC: UInt32

    /// nil: other feedback, or too short.
    public init?(_ block: RTCPBlock) {
        guard block.isFeedback(RTCPType.payloadFeedback, RTCPFeedbackFormat.pli), block.length >= 8 else {
            return nil
        }
        senderSSRC = ByteOrder.load32(block.body, 0)
        mediaSSRC = ByteOrder.load32(block.body, 4)
    }
}

extension RTCPWriter {
    @discardableResult
    public mutating func appendPLI(sender: UInt32, media: UInt32) -> Bool {
        openFeedback(
            RTCPType.payloadFeedback,
            RTCPFeedbackFormat.pli,
            sender: sender,
            media: media,
            fciLength: 0
        )
            != nil
    }
}
