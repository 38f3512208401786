// How long packets wait in queues on the way to a peer whose clock is not ours: what its arrival times show above the
// least that was seen, and no more than our own clock allows. Must not know rates.
import RTP

/// The least of the last 20 to 30 s, so that a clock that drifts or a longer route is forgotten.
struct WindowedMinimum {
    private static let bucket = Interval.seconds(5)
    private var values = InlineArray<6, Int64>(repeating: .max)
    private var current = 0
    private var nextBucketAt = Instant.distantPast

    /// `Int64.max` before the first.
    var value: Int64 {
        var least = Int64.max
        for i in 0..<6 { least = min(least, values[i]) }
        return least
    }

    mutating func note(_ value: Int64, at now: Instant) {
        if now >= nextBucketAt {
            current = (current + 1) % 6
            values[current] = .max
            nextBucketAt = now + WindowedMinimum.bucket
        }
        values[current] = min(values[current], value)
    }

    /// All values become this much larger.
    mutating func shift(by difference: Int64) {
        for i in 0..<6 where values[i] != .max { values[i] &+= difference }
    }

    mutating func reset() { values = InlineArray<6, Int64>(repeating: .max) }
}

struct PathDelay {
    /// Arrival minus departure, on two clocks.
    private var transit = WindowedMinimum()
    /// From departure to the report about it, on our clock.
    private var report = WindowedMinimum()
    private var least = Int64.max
    /// Of the packet of the last report that waited least; zero before the first.
    private(set) var queue = Interval.zero
    /// From the departure of the newest packet of a report to the report, smoothed; nil before the first.
    private(set) var roundTrip: Interval?
    /// The least is not forgotten by now.
    var keepsLeast = false

    enum OnReport: Equatable {
        case settled
        /// The peer's clock jumped: times before and after are not comparable.
        case jumped
    }

    /// A clock that seems to run away by more than this has jumped.
    private static let tolerance: Int64 = 150_000

    /// A report begins; this is the newest packet that it has.
    mutating func begin(newestSent sent: Instant, arrival: Int64, at now: Instant) -> OnReport {
        let elapsed = max(0, (now - sent).microseconds)
        report.note(keepsLeast ? min(elapsed, report.value) : elapsed, at: now)
        roundTrip = .microseconds(roundTrip.map { ($0.microseconds * 7 + elapsed) / 8 } ?? elapsed)
        let known = transit.value
        guard known != .max else { return .settled }
        // What waited in a queue was not reported sooner than that.
        let allowed = elapsed - report.value
        let newest = arrival &- sent.microseconds
        guard
            newest &- known &- allowed > PathDelay.tolerance || newest < known &- PathDelay.tolerance
        else { return .settled }
        transit.shift(by: newest &- allowed &- known)
        return .jumped
    }

    /// Notes one packet of the report.
    @inline(__always)
    mutating func note(sent: Instant, arrival: Int64) {
        least = min(least, arrival &- sent.microseconds)
    }

    /// All packets of the report were noted.
    mutating func settle(at now: Instant) {
        guard least != .max else { return }
        transit.note(keepsLeast ? min(least, transit.value) : least, at: now)
        queue = .microseconds(max(0, least &- transit.value))
        least = .max
    }

    /// The least time from a departure to the report about it: one round trip without queues.
    var leastRoundTrip: Interval? { report.value == .max ? nil : .microseconds(report.value) }

    /// The way became longer: what is seen from now on is its least.
    mutating func forgetLeast() { transit.reset() }

    mutating func reset() { self = PathDelay() }
}
