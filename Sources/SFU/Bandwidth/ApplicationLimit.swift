// Whether the traffic leaves much of the estimate unused, so that the estimate is not tested by it. Knows no path.
import RTP

struct ApplicationLimit {
    /// Share of the estimate that would count as used.
    private static let usage = 0.65
    private static let start = 0.80
    private static let stop = 0.50
    private static let window: Int64 = 500_000

    /// nil: the estimate is used.
    private(set) var since: Instant?
    private var unpaid = 0
    /// Bytes that were left unused, at most those of the window.
    private var saved = 0.0
    private var updatedAt: Instant?

    @inline(__always)
    mutating func sent(_ size: Int) { unpaid &+= size }

    /// Returns whether the state changed.
    mutating func update(estimate: Int, at now: Instant) -> Bool {
        let elapsed = updatedAt.map { max(0, min((now - $0).microseconds, ApplicationLimit.window)) } ?? 0
        updatedAt = now
        let rate = Double(estimate) * ApplicationLimit.usage / 8_000_000
        let most = rate * Double(ApplicationLimit.window)
        saved = max(-most, min(most, saved + rate * Double(elapsed) - Double(unpaid)))
        unpaid = 0
        guard most > 0 else { return false }
        if since == nil && saved > most * ApplicationLimit.start {
            since = now
            return true
        }
        if since != nil && saved < most * ApplicationLimit.stop {
            since = nil
            return true
        }
        return false
    }
}
