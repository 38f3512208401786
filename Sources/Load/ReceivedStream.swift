// Continuity of one received SSRC, read from cleartext headers. Must not know keys or payloads.
import RTP

struct ReceivedStream {
    let ssrc: UInt32
    let isVideo: Bool
    private(set) var statistics: ReceiveStatistics
    /// Packets that are not duplicates.
    private(set) var received: Int64 = 0
    private(set) var duplicates: Int64 = 0
    private var first: Int64 = 0
    private var highest: Int64 = -1
    /// Bit i: `highest - i` has come.
    private var window: UInt64 = 0

    init(ssrc: UInt32, isVideo: Bool) {
        self.ssrc = ssrc
        self.isVideo = isVideo
        statistics = ReceiveStatistics(clockRate: isVideo ? 90_000 : 48_000)
    }

    var isStarted: Bool { highest >= 0 }
    /// What a stream without gaps would have brought.
    var expected: Int64 { isStarted ? highest - first + 1 : 0 }

    mutating func receive(sequence: UInt16, timestamp: UInt32, at arrival: Instant) {
        statistics.receive(sequence: sequence, timestamp: timestamp, at: arrival)
        guard isStarted else {
            // Away from zero, so that reordering before the first packet stays positive.
            first = 65_536 + Int64(sequence)
            highest = first
            window = 1
            received = 1
            return
        }
        let step = Int64(Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: highest)))
        if step > 0 {
            window = step < 64 ? window << UInt64(step) | 1 : 1
            highest += step
            received += 1
            return
        }
        // What is further back than the window is counted as new: it cannot be told from a late packet.
        let bit: UInt64 = -step < 64 ? 1 << UInt64(-step) : 0
        if window & bit != 0 {
            duplicates += 1
        } else {
            window |= bit
            received += 1
        }
    }

    mutating func receive(_ report: SenderReport, at arrival: Instant) {
        statistics.receive(report, at: arrival)
    }

    mutating func makeReportBlock(at now: Instant) -> ReportBlock? {
        statistics.makeReportBlock(ssrc: ssrc, at: now)
    }
}
