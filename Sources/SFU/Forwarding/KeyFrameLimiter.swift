// Key-frame requests of one encoding: every path that wants one asks here, and at most one request per interval
// goes to the publisher, until a key frame comes (RFC 4585 §6.3.1).
import RTP

struct KeyFrameLimiter {
    private(set) var isWanted = false
    private var lastSent: Instant?

    /// Somebody needs a key frame from now on.
    mutating func want() { isWanted = true }

    mutating func received() { isWanted = false }

    /// Whether a request goes out now; counts as sent then.
    mutating func shouldSend(at now: Instant) -> Bool {
        guard isWanted, nextDeadline <= now else { return false }
        lastSent = now
        return true
    }

    var nextDeadline: Instant {
        guard isWanted else { return .distantFuture }
        guard let lastSent else { return .zero }
        return lastSent + Limits.Media.keyFrameInterval
    }
}
