// Extended reports (RFC 3611): receiver reference time (§4.4) and DLRR (§4.5), for round trips of
// receive-only peers.

/// Yields the blocks of an XR packet that the server understands; others are skipped.
public struct ExtendedReport {
    /// One sub-block of a DLRR block.
    public struct DelaySinceLastRR: Equatable, Sendable {
        public var ssrc: UInt32
        /// Middle 32 bits of the receiver reference time that is answered; 0: none yet.
        public var lastReceiverReport: UInt32
        /// Since then, in 1/65536 s.
        public var delay: UInt32

        public init(ssrc: UInt32, lastReceiverReport: UInt32, delay: UInt32) {
            self.ssrc = ssrc
            self.lastReceiverReport = lastReceiverReport
            self.delay = delay
        }
    }

    public enum Item: Equatable, Sendable {
        case receiverReferenceTime(NTPTime)
        case delaySinceLastRR(DelaySinceLastRR)
    }

    static let receiverReferenceTime: UInt8 = 4
    static let delaySinceLastRR: UInt8 = 5

    public let senderSSRC: UInt32
    private let body: UnsafePointer<UInt8>
    private let length: Int
    private var offset = 4
    /// End of the DLRR block that is being read; 0: none.
    private var blockEnd = 0
    /// A block ran over the end.
    public private(set) var isMalformed = false

    /// nil: another type, or too short.
    public init?(_ block: RTCPBlock) {
        guard block.type == RTCPType.extendedReport, block.length >= 4 else { return nil }
        senderSSRC = ByteOrder.load32(block.body, 0)
        body = block.body
        length = block.length
    }

    public mutating func next() -> Item? {
        while true {
            if offset < blockEnd {
                guard offset + 12 <= blockEnd else {
                    isMalformed = true
                    offset = blockEnd
                    continue
                }
                defer { offset += 12 }
                return .delaySinceLastRR(
                    DelaySinceLastRR(
                        ssrc: ByteOrder.load32(body, offset),
                        lastReceiverReport: ByteOrder.load32(body, offset + 4),
                        delay: ByteOrder.load32(body, offset + 8)
                    )
                )
            }
            guard offset < length, !isMalformed else { return nil }
            guard offset + 4 <= length else {
                isMalformed = true
                return nil
            }
            let type = body[offset]
            let size = Int(ByteOrder.load16(body, offset + 2)) * 4
            let start = offset + 4
            guard start + size <= length else {
                isMalformed = true
                return nil
            }
            if type == ExtendedReport.delaySinceLastRR {
                offset = start
                blockEnd = start + size
                continue
            }
            offset = start + size
            if type == ExtendedReport.receiverReferenceTime {
                guard size >= 8 else {
                    isMalformed = true
                    return nil
                }
                return .receiverReferenceTime(NTPTime(rawValue: ByteOrder.load64(body, start)))
            }
        }
    }
}

extension RTCPWriter {
    /// An XR packet with one receiver reference time block.
    @discardableResult
    public mutating func appendReceiverReferenceTime(sender: UInt32, _ time: NTPTime) -> Bool {
        guard let body = open(RTCPType.extendedReport, count: 0, bodyLength: 16) else { return false }
        ByteOrder.store32(sender, body, 0)
        ByteOrder.store32(UInt32(ExtendedReport.receiverReferenceTime) << 24 | 2, body, 4)
        ByteOrder.store64(time.rawValue, body, 8)
        return true
    }

    /// An XR packet with one DLRR block of one sub-block.
    @discardableResult
    public mutating func append(_ delay: ExtendedReport.DelaySinceLastRR, sender: UInt32) -> Bool {
        guard let body = open(RTCPType.extendedReport, count: 0, bodyLength: 20) else { return false }
        ByteOrder.store32(sender, body, 0)
        ByteOrder.store32(UInt32(ExtendedReport.delaySinceLastRR) << 24 | 3, body, 4)
        ByteOrder.store32(delay.ssrc, body, 8)
        ByteOrder.store32(delay.lastReceiverReport, body, 12)
        ByteOrder.store32(delay.delay, body, 16)
        return true
    }
}
