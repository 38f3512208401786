// How often STUN errors are answered: one in 100 ms per source address, and few sources at a time, so that
// nobody makes us talk to a spoofed address for long.
import RTP

struct ErrorReplyLimiter {
    private var replies: [(source: IPAddress, at: Instant)] = []

    /// Whether an error may go to this address now; counts it where it may.
    mutating func admit(_ source: IPAddress, at now: Instant) -> Bool {
        replies.removeAll { $0.at + Limits.Transport.errorReplyEvery <= now }
        guard replies.count < Limits.Transport.errorReplySources,
            !replies.contains(where: { $0.source == source })
        else { return false }
        replies.append((source, now))
        return true
    }
}
