// How much a path may soon be shown to carry, so that what needs it is asked for in time: an encoder takes a while to start.
// Knows neither probes nor layers.
import RTP

struct Prospect {
    /// Where the estimate was, on the whole, in the last seconds: down with it at once, up slowly.
    private var floor = 0.0
    private var updatedAt: Instant?

    private static let memory = 4_000_000.0
    /// Above this share of what it was, in percent, the estimate climbs …
    private static let climb = 130.0
    /// … and the next probe may show so much, percent: it tests twice the estimate at most.
    private static let next = 200
    /// Without probes it grows by little at a time.
    private static let usual = 110

    /// - Parameter estimate: bits per second.
    mutating func look(_ estimate: Int, at now: Instant) -> Int {
        let value = Double(estimate)
        let elapsed = updatedAt.map { Double(max(0, (now - $0).microseconds)) } ?? 0
        if updatedAt == nil { floor = value }
        updatedAt = now
        let isClimbing = value * 100 > floor * Prospect.climb
        floor = min(value, floor + (value - floor) * min(1, elapsed / Prospect.memory))
        return estimate * (isClimbing ? Prospect.next : Prospect.usual) / 100
    }
}
