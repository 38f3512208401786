// What one session may be sent: joins what delay, loss, silence, probes and the peer's own word say. One per session;
// it is told what was sent and what was reported, and says how much, when to look again and what to probe. Must not
// know layers, streams or sockets.
import RTP

struct BandwidthEstimator: ~Copyable {
    struct Settings: Sendable {
        /// Bits per second.
        var start = Limits.Bandwidth.start
        var minimum = Limits.Bandwidth.minimum
        var maximum = Limits.Bandwidth.maximum
        /// The peer sends transport-wide feedback; without it there are no probes.
        var hasFeedback = true
        /// A stream connection controls congestion itself.
        var isStream = false
    }

    /// What the last call changed, so that the caller knows whether to share out anew.
    enum OnEstimate: Equatable {
        case unchanged
        /// More than a little.
        case raised, lowered
        /// The path carries far less, or nothing is heard: act at once.
        case collapsed
    }

    struct OnFeedback: Equatable {
        var change = OnEstimate.unchanged
        var received = 0
        var lost = 0
        /// Thought lost before.
        var recovered = 0
        /// Numbers that were never sent, or so long ago that nobody remembers.
        var unsent = 0
        /// Reported before.
        var repeated = 0
    }

    /// What holds the rate where it is.
    enum Bound: UInt8 {
        /// What was assumed at first.
        case start
        case delay, loss
        /// The peer's own estimate.
        case receiver
        /// The path fell, and its queue drains.
        case draining
        /// Nothing is heard.
        case silence
        /// Others fill the queue.
        case shared
        /// What waits in front of a stream connection.
        case backlog
        case maximum
    }

    // What the road writes of each packet comes first.
    let settings: Settings
    var history = SentHistory()
    var application = ApplicationLimit()
    var watchdog = FeedbackWatchdog()
    var probes = ProbeController()
    /// Bits per second that the path carries, as far as is known.
    private(set) var estimate: Int
    /// Bits per second to send now, of everything: media, resends, probes beside. Less than the estimate while a queue
    /// drains.
    private(set) var target: Int
    /// Bits per second for the pacer: the target, and much less while a deep queue begins to drain, so that audio, which
    /// does not wait in the pacer, does not wait behind video in the path either.
    private(set) var pacing: Int
    private(set) var bound = Bound.start

    var clock = FeedbackClock()
    var path = PathDelay()
    var own = OwnQueue()
    var groups = InterArrival()
    var trend = Trendline()
    var acknowledged = AcknowledgedBitrate()
    /// By departure and by arrival, of the same packets.
    var departed = RateWindow()
    var arrived = RateWindow()
    var control: RateControl
    var loss = LossController()
    var cliff = CliffDetector()
    var shared = SharedQueue()
    var dispersion = BurstDispersion()
    var probed = ProbeEstimator()
    var reported: ReportedRate
    var backlog: BacklogControl
    /// The first number that no message covered so far.
    var nextReport: Int64 = 0
    var wasReported = false
    private(set) var desired = 0
    private(set) var goal = 0
    private var isStarved = false
    private var told: Int
    var beforeSilence: Int?
    private var reportedRoundTrip: Interval?
    private var nextUpkeep = Instant.distantPast
    private var isResting = false
    var provenRate = 0
    var provenAt = Instant.distantPast
    /// Probes in a row that found less than the estimate.
    var doubts = 0

    init(_ settings: Settings = Settings()) {
        self.settings = settings
        let start = max(settings.minimum, min(settings.start, settings.maximum))
        estimate = start
        target = start
        pacing = start
        told = start
        control = RateControl(start: start)
        reported = ReportedRate(start: start)
        backlog = BacklogControl(start: start)
    }

    // MARK: The road

    /// A packet goes out. Every packet that bears a transport-wide number is told of, in the order of the numbers. While
    /// a probe is sent, whatever goes out belongs to it.
    /// - Parameter size: bytes on the wire, with IP and UDP.
    @inline(__always)
    mutating func sent(_ number: UInt16, size: Int, kind: SentKind, at now: Instant) {
        let cluster = probes.isSending ? probes.cluster.id : 0
        history.sent(number, size: size, kind: kind, cluster: cluster, at: now)
        application.sent(size)
        if !watchdog.isWaiting { watchdog.wait(from: now, roundTrip) }
        if settings.isStream { backlog.sent(size) }
        if cluster != 0 { probes.sent(size, at: now) }
    }

    // MARK: What is known

    /// Between a departure and the report about it, smoothed.
    var roundTrip: Interval { path.roundTrip ?? reportedRoundTrip ?? .milliseconds(100) }
    var queueDelay: Interval { path.queue }
    var use: PathUse { trend.use }
    /// What a probe has just shown to pass, bits per second; 0: nothing.
    func proven(at now: Instant) -> Int { now - provenAt < BandwidthEstimator.proofAge ? provenRate : 0 }
    private static let proofAge = Interval.seconds(3)
    /// Of the bytes of the last seconds.
    var lossPercent: Double { loss.loss * 100 }
    /// Bits per second that arrive.
    var arriving: Int? { acknowledged.value }
    var byteCount: Int { MemoryLayout<BandwidthEstimator>.size + history.byteCount }

    private static let deepQueue = Interval.milliseconds(120)
    private static let deepTime = Interval.milliseconds(400)
    /// Percent of what the path carries.
    private static let deepShare = 30

    // MARK: Wishes

    /// - Parameters:
    ///   - desired: what everything at its best needs, bits per second, all counted.
    ///   - nextStep: what the next useful step needs in all; nil: nothing is missing.
    ///   - isStarved: nothing of what is wanted fits: maybe no packet goes out that would be reported.
    mutating func want(desired: Int, nextStep: Int?, isStarved: Bool = false, at now: Instant) {
        self.desired = desired
        self.isStarved = isStarved
        goal = min(nextStep ?? 0, settings.maximum)
    }

    /// No video is shown, or some is again: what is looked at now and then can wait.
    mutating func rest(_ rests: Bool, at now: Instant) {
        // A stream connection has no feedback that would say in between what is used.
        let rests = rests && !settings.isStream
        if isResting && !rests { nextUpkeep = min(nextUpkeep, now + BandwidthEstimator.upkeepInterval) }
        isResting = rests
    }

    var situation: ProbeController.Situation {
        mutating get {
            ProbeController.Situation(
                estimate: estimate,
                goal: goal,
                desired: desired,
                maximum: settings.maximum,
                isCongested: cliff.isDraining || shared.isShared || trend.use == .overuse
                    || !isStarved && (watchdog.cuts > 0 || loss.isTrying),
                isLossLimited: loss.limit != nil,
                idleSince: application.since
            )
        }
    }

    private var mayProbe: Bool {
        mutating get { settings.hasFeedback && !settings.isStream }
    }

    /// Something was sent before that is reported on, or nothing can be.
    private var startsProbes: Bool {
        mutating get { mayProbe && (history.highest >= 0 || isStarved) }
    }

    /// What of a probe is to go out now. To be asked again after it went, until there is nothing; who has nothing to
    /// send says so with `skipProbe(at:)`.
    mutating func probe(at now: Instant) -> ProbeController.Order? { mayProbe ? probes.order(at: now) : nil }

    mutating func skipProbe(at now: Instant) { probes.skip(at: now) }

    // MARK: Time

    /// When `advance(to:)` has something to do, or `probe(at:)` something to send.
    // `mutating` although it changes nothing: so large a struct is copied where it is only borrowed.
    var nextDeadline: Instant {
        mutating get {
            var next = min(nextUpkeep, watchdog.deadline)
            if startsProbes { next = min(next, probes.nextDeadline(situation)) }
            return next
        }
    }

    private static let upkeepInterval = Interval.milliseconds(500)

    mutating func advance(to now: Instant) -> OnEstimate {
        if now >= nextUpkeep {
            nextUpkeep =
                isResting
                ? (now + Limits.Bandwidth.restInterval).onSlowBeat
                : (now + BandwidthEstimator.upkeepInterval).onBeat
            history.advance(to: now)
            _ = application.update(estimate: estimate, at: now)
        }
        if watchdog.advance(to: now) { return fallSilent(at: now) }
        if startsProbes { probes.advance(situation, to: now) }
        return settle(at: now)
    }

    /// Less than `Limits.Bandwidth.silenceRepeat`.
    private static let starvedWait = Interval.milliseconds(500)

    private mutating func fallSilent(at now: Instant) -> OnEstimate {
        if beforeSilence == nil { beforeSilence = control.estimate }
        let basis = min(control.estimate, watchdog.cuts == 1 ? arriving ?? .max : .max)
        control.set(max(settings.minimum, basis * 85 / 100), at: now)
        // Where nothing else goes out that would be reported, probes must, between one cut and the next.
        probes.abort(at: now, wait: isStarved ? BandwidthEstimator.starvedWait : .seconds(1))
        _ = settle(at: now)
        return .collapsed
    }

    // MARK: Other words of the peer

    /// Its own estimate.
    /// - Parameter used: bits per second that are sent, for a peer that tells nothing else; nil: its estimate is a bound.
    mutating func received(receiverEstimate rate: UInt64, used: Int? = nil, at now: Instant) -> OnEstimate {
        if let used, !wasReported {
            reported.receive(soleEstimate: rate, used: used, at: now)
        } else {
            reported.receive(receiverEstimate: rate, at: now)
        }
        return settle(at: now)
    }

    /// A receiver report.
    /// - Parameter fractionLost: in 1/256, the highest of its streams.
    mutating func received(
        fractionLost: UInt8,
        roundTrip: Interval?,
        used: Int,
        at now: Instant
    ) -> OnEstimate {
        if let roundTrip, roundTrip >= .zero { reportedRoundTrip = min(roundTrip, .seconds(10)) }
        if !wasReported { reported.receive(fractionLost: fractionLost, used: used, at: now) }
        return settle(at: now)
    }

    /// What waits in front of a stream connection.
    mutating func received(backlog bytes: Int, at now: Instant) -> OnEstimate {
        guard settings.isStream else { return .unchanged }
        // There are no probes here: what the next step needs is tried by growing towards it.
        let isIdle = application.since != nil && goal <= estimate
        let change = backlog.update(backlog: max(0, bytes), isIdle: isIdle, at: now)
        let result = settle(at: now)
        return change == .lowered && result == .lowered ? .collapsed : result
    }

    /// Another network path, or an ICE restart: half of what was is assumed, and soon tested.
    mutating func routeChanged(at now: Instant) -> OnEstimate {
        let half = max(settings.minimum, estimate / 2)
        path.reset()
        own.reset()
        groups.reset()
        trend.reset()
        acknowledged.reset()
        departed.reset()
        arrived.reset()
        loss.reset()
        cliff.reset()
        shared.reset()
        watchdog.reset()
        dispersion.reset()
        control.set(half, at: now)
        control.forgetCapacity()
        reported.halve(at: now)
        beforeSilence = nil
        probes.begin(estimate: half, isNew: false, at: now)
        return settle(at: now)
    }

    // MARK: The rate

    /// Puts everything together.
    mutating func settle(at now: Instant) -> OnEstimate {
        var rate: Int
        if settings.isStream {
            rate = backlog.estimate
            bound = .backlog
        } else if wasReported {
            rate = control.estimate
            bound = watchdog.cuts > 0 ? .silence : shared.isShared ? .shared : .delay
            if let limit = loss.limit, limit < rate, !shared.isShared {
                rate = limit
                bound = .loss
            }
            if let cap = reported.cap(at: now), cap < rate {
                rate = cap
                bound = .receiver
            }
        } else {
            rate = reported.rate(at: now)
            bound = reported.cap(at: now) == nil ? .start : .receiver
        }
        if rate >= settings.maximum { bound = .maximum }
        estimate = max(settings.minimum, min(rate, settings.maximum))
        target = estimate
        if cliff.isDraining && !settings.isStream {
            bound = .draining
            target = max(settings.minimum, min(estimate, cliff.rate * 75 / 100))
        }
        pacing = target
        if bound == .draining && path.queue > BandwidthEstimator.deepQueue
            && now - cliff.startedAt < BandwidthEstimator.deepTime
        {
            pacing = max(settings.minimum, min(target, cliff.rate * BandwidthEstimator.deepShare / 100))
        }
        return tell()
    }

    private mutating func tell() -> OnEstimate {
        if target * 100 < told * 97 {
            told = target
            return .lowered
        }
        if target * 100 > told * 103 {
            told = target
            return .raised
        }
        return .unchanged
    }

    /// To be called when the first packet may go out.
    mutating func begin(at now: Instant) {
        probes.begin(estimate: estimate, isNew: true, at: now)
        nextUpkeep = now
    }
}
