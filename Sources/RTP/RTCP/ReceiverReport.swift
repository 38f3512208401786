// Receiver reports and report blocks (RFC 3550 §6.4). Must not know how the numbers were measured.

/// What one receiver says about one stream.
public struct ReportBlock: Equatable, Sendable {
    public var ssrc: UInt32
    /// Lost since the last report, in 1/256.
    public var fractionLost: UInt8
    /// Signed 24 bits; negative when duplicates outnumber losses.
    public var cumulativeLost: Int32
    /// Cycles and highest sequence number.
    public var extendedHighestSequence: UInt32
    /// In ticks of the RTP clock.
    public var jitter: UInt32
    /// Middle 32 bits of the last SR's NTP time; 0: none yet.
    public var lastSenderReport: UInt32
    /// Since then, in 1/65536 s.
    public var delaySinceLastSenderReport: UInt32

    static let length = 24

    public init(
        ssrc: UInt32,
        fractionLost: UInt8 = 0,
        cumulativeLost: Int32 = 0,
        extendedHighestSequence: UInt32 = 0,
        jitter: UInt32 = 0,
        lastSenderReport: UInt32 = 0,
        delaySinceLastSenderReport: UInt32 = 0
    ) {
        self.ssrc = ssrc
        self.fractionLost = fractionLost
        self.cumulativeLost = cumulativeLost
        self.extendedHighestSequence = extendedHighestSequence
        self.jitter = jitter
        self.lastSenderReport = lastSenderReport
        self.delaySinceLastSenderReport = delaySinceLastSenderReport
    }

    /// Needs 24 readable bytes.
    init(_ p: UnsafePointer<UInt8>) {
        ssrc = ByteOrder.load32(p, 0)
        fractionLost = p[4]
        cumulativeLost = Int32(bitPattern: ByteOrder.load24(p, 5) << 8) >> 8
        extendedHighestSequence = ByteOrder.load32(p, 8)
        jitter = ByteOrder.load32(p, 12)
        lastSenderReport = ByteOrder.load32(p, 16)
        delaySinceLastSenderReport = ByteOrder.load32(p, 20)
    }

    func write(_ p: UnsafeMutablePointer<UInt8>) {
        ByteOrder.store32(ssrc, p, 0)
        p[4] = fractionLost
        let lost = min(max(cumulativeLost, -0x80_0000), 0x7F_FFFF)
        ByteOrder.store24(UInt32(bitPattern: lost), p, 5)
        ByteOrder.store32(extendedHighestSequence, p, 8)
        ByteOrder.store32(jitter, p, 12)
        ByteOrder.store32(lastSenderReport, p, 16)
        ByteOrder.store32(delaySinceLastSenderReport, p, 20)
    }
}

/// The report blocks of an SR or RR.
public struct ReportBlocks {
    private let first: UnsafePointer<UInt8>
    public let count: Int
    private var index = 0

    /// nil: neither SR nor RR, or too short for the blocks that it counts.
    public init?(_ block: RTCPBlock) {
        let offset: Int
        switch block.type {
        case RTCPType.senderReport: offset = SenderReport.length
        case RTCPType.receiverReport: offset = 4
        default: return nil
        }
        count = Int(block.count)
        guard block.length >= offset + count * ReportBlock.length else { return nil }
        first = block.body + offset
    }

    public mutating func next() -> ReportBlock? {
        guard index < count else { return nil }
        defer { index += 1 }
        return ReportBlock(first + index * ReportBlock.length)
    }
}

extension RTCPWriter {
    /// Opens an RR; follow with up to 31 `appendReportBlock`.
    @discardableResult
    public mutating func appendReceiverReport(ssrc: UInt32) -> Bool {
        guard let body = open(RTCPType.receiverReport, count: 0, bodyLength: 4) else { return false }
        ByteOrder.store32(ssrc, body, 0)
        return true
    }

    /// Adds a block to the SR or RR just opened. false: it is neither, has 31 blocks, or the buffer is full.
    @discardableResult
    public mutating func append(_ report: ReportBlock) -> Bool {
        guard lastType == RTCPType.senderReport || lastType == RTCPType.receiverReport, lastCount < 31,
            let place = extend(by: ReportBlock.length)
        else { return false }
        report.write(place)
        setLastCount(lastCount + 1)
        return true
    }
}
