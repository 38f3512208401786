// What a receiver report says about one incoming stream (RFC 3550 §6.4.1, A.1, A.3, A.8). Must not know
// RTCP's timing.

/// Loss and jitter of one SSRC. Packets recovered by retransmission stay lost here: don't pass them in.
public struct ReceiveStatistics: Sendable {
    /// Hz
    public private(set) var clockRate: UInt32
    private var isStarted = false
    private var highest: UInt16 = 0
    /// Wraps of the sequence number, shifted left by 16.
    private var cycles: UInt32 = 0
    private var base: UInt32 = 0
    /// Where the stream would go on if the last wild number was a restart; above 0xFFFF: none.
    private var expectedRestart: UInt32 = 0x1_0000
    /// Packets since the (re)start, duplicates included.
    private var received: UInt32 = 0
    private var expectedPrior: UInt32 = 0
    private var receivedPrior: UInt32 = 0
    /// In 1/16 ticks, A.8.
    private var scaledJitter: Int64 = 0
    private var lastTransit: UInt32 = 0
    private var lastTimestamp: UInt32 = 0
    private var hasTransit = false
    private var lastSenderReport: UInt32 = 0
    private var lastSenderReportArrival = Instant.zero

    // A.1: a longer jump ahead, or further back, is no reordering.
    private static let maxDropout: UInt16 = 3000
    private static let maxMisorder: UInt16 = 100

    public init(clockRate: UInt32) { self.clockRate = clockRate }

    /// Ticks of the RTP clock.
    public var jitter: UInt32 { UInt32(truncatingIfNeeded: scaledJitter >> 4) }
    public var extendedHighestSequence: UInt32 { cycles &+ UInt32(highest) }
    /// Negative where duplicates outnumber losses.
    public var cumulativeLost: Int32 { isStarted ? Int32(bitPattern: expected &- received) : 0 }
    public var receivedCount: UInt32 { received }

    private var expected: UInt32 { extendedHighestSequence &- base &+ 1 }

    /// Counts a packet that came in its own right. Jitter is taken from the first packet of each timestamp
    /// that comes in order.
    public mutating func receive(sequence: UInt16, timestamp: UInt32, at arrival: Instant) {
        guard isStarted else {
            restart(sequence)
            measure(timestamp, arrival)
            return
        }
        let step = sequence &- highest
        if step == 0 || step > UInt16.max - ReceiveStatistics.maxMisorder + 1 {
            received &+= 1
            return
        }
        if step < ReceiveStatistics.maxDropout {
            if sequence < highest { cycles &+= 0x1_0000 }
            highest = sequence
            received &+= 1
            measure(timestamp, arrival)
        } else if UInt32(sequence) == expectedRestart {
            // Two in a row from far away: the sender started over without telling.
            restart(sequence)
            hasTransit = false
            measure(timestamp, arrival)
        } else {
            expectedRestart = UInt32(sequence &+ 1)
        }
    }

    public mutating func receive(_ report: SenderReport, at arrival: Instant) {
        lastSenderReport = report.ntpTime.middle32
        lastSenderReportArrival = arrival
    }

    /// The report block for now; starts the next interval of `fractionLost`. nil: nothing has been received.
    public mutating func makeReportBlock(ssrc: UInt32, at now: Instant) -> ReportBlock? {
        guard isStarted else { return nil }
        let expectedInterval = Int64(Int32(bitPattern: expected &- expectedPrior))
        let receivedInterval = Int64(Int32(bitPattern: received &- receivedPrior))
        expectedPrior = expected
        receivedPrior = received
        let lost = expectedInterval - receivedInterval
        let fraction = expectedInterval > 0 && lost > 0 ? min(255, (lost << 8) / expectedInterval) : 0
        return ReportBlock(
            ssrc: ssrc,
            fractionLost: UInt8(truncatingIfNeeded: fraction),
            cumulativeLost: min(max(cumulativeLost, -0x80_0000), 0x7F_FFFF),
            extendedHighestSequence: extendedHighestSequence,
            jitter: jitter,
            lastSenderReport: lastSenderReport,
            delaySinceLastSenderReport: lastSenderReport == 0
                ? 0 : NTPTime.shortUnits(now - lastSenderReportArrival)
        )
    }

    private mutating func restart(_ sequence: UInt16) {
        isStarted = true
        highest = sequence
        cycles = 0
        base = UInt32(sequence)
        expectedRestart = 0x1_0000
        received = 1
        expectedPrior = 0
        receivedPrior = 0
    }

    /// A.8, on the difference of transit times between frames.
    private mutating func measure(_ timestamp: UInt32, _ arrival: Instant) {
        if hasTransit && timestamp == lastTimestamp { return }
        let transit = ticks(arrival) &- timestamp
        if hasTransit {
            let difference = Int64(Int32(bitPattern: transit &- lastTransit)).magnitude
            // Five seconds are a clock step or a re-based timestamp, not the network.
            if difference < 5 * UInt64(clockRate) {
                scaledJitter += Int64(difference) - ((scaledJitter + 8) >> 4)
            }
        }
        lastTransit = transit
        lastTimestamp = timestamp
        hasTransit = true
    }

    /// `time` in ticks of the RTP clock, modulo 2^32.
    private func ticks(_ time: Instant) -> UInt32 {
        let seconds = time.microseconds / 1_000_000
        let rest = time.microseconds % 1_000_000
        return UInt32(truncatingIfNeeded: seconds &* Int64(clockRate) &+ rest * Int64(clockRate) / 1_000_000)
    }
}
