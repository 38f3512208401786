// When to test whether the path carries more, how fast, and how much of it at a time. It says what is to be sent and is
// told what was; what a probe consists of, and what it showed, others know.
import RTP

struct ProbeController {
    /// One test: packets that are sent at a rate above the usual one.
    struct Cluster: Equatable {
        /// 1–255, in turn.
        var id: UInt8 = 0
        /// Bits per second.
        var rate = 0
        /// What makes it whole.
        var packets = 0
        var bytes = 0
        var sentPackets = 0
        var sentBytes = 0
        /// Of the first and the last packet.
        var startedAt = Instant.distantFuture
        var endedAt = Instant.distantPast

        var isWhole: Bool { sentPackets >= packets && sentBytes >= bytes }
    }

    /// What may go out now.
    struct Order: Equatable {
        var cluster: UInt8
        /// At least so many bytes on the wire, in as few packets as they fit in.
        var bytes: Int
        /// Packets that are made for it should be so large.
        var packetBytes: Int
    }

    /// What the session knows when it is asked whether to probe.
    struct Situation {
        /// Bits per second.
        var estimate = 0
        /// What the next useful step needs in all, bits per second; 0: everything is sent.
        var goal = 0
        /// What everything at its best needs, bits per second.
        var desired = 0
        var maximum = Limits.Bandwidth.maximum
        /// Queues grow, drain, or nothing is reported.
        var isCongested = false
        var isLossLimited = false
        /// Since when most of the estimate is not used.
        var idleSince: Instant?
    }

    enum OnResult: Equatable {
        /// Not the one that is waited for.
        case none
        /// The path carries the rate.
        case carried
        /// It does not.
        case exceeded
    }

    private enum Phase {
        case idle
        case sending
        case waiting(until: Instant)
    }

    private static let startFactors = (first: 3, second: 6)
    /// Above the goal, percent: what the estimate needs to be seen as reached.
    private static let margin = 115
    private static let most = 2
    /// Percent of the estimate.
    private static let progress = 130
    /// A probe that could not be sent for so long is given up.
    private static let lateness = Interval.milliseconds(100)
    private static let chunk: Int64 = 2_000
    /// What a probe may add to the queue of a path that carries no more than the estimate.
    private static let queue = Interval.milliseconds(25)
    /// How often the length doubles.
    private static let longerMost = 2
    /// Probes in a row that may tell nothing before that counts as a failure.
    private static let untoldMost = 4
    private static let untoldWait = Interval.milliseconds(100)
    private static let packetBytes = 200...1200

    private var phase = Phase.idle
    private(set) var cluster = Cluster()
    /// Rates that are tested before any result, the next one first; 0: none.
    private var queued = (first: 0, second: 0)
    /// In a row.
    private var failures = 0
    private var interval = Limits.Bandwidth.probeInterval
    private var nextGoalAt = Instant.distantPast
    private var lastProbeAt = Instant.distantPast
    /// A hint is followed again after this time only.
    private var nextHintAt = Instant.distantPast
    private var hintInterval = Limits.Bandwidth.probeInterval
    private var followsHint = false
    private var untold = 0
    private(set) var count = 0

    /// When `order(at:)` or `advance(_:to:)` has something to do.
    func nextDeadline(_ situation: Situation) -> Instant {
        switch phase {
        case .sending: return nextSendAt
        case .waiting(let until): return until
        case .idle:
            guard !situation.isCongested else { return .distantFuture }
            var next = Instant.distantFuture
            if wantsGoal(situation) { next = queued.first > 0 ? .distantPast : nextGoalAt }
            if let upkeep = upkeepAt(situation) { next = min(next, upkeep) }
            return next
        }
    }

    /// Whether packets of a probe are due or on their way.
    var isActive: Bool { if case .idle = phase { false } else { true } }
    var isSending: Bool { if case .sending = phase { true } else { false } }
    var isAwaiting: Bool { if case .waiting = phase { true } else { false } }

    // MARK: When

    /// The first packets are about to be sent, or the path is another one.
    mutating func begin(estimate: Int, isNew: Bool, at now: Instant) {
        phase = .idle
        let factors = ProbeController.startFactors
        queued = isNew ? (estimate * factors.first, estimate * factors.second) : (estimate * 2, 0)
        interval = Limits.Bandwidth.probeInterval
        failures = 0
        nextGoalAt = now
    }

    /// Gives up a probe that is too late, and starts one that is due.
    mutating func advance(_ situation: Situation, to now: Instant) {
        switch phase {
        case .sending:
            if now > nextSendAt + ProbeController.lateness { skip(at: now) }
        case .waiting(let until):
            if now >= until { tellNothing(at: now) }
        case .idle:
            if !situation.isCongested && situation.estimate > 0 { startIfDue(situation, now) }
        }
    }

    /// What is to be sent cannot be sent.
    mutating func skip(at now: Instant) {
        guard case .sending = phase else { return }
        phase = .idle
        queued = (0, 0)
        nextGoalAt = now + interval
    }

    private mutating func startIfDue(_ situation: Situation, _ now: Instant) {
        if wantsGoal(situation) && queued.first > 0 {
            let rate = min(queued.first, situation.maximum, max(situation.desired, situation.goal) * 2)
            queued = (queued.second, 0)
            if rate > situation.estimate { start(rate, situation, now) }
        } else if wantsGoal(situation) && now >= nextGoalAt {
            let most =
                situation.isLossLimited
                ? situation.estimate * 3 / 2 : situation.estimate * ProbeController.most
            start(min(situation.goal * ProbeController.margin / 100, most, situation.maximum), situation, now)
        } else if let upkeep = upkeepAt(situation), now >= upkeep {
            start(min(situation.estimate, situation.desired * ProbeController.margin / 100), situation, now)
        }
    }

    private func wantsGoal(_ situation: Situation) -> Bool {
        situation.goal > situation.estimate && situation.estimate < situation.maximum
    }

    private func upkeepAt(_ situation: Situation) -> Instant? {
        guard let since = situation.idleSince, situation.desired > 0 else { return nil }
        return max(since, lastProbeAt) + Limits.Bandwidth.upkeepInterval
    }

    private mutating func start(_ rate: Int, _ situation: Situation, _ now: Instant) {
        let id = cluster.id == 255 ? 1 : cluster.id + 1
        // What jitter hides in a short probe shows in a longer one.
        let longer = min(failures, ProbeController.longerMost)
        let time = Limits.Bandwidth.probeTime * (1 << Int64(longer))
        var bytes = Int(Int64(rate) * time.microseconds / 8_000_000)
        // What is too much for a path that is no better waits in its queue: not for long.
        let excess = rate - situation.estimate
        if excess > 0 {
            let wait = ProbeController.queue * Int64(max(1, longer))
            let allowed = Int64(situation.estimate) * wait.microseconds / 8_000_000
            bytes = min(bytes, Int(allowed * Int64(rate) / Int64(excess)))
        }
        cluster = Cluster(
            id: id,
            rate: rate,
            packets: Limits.Bandwidth.probePackets,
            bytes: min(bytes, Limits.Bandwidth.probeBytes)
        )
        cluster.startedAt = now
        lastProbeAt = now
        count += 1
        phase = .sending
    }

    /// Packets that left together came further apart than the estimate explains, or closer: the path may have changed.
    /// The next probe need not wait.
    mutating func hint(at now: Instant) {
        guard case .idle = phase, now >= nextHintAt, now < nextGoalAt else { return }
        nextGoalAt = now
        nextHintAt = now + hintInterval
        followsHint = true
    }

    /// The rate was cut: probing waits, and then begins anew with short intervals.
    mutating func abort(at now: Instant, wait: Interval) {
        if case .sending = phase { phase = .idle }
        if case .waiting = phase { phase = .idle }
        queued = (0, 0)
        interval = Limits.Bandwidth.probeInterval
        nextGoalAt = max(nextGoalAt, now + wait)
    }

    /// After a drop the path may come back soon: no long interval from before counts.
    mutating func hasten(at now: Instant, wait: Interval) {
        interval = Limits.Bandwidth.probeInterval
        hintInterval = Limits.Bandwidth.probeInterval
        nextHintAt = now
        nextGoalAt = now + wait
    }

    // MARK: What

    private var nextSendAt: Instant {
        guard cluster.sentBytes > 0, cluster.rate > 0 else { return cluster.startedAt }
        return cluster.startedAt
            + .microseconds(Int64(cluster.sentBytes) * 8_000_000 / Int64(cluster.rate))
    }

    /// What of the probe may go out now; nil: nothing yet.
    func order(at now: Instant) -> Order? {
        guard case .sending = phase, now >= nextSendAt else { return nil }
        let first = cluster.sentPackets == 0 ? now : cluster.startedAt
        let elapsed = (now - first).microseconds + ProbeController.chunk
        let due = Int(Int64(cluster.rate) * elapsed / 8_000_000) - cluster.sentBytes
        let share = max(cluster.bytes, 1) / max(cluster.packets, 1)
        let range = ProbeController.packetBytes
        let packet = max(range.lowerBound, min(share, range.upperBound))
        return Order(cluster: cluster.id, bytes: max(packet, due), packetBytes: packet)
    }

    /// A packet of the present probe goes out.
    mutating func sent(_ size: Int, at now: Instant) {
        guard case .sending = phase else { return }
        if cluster.sentPackets == 0 { cluster.startedAt = now }
        cluster.sentPackets += 1
        cluster.sentBytes += size
        cluster.endedAt = now
        if cluster.isWhole { phase = .waiting(until: now + Limits.Bandwidth.probeResultTime) }
    }

    // MARK: What it showed

    /// How a probe came through.
    /// - Parameter estimate: from before, bits per second.
    mutating func result(
        _ result: ProbeEstimator.Result,
        of id: UInt8,
        estimate: Int,
        at now: Instant
    ) -> OnResult {
        guard case .waiting = phase, id == cluster.id else { return .none }
        phase = .idle
        untold = 0
        guard !result.isFull else {
            fail(at: now)
            // More than was known: what is beyond is of interest soon.
            if result.rate * 100 > estimate * ProbeController.progress {
                interval = Limits.Bandwidth.probeInterval
                nextGoalAt = now + ProbeController.untoldWait
            }
            return .exceeded
        }
        interval = Limits.Bandwidth.probeInterval
        failures = 0
        nextGoalAt = now
        if followsHint { hintInterval = Limits.Bandwidth.probeInterval }
        followsHint = false
        return .carried
    }

    /// The words about it were lost, not the packets: it is sent again soon.
    mutating func tellNothing(at now: Instant) {
        guard case .waiting = phase else { return }
        untold += 1
        guard untold < ProbeController.untoldMost else { return fail(at: now) }
        phase = .idle
        if queued.first == 0 {
            nextGoalAt = now + ProbeController.untoldWait
        } else {
            queued = (cluster.rate, queued.first)
        }
    }

    /// Too much of it was lost.
    mutating func lose(at now: Instant) {
        guard case .waiting = phase else { return }
        fail(at: now)
    }

    private mutating func fail(at now: Instant) {
        phase = .idle
        untold = 0
        queued = (0, 0)
        nextGoalAt = now + interval
        interval = min(
            .microseconds(interval.microseconds * 3 / 2),
            Limits.Bandwidth.probeIntervalLongest
        )
        failures += 1
        if followsHint {
            hintInterval = min(hintInterval * 2, Limits.Bandwidth.probeIntervalLongest)
            nextHintAt = now + hintInterval
            followsHint = false
        }
    }
}
