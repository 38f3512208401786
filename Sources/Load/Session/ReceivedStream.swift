// Continuity of one received SSRC: gaps, what was recovered, whose stamps it carries. Must not know keys or sockets.
import RTP

struct ReceivedStream {
    let ssrc: UInt32
    let isVideo: Bool
    private(set) var statistics: ReceiveStatistics
    /// Packets that are not duplicates, retransmitted ones included.
    private(set) var received: Int64 = 0
    private(set) var duplicates: Int64 = 0
    /// Of `received`: came by retransmission.
    private(set) var recovered: Int64 = 0
    private(set) var losses = LossList()
    /// Packets that were published between two that were sampled, and that the sequence numbers do not miss.
    private(set) var withheld: Int64 = 0
    /// Of the newest stamp: publisher and layer.
    private(set) var shown: (source: UInt16, layer: UInt8)?
    /// Longest time between two packets since it was asked for, nanoseconds.
    private(set) var longestGap: Int64 = 0
    private(set) var lastArrival: Int64 = 0
    /// What is added to extended numbers to get SRTP's index: the rollover counter that the first packet had.
    var rollover: UInt64 = 0
    /// A packet of it was authentic.
    var isVerified = false
    private static let base: Int64 = 65_536
    private let asksAgain: Bool
    private var first: Int64 = 0
    private var highest: Int64 = -1
    /// Bit i: `highest - i` has come.
    private var window: UInt64 = 0
    private var lastStamp: (sequence: Int64, number: UInt32)?

    /// - Parameter asksAgain: what is missing may be asked for.
    init(ssrc: UInt32, isVideo: Bool, asksAgain: Bool = false) {
        self.ssrc = ssrc
        self.isVideo = isVideo
        self.asksAgain = asksAgain && isVideo
        statistics = ReceiveStatistics(clockRate: isVideo ? 90_000 : 48_000)
    }

    var isStarted: Bool { highest >= 0 }
    /// What a stream without gaps would have brought.
    var expected: Int64 { isStarted ? highest - first + 1 : 0 }

    /// - Parameter arrival: nanoseconds of the monotonic clock.
    mutating func receive(sequence: UInt16, timestamp: UInt32, arrival: Int64) {
        let now = Instant(microseconds: arrival / 1000)
        statistics.receive(sequence: sequence, timestamp: timestamp, at: now)
        if lastArrival > 0 { longestGap = max(longestGap, arrival - lastArrival) }
        lastArrival = arrival
        guard isStarted else {
            // Away from zero, so that reordering before the first packet stays positive.
            first = Self.base + Int64(sequence)
            highest = first
            window = 1
            received = 1
            return
        }
        let number = place(of: sequence)
        let step = number - highest
        if step > 0 {
            if step > 1, asksAgain { losses.miss(highest + 1..<number, at: now) }
            window = step < 64 ? window << UInt64(step) | 1 : 1
            highest = number
            received += 1
            return
        }
        if asksAgain, !losses.isEmpty { _ = losses.found(number) }
        takeLate(back: -step)
    }

    /// A retransmission of that packet came. Only what was missed counts; the rest are probes, and repairs that crossed the
    /// packet itself.
    mutating func recover(sequence: UInt16) {
        guard isStarted else { return }
        let number = place(of: sequence)
        guard number <= highest, losses.found(number) else { return }
        recovered += 1
        received += 1
        if highest - number < 64 { window |= 1 << UInt64(highest - number) }
    }

    /// What is further back than the window is counted as new: it cannot be told from a late packet.
    private mutating func takeLate(back: Int64) {
        let bit: UInt64 = back < 64 ? 1 << UInt64(back) : 0
        if window & bit != 0 {
            duplicates += 1
        } else {
            window |= bit
            received += 1
        }
    }

    private func place(of sequence: UInt16) -> Int64 {
        highest + Int64(Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: highest)))
    }

    /// The stamp of a packet that was decrypted, after `receive`. What a publisher sent between this one and the last
    /// sampled one, and what the sequence numbers say, must be equal; a server that forwards less renumbers.
    mutating func note(_ stamp: Stamp, sequence: UInt16) {
        let number = place(of: sequence)
        defer {
            if lastStamp.map({ $0.sequence < number }) ?? true { lastStamp = (number, stamp.number) }
            shown = (stamp.source, stamp.layer)
        }
        guard let lastStamp, let shown, shown == (stamp.source, stamp.layer), number > lastStamp.sequence
        else {
            if let shown, shown != (stamp.source, stamp.layer) { self.lastStamp = nil }
            return
        }
        let published = Int64(stamp.number &- lastStamp.number)
        withheld += max(0, published - (number - lastStamp.sequence))
    }

    /// SRTP's index of a packet that has just come.
    func index(of sequence: UInt16) -> UInt64 {
        UInt64(max(0, place(of: sequence) - Self.base)) + rollover
    }

    mutating func askAgain(at now: Instant) -> LossList.Asking { losses.ask(at: now) }

    mutating func takeLongestGap() -> Int64 {
        defer { longestGap = 0 }
        return longestGap
    }

    mutating func receive(_ report: SenderReport, at arrival: Instant) {
        statistics.receive(report, at: arrival)
    }

    mutating func makeReportBlock(at now: Instant) -> ReportBlock? {
        statistics.makeReportBlock(ssrc: ssrc, at: now)
    }
}
