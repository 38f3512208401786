// The rate that loss allows: the one under which the losses of the last seconds are most likely, where a path loses
// some packets whatever is sent, and the others when more is sent than it carries. Where these look alike, it tries for
// half a second what less does. Knows no delay.
import RTP

struct LossController {
    private struct Observation {
        /// kbit/s sent.
        var rate = 0.0
        /// kilobytes
        var lost = 0.0
        var received = 0.0
    }

    private static let window = 15
    private static let least = 3
    private static let span: Int64 = 250_000
    /// kbit/s by which the rate's own share of the loss is weighed.
    private static let balance = 100.0
    /// Loss that a path may have by itself at any rate.
    private static let inherentMost = 0.08
    private static let inherentLeast = 0.001
    /// Loss above which the rate is bounded at once.
    private static let alarm = 0.12
    /// At this loss a higher rate is no longer preferred.
    private static let biasEnd = 0.2
    private static let increaseMost = 1.3
    private static let holdFirst = Interval.milliseconds(300)
    private static let holdLongest = Interval.seconds(10)
    /// Loss that is worth a trial, once it has lasted.
    private static let trialLoss = 0.08
    private static let trialAfter = Interval.seconds(2)
    private static let trialTime: Int64 = 500_000
    private static let trialRate = 0.85
    /// What is left of the loss where it was too much sent.
    private static let trialGain = 0.3
    /// After a trial that changed nothing, and at most after one that did.
    private static let trialInterval = Interval.seconds(60)
    private static let boundFirst = Interval.seconds(5)
    private static let boundShare = 0.97

    private var observations = InlineArray<15, Observation>(repeating: Observation())
    private var weights = InlineArray<15, Double>(repeating: 0)
    private var count = 0
    private var newest = 0
    private var open = Observation()
    private var openedAt: Int64?
    /// Of what was sent lately, 0–1.
    private(set) var loss = 0.0
    private var inherent = 0.01
    /// kbit/s; nil while loss limits nothing.
    private var estimate: Double?
    private var hold = LossController.holdFirst
    private var heldUntil = Instant.distantPast
    private var lastRaise = Instant.distantPast
    /// Since when it has been high enough for a trial.
    private var highSince: Instant?
    private var trial: Trial?
    private var nextTrial = Instant.distantPast
    /// What a trial showed to be the end of the path, kbit/s, while it counts.
    private var bound: Double?
    private var boundUntil = Instant.distantPast
    private var end: Int?
    private var boundTime = LossController.boundFirst

    private struct Trial {
        /// Microseconds.
        var start: Int64
        /// kbit/s
        var rate: Double
        var arriving: Double
        var lossBefore: Double
        var lost = 0.0
        var received = 0.0
        var isOver = false
    }

    init() {
        var weight = 1.0
        for i in 0..<15 {
            weights[i] = weight
            weight *= 0.9
        }
    }

    /// Bits per second; nil while loss limits nothing.
    var limit: Int? { estimate.map { Int($0 * 1000) } }

    /// What a trial has just shown to be the end of the path, bits per second; nil: nothing new.
    mutating func takeEnd() -> Int? {
        defer { end = nil }
        return end
    }

    /// Whether less is sent to see what becomes of the loss: nothing else should be tried meanwhile.
    var isTrying: Bool { trial != nil }

    /// Notes a packet whose fate is reported.
    /// - Parameter sent: microseconds.
    mutating func note(_ size: Int, isLost: Bool, sent: Int64) {
        let start = openedAt ?? sent
        openedAt = start
        if sent - start >= LossController.span { close(at: sent) }
        if isLost { open.lost += Double(size) / 1000 } else { open.received += Double(size) / 1000 }
        guard var trial, sent >= trial.start else { return }
        if isLost { trial.lost += Double(size) } else { trial.received += Double(size) }
        if sent - trial.start >= LossController.trialTime { trial.isOver = true }
        self.trial = trial
    }

    /// A packet that was reported lost came after all.
    mutating func revise(_ size: Int) {
        let bytes = Double(size) / 1000
        if open.lost >= bytes {
            open.lost -= bytes
            open.received += bytes
        } else if count > 0, observations[newest].lost >= bytes {
            observations[newest].lost -= bytes
            observations[newest].received += bytes
        }
    }

    private mutating func close(at sent: Int64) {
        let time = Double(sent - (openedAt ?? sent)) / 1000
        open.rate = (open.lost + open.received) * 8 / max(time, 1) * 1000
        newest = (newest + 1) % LossController.window
        observations[newest] = open
        count = min(count + 1, LossController.window)
        open = Observation()
        openedAt = sent
    }

    private func observation(_ age: Int) -> Observation {
        observations[(newest + LossController.window - age) % LossController.window]
    }

    /// Finds the limit anew.
    /// - Parameters:
    ///   - delayBased: bits per second that the delay allows.
    ///   - acknowledged: bits per second that arrive.
    mutating func update(delayBased: Int, acknowledged: Int?, at now: Instant) {
        measure()
        let ceiling = Double(delayBased) / 1000
        guard count >= LossController.least, loss > 0 else {
            estimate = bound.flatMap { now < boundUntil && $0 < ceiling ? $0 : nil }
            return
        }
        let present = min(estimate ?? ceiling, ceiling)
        let arriving = acknowledged.map { Double($0) / 1000 }
        var best = present
        var bestScore = -Double.infinity
        var bestInherent = inherent
        for candidate in 0..<5 {
            let rate: Double
            switch candidate {
            case 0: rate = min(present * 1.02, ceiling)
            case 1: rate = present
            case 2: rate = present * 0.95
            case 3: rate = min(arriving ?? present, ceiling)
            default: rate = ceiling
            }
            guard rate > 0 else { continue }
            let share = inherentLoss(at: rate)
            let score = likelihood(of: rate, inherent: share)
            if score > bestScore {
                bestScore = score
                best = rate
                bestInherent = share
            }
        }
        inherent = bestInherent
        settle(best, present, ceiling, arriving, now)
        tryLess(ceiling, arriving, now)
    }

    /// Sends less for a moment: loss that stays is the path's own, loss that goes was too much sent.
    private mutating func tryLess(_ ceiling: Double, _ arriving: Double?, _ now: Instant) {
        if let trial {
            // Should the reports stop meanwhile, somebody else notices.
            guard trial.isOver || now.microseconds - trial.start > 8 * LossController.trialTime else {
                estimate = min(estimate ?? ceiling, trial.rate)
                return
            }
            finish(trial, now)
        }
        if let bound, now < boundUntil { estimate = min(estimate ?? ceiling, max(bound, 1)) }
        guard loss >= LossController.trialLoss else {
            highSince = nil
            return
        }
        let since = highSince ?? now
        highSince = since
        guard trial == nil, now - since >= LossController.trialAfter, now >= nextTrial, let arriving else {
            return
        }
        trial = Trial(
            start: now.microseconds,
            rate: arriving * LossController.trialRate,
            arriving: arriving,
            lossBefore: loss
        )
        estimate = min(estimate ?? ceiling, arriving * LossController.trialRate)
    }

    private mutating func finish(_ trial: Trial, _ now: Instant) {
        self.trial = nil
        highSince = nil
        let all = trial.lost + trial.received
        guard all > 0, trial.lost / all < trial.lossBefore * LossController.trialGain else {
            nextTrial = now + LossController.trialInterval
            boundTime = LossController.boundFirst
            return
        }
        bound = trial.arriving * LossController.boundShare
        end = Int(trial.arriving * LossController.boundShare * 1000)
        boundUntil = now + boundTime
        boundTime = min(boundTime * 2, LossController.trialInterval)
        nextTrial = now
    }

    private mutating func settle(
        _ best: Double,
        _ present: Double,
        _ ceiling: Double,
        _ arriving: Double?,
        _ now: Instant
    ) {
        var chosen = best
        if loss > LossController.alarm {
            chosen = min(chosen, LossController.balance / (loss - LossController.alarm))
        }
        // What arrives does arrive.
        if let arriving { chosen = max(chosen, min(arriving, ceiling)) }
        if chosen < present {
            hold =
                now < heldUntil + hold ? min(hold * 2, LossController.holdLongest) : LossController.holdFirst
            heldUntil = now + hold
        } else if chosen > present && estimate != nil {
            if now < heldUntil {
                chosen = max(present, min(chosen, (arriving ?? present) * 1.2))
            } else if now - lastRaise < LossController.holdFirst {
                chosen = present
            } else {
                lastRaise = now
                chosen = min(chosen, present * LossController.increaseMost)
            }
        }
        estimate = chosen < ceiling ? chosen : nil
    }

    /// The share of bytes that were lost, the newest counting most.
    private mutating func measure() {
        var lost = 0.0
        var all = 0.0
        for age in 0..<count {
            let item = observation(age)
            lost += weights[age] * item.lost
            all += weights[age] * (item.lost + item.received)
        }
        loss = all > 0 ? lost / all : 0
    }

    private func probability(_ item: Observation, _ rate: Double, _ inherent: Double) -> Double {
        var p = inherent
        if item.rate > rate { p += (1 - inherent) * (item.rate - rate) / item.rate }
        return max(1e-6, min(p, 1 - 1e-6))
    }

    /// One step of Newton's method towards the most likely loss of the path itself, were its end at this rate.
    private func inherentLoss(at rate: Double) -> Double {
        var first = 0.0
        var second = 0.0
        for age in 0..<count {
            let item = observation(age)
            let p = probability(item, rate, inherent)
            first += weights[age] * (item.lost / p - item.received / (1 - p))
            second -= weights[age] * (item.lost / (p * p) + item.received / ((1 - p) * (1 - p)))
        }
        let step = second < 0 ? inherent - 0.75 * first / second : inherent
        let most = min(0.5, LossController.inherentMost + LossController.balance / rate)
        return max(LossController.inherentLeast, min(step, most))
    }

    private func likelihood(of rate: Double, inherent: Double) -> Double {
        let preference =
            max(0, 1 - loss / LossController.biasEnd) * (0.0002 * rate + 0.02 * Decibels.ln(1 + rate))
        var sum = 0.0
        for age in 0..<count {
            let item = observation(age)
            let p = probability(item, rate, inherent)
            sum +=
                weights[age]
                * (item.lost * Decibels.ln(p) + item.received * Decibels.ln(1 - p)
                    + preference * (item.lost + item.received))
        }
        return sum
    }

    mutating func reset() { self = LossController() }
}
