// How many bytes may leave now: a token bucket above the target rate. The packets that wait are somebody else's; so is
// their order.
import RTP

struct Pacer {
    /// Percent of the target.
    private static let share: Int64 = 110
    /// The same where too much waits.
    private static let shareMost: Int64 = 125
    /// The same where everything that is wanted has room, or nothing is known of the path: as browsers send.
    private static let shareFree: Int64 = 250
    /// What audio may take in advance, bytes.
    private static let debtMost: Int64 = 12_000

    /// Bits per second.
    private var target: Int64
    /// Bytes times 8 000 000: what is saved, or owed where it is negative.
    private var saved: Int64 = 0
    private var updatedAt: Instant
    private var percent = Pacer.share

    private static let unit: Int64 = 8_000_000

    init(target: Int, at now: Instant) {
        self.target = Int64(max(1, target))
        updatedAt = now
        saved = burst
    }

    /// Bits per second at which packets leave.
    var rate: Int { Int(target * percent / 100) }
    private var burst: Int64 { Int64(rate) * Limits.Bandwidth.pacerBurst.microseconds }

    /// - Parameters:
    ///   - queued: bytes that wait; where they would wait too long, the rate is raised.
    ///   - isFree: the path has room to spare, as far as is known.
    mutating func aim(at target: Int, queued: Int, isFree: Bool = false, at now: Instant) {
        refill(now)
        self.target = Int64(max(1, min(target, Limits.Bandwidth.maximum)))
        let needed = Int64(queued) * Pacer.unit / Limits.Bandwidth.pacerQueue.microseconds
        percent = max(Pacer.share, min(needed * 100 / self.target, Pacer.shareMost))
        if isFree { percent = max(percent, Pacer.shareFree) }
        saved = min(saved, burst)
    }

    /// Bytes that may leave now; a packet may leave whole where any may. Audio does not ask, and neither does a
    /// probe.
    mutating func available(at now: Instant) -> Int {
        refill(now)
        return max(0, Int(saved / Pacer.unit))
    }

    /// Bytes left, also those of audio and probes.
    @inline(__always)
    mutating func sent(_ size: Int) {
        saved = max(saved - Int64(size) * Pacer.unit, -Pacer.debtMost * Pacer.unit)
    }

    /// When the next packet may leave.
    func nextDeadline(at now: Instant) -> Instant {
        // One byte, so that a packet may leave whole.
        let lacking = Pacer.unit - saved
        guard lacking > 0 else { return now }
        return updatedAt + .microseconds((lacking + Int64(rate) - 1) / Int64(max(1, rate)))
    }

    /// How long so many bytes would wait.
    func delay(of queued: Int) -> Interval { .microseconds(Int64(queued) * Pacer.unit / Int64(max(1, rate))) }

    /// Whether so much waits that what can be left out should be: whole pictures of upper temporal layers first, then
    /// the layer.
    func isOverfull(_ queued: Int) -> Bool {
        Int64(queued) * Pacer.unit > target * Pacer.share / 100 * Limits.Bandwidth.pacerQueue.microseconds
    }

    private mutating func refill(_ now: Instant) {
        let elapsed = min(max(0, (now - updatedAt).microseconds), 1_000_000)
        updatedAt = max(updatedAt, now)
        saved = min(saved + elapsed * Int64(rate), burst)
    }
}
