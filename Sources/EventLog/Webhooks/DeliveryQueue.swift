// Which room's next event one destination gets when: strictly one after the other in each room, rooms beside each
// other, failed ones later. A value on the time of its caller; must not know events, HTTP or the log.
import RTP

struct DeliveryQueue {
    struct Timing: Sendable {
        var firstRetry = Limits.Events.webhookRetry
        var longestRetry = Limits.Events.webhookRetryLongest
        /// See `OnFailure.giveUp`.
        var giveUpAfter = Limits.Events.webhookGiveUp
        var requests = Limits.Events.requestsPerDestination
        var retries = Limits.Events.retriesPerDestination
        var lanes = Limits.Events.lanes
    }

    enum OnFailure: Equatable {
        /// The same event goes again after this time.
        case retry(after: Interval)
        /// It and its room have failed for long enough; the room goes on behind it.
        case giveUp
    }

    /// What is to be sent: the first event of the room behind the position.
    struct Turn: Equatable {
        var room: String
        var after: Int64
    }

    private struct Lane {
        /// Everything up to here has been dealt with.
        var after: Int64
        var failures = 0
        /// Milliseconds since 1970; outlives restarts.
        var failingSince: UInt64?
        var isSending = false
        /// Something was appended since the last look.
        var hasNews = true
        var dueAt = Instant.distantPast
        var isRetry: Bool { failures > 0 }
    }

    let timing: Timing
    private var lanes: [String: Lane] = [:]
    /// In the order of their news.
    private var order: [String] = []

    init(timing: Timing = Timing()) { self.timing = timing }

    var isFull: Bool { lanes.count >= timing.lanes }
    var count: Int { lanes.count }
    var sending: Int { lanes.values.count(where: \.isSending) }
    /// Rooms whose last request failed.
    var failing: Int { lanes.values.count(where: \.isRetry) }

    /// The position up to which all rooms have been dealt with, given how far the log was looked through.
    func floor(scanned: Int64) -> Int64 { lanes.values.reduce(scanned) { min($0, $1.after) } }

    // MARK: News

    /// There is an event at `position`.
    mutating func noticed(_ room: String, position: Int64, failingSince: UInt64? = nil) {
        guard lanes[room] == nil else {
            lanes[room]?.hasNews = true
            return
        }
        lanes[room] = Lane(after: position - 1, failingSince: failingSince)
        order.append(room)
    }

    // MARK: Turns

    /// What can be sent now; everything returned counts as being sent until one of the methods below is called for it.
    mutating func next(at now: Instant) -> [Turn] {
        var turns: [Turn] = []
        var free = timing.requests - sending
        var retries = timing.retries - lanes.values.count { $0.isSending && $0.isRetry }
        for room in order {
            guard free > 0 else { break }
            guard let lane = lanes[room], !lane.isSending, lane.dueAt <= now, !lane.isRetry || retries > 0
            else { continue }
            lanes[room]?.isSending = true
            lanes[room]?.hasNews = false
            free -= 1
            if lane.isRetry { retries -= 1 }
            turns.append(Turn(room: room, after: lane.after))
        }
        return turns
    }

    /// When the next retry is due.
    var deadline: Instant? {
        lanes.values.filter { !$0.isSending && $0.dueAt > .distantPast }.map(\.dueAt).min()
    }

    // MARK: Outcomes

    /// The event at `position` has arrived. The room gets another turn, behind the others.
    mutating func delivered(_ room: String, position: Int64) {
        update(room) { lane in
            lane.after = position
            lane.failures = 0
            lane.failingSince = nil
            lane.dueAt = .distantPast
        }
    }

    /// Nothing is behind its position. The room is forgotten unless something came meanwhile.
    mutating func drained(_ room: String) {
        guard let lane = lanes[room] else { return }
        guard !lane.hasNews else { return update(room) { _ in } }
        lanes[room] = nil
        order.removeAll { $0 == room }
    }

    /// The log could not be read: no failure of the receiver.
    mutating func postponed(_ room: String, until: Instant) {
        update(room) { $0.dueAt = until }
    }

    /// - Parameters:
    ///   - time: when the event happened, milliseconds since 1970.
    ///   - jitter: from 0 to 1.
    ///   - retryAfter: what the receiver asked for.
    mutating func failed(
        _ room: String,
        position: Int64,
        time: UInt64,
        wallTime: UInt64,
        jitter: Double,
        retryAfter: Interval?,
        at now: Instant
    ) -> OnFailure {
        guard let lane = lanes[room] else { return .giveUp }
        let since = lane.failingSince ?? wallTime
        let limit = UInt64(max(0, timing.giveUpAfter.milliseconds))
        // Both, so that an event that waited for a server that was down has its tries, too.
        if wallTime >= since + limit, wallTime >= time + limit {
            update(room) { lane in
                lane.after = position
                lane.failingSince = since
                lane.dueAt = .distantPast
            }
            return .giveUp
        }
        let doubled = min(
            timing.firstRetry.microseconds << min(lane.failures, 24),
            timing.longestRetry.microseconds
        )
        var pause = Interval(microseconds: doubled / 2 + Int64(Double(doubled) / 2 * jitter))
        if let retryAfter { pause = max(pause, min(retryAfter, timing.longestRetry)) }
        update(room) { lane in
            lane.failures += 1
            lane.failingSince = since
            lane.dueAt = now + pause
        }
        return .retry(after: pause)
    }

    /// Since when this room has failed.
    func failingSince(_ room: String) -> UInt64? { lanes[room]?.failingSince }

    /// Ends its turn and puts it behind the others.
    private mutating func update(_ room: String, _ change: (inout Lane) -> Void) {
        guard var lane = lanes[room] else { return }
        lane.isSending = false
        change(&lane)
        lanes[room] = lane
        order.removeAll { $0 == room }
        order.append(room)
    }
}
