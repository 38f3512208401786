// Sees that others fill the queue: it stands although so little is sent that it would be empty, were it ours alone. Then
// delay says nothing of what may be sent, and the rate follows losses up to half of what there was, as that of the others
// does. Knows rates and delays, no packet.
import RTP

/// Who waits for a loss lets the queue grow for seconds and then fall at once; who follows the delay, as we do, fills it at
/// once and then lets it fall for seconds.
struct QueueShape {
    /// A change below this is noise, microseconds.
    private static let noise: Int64 = 2_000
    /// What was so long ago counts a third, microseconds.
    private static let memory: Int64 = 8_000_000

    /// Microseconds in which it grew and in which it fell.
    private var grew: Int64 = 0
    private var fell: Int64 = 0
    private var last: Int64?

    /// Both in microseconds.
    mutating func note(_ queue: Int64, elapsed: Int64) {
        let change = queue - (last ?? queue)
        last = queue
        grew -= grew * elapsed / QueueShape.memory
        fell -= fell * elapsed / QueueShape.memory
        if change > QueueShape.noise { grew += elapsed }
        if change < -QueueShape.noise { fell += elapsed }
    }

    /// So long was it seen to change, microseconds.
    var seen: Int64 { grew + fell }
    /// Percent of that.
    var growing: Int64 { seen > 0 ? grew * 100 / seen : 0 }
}

struct SharedQueue {
    /// A queue above this stands.
    private static let standing = Interval.milliseconds(60)
    /// Whatever a peer says, no queue is longer, microseconds.
    private static let longest: Int64 = 10_000_000
    /// Below this it is empty: others fill it no more.
    static let empty = Interval.milliseconds(30)
    /// What arrives must be this share of what is sent, percent; else the path carries less, and the queue is ours.
    private static let through = 85
    private static let margin: Int64 = 200_000
    /// Those that follow the delay, as we do, let the queue fall below this share of its height, percent; those that
    /// wait for a loss do not.
    private static let shallow: Int64 = 50
    /// Two of ours may hold a queue for a second or two. Microseconds.
    private static let persistence: Int64 = 3_000_000
    /// Where less than this is left to us of what was before, percent, what arrives tells nothing of the path. So it has to
    /// stand for longer, microseconds, and falls even less.
    private static let starved = 50
    private static let longPersistence: Int64 = 4_500_000
    private static let hardlyShallow: Int64 = 60
    /// So many bits wait in it at least; a packet or two of ours on a slow path are no queue.
    private static let waiting: Int64 = 5 * 1200 * 8
    /// While it stands we send less than this on average, percent of what came before; or nothing can be said.
    private static let yielded: Int64 = 80
    /// A queue that varies less in so long, microseconds and as a part of its height, is none: the way became longer.
    private static let flat: Int64 = 15_000
    private static let flatPart: Int64 = 8
    private static let flatTime = Interval.seconds(8)
    /// Less than this passes of what is sent, percent, for so long, microseconds: the path ends there, whoever shares it.
    private static let passing = 60
    private static let passingTime: Int64 = 1_200_000
    /// The queue grows in this share of the time in which it changes, percent, and was seen to change for so long,
    /// microseconds. Measured: 54 to 80 % beside CUBIC, 30 to 53 % where two of ours share a path.
    private static let growing: Int64 = 50
    private static let hardlyGrowing: Int64 = 44
    private static let shapeTime: Int64 = 1_500_000
    /// For so long it is not thought to be shared again, and twice as long the next time.
    private static let doubt = Interval.seconds(10)
    private static let longestDoubt = Interval.seconds(160)
    /// What one loss leaves of the rate, percent.
    private static let decrease = 75
    private static let between = Interval.milliseconds(1000)
    /// One packet more per round trip, as TCP does without CUBIC.
    private static let segmentBits: Int64 = 1200 * 8
    /// What is ours of what was before, percent.
    private static let ours = 50
    /// Below this share of what was before, percent, so much loss is borne, 0–1; beyond it none.
    private static let least = 30
    private static let tolerated = 0.08
    /// How far beyond the next useful step the rate may grow, percent: it is taken with some headroom.
    private static let beyond = 120
    /// What was before is not forgotten for so long.
    private static let recollection = Interval.seconds(10)
    /// The least delay is not forgotten for so long: nobody sees the queue empty meanwhile.
    private static let memory = Interval.seconds(600)

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
    private var shape = QueueShape()
    private var since = Instant.distantPast
    /// The estimate before the queue stood, bits per second.
    private var before = 0
    private var endedAt = Instant.distantPast
    /// Most that arrived since it stands, bits per second.
    private var most = 0
    /// Microseconds by which the queue would be shorter, had it been ours alone.
    private var drained: Int64 = 0
    /// For how long it stands, microseconds.
    private var stood: Int64 = 0
    /// Bits that were sent meanwhile.
    private var offered: Int64 = 0
    /// Of the queue while it stands, microseconds.
    private var deepest: Int64 = 0
    private var shallowest = Int64.max
    /// Of the queue since it last varied, microseconds.
    private var lowest = Int64.max
    private var highest: Int64 = 0
    private var variedAt = Instant.distantPast
    /// For how long too little passes, microseconds.
    private var short: Int64 = 0
    private var doubt = Interval.seconds(5)
    private var doubtedUntil = Instant.distantPast
    private var last: Instant?
    /// Between the last two reports, microseconds.
    private var elapsed: Int64 = 0
    private var lastDecrease = Instant.distantPast

    enum OnReport {
        case noted
        /// What was taken for a queue is a longer way.
        case longer
    }

    /// - Parameter estimate: bits per second, before this report.
    mutating func update(_ report: Report, estimate: Int, at now: Instant) -> OnReport {
        elapsed = last.map { min((now - $0).microseconds, 500_000) } ?? 0
        last = now
        guard report.queue >= SharedQueue.empty else {
            before = now - endedAt < SharedQueue.recollection ? max(before, estimate) : estimate
            clear(at: now)
            shape = QueueShape()
            return .noted
        }
        guard let sent = report.sent, let arrived = report.arrived, sent > 0 else { return .noted }
        let queue = min(report.queue.microseconds, SharedQueue.longest)
        deepest = max(deepest, queue)
        shape.note(queue, elapsed: elapsed)
        guard queue * 100 >= deepest * SharedQueue.shallow else {
            clear(at: now)
            return .noted
        }
        noteRange(queue, at: now)
        let isPassing = arrived * 100 >= sent * (isShared ? SharedQueue.passing : SharedQueue.through)
        short = isPassing ? 0 : short + elapsed
        guard !isShared else { return remain(at: now) }
        guard report.queue >= SharedQueue.standing, short <= SharedQueue.passingTime
        else {
            clear(at: now)
            return .noted
        }
        stood += elapsed
        shallowest = min(shallowest, queue)
        offered += Int64(sent) * elapsed / 1_000_000
        if isPassing {
            most = max(most, arrived)
            drained += elapsed * Int64(max(0, most - sent)) / Int64(most)
        } else {
            most = arrived
            drained = 0
        }
        guard shape.seen >= SharedQueue.shapeTime && shape.growing >= SharedQueue.growing else {
            return .noted
        }
        let isVarying = (now - variedAt).microseconds < stood
        guard now >= doubtedUntil, isVarying, isOthers(queue) || isStarved(estimate) else { return .noted }
        isShared = true
        short = 0
        since = now
        lastDecrease = now
        return .noted
    }

    private mutating func remain(at now: Instant) -> OnReport {
        if now - variedAt > SharedQueue.flatTime {
            clear(at: now)
            return .longer
        }
        guard short > SharedQueue.passingTime || shape.growing < SharedQueue.hardlyGrowing else {
            return .noted
        }
        doubt =
            now - since > SharedQueue.recollection
            ? SharedQueue.doubt : min(doubt + doubt, SharedQueue.longestDoubt)
        doubtedUntil = now + doubt
        clear(at: now)
        return .noted
    }

    /// The queue would be empty, were it ours alone.
    private func isOthers(_ queue: Int64) -> Bool {
        stood >= SharedQueue.persistence && drained > deepest + SharedQueue.margin
            && drained * 100 > stood * (100 - SharedQueue.yielded)
            && queue * Int64(most) / 1_000_000 >= SharedQueue.waiting
    }

    /// It stands although next to nothing was sent for long.
    private func isStarved(_ estimate: Int) -> Bool {
        let little = Int64(before * SharedQueue.starved / 100)
        return stood >= SharedQueue.longPersistence
            && shallowest * 100 >= deepest * SharedQueue.hardlyShallow && Int64(estimate) < little
            && offered < little * stood / 1_000_000
    }

    private mutating func noteRange(_ queue: Int64, at now: Instant) {
        lowest = min(lowest, queue)
        highest = max(highest, queue)
        guard highest - lowest > max(SharedQueue.flat, deepest / SharedQueue.flatPart) else { return }
        lowest = queue
        highest = queue
        variedAt = now
    }

    func keepsLeastDelay(at now: Instant) -> Bool { isShared && now - since < SharedQueue.memory }

    /// What may be sent while others fill the queue, bits per second.
    mutating func rate(_ report: Report, estimate: Int, at now: Instant) -> Int {
        let ours = before * SharedQueue.ours / 100
        let arrived = report.arrived ?? estimate
        let isLittle = arrived * 100 < before * SharedQueue.least && report.loss <= SharedQueue.tolerated
        if report.lost > 0 && !isLittle {
            guard now - lastDecrease > max(SharedQueue.between, report.roundTrip) else { return estimate }
            lastDecrease = now
            return min(estimate, ours) * SharedQueue.decrease / 100
        }
        let roundTrip = max(20_000, report.roundTrip.microseconds)
        var more = SharedQueue.segmentBits * 1_000_000 / roundTrip * elapsed / roundTrip
        // Faster back to what is ours.
        if estimate < ours { more = max(more, Int64(estimate) * elapsed / 1_500_000) }
        // What the next step needs is tried by growing towards it.
        let most = max(arrived * 110 / 100 + 10_000, report.goal * SharedQueue.beyond / 100)
        return min(ours, max(estimate, min(estimate + Int(more), most)))
    }

    private mutating func clear(at now: Instant) {
        if isShared { endedAt = now }
        isShared = false
        most = 0
        drained = 0
        stood = 0
        offered = 0
        short = 0
        deepest = 0
        shallowest = .max
        lowest = .max
        highest = 0
    }

    mutating func reset() { self = SharedQueue() }
}
