// Key-frame requests of one encoding: every path that wants one asks here, and at most one request per interval
// goes to the publisher, until a key frame comes (RFC 4585 §6.3.1).
import RTP

struct KeyFrameLimiter {
    private(set) var isWanted = false
    private var lastSent: Instant?
    /// Between two requests by decoders: longer where key frames are large for what is sent.
    private var interval = Limits.Media.keyFrameInterval

    /// Somebody who gets nothing without one waits.
    private var isUrgent = false

    /// Somebody needs a key frame from now on.
    /// - Parameter isUrgent: known to be so, and not only asked for by somebody's decoder.
    mutating func want(isUrgent: Bool = true) {
        isWanted = true
        self.isUrgent = self.isUrgent || isUrgent
    }

    mutating func received() {
        isWanted = false
        isUrgent = false
    }

    /// What a key frame took, and what the encoding takes in all.
    mutating func note(keyFrameBytes: Int, bitsPerSecond: UInt32) {
        guard bitsPerSecond > 0 else { return }
        let share = Int64(bitsPerSecond) * Int64(Limits.Media.keyFrameShare) / 100
        let wish = Interval.microseconds(Int64(keyFrameBytes) * 8_000_000 / max(share, 1))
        interval = min(max(wish, Limits.Media.keyFrameInterval), Limits.Media.keyFrameIntervalLongest)
    }

    /// Whether a request goes out now; counts as sent then.
    mutating func shouldSend(at now: Instant) -> Bool {
        guard isWanted, nextDeadline <= now else { return false }
        lastSent = now
        return true
    }

    var nextDeadline: Instant {
        guard isWanted else { return .distantFuture }
        guard let lastSent else { return .zero }
        return lastSent + (isUrgent ? Limits.Media.keyFrameInterval : interval)
    }
}
