// Sees that others fill the queue: it stands although so little is sent that it would be empty, were it ours alone. Then
// delay says nothing of what may be sent, and the rate follows losses, as that of the others does. Knows rates and
// delays, no packet.
import RTP

struct SharedQueue {
    /// A queue above this stands.
    private static let standing = Interval.milliseconds(60)
    /// Below this it is empty: others fill it no more.
    private static let empty = Interval.milliseconds(30)
    /// What arrives must be this share of what is sent, percent; else the path carries less, and the queue is ours.
    private static let through = 85
    private static let margin: Int64 = 200_000
    /// Half as much passes as is sent: the path fell, whoever shares it.
    private static let fell = 50
    /// What one loss leaves of the rate, percent.
    private static let decrease = 80
    private static let between = Interval.milliseconds(1000)
    /// One packet more per round trip, as TCP does without CUBIC.
    private static let segmentBits: Int64 = 1200 * 8
    /// What is ours of the path, percent: up to there so much loss is borne, 0–1, and beyond it none.
    private static let ours = 60
    private static let tolerated = 0.05
    /// How far beyond the next useful step the rate may grow, percent: it is taken with some headroom.
    private static let beyond = 120
    /// The least delay is not forgotten for so long: nobody sees the queue empty meanwhile.
    private static let memory = Interval.seconds(120)

    struct Report {
        var queue = Interval.zero
        /// Bits per second of the same packets; nil where too little was seen.
        var sent: Int?
        var arrived: Int?
        /// Packets of this report that are lost.
        var lost = 0
        /// Share of the bytes of the last seconds that were lost, 0–1.
        var loss = 0.0
        var roundTrip = Interval.zero
        /// What the next useful step needs, bits per second.
        var goal = 0
    }

    /// Others fill the queue.
    private(set) var isShared = false
    private var since = Instant.distantPast
    /// The estimate before the queue stood, bits per second.
    private var before = 0
    /// Most that arrived since, bits per second.
    private var most = 0
    /// Microseconds by which the queue would be shorter, had it been ours alone.
    private var drained: Int64 = 0
    private var deepest: Int64 = 0
    private var last: Instant?
    /// Between the last two reports, microseconds.
    private var elapsed: Int64 = 0
    private var lastDecrease = Instant.distantPast

    /// - Parameter estimate: bits per second, before this report.
    mutating func update(_ report: Report, estimate: Int, at now: Instant) {
        elapsed = last.map { min((now - $0).microseconds, 500_000) } ?? 0
        last = now
        guard report.queue >= SharedQueue.empty else {
            before = estimate
            return clear()
        }
        guard let sent = report.sent, let arrived = report.arrived, sent > 0 else { return }
        if isShared {
            if arrived * 100 < sent * SharedQueue.fell { clear() }
            return
        }
        guard report.queue >= SharedQueue.standing, arrived * 100 >= sent * SharedQueue.through else {
            clear()
            most = arrived
            return
        }
        most = max(most, arrived)
        deepest = max(deepest, report.queue.microseconds)
        drained += elapsed * Int64(max(0, most - sent)) / Int64(most)
        isShared = drained > deepest + SharedQueue.margin
        guard isShared else { return }
        since = now
        lastDecrease = now
    }

    func keepsLeastDelay(at now: Instant) -> Bool { isShared && now - since < SharedQueue.memory }

    /// What may be sent while others fill the queue, bits per second.
    mutating func rate(_ report: Report, estimate: Int, at now: Instant) -> Int {
        let ours = before * SharedQueue.ours / 100
        let arrived = report.arrived ?? estimate
        let isTooMuch = report.lost > 0 && (arrived > ours || report.loss > SharedQueue.tolerated)
        if isTooMuch {
            guard now - lastDecrease > max(SharedQueue.between, report.roundTrip) else { return estimate }
            lastDecrease = now
            return estimate * SharedQueue.decrease / 100
        }
        let roundTrip = max(20_000, report.roundTrip.microseconds)
        var more = SharedQueue.segmentBits * 1_000_000 / roundTrip * elapsed / roundTrip
        // Faster back to what is ours.
        if estimate < ours { more = max(more, Int64(estimate) * elapsed / 2_000_000) }
        // What the next step needs is tried by growing towards it.
        let most = max(arrived * 110 / 100 + 10_000, report.goal * SharedQueue.beyond / 100)
        return max(estimate, min(estimate + Int(more), most))
    }

    private mutating func clear() {
        isShared = false
        most = 0
        drained = 0
        deepest = 0
    }

    mutating func reset() { self = SharedQueue() }
}
