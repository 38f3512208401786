// What follows from a message: which of the detectors speaks, and what the rate becomes. Must not know how messages are
// read.
import RTP

extension BandwidthEstimator {
    /// A message told something new.
    /// - Parameters:
    ///   - missing: messages before it that were lost.
    ///   - lost: packets that it says are.
    mutating func evaluate(missing: Int, lost: Int, at now: Instant) -> OnEstimate {
        recover(missing, at: now)
        if application.update(estimate: estimate, at: now) && application.since == nil {
            acknowledged.expectChange()
        }
        if share(lost, at: now) {
            control.limit(settings.minimum...settings.maximum)
            return settle(at: now)
        }
        let report = CliffDetector.Report(
            sent: departed.rate(over: BandwidthEstimator.cliffWindow),
            arrived: arrived.rate(over: BandwidthEstimator.cliffWindow),
            queue: path.queue,
            threshold: trend.threshold
        )
        var hasCollapsed = false
        switch cliff.update(report, at: now) {
        case .fell(let rate):
            control.set(max(settings.minimum, min(control.estimate, rate * 85 / 100)), at: now)
            control.noteFull(rate)
            probes.abort(at: now, wait: .seconds(1))
            hasCollapsed = true
            provenRate = 0
        case .drained(let rate):
            control.set(max(control.estimate, rate * 95 / 100), at: now)
            // What the full queue dropped is answered: it says nothing of the path at the rate of now.
            loss.reset()
            trend.reset()
            groups.reset()
            probes.hasten(at: now, wait: .milliseconds(500))
        case .draining: break
        case .clear: follow(at: now)
        }
        readProbe(at: now)
        control.limit(settings.minimum...settings.maximum)
        loss.update(delayBased: control.estimate, acknowledged: arriving, at: now)
        if let end = loss.takeEnd() {
            control.set(min(control.estimate, max(settings.minimum, end)), at: now)
            control.noteFull(end)
        }
        let change = settle(at: now)
        return hasCollapsed && change == .lowered ? .collapsed : change
    }

    /// Returns whether others fill the queue, so that it says nothing.
    private mutating func share(_ lost: Int, at now: Instant) -> Bool {
        // Where there is no queue, nobody asks for the rates.
        let stands = path.queue >= SharedQueue.empty
        let report = SharedQueue.Report(
            queue: path.queue,
            sent: stands ? departed.rate(over: BandwidthEstimator.sustained) : nil,
            arrived: stands ? arrived.rate(over: BandwidthEstimator.sustained) : nil,
            lost: lost,
            loss: loss.loss,
            roundTrip: roundTrip,
            goal: goal
        )
        let wasShared = shared.isShared
        if shared.update(report, estimate: control.estimate, at: now) == .longer { path.forgetLeast() }
        guard shared.isShared else { return false }
        if !wasShared {
            cliff.reset()
            // What the full queue dropped before is answered.
            loss.reset()
            probes.abort(at: now, wait: .seconds(1))
        }
        loss.update(delayBased: control.estimate, acknowledged: arriving, at: now)
        _ = loss.takeEnd()
        control.set(shared.rate(report, estimate: control.estimate, at: now), at: now)
        return true
    }

    private static let cliffWindow = Interval.milliseconds(200)
    private static let noiseFull = Interval.milliseconds(20)
    private static let noiseBelow = Interval.milliseconds(50)
    private static let sustained = Interval.milliseconds(600)
    /// A few pictures, so that their sizes even out.
    private static let recent = Interval.milliseconds(300)
    /// Less than this share of the estimate, in percent, says nothing about it.
    private static let usage = 75

    private mutating func follow(at now: Instant) {
        var use = trend.use
        let recent = arrived.rate(over: BandwidthEstimator.recent)
        if use == .overuse && (path.queue < noise(recent) || isOwnQueue || isOwnProbe(at: now)) {
            use = .underuse
        }
        let isIdle = arriving.map { $0 * 100 < control.estimate * BandwidthEstimator.usage } ?? true
        var through = arriving
        // The smoothed rate lags behind one that was raised.
        if use == .overuse, let recent { through = max(through ?? recent, recent) }
        let change = control.update(
            RateControl.Observation(
                use: use,
                acknowledged: through,
                sustained: arrived.rate(over: BandwidthEstimator.sustained),
                loss: loss.loss,
                roundTrip: roundTrip,
                isIdle: isIdle || application.since != nil
            ),
            at: now
        )
        guard use == .overuse && change == .lowered else { return }
        probes.abort(at: now, wait: .seconds(1))
        provenRate = 0
    }

    /// Whether the queue is what so much makes on the path as it was found to be: a key frame after a raise. It goes by
    /// itself; were the rate cut, the raise would be taken back for no reason but its own beginning.
    private var isOwnQueue: Bool {
        path.queue < BandwidthEstimator.ownQueue
            && path.queue <= own.queue + BandwidthEstimator.ownQueueNoise
    }

    private static let ownQueue = Interval.milliseconds(100)
    private static let ownQueueNoise = Interval.milliseconds(10)

    /// Whether the queue is what a probe of ours has just put there.
    private func isOwnProbe(at now: Instant) -> Bool {
        guard path.queue < BandwidthEstimator.probeQueue, probes.count > 0 else { return false }
        let end = max(probes.cluster.endedAt, probes.cluster.startedAt)
        return now - end < roundTrip + BandwidthEstimator.probeShadow
    }

    private static let probeQueue = Interval.milliseconds(150)
    private static let probeShadow = Interval.milliseconds(600)

    /// A queue below this is noise. Where less is sent than the path was found to carry, pictures make it, one after
    /// the other, and it goes by itself.
    private func noise(_ recent: Int?) -> Interval {
        guard let capacity = control.capacity.value, let recent, recent * 100 < capacity * 98 else {
            return BandwidthEstimator.noiseFull
        }
        return BandwidthEstimator.noiseBelow
    }

    /// After a silence: what was before counts again, unless the path shows otherwise.
    private mutating func recover(_ missing: Int, at now: Instant) {
        guard watchdog.reported(missing: missing, at: now) > 0, let before = beforeSilence else { return }
        beforeSilence = nil
        guard path.queue < .milliseconds(50), loss.loss < 0.1, before > control.estimate else { return }
        control.set(before, at: now)
    }

    private mutating func readProbe(at now: Instant) {
        let cluster = probes.cluster
        guard probes.isAwaiting else { return }
        // Complete, or followed by something that was sent later.
        guard
            probed.packets(of: cluster.id) >= cluster.sentPackets
                || departed.end > cluster.endedAt.microseconds
        else { return }
        guard let found = probed.result(of: cluster) else {
            if probed.isLossy(cluster) { probes.lose(at: now) } else { probes.tellNothing(at: now) }
            return
        }
        let result = probes.result(found, of: cluster.id, estimate: estimate, at: now)
        guard result != .none, !cliff.isDraining else { return }
        let rate = control.noteProbe(found.rate, isFull: result == .exceeded)
        provenRate = rate
        provenAt = now
        if rate > control.estimate {
            doubts = 0
            control.set(rate, at: now)
        } else if result == .exceeded {
            doubts += 1
            guard doubts >= 2 else { return }
            doubts = 0
            control.set(min(control.estimate, max(rate, (arriving ?? 0) * 102 / 100)), at: now)
        } else {
            doubts = 0
        }
    }
}
