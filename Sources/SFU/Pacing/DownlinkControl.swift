// What one subscriber's path takes, and how its packets are spread over time: estimator, pacer, the packets that wait and
// the allocator's memory. One per session that is sent to, in raw memory beside its downlink. Must not know what a layer is.
import PeerTransport
import RTP

struct DownlinkControl: ~Copyable {
    // What the road writes of each packet comes first, as in the estimator.
    unowned let session: Session
    /// Beside what SRTP writes: IP and UDP.
    var headerBytes = 28
    /// Of audio, since the last look.
    var audioBytes = 0
    var pacer: Pacer
    var waiting = WaitingPackets()
    var estimator: BandwidthEstimator
    var allocator = Allocator()
    var prospect = Prospect()
    /// Something is left out for lack of room or waits, so that nothing is sent that is not needed.
    private(set) var isTight = false
    /// Upper temporal layers are left out until less waits.
    var isThinned = false
    /// What `audioBytes` made, bits per second.
    private(set) var audioRate = 0
    private var audioSince: Instant
    /// When everything is shared out anew at the latest.
    var nextAllocation = Instant.distantPast
    var allocatedAt = Instant.distantPast
    /// Bits per second that were shared out.
    private(set) var used = 0
    /// The packet of each probe that is sent again next, by slot: from the newest backwards.
    var probeCursor = ProbeCursor()

    struct ProbeCursor {
        var cluster: UInt8 = 0
        var back = 0
    }

    init(_ settings: BandwidthEstimator.Settings, of session: Session, at now: Instant) {
        self.session = session
        estimator = BandwidthEstimator(settings)
        pacer = Pacer(target: estimator.pacing, at: now)
        audioSince = now
        estimator.begin(at: now)
        pacer.aim(at: estimator.pacing, queued: 0, isFree: true, at: now)
    }

    /// Asks for what the road writes.
    @inline(__always)
    static func prefetch(_ control: UnsafeMutablePointer<DownlinkControl>) {
        Prefetch.memory(control, bytes: 5 * Prefetch.line)
    }

    /// Then for where the next packet will be noted.
    @inline(__always)
    mutating func prefetchHistory() { estimator.history.prefetch() }

    /// A packet with a transport-wide number goes out.
    /// - Parameter size: bytes after SRTP.
    @inline(__always)
    mutating func sent(_ number: UInt16, size: Int, kind: SentKind, at now: Instant) {
        estimator.sent(number, size: size + headerBytes, kind: kind, at: now)
        note(size, kind)
    }

    /// A packet goes out, with such a number or without.
    @inline(__always)
    mutating func note(_ size: Int, _ kind: SentKind) {
        pacer.sent(size + headerBytes)
        if kind == .audio { audioBytes &+= size + headerBytes }
    }

    /// Whether a batch goes out as it is.
    /// - Parameter bytes: of video in it, before SRTP.
    @inline(__always)
    mutating func lets(_ bytes: Int, at now: Instant) -> Bool {
        bytes == 0 || waiting.isEmpty && pacer.available(at: now) >= bytes
    }

    /// To be called after each word about the rate.
    mutating func aimPacer(at now: Instant) {
        // While a queue drains elsewhere, ours may wait longer.
        let queued = estimator.pacing < estimator.target ? 0 : waiting.bytes
        pacer.aim(at: estimator.pacing, queued: queued, isFree: isFree, at: now)
    }

    /// Whether the path has room to spare, as far as is known: key frames need not wait.
    private var isFree: Bool {
        mutating get {
            switch estimator.bound {
            case .start: true
            case .delay, .maximum: !isTight
            default: false
            }
        }
    }

    // MARK: Sharing out

    /// Of the target, for what is not video: audio, reports, and resends where packets are lost.
    mutating func reserve(at now: Instant) -> Int {
        let elapsed = (now - audioSince).microseconds
        if elapsed >= DownlinkControl.audioWindow {
            let rate = Int(Int64(audioBytes) * 8_000_000 / elapsed)
            // What begins needs its room at once, what pauses (DTX) may go on any time.
            audioRate = max(rate, audioRate - audioRate / 16)
            audioBytes = 0
            audioSince = now
        }
        let repair = estimator.lossPercent < 1 ? 0 : min(10, estimator.lossPercent)
        return audioRate + DownlinkControl.reportRate + Int(Double(estimator.target) * repair / 100)
    }

    private static let audioWindow: Int64 = 200_000
    /// Sender reports, repair requests, feedback on what the session itself publishes: bits per second.
    private static let reportRate = 2_000

    /// What was shared out: the estimator probes for what is missing.
    mutating func note(_ allocation: Allocator.Allocation, at now: Instant) {
        used = allocation.used
        isTight =
            allocation.nextStep != nil || allocation.used > estimator.target || !waiting.isEmpty
            || estimator.bound == .draining
        estimator.want(
            desired: allocation.desired,
            nextStep: allocation.nextStep,
            isStarved: allocation.nextStep != nil && !allocation.decisions.contains { $0.layer != nil },
            at: now
        )
        aimPacer(at: now)
        waiting.trim()
    }

    /// Whether it is time to share out anew, after this word about the rate.
    mutating func isDue(_ change: BandwidthEstimator.OnEstimate, at now: Instant) -> Bool {
        switch change {
        case .unchanged: now >= nextAllocation
        case .raised: now - allocatedAt >= Limits.Bandwidth.allocationLeast
        case .lowered, .collapsed: true
        }
    }

    // MARK: Time

    mutating func nextDeadline(at now: Instant) -> Instant {
        var next = estimator.nextDeadline
        if !waiting.isEmpty { next = min(next, pacer.nextDeadline(at: now)) }
        return min(next, nextAllocation)
    }
}
