// Notices that reports stop while packets go out: the path is gone or full, and nothing will say so. Knows no rate.
import RTP

struct FeedbackWatchdog {
    /// Since when something is unreported.
    private var waitingSince = Instant.distantFuture
    private var lastReport: Instant?
    private(set) var deadline = Instant.distantFuture
    /// Between two reports, smoothed.
    private(set) var interval = Interval.milliseconds(100)
    /// Share of the messages that are lost, smoothed.
    private var missed = 0.0
    /// How often the rate was cut in the present silence.
    private(set) var cuts = 0

    /// Whether something that is unreported is waited for, so that further packets change nothing.
    @inline(__always)
    var isWaiting: Bool { waitingSince != .distantFuture }

    /// The first packet after a report goes out.
    @inline(never)
    mutating func wait(from now: Instant, _ roundTrip: Interval) {
        // Before the first report it is not known whether there will be any.
        waitingSince = now
        guard lastReport != nil else { return }
        deadline = now + patience(roundTrip)
    }

    func patience(_ roundTrip: Interval) -> Interval {
        // Where messages are lost anyway, several in a row mean nothing yet.
        let lost = Int64(min(3, missed * 10) * Double(interval.microseconds))
        let wait = max(Limits.Bandwidth.silence, roundTrip * 3 + interval)
        return min(wait + .microseconds(lost), Limits.Bandwidth.silenceLongest)
    }

    /// - Parameter missing: messages before this one that were lost.
    /// - Returns: How often the rate was cut before this report.
    mutating func reported(missing: Int, at now: Instant) -> Int {
        if let lastReport {
            let gap = max(0, min((now - lastReport).microseconds, 1_000_000)) / Int64(missing + 1)
            interval = .microseconds((interval.microseconds * 7 + min(gap, 250_000)) / 8)
        }
        let share = Double(missing) / Double(missing + 1)
        missed += (share - missed) / 16
        lastReport = now
        waitingSince = .distantFuture
        deadline = .distantFuture
        defer { cuts = 0 }
        return cuts
    }

    /// Whether the silence lasts too long, again.
    mutating func advance(to now: Instant) -> Bool {
        guard now >= deadline else { return false }
        cuts += 1
        deadline = now + Limits.Bandwidth.silenceRepeat
        return true
    }

    mutating func reset() { self = FeedbackWatchdog() }
}
