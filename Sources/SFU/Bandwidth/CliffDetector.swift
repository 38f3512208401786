// Sees that the path carries far less than before, in two reports and not by the slow steps of the rate control, and
// how long to send less than it carries so that the queue drains. Knows rates and delays, no packet.
import RTP

struct CliffDetector {
    private enum Phase {
        case clear
        /// Reports that showed it so far.
        case suspected(Int)
        case draining(until: Instant)
    }

    enum OnReport: Equatable {
        case clear
        /// The path fell to this rate, bits per second; also when it falls further.
        case fell(Int)
        case draining
        /// The queue is drained; the path carried this much meanwhile, bits per second.
        case drained(Int)
    }

    /// What arrives, as a share of what was sent.
    private static let ratio = 0.7
    private static let steepRatio = 0.5
    private static let queueLeast: Int64 = 50_000
    private static let queueMost: Int64 = 100_000
    /// One report is enough above this.
    private static let queueSteep: Int64 = 100_000
    private static let reports = 2
    private static let drained = Interval.milliseconds(30)
    private static let drainTime = Interval.milliseconds(1000)
    /// The queue may hold more than can drain in that time.
    private static let drainTimeLongest = Interval.milliseconds(2500)
    private static let deepQueue = Interval.milliseconds(100)

    private var phase = Phase.clear
    /// What came through the full queue, bits per second.
    private(set) var rate = 0
    private(set) var startedAt = Instant.distantPast

    var isDraining: Bool { if case .draining = phase { true } else { false } }

    struct Report {
        /// Bits per second; nil where too little was seen.
        var sent: Int?
        var arrived: Int?
        var queue = Interval.zero
        /// Of the trendline, milliseconds.
        var threshold = 12.5
    }

    mutating func update(_ report: Report, at now: Instant) -> OnReport {
        if case .draining(let until) = phase { return drain(report, until, now) }
        guard let sent = report.sent, let arrived = report.arrived else {
            phase = .clear
            return .clear
        }
        let queue = report.queue.microseconds
        let threshold = max(
            CliffDetector.queueLeast,
            min(Int64(report.threshold * 3000), CliffDetector.queueMost)
        )
        guard queue > threshold, Double(arrived) < Double(sent) * CliffDetector.ratio else {
            phase = .clear
            return .clear
        }
        let isSteep =
            queue > CliffDetector.queueSteep && Double(arrived) < Double(sent) * CliffDetector.steepRatio
        var seen = 1
        if case .suspected(let before) = phase { seen += before }
        guard seen >= CliffDetector.reports || isSteep else {
            phase = .suspected(seen)
            return .clear
        }
        rate = arrived
        startedAt = now
        phase = .draining(until: now + CliffDetector.drainTime)
        return .fell(rate)
    }

    private mutating func drain(_ report: Report, _ until: Instant, _ now: Instant) -> OnReport {
        let isDeep = report.queue > CliffDetector.deepQueue
        let isOver = isDeep ? now >= startedAt + CliffDetector.drainTimeLongest : now >= until
        if report.queue < CliffDetector.drained || isOver {
            phase = .clear
            return .drained(rate)
        }
        // Where more was sent than came, what came is what the path carries.
        guard let arrived = report.arrived, let sent = report.sent, arrived * 10 < sent * 9 else {
            return .draining
        }
        if arrived < rate * 19 / 20 {
            rate = arrived
            return .fell(rate)
        }
        rate = (rate * 3 + min(arrived, rate * 5 / 4)) / 4
        return .draining
    }

    mutating func reset() { self = CliffDetector() }
}
