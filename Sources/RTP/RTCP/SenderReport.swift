// Sender reports (RFC 3550 §6.4.1). Must not know clocks: times are NTP values that somebody passes.

/// The sender's part of an SR; report blocks are read by `ReportBlocks`.
public struct SenderReport: Equatable, Sendable {
    public var ssrc: UInt32
    public var ntpTime: NTPTime
    public var rtpTimestamp: UInt32
    public var packetCount: UInt32
    public var octetCount: UInt32

    /// Bytes of the body before the report blocks.
    static let length = 24

    public init(
        ssrc: UInt32,
        ntpTime: NTPTime,
        rtpTimestamp: UInt32,
        packetCount: UInt32,
        octetCount: UInt32
    ) {
        self.ssrc = ssrc
        self.ntpTime = ntpTime
        self.rtpTimestamp = rtpTimestamp
        self.packetCount = packetCount
        self.octetCount = octetCount
    }

    /// nil: another type, or too short for the blocks that it counts.
    public init?(_ block: RTCPBlock) {
        guard block.type == RTCPType.senderReport,
            block.length >= SenderReport.length + Int(block.count) * ReportBlock.length
        else { return nil }
        ssrc = ByteOrder.load32(block.body, 0)
        ntpTime = NTPTime(rawValue: ByteOrder.load64(block.body, 4))
        rtpTimestamp = ByteOrder.load32(block.body, 12)
        packetCount = ByteOrder.load32(block.body, 16)
        octetCount = ByteOrder.load32(block.body, 20)
    }
}

extension RTCPWriter {
    /// Opens an SR; follow with up to 31 `appendReportBlock`.
    @discardableResult
    public mutating func append(_ report: SenderReport) -> Bool {
        guard let body = open(RTCPType.senderReport, count: 0, bodyLength: SenderReport.length) else {
            return false
        }
        ByteOrder.store32(report.ssrc, body, 0)
        ByteOrder.store64(report.ntpTime.rawValue, body, 4)
        ByteOrder.store32(report.rtpTimestamp, body, 12)
        ByteOrder.store32(report.packetCount, body, 16)
        ByteOrder.store32(report.octetCount, body, 20)
        return true
    }
}
