// The rate that the delay allows: less at once where queues grow, more while they don't (additive increase near the
// known end of the path, multiplicative far from it; draft-ietf-rmcat-gcc-02 §5.6). Must not know loss.
import RTP

struct RateControl {
    private enum Phase {
        case hold, increase
    }

    private static let decrease = 0.85
    /// Share per second.
    private static let increase = 0.08
    private static let leastIncrease = 1000.0
    /// What arrives bounds the estimate: it is not raised above this much of it, plus 10 kbit/s.
    private static let headroom = 1.10
    private static let headroomRate = 10_000
    /// Frames per second that a packet is spread over, for the additive increase.
    private static let packetBits = 1200.0 * 8
    private static let leastAdditive = 4000.0

    /// Bits per second.
    private(set) var estimate: Int
    private(set) var capacity = LinkCapacity()
    private var phase = Phase.hold
    private var lastChange = Instant.distantPast
    private var lastDecrease = Instant.distantPast
    /// What the increases of less than one bit per second add up to.
    private var fraction = 0.0

    init(start: Int) { estimate = start }

    /// What happened on the path since the last update.
    struct Observation {
        var use = PathUse.normal
        /// Bits per second that arrived; nil: not known.
        var acknowledged: Int?
        /// The same over so long that the sizes of pictures even out.
        var sustained: Int?
        /// Share of it that was lost beside, 0–1.
        var loss = 0.0
        var roundTrip = Interval.milliseconds(100)
        /// The traffic does not fill the estimate, so that nothing is learnt about it.
        var isIdle = false
    }

    enum OnUpdate: Equatable {
        case held, raised, lowered
    }

    mutating func update(_ observation: Observation, at now: Instant) -> OnUpdate {
        switch observation.use {
        case .overuse: return lower(observation, at: now)
        case .underuse:
            // Queues drain: what was sent less is not there to be used yet.
            phase = .hold
            lastChange = now
            return .held
        case .normal:
            if phase == .hold {
                phase = .increase
                lastChange = now
                return .held
            }
            return raise(observation, at: now)
        }
    }

    private mutating func lower(_ observation: Observation, at now: Instant) -> OnUpdate {
        phase = .hold
        let wait = max(10_000, min(observation.roundTrip.microseconds, 200_000))
        let isCollapse = observation.acknowledged.map { $0 < estimate / 2 } ?? false
        guard (now - lastDecrease).microseconds >= wait || isCollapse else { return .held }
        lastChange = now
        lastDecrease = now
        guard let acknowledged = observation.acknowledged else {
            estimate = Int(Double(estimate) * RateControl.decrease)
            return .lowered
        }
        if let lower = capacity.lower, acknowledged < lower { capacity.reset() }
        capacity.noteOveruse(acknowledged: acknowledged)
        let lowered = Int(Double(acknowledged) * RateControl.decrease) - 5000
        guard lowered < estimate else { return .held }
        estimate = lowered
        return .lowered
    }

    private mutating func raise(_ observation: Observation, at now: Instant) -> OnUpdate {
        let elapsed = Double(min((now - lastChange).microseconds, 1_000_000)) / 1_000_000
        lastChange = now
        guard !observation.isIdle, elapsed > 0 else { return .held }
        if let acknowledged = observation.acknowledged, let upper = capacity.upper, acknowledged > upper {
            capacity.reset()
        }
        let more: Double
        if capacity.value != nil {
            let response = Double(observation.roundTrip.microseconds + 100_000) / 1_000_000 * 2
            let frame = Double(estimate) / 30
            let packets = max(1, (frame / RateControl.packetBits).rounded(.up))
            more = max(RateControl.leastAdditive, frame / packets / response) * elapsed
        } else {
            more = max(Double(estimate) * RateControl.increase, RateControl.leastIncrease) * elapsed
        }
        fraction += more
        let whole = Int(fraction)
        fraction -= Double(whole)
        var raised = estimate + whole
        if let acknowledged = observation.sustained ?? observation.acknowledged {
            let offered = Double(acknowledged) / max(0.5, 1 - observation.loss)
            raised = min(raised, Int(offered * RateControl.headroom) + RateControl.headroomRate)
        }
        guard raised > estimate else { return .held }
        estimate = raised
        return .raised
    }

    /// Sets the estimate to what was measured otherwise.
    mutating func set(_ rate: Int, at now: Instant) {
        if rate < estimate { lastDecrease = now }
        estimate = rate
        lastChange = now
        phase = .hold
    }

    /// A probe came through at this rate; where it was faster, the path ends there.
    /// - Returns: the rate as far as it is believed, bits per second.
    mutating func noteProbe(_ rate: Int, isFull: Bool) -> Int {
        let isNear = capacity.isNear(rate)
        if isFull || isNear {
            capacity.noteProbe(rate)
        } else if let upper = capacity.upper, rate > upper {
            capacity.reset()
        }
        guard isFull, isNear, let end = capacity.value else { return rate }
        return min(rate, end)
    }

    /// The path was full and this much came through.
    mutating func noteFull(_ rate: Int) {
        capacity.reset()
        capacity.noteProbe(rate)
    }

    mutating func limit(_ range: ClosedRange<Int>) {
        estimate = max(range.lowerBound, min(estimate, range.upperBound))
    }

    mutating func forgetCapacity() { capacity.reset() }
}
