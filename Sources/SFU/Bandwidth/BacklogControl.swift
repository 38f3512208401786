// The rate over a connection that controls congestion itself (ICE-TCP): what waits in front of it tells whether it keeps
// up. Delays of single packets tell nothing there. Knows no packet.
import RTP

struct BacklogControl {
    /// What waits, in time at the present rate, before the rate falls …
    private static let high = Interval.milliseconds(150)
    /// … and below which it grows.
    private static let low = Interval.milliseconds(40)
    private static let decreaseInterval = Interval.milliseconds(250)
    /// Percent per second.
    private static let increase = 15
    /// Percent of what leaves.
    private static let decrease = 85

    /// Bits per second.
    private(set) var estimate: Int
    private var drained = RateWindow()
    private var handed = 0
    private var before = 0
    private var lastDecrease = Instant.distantPast
    private var lastUpdate: Instant?

    init(start: Int) { estimate = start }

    enum OnBacklog: Equatable {
        case held, raised, lowered
    }

    @inline(__always)
    mutating func sent(_ size: Int) { handed &+= size }

    /// - Parameters:
    ///   - bytes: what was handed over and not yet taken by the connection's peer, as far as the caller sees it.
    ///   - isIdle: the traffic does not fill the rate.
    mutating func update(backlog bytes: Int, isIdle: Bool, at now: Instant) -> OnBacklog {
        drained.add(max(0, before + handed - bytes), at: now.microseconds)
        before = bytes
        handed = 0
        let elapsed = lastUpdate.map { max(0, min((now - $0).microseconds, 1_000_000)) } ?? 0
        lastUpdate = now
        let wait = Interval.microseconds(Int64(bytes) * 8_000_000 / Int64(max(1, estimate)))
        if wait > BacklogControl.high {
            guard now - lastDecrease >= BacklogControl.decreaseInterval else { return .held }
            lastDecrease = now
            let leaves = drained.rate(over: .milliseconds(400)) ?? estimate
            let lowered = min(estimate, leaves) * BacklogControl.decrease / 100
            guard lowered < estimate else { return .held }
            estimate = max(Limits.Bandwidth.minimum, lowered)
            return .lowered
        }
        guard wait < BacklogControl.low, !isIdle, now - lastDecrease > .seconds(1) else { return .held }
        let more = Int(Int64(estimate) * Int64(BacklogControl.increase) * elapsed / 100_000_000)
        guard more > 0 else { return .held }
        estimate = min(estimate + more, Limits.Bandwidth.maximum)
        return .raised
    }
}
